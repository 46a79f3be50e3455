"""Recordings that a list names and that are not there, and the way out: mostly the folder of relative paths."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..words import counted


def missing_among(paths: Iterable[Path]) -> list[Path]:
    """Those that are not there, each once."""
    return [path for path in dict.fromkeys(paths) if not os.path.exists(path)]


def start_of(list_path: Path, root: Path | None) -> Path:
    """Where the relative paths of a list begin if none of them was found: see `ListFile.resolve`."""
    folder = list_path if list_path.is_dir() else list_path.parent
    return (root or folder).absolute()


def way_out(missing: Iterable[Path], start: Path | None) -> str:
    """What to do about recordings that are not there."""
    if start is not None and any(path.absolute().is_relative_to(start) for path in missing):
        return (
            f"Relative paths start from {start}; give --root DIR, or map the beginning of the paths: --remap OLD=NEW."
        )
    return "Correct the path, or map its beginning: --remap OLD=NEW."


def told(missing: list[Path], of: int, start: Path) -> str:
    """How many are not there, one of them, and the way out."""
    return f"{missing_of(len(missing), of)}, such as {missing[0]}. {way_out(missing, start)}"


def missing_of(missing: int, of: int) -> str:
    """ "3 of 12 recordings are not there"."""
    return f"{missing} of {counted(of, 'recording')} {'is' if missing == 1 else 'are'} not there"
