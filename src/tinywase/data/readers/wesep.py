"""WeSep's prepared folders.

  wav.scp          <key> <mixture> <s1> <s2>[ <s3>]
  utt2spk          <key> <speaker1> <speaker2>[ <speaker3>]
  spk<n>.enroll    <key> <id>, and <id> is a key of single.wav.scp: <id> <path>
Without spk<n>.enroll (training sets) an enrollment is drawn from the speaker's other utterances in the folder.
"""

from __future__ import annotations

from pathlib import Path

from .base import Listing, MixtureRow, Reader, ReadOptions, SourceRow, first_line, trials_of
from .keyed import KeyedList, joined_keys, list_folder, problems_of, read_keyed

FIELDS = (4, 5)  # of wav.scp: key, mixture, two or three sources


def _detect(path: Path) -> bool:
    folder = list_folder(path)
    if path.is_file() and path.name not in ("wav.scp", "utt2spk"):
        return False
    return (folder / "utt2spk").is_file() and len(first_line(folder / "wav.scp").split()) in FIELDS


def _read(path: Path, options: ReadOptions) -> Listing:
    folder = list_folder(path)
    mixtures = read_keyed(folder / "wav.scp", options, fields=FIELDS)
    speakers = read_keyed(folder / "utt2spk", options, fields=(3, 4))
    rows = []
    for key in joined_keys(mixtures, (speakers,)):
        names = speakers.fields(key)
        if len(names) != len(mixtures.fields(key)) - 1:
            speakers.source.report(
                speakers.line(key),
                f"{len(names)} speakers; expected {len(mixtures.fields(key)) - 1}, one for each source of wav.scp.",
            )
            continue
        sources = (
            SourceRow(_utterance(key, n, mixtures.path(key, n + 1)), name, mixtures.path(key, n + 1))
            for n, name in enumerate(names)
        )
        rows.append(MixtureRow(key, tuple(sources), mixture=mixtures.path(key), line=mixtures.line(key)))
    enrolls, singles = _enrollment_lists(folder, options)
    if singles is None:
        trials = trials_of(rows, mixtures.source, recipe="files")
    else:
        known = singles

        def enroll(row: MixtureRow, target: SourceRow) -> Path | None:
            return _listed(enrolls[row.sources.index(target)], known, row.name)

        trials = trials_of(rows, mixtures.source, enroll=enroll, recipe="files")
    return Listing(trials, problems_of([mixtures, speakers, *enrolls, *([singles] if singles else [])]))


def _utterance(key: str, place: int, path: Path) -> str:
    """The utterance a source is: LibriMix keys join them with '_'; elsewhere the file stands for itself."""
    parts = key.split("_")
    return parts[place] if place < len(parts) and "-" in parts[place] else str(path)


def _enrollment_lists(folder: Path, options: ReadOptions) -> tuple[list[KeyedList], KeyedList | None]:
    files = [folder / f"spk{n}.enroll" for n in (1, 2, 3) if (folder / f"spk{n}.enroll").is_file()]
    singles = folder / "single.wav.scp"
    if not files or not singles.is_file():
        return [], None
    return [read_keyed(file, options) for file in files], read_keyed(singles, options)


def _listed(enrolls: KeyedList, singles: KeyedList, key: str) -> Path | None:
    """The enrollment that the lists name for this mixture."""
    if key not in enrolls:
        return None
    name = enrolls.fields(key)[0]
    if name in singles:
        return singles.path(name)
    message = f"'{name}' is not in {singles.name}; expected its path there. Remake the lists together."
    enrolls.source.report(enrolls.line(key), message)
    return None


WESEP = Reader("wesep", "WeSep folder: wav.scp, utt2spk, spk<n>.enroll, single.wav.scp", _detect, _read)
