"""Kaldi-style lists: a key, then what belongs to it; several files are joined by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..trials import Problem
from .base import ListFile, ReadOptions


@dataclass(frozen=True)
class KeyedList:
    """One such file: key -> (line, the other fields)."""

    source: ListFile
    rows: dict[str, tuple[int, list[str]]]

    def __contains__(self, key: str) -> bool:
        return key in self.rows

    @property
    def name(self) -> str:
        return self.source.path.name

    def line(self, key: str) -> int:
        return self.rows[key][0]

    def fields(self, key: str) -> list[str]:
        return self.rows[key][1]

    def path(self, key: str, field: int = 0) -> Path:
        return self.source.resolve(self.rows[key][1][field])


def read_keyed(path: Path, options: ReadOptions, *, fields: Sequence[int] = (2,)) -> KeyedList:
    """Read one list; rows with another number of fields and repeated keys become problems."""
    source = ListFile(path, options)
    rows: dict[str, tuple[int, list[str]]] = {}
    for line, row in source.rows():
        if len(row) not in fields:
            wanted = " or ".join(str(count) for count in fields)
            source.report(
                line, f"{len(row)} fields; expected {wanted}: a key and its paths, without spaces. Mend the row."
            )
        elif row[0] in rows:
            first = rows[row[0]][0]
            source.report(line, f"key '{row[0]}' again, first in line {first}; expected each key once. Remove one.")
        else:
            rows[row[0]] = (line, row[1:])
    return KeyedList(source, rows)


def joined_keys(mixtures: KeyedList, others: Sequence[KeyedList]) -> list[str]:
    """Keys that all lists have, in the order of `mixtures`; keys missing anywhere become problems where they stand."""
    for other in others:
        for key in other.rows:
            if key not in mixtures:
                other.source.report(other.line(key), _absent(key, mixtures.name))
    keys = []
    for key in mixtures.rows:
        missing = [other.name for other in others if key not in other]
        if missing:
            mixtures.source.report(mixtures.line(key), _absent(key, " and ".join(missing)))
        else:
            keys.append(key)
    return keys


def _absent(key: str, where: str) -> str:
    return f"key '{key}' is not in {where}; expected it there. Remake the lists together."


def problems_of(lists: Sequence[KeyedList]) -> list[Problem]:
    """The problems of all lists, file by file."""
    return [problem for one in lists for problem in one.source.problems]


def list_folder(path: Path) -> Path:
    """The folder of such lists, whether it was named itself or by one of its files."""
    return path if path.is_dir() else path.parent
