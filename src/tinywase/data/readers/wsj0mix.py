"""wsj0-2mix: the folders it generates and the lists it is generated from.

  folders  [.../wav8k/min/]{tr,cv,tt}/{mix,s1,s2[,s3]}/<utt1>_<gain>_<utt2>_<gain>.wav
  list     mix_2_spk_{tr,cv,tt}.txt: <utt1.wav> <gain> <utt2.wav> <gain>, made at the active level of ITU-T P.56
Neither names enrollments: one is drawn from the speaker's other utterances in the set.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from .base import (
    ListFile,
    Listing,
    MixtureRow,
    Reader,
    ReadOptions,
    SourceRow,
    first_line,
    is_recording,
    number,
    trials_of,
)
from .wase import speaker_of

SOURCES = ("s1", "s2", "s3")
SPEAKER_CHARACTERS = 3  # of an utterance's name: 052a050b is spoken by 052
LIBRISPEECH_DASHES = 2  # <speaker>-<chapter>-<utterance>
MOST_FOLDERS = 200  # on one level; what branches more is a tree of speakers
NESTING = 5  # levels below a given folder at which a set is looked for: 2speakers/wav8k/min/tt


def utterances_of(name: str, count: int) -> list[tuple[str, str]] | None:
    """(utterance, speaker) of each source, read from a mixture's name; None if it does not name `count` of them.

    >>> utterances_of("052a050b_0.60_443c020a_-0.60", 2)
    [('052a050b', '052'), ('443c020a', '443')]
    >>> utterances_of("4077-13754-0001_5142-33396-0065", 2)
    [('4077-13754-0001', '4077'), ('5142-33396-0065', '5142')]
    """
    parts = name.split("_")
    if len(parts) == count and all(part.count("-") >= LIBRISPEECH_DASHES for part in parts):
        return [(part, part.split("-")[0]) for part in parts]
    if len(parts) == 2 * count and all(number(gain) is not None for gain in parts[1::2]):
        return [(part, part[:SPEAKER_CHARACTERS]) for part in parts[::2]]
    return None


def set_folders(path: Path, *mixtures: str) -> list[Path]:
    """Folders at or below `path` that hold s1, s2 and one of the `mixtures` folders."""
    found, level = [], [path]
    for _ in range(NESTING):
        found += [folder for folder in level if _is_set(folder, mixtures)]
        level = [child for folder in level for child in sorted(folder.iterdir()) if child.is_dir()]
        if found or len(level) > MOST_FOLDERS:
            break
    return found


def the_set(path: Path, options: ReadOptions, *mixtures: str) -> Path:
    """The one set that is meant.

    Raises:
        DataError: none, or several.
    """
    found = set_folders(path, *mixtures)
    chosen = [folder for folder in found if not options.split or folder.name == options.split]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(str(folder.relative_to(path)) for folder in found) or "none"
    wanted = f" named '{options.split}'" if options.split else ""
    raise DataError(f"{path}: {len(chosen)} sets{wanted} (there: {names}); expected one. Give its folder, or --split.")


def _is_set(folder: Path, mixtures: tuple[str, ...]) -> bool:
    return (folder / "s1").is_dir() and any((folder / name).is_dir() for name in mixtures)


def _detect_folder(path: Path) -> bool:
    return path.is_dir() and bool(set_folders(path, "mix"))


def _read_folder(path: Path, options: ReadOptions) -> Listing:
    folder = the_set(path, options, "mix")
    source = ListFile(folder, options)
    names = [name for name in SOURCES if (folder / name).is_dir()]
    rows = []
    for mixture in sorted(file for file in (folder / "mix").iterdir() if is_recording(file)):
        utterances = utterances_of(mixture.stem, len(names))
        if utterances is None:
            source.report(
                0,
                f"mix/{mixture.name} does not name {len(names)} utterances; expected <utt1>_<gain>_<utt2>_<gain>, one "
                f"for each of {', '.join(names)}. Rename it as wsj0-mix does, or describe the set by a plain CSV.",
            )
            continue
        sources = (
            SourceRow(utterance, speaker, folder / name / mixture.name)
            for (utterance, speaker), name in zip(utterances, names, strict=True)
        )
        rows.append(MixtureRow(mixture.stem, tuple(sources), mixture=mixture))
    return Listing(trials_of(rows, source, recipe="files"), source.problems)


def _detect_list(path: Path) -> bool:
    if not path.is_file():
        return False
    fields = first_line(path).split()
    return (
        len(fields) in (4, 6)
        and all(is_recording(name) for name in fields[::2])
        and all(number(gain) is not None for gain in fields[1::2])
    )


def _read_list(path: Path, options: ReadOptions) -> Listing:
    source = ListFile(path, options)
    rows, expected = [], 0
    for line, fields in source.rows():
        expected = expected or len(fields)
        gains_db = [number(gain) for gain in fields[1::2]]
        if len(fields) != expected or expected % 2:
            source.report(line, f"{len(fields)} fields; expected {expected}: each speaker's recording and gain.")
            continue
        if any(gain is None for gain in gains_db):
            source.report(line, f"gains '{' '.join(fields[1::2])}'; expected numbers in dB. Mend the row.")
            continue
        paths = [source.resolve(name) for name in fields[::2]]
        sources = (
            SourceRow(file.stem, speaker_of(file), file, gain_db=gain_db or 0.0)
            for file, gain_db in zip(paths, gains_db, strict=True)
        )
        name = "_".join(f"{file.stem}_{gain}" for file, gain in zip(paths, fields[1::2], strict=True))
        rows.append(MixtureRow(name, tuple(sources), line=line))
    return Listing(trials_of(rows, source, recipe="active-level"), source.problems)


FOLDER = Reader("wsj0-mix", "wsj0-2mix folder: {tr,cv,tt}/{mix,s1,s2}/<name>.wav", _detect_folder, _read_folder)
LIST = Reader("wsj0-mix-list", "mix_2_spk_*.txt: <utt1.wav> <dB> <utt2.wav> <dB>", _detect_list, _read_list)
