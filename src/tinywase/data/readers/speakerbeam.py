"""SpeakerBeam's enrollment maps for LibriMix, read where the user has them (their licence keeps them out of here).

map_mixture2enrollment   <mixture> <utterance> s1/<other mixture>: the s1 recording of another mixture
mixture2enrollment.csv   mixture_id,utterance_id,enr_path1,length1[,enr_path2,length2,...]: one is drawn
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from .base import Enroll, ListFile, MixtureRow, ReadOptions, SourceRow

NAMES = ("mixture2enrollment.csv", "map_mixture2enrollment", "map_mixture2enrollment_3spk", "mixture2enrollment")


def find_maps(options: ReadOptions, *folders: Path) -> list[Path]:
    """The map that was asked for, or those that lie in one of `folders`."""
    if options.enrollments is not None:
        return [options.enrollments]
    places = [folder / name for folder in dict.fromkeys(folders) for name in NAMES]
    return [place for place in places if os.path.isfile(place)]  # False too where no file system takes the name


def enrollments_from(maps: Sequence[ListFile], rows: Sequence[MixtureRow], *, seed: int) -> Enroll:
    """A function that looks the enrollment of a target up in `maps`."""
    sources = {f"s{n}/{row.name}": one.path for row in rows for n, one in enumerate(row.sources, start=1)}
    table: dict[tuple[str, str], list[str | Path]] = {}
    for source in maps:
        for line, fields in _fields(source):
            if len(fields) < 3:
                source.report(line, f"{len(fields)} fields; expected mixture, utterance and enrollment. Mend the row.")
                continue
            in_csv = source.path.suffix == ".csv"
            choices: list[str | Path] = [source.resolve(text) for text in fields[2::2]] if in_csv else [fields[2]]
            table[fields[0], fields[1]] = choices

    def enroll(row: MixtureRow, target: SourceRow) -> Path | None:
        choices = table.get((row.name, target.utterance))
        if not choices:
            return None
        digest = hashlib.sha256(f"{seed}/{row.name}/{target.utterance}".encode()).digest()
        choice = choices[int.from_bytes(digest[:8], "little") % len(choices)]
        if isinstance(choice, Path):
            return choice
        return sources.get(choice) or target.path.parents[1] / f"{choice}{target.path.suffix}"

    return enroll


def _fields(source: ListFile) -> list[tuple[int, list[str]]]:
    """Rows of either form, without the CSV's header."""
    if source.path.suffix != ".csv":
        return list(source.rows())
    rows = [(line, [value for value in " ".join(fields).split(",") if value]) for line, fields in source.rows()]
    return rows[1:] if rows and rows[0][1][:1] == ["mixture_id"] else rows
