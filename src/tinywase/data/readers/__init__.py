"""The layouts this field keeps its test lists in, one reader each; `find_reader` recognizes them from a path."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from . import asteroid, csv_lists, librimix, scp, wase, wesep, wsj0mix
from .base import Listing, Reader, ReadOptions
from .unknown import why_unknown

READERS: tuple[Reader, ...] = (  # the first that recognizes a path reads it: the more demanding ones stand first
    csv_lists.GAINS,
    librimix.RECIPE,
    librimix.METADATA,
    csv_lists.PLAIN,
    wase.WASE,
    wsj0mix.LIST,
    scp.SPEX,
    scp.ESPNET,
    wesep.WESEP,
    asteroid.ASTEROID,
    librimix.FOLDER,
    wsj0mix.FOLDER,
)


def recognize(path: Path) -> Reader | None:
    """The reader of the layout at `path`, None if it is none of ours."""
    return next((reader for reader in READERS if reader.detect(path)), None)


def find_reader(path: Path, name: str | None = None) -> Reader:
    """The reader called `name`, or the one that recognizes `path`.

    Raises:
        DataError: nothing is there, no such name, or an unknown layout.
    """
    if not path.exists():
        raise DataError(f"'{path}' does not exist; expected a list or a folder of recordings. Check the path.")
    names = ", ".join(reader.name for reader in READERS)
    if name is not None:
        found = next((reader for reader in READERS if reader.name == name), None)
        if found is None:
            raise DataError(f"format '{name}' is unknown; expected one of {names}.")
        return found
    found = recognize(path)
    if found is None:
        raise DataError(
            f"'{path}' is none of the known layouts ({names}). {why_unknown(path)} Name its format, or write a CSV "
            "with the columns mixture,target,enrollment; `tinywase data formats` describes them all."
        )
    return found


__all__ = ["READERS", "Listing", "ReadOptions", "Reader", "find_reader", "recognize", "why_unknown"]
