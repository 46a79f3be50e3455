"""LibriMix: its folders, its metadata, and the metadata it is generated from (2 or 3 speakers, any rate).

  folder    wav{8k,16k}/{min,max}/{train-100,dev,test,...}/{mix_clean,mix_both,mix_single,s1,s2[,s3],noise}/<id>.wav
  metadata  mixture_<set>_mix_<clean|both|single>.csv: mixture_ID,mixture_path,source_1_path,...[,noise_path],length
  recipe    libri2mix_<set>.csv: mixture_ID,source_1_path,source_1_gain,...,noise_path,noise_gain; rendered as `min`
Enrollments come from SpeakerBeam's maps where the user has them, else from the speaker's other utterances in the set.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError
from ..trials import Problem
from .base import ListFile, Listing, MixtureRow, Reader, ReadOptions, SourceRow, is_recording, trials_of
from .csv_lists import csv_rows, filled, header_of, numbers
from .speakerbeam import enrollments_from, find_maps
from .wsj0mix import SOURCES, set_folders, the_set

MIXES = ("mix_clean", "mix_both", "mix_single")


def _detect_folder(path: Path) -> bool:
    return path.is_dir() and (path.name in MIXES or bool(set_folders(path, *MIXES)))


def _read_folder(path: Path, options: ReadOptions) -> Listing:
    folder = path.parent if path.name in MIXES else the_set(path, options, *MIXES)
    mix = path.name if path.name in MIXES else _mix_of(folder, options)
    names = ["s1"] if mix == "mix_single" else [name for name in SOURCES if (folder / name).is_dir()]
    source = ListFile(folder, options)
    rows = []
    for mixture in sorted(file for file in (folder / mix).iterdir() if is_recording(file)):
        sources = _sources(mixture.stem, [folder / name / mixture.name for name in names])
        if sources is None:
            source.report(0, _unnamed(mixture.stem, len(names)))
            continue
        rows.append(MixtureRow(mixture.stem, sources, mixture=mixture))
    return _with_enrollments(rows, source, find_maps(options, folder), recipe="files")


def _mix_of(folder: Path, options: ReadOptions) -> str:
    there = [name for name in MIXES if (folder / name).is_dir()]
    if options.mix and f"mix_{options.mix}" not in there:
        raise DataError(f"{folder}: no mix_{options.mix}; expected one of {', '.join(there)}. Give another --mix.")
    return f"mix_{options.mix}" if options.mix else there[0]


def _sources(name: str, paths: Sequence[Path], gains_db: Sequence[float] = ()) -> tuple[SourceRow, ...] | None:
    """The speakers of a mixture, from its name <speaker>-<chapter>-<n>_<speaker>-...; None if the name tells fewer."""
    utterances = name.split("_")
    if len(utterances) < len(paths) or not all(utterances):
        return None
    gains = gains_db or [0.0] * len(paths)
    return tuple(
        SourceRow(utterance, utterance.split("-")[0], path, gain_db=gain)
        for utterance, path, gain in zip(utterances, paths, gains, strict=False)
    )


def _unnamed(name: str, count: int) -> str:
    return (
        f"mixture '{name}' does not name {count} utterances; expected <speaker>-<chapter>-<n> for each, joined by '_'. "
        "Name it as LibriMix does, or describe the set by a plain CSV."
    )


def _with_enrollments(rows: list[MixtureRow], source: ListFile, maps: Sequence[Path], *, recipe: str) -> Listing:
    lists = [ListFile(path, source.options) for path in maps]
    enroll = enrollments_from(lists, rows, seed=source.options.seed) if lists else None
    trials = trials_of(rows, source, enroll=enroll, recipe=recipe)
    problems: list[Problem] = [problem for one in (source, *lists) for problem in one.problems]
    return Listing(trials, problems)


def _source_columns(header: Sequence[str]) -> list[str]:
    return [f"source_{n}_path" for n in range(1, len(SOURCES) + 1) if f"source_{n}_path" in header]


def _detect_metadata(path: Path) -> bool:
    return path.is_file() and {"mixture_id", "mixture_path", "source_1_path"} <= set(header_of(path))


def _read_metadata(path: Path, options: ReadOptions) -> Listing:
    source, rows = ListFile(path, options), []
    columns = _source_columns(header_of(path))
    set_folder = path.parent
    for line, row in csv_rows(source):
        if not filled(source, line, row, ("mixture_id", "mixture_path", *columns)):
            continue
        mixture = source.resolve(row["mixture_path"])
        sources = _sources(row["mixture_id"], [source.resolve(row[column]) for column in columns])
        if sources is None:
            source.report(line, _unnamed(row["mixture_id"], len(columns)))
            continue
        set_folder = mixture.parent.parent
        rows.append(MixtureRow(row["mixture_id"], sources, mixture=mixture, line=line))
    return _with_enrollments(rows, source, find_maps(options, path.parent, set_folder), recipe="files")


def _detect_recipe(path: Path) -> bool:
    return path.is_file() and {"mixture_id", "source_1_path", "source_1_gain"} <= set(header_of(path))


def _read_recipe(path: Path, options: ReadOptions) -> Listing:
    source = ListFile(path, options)
    speech = _corpus(path, options, "LibriSpeech")
    noises = _corpus(path, options, "wham_noise")
    sexes = _sexes(path)
    columns = _source_columns(header_of(path))
    with_noise = options.mix in ("both", "single")
    columns = columns[:1] if options.mix == "single" else columns
    rows = []
    for line, row in csv_rows(source):
        gain_columns = [column.replace("_path", "_gain") for column in columns] + ["noise_gain"] * with_noise
        if not filled(source, line, row, ("mixture_id", *columns, *gain_columns, *["noise_path"] * with_noise)):
            continue
        gains_db = _decibels(source, line, row, gain_columns)
        if gains_db is None:
            continue
        sources = _sources(row["mixture_id"], [speech.resolve(row[column]) for column in columns], gains_db)
        if sources is None:
            source.report(line, _unnamed(row["mixture_id"], len(columns)))
            continue
        sources = tuple(dataclasses.replace(one, sex=sexes.get(one.speaker, "")) for one in sources)
        noise = noises.resolve(row["noise_path"]) if with_noise else None
        noise_gain_db = gains_db[-1] if with_noise else 0.0
        rows.append(MixtureRow(row["mixture_id"], sources, noise=noise, noise_gain_db=noise_gain_db, line=line))
    return _with_enrollments(rows, source, find_maps(options, path.parent), recipe="librimix")


def _corpus(path: Path, options: ReadOptions, name: str) -> ListFile:
    """Paths of a corpus that may lie under the root by its name (LibriSpeech and WHAM have one root each)."""
    if options.root is not None and (options.root / name).is_dir():
        options = dataclasses.replace(options, root=options.root / name)
    return ListFile(path, options)


def _decibels(source: ListFile, line: int, row: dict[str, str], columns: Sequence[str]) -> list[float] | None:
    """The linear gains of LibriMix in dB; a gain that is no positive number becomes a problem."""
    gains = numbers(source, line, row, tuple(columns))
    if gains is None:
        return None
    for column, gain in zip(columns, gains, strict=True):
        if gain <= 0:
            source.report(line, f"{column} = {gain}; expected a factor above 0. Mend the row.")
            return None
    return [20 * math.log10(gain) for gain in gains]


def _sexes(path: Path) -> dict[str, str]:
    """Speaker -> sex from the `_info.csv` beside a recipe, empty where there is none."""
    info = path.with_name(f"{path.stem}_info.csv")
    if not info.is_file():
        return {}
    sexes: dict[str, str] = {}
    for _, row in csv_rows(ListFile(info, ReadOptions())):
        for n in range(1, len(SOURCES) + 1):
            speaker = row.get(f"speaker_{n}_id", "").split(".")[0]  # pandas wrote the numbers as floats: 4077.0
            sexes[speaker] = row.get(f"speaker_{n}_sex", "")
    return sexes


FOLDER = Reader("librimix", "LibriMix folder: {train-100,dev,test}/{mix_clean,s1,s2,...}", _detect_folder, _read_folder)
METADATA = Reader(
    "librimix-csv", "LibriMix metadata: mixture_ID,mixture_path,source_1_path,...", _detect_metadata, _read_metadata
)
RECIPE = Reader(
    "librimix-recipe", "LibriMix recipe: mixture_ID,source_1_path,source_1_gain,...", _detect_recipe, _read_recipe
)
