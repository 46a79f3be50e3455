"""`tinywase evaluate`: any number of systems on any list of trials, as a table, JSON, CSV and pictures."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError
from .console import note, progress_bar, say
from .list_options import Enrollments, Format, Mix, Remap, Root, Seed, Split, listed_trials, read_options

if TYPE_CHECKING:
    from ..data.trials import Trial
    from ..evaluate.report import Report
    from ..evaluate.run import Evaluation
    from ..evaluate.systems import System


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="A .twase file, a bundled model ('default'), a training checkpoint (.safetensors), "
            "'mixture' (untouched: the floor) or 'oracle' (a mask that knows the target: the ceiling).",
        ),
    ],
    list_path: Annotated[
        Path, typer.Option("--list", metavar="LIST", help="The trials; `tinywase data check` explains them.")
    ],
    root: Root = None,
    remap: Remap = None,
    format: Format = None,
    split: Split = "",
    mix: Mix = "",
    enrollments: Enrollments = None,
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many trials.")] = None,
    metrics: Annotated[str, typer.Option(help="Some of si_sdr,sdr,pesq,estoi,activity_f1; all if empty.")] = "",
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Compare every MODEL with this one, trial by trial.")
    ] = None,
    views: Annotated[
        int | None, typer.Option(metavar="N", help="Runs over a mixture, averaged. Empty: what a card advises, or 1.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; 1 gives the truest real-time factor.")] = 1,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write trials.csv, summary.json, table.md and plots there.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the tables, and the command, to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON instead of tables.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace existing results.")] = False,
) -> None:
    """Measure how well models extract the enrolled speaker, on a list of trials.

    Example: tinywase evaluate default mixture oracle --list test.csv --out results
    """
    from ..evaluate.outputs import refuse_existing, result_paths
    from ..evaluate.report import build_report
    from ..evaluate.score import choose_metrics
    from ..evaluate.systems import open_systems

    refuse_existing([*(result_paths(out) if out else []), *([markdown] if markdown else [])], force=force)
    names = list(dict.fromkeys([*models, against] if against else models))
    open_all = partial(open_systems, names, views=views)
    systems = open_all()
    choice = choose_metrics(metrics.replace(",", " ").split(), rates_hz=[system.sample_rate_hz for system in systems])
    for text in choice.notes:
        note(f"Note: {text}")
    options = read_options(root, remap, split=split, mix=mix, enrollments=enrollments, seed=seed)
    trials = listed_trials(list_path, options, format=format)[:limit]
    evaluation = _run(open_all, trials, choice.names, jobs)
    report = build_report(
        evaluation,
        list_name=str(list_path),
        command=shlex.join(["tinywase", *sys.argv[1:]]),
        notes=choice.notes,
        against=systems[names.index(against)].name if against else None,
        jobs=jobs,
    )
    _give(report, out=out, markdown=markdown, as_json=as_json, force=force)
    _finish(evaluation)


def _run(open_all: Callable[[], list[System]], trials: list[Trial], metrics: tuple[str, ...], jobs: int) -> Evaluation:
    """Score the trials under a progress bar; failures are said when they happen."""
    from ..evaluate.run import evaluate as evaluate_systems
    from ..evaluate.score import TrialScore

    done = 0
    with progress_bar(f"evaluating {len(trials)} trials") as progress:

        def on_trial(score: TrialScore) -> None:
            nonlocal done
            done += 1
            for failure in score.failures:
                note(f"Failed: {failure}")
            progress(done / len(trials))

        return evaluate_systems(open_all, trials, metrics=metrics, jobs=jobs, on_trial=on_trial)


def _give(report: Report, *, out: Path | None, markdown: Path | None, as_json: bool, force: bool) -> None:
    """The tables or the JSON on stdout, then the files: a disk that is full by now takes nothing from the reader."""
    from ..evaluate.outputs import write_results
    from ..evaluate.report import summary_json
    from ..evaluate.tables import markdown as markdown_text
    from ..files import write_whole

    say((summary_json(report) if as_json else markdown_text(report)).rstrip())
    if out is not None:
        for text in write_results(out, report, force=force):
            note(f"Note: {text}")
    if markdown is not None:
        write_whole(markdown, markdown_text(report).encode(), force=force)


def _finish(evaluation: Evaluation) -> None:
    """The exit code: not 0 where trials failed or were not reached, although the figures of the others stand."""
    if evaluation.trials_done < evaluation.trials:
        note(f"Interrupted after {evaluation.trials_done} of {evaluation.trials} trials: the figures cover those.")
        raise typer.Exit(130)
    if evaluation.failures:
        failed = len({failure.position for failure in evaluation.failures})
        raise DataError(
            f"{failed} of {evaluation.trials} trials failed; the figures cover the others. The rows are named above; "
            "`tinywase data check` explains broken lists."
        )
