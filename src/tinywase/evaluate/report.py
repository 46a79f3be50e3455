"""Everything an evaluation says in one object, and its forms for programs: per-trial CSV and summary JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics import SIGNAL_METRICS
from ..processor import processor_name
from .run import THREADS, Evaluation
from .score import Row
from .statistics import Group, PairedDifference, SystemSummary, compare, summarize

RATES = {"below_1db": "below_1db_rate", "confused": "confusion_rate"}  # means of flags are called rates
ROW_FIELDS = ("mixture_id", "system", "sexes", "duration_s", "processing_s")


@dataclass(frozen=True)
class Report:
    """All that an evaluation says, ready to be written."""

    evaluation: Evaluation
    summaries: tuple[SystemSummary, ...]
    comparisons: tuple[PairedDifference, ...]
    list_name: str
    command: str
    notes: tuple[str, ...]
    jobs: int


def build_report(
    evaluation: Evaluation,
    *,
    list_name: str,
    command: str,
    notes: Sequence[str] = (),
    against: str | None = None,
    jobs: int = 1,
) -> Report:
    """Summaries of every system and, with `against`, the paired comparison of each other one with it."""
    failed = [failure.system for failure in evaluation.failures]
    summaries = tuple(
        summarize(evaluation.rows, system=name, failures=failed.count(name) + failed.count(""))
        for name in evaluation.systems
    )
    others = [name for name in evaluation.systems if name != against] if against else []
    measured = {name for row in evaluation.rows for name in row.values}
    comparisons = tuple(
        compare(evaluation.rows, system=other, against=against or "", value=value)
        for other in others
        for value in (f"{name}_improvement" for name in SIGNAL_METRICS)
        if value in measured
    )
    return Report(evaluation, summaries, comparisons, list_name, command, tuple(notes), jobs)


def rows_csv(rows: Sequence[Row]) -> str:
    """One line per trial and system; undefined figures are empty."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*ROW_FIELDS, *names])
    for row in rows:
        times = [f"{row.duration_s:.3f}", f"{row.processing_s:.4f}"]
        writer.writerow(
            [row.mixture_id, row.system, row.sexes, *times, *(_cell(row.values.get(name)) for name in names)]
        )
    return text.getvalue()


def summary_json(report: Report) -> str:
    """The figures of the first system at the top, those of every system under `systems`; undefined ones are null."""
    runtimes = report.evaluation.runtimes
    systems = [_system_fields(*pair, report.jobs) for pair in zip(report.summaries, runtimes, strict=True)]
    fields = {
        **systems[0],
        "list": report.list_name,
        "command": report.command,
        "trials_asked": report.evaluation.trials,
        "trials_done": report.evaluation.trials_done,
        "notes": list(report.notes),
        "failed": [str(failure) for failure in report.evaluation.failures],
        "machine": machine(report.jobs, runtimes[0]),
        "systems": systems,
        "comparisons": [_comparison_fields(comparison) for comparison in report.comparisons],
    }
    return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _system_fields(summary: SystemSummary, runtime: str, jobs: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"system": summary.name, "failures": summary.failures}
    fields |= {"rtf": _defined(summary.rtf), "runtime": runtime, "threads": threads_of(runtime, jobs)}
    fields |= group_fields(summary.overall)
    split = {name: group_fields(group) for name, group in summary.groups.items() if name != "all"}
    return {**fields, "by_sexes": split}


def group_fields(group: Group) -> dict[str, Any]:
    """Means, rates and their intervals under the names of the summary; undefined ones are null."""
    fields: dict[str, Any] = {"trials": group.trials}
    for name, mean in group.means.items():
        key = RATES.get(name)
        fields[key or f"{name}_mean"] = _defined(mean.value)
        fields[f"{key or name}_ci"] = [_defined(mean.low), _defined(mean.high)]
        if mean.count < group.trials:
            fields[f"{key or name}_undefined"] = group.trials - mean.count
    return fields


def _comparison_fields(comparison: PairedDifference) -> dict[str, Any]:
    difference = comparison.difference
    return {
        "system": comparison.system,
        "against": comparison.against,
        "figure": comparison.value,
        "difference_mean": _defined(difference.value),
        "difference_ci": [_defined(difference.low), _defined(difference.high)],
        "better_rate": _defined(comparison.better_rate),
        "trials": difference.count,
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")


def machine(jobs: int, runtime: str) -> dict[str, Any]:
    """What the real-time factor of the first system, which `runtime` computes, was measured on."""
    return {
        "cpu": processor_name(),
        "jobs": jobs,
        "threads": threads_of(runtime, jobs),
        "python": platform.python_version(),
    }


def threads_of(runtime: str, jobs: int) -> str:
    """How many threads a system may use: the native runtime's models are opened with one (systems.py), and so is all
    that runs in several processes (run.py)."""
    return "1" if runtime == "native" else os.environ.get(THREADS, "all" if jobs == 1 else "1")
