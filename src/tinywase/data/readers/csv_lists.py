"""CSV lists with a header: the plain `mixture,target,enrollment`, the gain lists of ../shared/speech, SpeechBrain's.

plain  mixture,target,enrollment[,id][,interference][,target_speaker][,interference_speaker][,sexes]
gains  mixture_id,target_path,target_gain_db,interference_path,interference_gain_db,enrollment_path[,...]
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import DataError
from ..trials import Trial
from .base import ListFile, Listing, Reader, ReadOptions, first_line, number, read_text

ALIASES = {  # what the field calls the three columns
    "mixture": ("mixture", "mix", "mixture_path", "mix_path", "mix_wav"),
    "target": ("target", "target_path", "reference", "ref", "source", "s1_path"),
    "enrollment": ("enrollment", "enrollment_path", "enroll", "enrolment", "aux", "enroll_path"),
    "interference": ("interference", "interference_path"),
    "mixture_id": ("mixture_id", "id", "key"),
}
GAIN_COLUMNS = (
    "mixture_id", "target_path", "target_gain_db", "interference_path", "interference_gain_db", "enrollment_path",
)  # fmt: skip


def header_of(path: Path) -> list[str]:
    """Column names of a CSV file, lower case."""
    return [name.strip().lower() for name in next(csv.reader([first_line(path)]), [])]


def csv_rows(source: ListFile) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named fields of each row; a row with another number of fields becomes a problem."""
    reader = csv.reader(io.StringIO(read_text(source.path)))
    header: list[str] = []
    for fields in _parsed(reader, source.path):
        if not any(value.strip() for value in fields):
            continue
        if not header:
            header = [name.strip().lower() for name in fields]
            continue
        if len(fields) != len(header):
            source.report(
                reader.line_num,
                f"{len(fields)} fields; expected {len(header)} ({','.join(header)}). Quote values that contain commas.",
            )
            continue
        yield reader.line_num, {name: value.strip() for name, value in zip(header, fields, strict=True)}


def _parsed(reader: Any, path: Path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(
            f"{path}:{reader.line_num}: {error}; expected comma-separated fields. Look for a quote that is not closed."
        ) from error


def filled(source: ListFile, line: int, row: dict[str, str], columns: tuple[str, ...]) -> bool:
    """Whether the row has a value in each of `columns`; reports the empty ones."""
    empty = [name for name in columns if not row.get(name)]
    if empty:
        source.report(line, f"nothing in {', '.join(empty)}; expected a value. Fill it in or take the row out.")
    return not empty


def numbers(source: ListFile, line: int, row: dict[str, str], columns: tuple[str, ...]) -> list[float] | None:
    """The numbers in `columns`; None, and a problem each, where one is not a number."""
    values = [number(row[name]) for name in columns]
    for name, value in zip(columns, values, strict=True):
        if value is None:
            source.report(line, f"{name} = '{row[name]}'; expected a number, such as -1.5.")
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def _column(header: list[str], meaning: str) -> str | None:
    return next((name for name in ALIASES[meaning] if name in header), None)


def _detect_gains(path: Path) -> bool:
    return path.is_file() and set(GAIN_COLUMNS) <= set(header_of(path))


def _detect_plain(path: Path) -> bool:
    if not path.is_file():
        return False
    header = header_of(path)
    return all(_column(header, meaning) for meaning in ("mixture", "target", "enrollment"))


def _read_gains(path: Path, options: ReadOptions) -> Listing:
    source, trials = ListFile(path, options), []
    for line, row in csv_rows(source):
        if not filled(source, line, row, GAIN_COLUMNS):
            continue
        gains_db = numbers(source, line, row, ("target_gain_db", "interference_gain_db"))
        if gains_db is None:
            continue
        trials.append(
            Trial(
                mixture_id=row["mixture_id"],
                enrollment=source.resolve(row["enrollment_path"]),
                target=source.resolve(row["target_path"]),
                interference=(source.resolve(row["interference_path"]),),
                target_gain_db=gains_db[0],
                interference_gains_db=(gains_db[1],),
                recipe="equal-rms",
                target_speaker=row.get("target_speaker", ""),
                interference_speaker=row.get("interference_speaker", ""),
                sexes=row.get("sexes", ""),
                line=line,
            )
        )
    return Listing(trials, source.problems)


def _read_plain(path: Path, options: ReadOptions) -> Listing:
    source, trials = ListFile(path, options), []
    header = header_of(path)
    names = {meaning: _column(header, meaning) or "" for meaning in ALIASES}
    for line, row in csv_rows(source):
        if not filled(source, line, row, (names["mixture"], names["target"], names["enrollment"])):
            continue
        mixture = source.resolve(row[names["mixture"]])
        interference = row.get(names["interference"], "")
        trials.append(
            Trial(
                mixture_id=row.get(names["mixture_id"]) or f"{mixture.stem}_{line}",
                enrollment=source.resolve(row[names["enrollment"]]),
                target=source.resolve(row[names["target"]]),
                mixture=mixture,
                interference=tuple(source.resolve(part) for part in interference.split(";") if part),
                target_speaker=row.get("target_speaker", ""),
                interference_speaker=row.get("interference_speaker", ""),
                sexes=row.get("sexes", ""),
                line=line,
            )
        )
    return Listing(trials, source.problems)


GAINS = Reader("gains", "CSV of dry recordings with gains: " + ",".join(GAIN_COLUMNS), _detect_gains, _read_gains)
PLAIN = Reader("csv", "CSV of finished mixtures: mixture,target,enrollment[,id,...]", _detect_plain, _read_plain)
