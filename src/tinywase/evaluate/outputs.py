"""The results of an evaluation in a folder: trials.csv, summary.json, table.md and, where matplotlib is, the plots."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from ..errors import OutputError
from ..files import make_folder, whole_file, write_text
from .plots import draw_plots
from .report import Report, rows_csv, summary_json
from .tables import markdown

RESULT_NAMES = ("trials.csv", "summary.json", "table.md", "improvement.png", "input_output.png", "by_sexes.png")


def refuse_existing(paths: list[Path], *, force: bool) -> None:
    """Say before hours of work, not after them, that results are in the way or cannot be written.

    Raises:
        OutputError: one of `paths` exists and `force` is false, or its folder refuses.
    """
    found = next((path for path in paths if path.exists()), None)
    if found is not None and not force:
        raise OutputError(
            f"'{found}' exists already: nothing was evaluated. Choose another place or replace it with --force."
        )
    for folder in {path.parent for path in paths}:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise OutputError(f"'{there}' may not be written to: nothing was evaluated. Choose another place.")


def result_paths(folder: Path) -> list[Path]:
    """Every file that `write_results` may write into `folder`."""
    return [folder / name for name in RESULT_NAMES]


def write_results(folder: Path, report: Report, *, force: bool = False) -> tuple[str, ...]:
    """Write all results; returns notes on what is left out.

    Raises:
        OutputError: the folder refuses, or a result exists and `force` is false.
    """
    make_folder(folder)
    write_text(folder / "trials.csv", rows_csv(report.evaluation.rows), force=force)
    write_text(folder / "summary.json", summary_json(report), force=force)
    write_text(folder / "table.md", markdown(report), force=force)
    if find_spec("matplotlib") is None:
        return ("the plots are left out: package 'matplotlib' is not installed (pip install 'tinywase[plots]').",)
    for name, save in draw_plots(report.evaluation.rows, report.summaries).items():
        with whole_file(folder / name, force=force) as part:
            save(part)
    return ()
