"""`tinywase evaluate`: any number of systems on any list of trials, as a table, JSON, CSV and pictures."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import DataError
from ..words import counted
from .console import note, progress_bar, say
from .list_options import Enrollments, Format, Mix, Remap, Root, Seed, Split, listed_trials, only, read_options

if TYPE_CHECKING:
    from ..data.trials import Trial
    from ..evaluate.report import Report
    from ..evaluate.run import Evaluation
    from ..evaluate.systems import System


SHOWN_FAILURES = 3  # of a kind: thousands of rows with one fault are one message
FILE = re.compile(r"\S*/\S+?(?=:?(\s|$))")  # failures that differ by it alone are of a kind


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="A .twase file, a bundled model ('default'), a training checkpoint (.safetensors), "
            "'mixture' (untouched: the floor) or 'oracle' (a mask that knows the target: the ceiling).",
        ),
    ],
    lists: Annotated[
        list[Path], typer.Option("--list", metavar="LIST", help="The trials; `tinywase data check` explains them.")
    ],
    root: Root = None,
    remap: Remap = None,
    format: Format = None,
    split: Split = "",
    mix: Mix = "",
    enrollments: Enrollments = None,
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many trials.")] = None,
    metrics: Annotated[
        str, typer.Option(metavar="NAMES", help="Some of si_sdr, sdr, pesq, estoi, activity_f1; all if empty.")
    ] = "",
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

    list_path = only(lists)
    refuse_existing([*(result_paths(out) if out else []), *([markdown] if markdown else [])], force=force)
    names = list(dict.fromkeys([*models, against] if against else models))
    open_all = partial(open_systems, names, views=views)
    systems = open_all()
    choice = choose_metrics(metrics.replace(",", " ").split(), rates_hz=[system.sample_rate_hz for system in systems])
    for text in choice.notes:
        note(f"Note: {text}")
    options = read_options(root, remap, split=split, mix=mix, enrollments=enrollments, seed=seed)
    trials = listed_trials(list_path, options, format=format)[:limit]
    evaluation = _run(open_all, systems, trials, choice.names, jobs)
    if not evaluation.rows:  # no table of nothing
        _finish(evaluation, trials, list_path, root)
    report = build_report(
        evaluation,
        list_name=str(list_path),
        command=shlex.join(["tinywase", *sys.argv[1:]]),
        notes=choice.notes,
        against=systems[names.index(against)].name if against else None,
        jobs=jobs,
    )
    _give(report, out=out, markdown=markdown, as_json=as_json, force=force)
    _finish(evaluation, trials, list_path, root)


def _run(
    open_all: Callable[[], list[System]],
    systems: list[System],
    trials: list[Trial],
    metrics: tuple[str, ...],
    jobs: int,
) -> Evaluation:
    """Score the trials under a progress bar; failures are said when they happen, the first few of a kind."""
    from ..evaluate.run import evaluate as evaluate_systems
    from ..evaluate.score import TrialScore

    done = 0
    kinds: Counter[str] = Counter()
    with progress_bar(f"evaluating {counted(len(trials), 'trial')}") as progress:

        def on_trial(score: TrialScore) -> None:
            nonlocal done
            done += 1
            for failure in score.failures:
                kind = f"{failure.system}: {FILE.sub('...', failure.message)}"
                kinds[kind] += 1
                if kinds[kind] <= SHOWN_FAILURES:
                    note(f"Failed: {failure}")
            progress(done / len(trials))

        evaluation = evaluate_systems(open_all, trials, metrics=metrics, jobs=jobs, opened=systems, on_trial=on_trial)
    for kind, count in kinds.items():
        if count > SHOWN_FAILURES:
            note(f"Failed: {count - SHOWN_FAILURES} more like that: {kind.removeprefix(': ')}")
    return evaluation


def _give(report: Report, *, out: Path | None, markdown: Path | None, as_json: bool, force: bool) -> None:
    """The tables or the JSON on stdout, then the files: a disk that is full by now takes nothing from the reader."""
    from ..evaluate.outputs import write_results
    from ..evaluate.report import summary_json
    from ..evaluate.tables import markdown as markdown_text
    from ..files import write_text

    say((summary_json(report) if as_json else markdown_text(report)).rstrip())
    if out is not None:
        for text in write_results(out, report, force=force):
            note(f"Note: {text}")
    if markdown is not None:
        write_text(markdown, markdown_text(report), force=force)


def _finish(evaluation: Evaluation, trials: list[Trial], list_path: Path, root: Path | None) -> None:
    """The exit code: not 0 where trials failed or were not reached, although the figures of the others stand."""
    from ..data.missing import missing_among, start_of, told

    if evaluation.trials_done < evaluation.trials:
        note(f"Interrupted after {evaluation.trials_done} of {evaluation.trials} trials: the figures cover those.")
        raise typer.Exit(130)
    if evaluation.failures:
        failed = len({failure.position for failure in evaluation.failures})
        named = list(dict.fromkeys(file for trial in trials for file in trial.recordings))
        missing = missing_among(named)
        why = told(missing, len(named), start_of(list_path, root)) if missing else "The rows are named above."
        figures = "the figures cover the others" if evaluation.rows else "there are no figures"
        raise DataError(
            f"{failed} of {counted(evaluation.trials, 'trial')} failed; {figures}. {why} `tinywase data check` "
            "explains broken lists."
        )
