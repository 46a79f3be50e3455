"""Rows and summaries as files: per-trial CSV, summary JSON, Markdown tables. No arithmetic beyond rounding."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..metrics import SIGNAL_METRICS
from .run import Evaluation
from .score import ACTIVITY, Row
from .statistics import Group, Mean, PairedDifference, SystemSummary, compare, summarize

RATES = {"below_1db": "below_1db_rate", "confused": "confusion_rate"}  # means of flags are called rates
NOT_MEASURED = "–"
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
    systems = [_system_fields(summary) for summary in report.summaries]
    fields = {
        **systems[0],
        "list": report.list_name,
        "command": report.command,
        "trials_asked": report.evaluation.trials,
        "trials_done": report.evaluation.trials_done,
        "notes": list(report.notes),
        "failed": [str(failure) for failure in report.evaluation.failures],
        "machine": _machine(report.jobs),
        "systems": systems,
        "comparisons": [_comparison_fields(comparison) for comparison in report.comparisons],
    }
    return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(report: Report) -> str:
    """Tables for people: all trials, by sex pair, comparisons; and the command that made them."""
    parts = [_main_table(report.summaries), _sexes_table(report.summaries), _comparison_table(report.comparisons)]
    parts.append(
        f"List `{report.list_name}`, {report.evaluation.trials_done} trials; means with 95 % bootstrap intervals."
    )
    if report.evaluation.trials_done < report.evaluation.trials:
        parts[-1] += f" Interrupted: {report.evaluation.trials} trials were asked for."
    parts.append("RTF: extraction time over audio time, median over trials, on " + _machine_text(report.jobs) + ".")
    parts += [f"Note: {note}" for note in report.notes]
    parts += [f"Failed: {failure}" for failure in report.evaluation.failures]
    parts.append(f"```\n{report.command}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, the others right, padded so that it reads as plain text too."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    lines = [
        "| "
        + " | ".join(
            _aligned(cell, width, column) for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (header, *rows)
    ]
    rule = (
        "|"
        + "|".join("-" * (width + 2) if not column else "-" * (width + 1) + ":" for column, width in enumerate(widths))
        + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]])


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)


def _main_table(summaries: Sequence[SystemSummary]) -> str:
    measured = [name for name in SIGNAL_METRICS if any(name in summary.overall.means for summary in summaries)]
    header = ["system", "trials"]
    for name in measured:
        metric = SIGNAL_METRICS[name]
        header.append(f"{metric.title}i {metric.unit}" if metric.unit else f"{metric.title} (gain)")
    header += ["activity F1", "below 1 dB", "confused", "RTF"]
    return text_table(header, [_main_row(summary, measured) for summary in summaries])


def _main_row(summary: SystemSummary, measured: Sequence[str]) -> list[str]:
    group = summary.overall
    cells = [summary.name, str(group.trials)]
    for name in measured:
        decimals = SIGNAL_METRICS[name].decimals
        gain = _mean(group, f"{name}_improvement")
        if SIGNAL_METRICS[name].unit:
            cells.append(_with_interval(gain, decimals))
        else:
            cells.append(f"{_number(_mean(group, name).value, decimals)} ({_number(gain.value, decimals, sign=True)})")
    cells.append(_number(_mean(group, ACTIVITY).value, 3))
    cells += [_percent(_mean(group, name).value) for name in RATES]
    return [*cells, _number(summary.rtf, 4)]


def _sexes_table(summaries: Sequence[SystemSummary]) -> str:
    """SI-SDR improvement by sex pair; empty where the list does not tell the sexes."""
    pairs = [name for name in (summaries[0].groups if summaries else {}) if name != "all"]
    if not pairs:
        return ""
    header = ["SI-SDRi dB", *(f"{pair} ({summaries[0].groups[pair].trials})" for pair in pairs)]
    rows = []
    for summary in summaries:
        groups = [summary.groups.get(pair, Group(0, {})) for pair in pairs]
        rows.append([summary.name, *(_with_interval(_mean(group, "si_sdr_improvement"), 2) for group in groups)])
    return text_table(header, rows)


def _comparison_table(comparisons: Sequence[PairedDifference]) -> str:
    if not comparisons:
        return ""
    header = ["system", "against", "figure", "difference", "ahead in", "trials"]
    rows = []
    for item in comparisons:
        difference = _with_interval(item.difference, 3, sign=True)
        rows.append(
            [item.system, item.against, item.value, difference, _percent(item.better_rate), str(item.difference.count)]
        )
    return text_table(header, rows)


def _mean(group: Group, name: str) -> Mean:
    return group.means.get(name, Mean(math.nan, math.nan, math.nan, 0))


def _number(value: float, decimals: int, *, sign: bool = False) -> str:
    return NOT_MEASURED if math.isnan(value) else f"{value:{'+' if sign else ''}.{decimals}f}"


def _percent(rate: float) -> str:
    return NOT_MEASURED if math.isnan(rate) else f"{100 * rate:.1f} %"


def _with_interval(mean: Mean, decimals: int, *, sign: bool = False) -> str:
    value = _number(mean.value, decimals, sign=sign)
    if math.isnan(mean.low):
        return value
    return f"{value} [{_number(mean.low, decimals, sign=sign)}, {_number(mean.high, decimals, sign=sign)}]"


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _system_fields(summary: SystemSummary) -> dict[str, Any]:
    fields: dict[str, Any] = {"system": summary.name, "failures": summary.failures, "rtf": _defined(summary.rtf)}
    fields |= _group_fields(summary.overall)
    split = {name: _group_fields(group) for name, group in summary.groups.items() if name != "all"}
    return {**fields, "by_sexes": split}


def _group_fields(group: Group) -> dict[str, Any]:
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
    return None if math.isnan(value) else value


def _machine(jobs: int) -> dict[str, Any]:
    """What the real-time factor was measured on."""
    return {
        "cpu": _cpu_name(),
        "jobs": jobs,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "python": platform.python_version(),
    }


def _machine_text(jobs: int) -> str:
    machine = _machine(jobs)
    return f"{machine['cpu']}, {jobs} at a time, threads: {machine['threads']}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
