"""Asteroid's json lists: a folder with mix.json, s1.json, s2.json[, s3.json], each [[path, samples], ...] in one order.

Enrollments are not named: one is drawn from the speaker's other utterances (wsj0-mix names tell the speakers).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import DataError
from .base import ListFile, Listing, MixtureRow, Reader, ReadOptions, SourceRow, read_text, trials_of
from .keyed import list_folder
from .wsj0mix import SOURCES, utterances_of

MIXTURES = ("mix.json", "mix_clean.json", "mix_both.json")


def _mixture_list(path: Path) -> Path | None:
    if path.is_file():
        return path if path.name in MIXTURES else None
    return next((path / name for name in MIXTURES if (path / name).is_file()), None)


def _detect(path: Path) -> bool:
    found = _mixture_list(path)
    return found is not None and (found.parent / "s1.json").is_file()


def _read(path: Path, options: ReadOptions) -> Listing:
    folder = list_folder(path)
    mixture_list = ListFile(_mixture_list(path) or folder / MIXTURES[0], options)
    names = [name for name in SOURCES if (folder / f"{name}.json").is_file()]
    source_lists = [ListFile(folder / f"{name}.json", options) for name in names]
    entries = [_entries(one) for one in (mixture_list, *source_lists)]
    if len({len(one) for one in entries}) > 1:
        counts = ", ".join(str(len(one)) for one in entries)
        raise DataError(
            f"{folder}: {mixture_list.path.name}, {', '.join(names)} have {counts} entries; expected as many in each. "
            "Remake them together."
        )
    rows = []
    for (line, mixture_text), *others in zip(*entries, strict=True):
        mixture = mixture_list.resolve(mixture_text)
        utterances = utterances_of(mixture.stem, len(others))
        if utterances is None:
            mixture_list.report(
                line,
                f"'{mixture.name}' does not name {len(others)} utterances; expected <utt1>_<gain>_<utt2>_<gain> or "
                "<speaker>-<chapter>-<n>_..., from which speakers are read. Describe the set by a plain CSV instead.",
            )
            continue
        sources = (
            SourceRow(utterance, speaker, one.resolve(text))
            for (utterance, speaker), one, (_, text) in zip(utterances, source_lists, others, strict=True)
        )
        rows.append(MixtureRow(mixture.stem, tuple(sources), mixture=mixture, line=line))
    return Listing(trials_of(rows, mixture_list, recipe="files"), mixture_list.problems)


def _entries(source: ListFile) -> list[tuple[int, str]]:
    """Line and path of each entry of one list."""
    text = read_text(source.path)
    expected = "expected [[path, samples], ...]. Remake it with asteroid's recipe."
    try:
        data: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{source.path}:{error.lineno}: not JSON ({error.msg}); {expected}") from error
    if not isinstance(data, list) or not all(isinstance(one, list) and one and isinstance(one[0], str) for one in data):
        raise DataError(f"{source.path}: JSON of another shape; {expected}")
    entries, position = [], 0
    for path, *_ in data:
        position = max(
            position, text.find(json.dumps(path), position)
        )  # json knows no lines; the path's place tells it
        entries.append((1 + text.count("\n", 0, position), path))
    return entries


ASTEROID = Reader("asteroid", "asteroid folder: mix.json, s1.json, s2.json of [[path, samples], ...]", _detect, _read)
