"""Lists of trials: whatever layout of the field a path holds, read into `Trial`s and rendered to samples.

    trials = read_trials("libri2mix/test")
    rendered = render_trial(trials[0], 8000)

Lists with broken rows are refused; `explain` says which.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import DataError
from ..words import counted
from .readers import Listing, ReadOptions, find_reader
from .rendering import render_trial
from .trials import Problem, RenderedTrial, Trial

SHOWN_PROBLEMS = 3


def read_list(path: str | Path, options: ReadOptions | None = None, *, format: str | None = None) -> Listing:
    """Trials and problems of the list or folder at `path`; `format` names its layout instead of recognizing it."""
    path = Path(path).expanduser()
    return find_reader(path, format).read(path, options or ReadOptions())


def read_trials(
    path: str | Path,
    *,
    root: str | Path | None = None,
    remap: Iterable[tuple[str, str]] = (),
    format: str | None = None,
    seed: int = 0,
    split: str = "",
    mix: str = "",
    enrollments: str | Path | None = None,
) -> list[Trial]:
    """The trials of a list or folder in any known layout; see `ReadOptions` for the arguments.

    Raises:
        DataError: an unknown layout, broken rows, or no trial at all.
    """
    options = ReadOptions(
        root=None if root is None else Path(root),
        remap=tuple(remap),
        seed=seed,
        split=split,
        mix=mix,
        enrollments=None if enrollments is None else Path(enrollments),
    )
    listing = read_list(path, options, format=format)
    if listing.problems:
        raise DataError(explain(listing.problems, path))
    if not listing.trials:
        raise DataError(f"{path}: no trials; expected at least one row. Check that this is the list you meant.")
    return listing.trials


def explain(problems: list[Problem], path: str | Path) -> str:
    """The first problems in words, and how to see the others."""
    shown = "\n".join(f"  {problem}" for problem in problems[:SHOWN_PROBLEMS])
    more = f"\n  ... and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return f"{path}: {counted(len(problems), 'broken row')}; `tinywase data check` explains every one.\n{shown}{more}"


__all__ = ["Listing", "Problem", "ReadOptions", "RenderedTrial", "Trial", "read_list", "read_trials", "render_trial"]
