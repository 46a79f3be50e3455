"""A file that no reader recognizes: what was read, and what it lacks to be a list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from .base import first_line, is_recording
from .csv_lists import ALIASES, GAIN_COLUMNS, header_of

FAMILIES = {  # what a CSV may be: its columns, each by all its names
    "finished mixtures": tuple(ALIASES[name] for name in ("mixture", "target", "enrollment")),
    "dry recordings with gains": tuple((name,) for name in GAIN_COLUMNS),
    "training sources": (("path",), ("speaker",)),
}
SHOWN = 80  # characters of a first line


def why_unknown(path: Path) -> str:
    """What stands in the first line of a file, and what to do about it."""
    if not path.is_file():
        return "This folder holds the files of none of them."
    line = first_line(path)
    if not line:
        empty = path.stat().st_size == 0
        return "It is empty (0 bytes): make it again." if empty else "It holds no text in UTF-8: is it a list?"
    shown = f"'{line[:SHOWN]}{'...' if len(line) > SHOWN else ''}'"
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in line and "," not in line:
            return f"Its fields are separated by {name} ({shown}): separate by commas."
    columns = header_of(path)
    if any(map(is_recording, columns)):
        return f"It begins with a row ({shown}), expected a header above it: the names of the columns."
    return f"Its header is {shown}: {_lacking(columns)}."


def _lacking(columns: Sequence[str]) -> str:
    """The family that a header comes nearest to, what it lacks, and how a column may have been meant."""
    missing = {
        family: [names for names in needed if not set(names) & set(columns)] for family, needed in FAMILIES.items()
    }
    family = min(FAMILIES, key=lambda name: _distance(columns, missing[name]) / len(FAMILIES[name]))
    lacking = ", ".join(names[0] for names in missing[family])
    closest = [f"'{close}' for '{names[0]}'" for names in missing[family] if (close := _close(columns, names))]
    return f"for {family} it lacks {lacking}{'; is that ' + ', '.join(closest) + '?' if closest else ''}"


def _distance(columns: Sequence[str], missing: Sequence[Sequence[str]]) -> float:
    """How many columns are missing; one that is nearly there counts half."""
    return sum(0.5 if _close(columns, names) else 1.0 for names in missing)


def _close(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that is spelt nearly like one of the names."""
    return next((close[0] for name in names if (close := difflib.get_close_matches(name, columns, n=1))), None)
