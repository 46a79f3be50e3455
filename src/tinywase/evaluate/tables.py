"""The Markdown tables of an evaluation, for people and for documents. No arithmetic beyond rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..metrics import SIGNAL_METRICS
from .report import RATES, Report, machine
from .score import ACTIVITY
from .statistics import Group, Mean, PairedDifference, SystemSummary

NOT_MEASURED = "–"


def markdown(report: Report) -> str:
    """Tables for people: all trials, by sex pair, comparisons; and the command that made them."""
    parts = [_main_table(report.summaries), _sexes_table(report.summaries), _comparison_table(report.comparisons)]
    parts.append(
        f"List `{report.list_name}`, {report.evaluation.trials_done} trials; means with 95 % bootstrap intervals."
    )
    if report.evaluation.trials_done < report.evaluation.trials:
        parts[-1] += f" Interrupted: {report.evaluation.trials} trials were asked for."
    parts.append(_speed_text(report))
    parts += [f"Note: {note}" for note in report.notes]
    parts += [f"Failed: {failure}" for failure in report.evaluation.failures]
    parts.append(f"```\n{report.command}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, the others right, padded so that it reads as plain text too."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]
    lines = [_text_line(cells, widths) for cells in (header, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def _text_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


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
            cells.append(with_interval(gain, decimals))
        else:
            cells.append(f"{number(_mean(group, name).value, decimals)} ({number(gain.value, decimals, sign=True)})")
    cells.append(number(_mean(group, ACTIVITY).value, 3))
    cells += [percent(_mean(group, name).value) for name in RATES]
    return [*cells, number(summary.rtf, 4)]


def _sexes_table(summaries: Sequence[SystemSummary]) -> str:
    """SI-SDR improvement by sex pair; empty where the list does not tell the sexes."""
    pairs = [name for name in (summaries[0].groups if summaries else {}) if name != "all"]
    if not pairs:
        return ""
    header = ["SI-SDRi dB", *(f"{pair} ({summaries[0].groups[pair].trials})" for pair in pairs)]
    rows = []
    for summary in summaries:
        groups = [summary.groups.get(pair, Group(0, {})) for pair in pairs]
        rows.append([summary.name, *(with_interval(_mean(group, "si_sdr_improvement"), 2) for group in groups)])
    return text_table(header, rows)


def _comparison_table(comparisons: Sequence[PairedDifference]) -> str:
    if not comparisons:
        return ""
    header = ["system", "against", "figure", "difference", "ahead in", "trials"]
    rows = []
    for item in comparisons:
        difference = with_interval(item.difference, 3, sign=True)
        rows.append(
            [item.system, item.against, item.value, difference, percent(item.better_rate), str(item.difference.count)]
        )
    return text_table(header, rows)


def _mean(group: Group, name: str) -> Mean:
    return group.means.get(name, Mean(math.nan, math.nan, math.nan, 0))


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """Rounded; a dash where there is none."""
    return NOT_MEASURED if math.isnan(value) else f"{value:{'+' if sign else ''}.{decimals}f}"


def percent(rate: float) -> str:
    """0.125 as 12.5 %."""
    return NOT_MEASURED if math.isnan(rate) else f"{100 * rate:.1f} %"


def with_interval(mean: Mean, decimals: int, *, sign: bool = False) -> str:
    """The mean, and its interval where there is one."""
    value = number(mean.value, decimals, sign=sign)
    if math.isnan(mean.low):
        return value
    return f"{value} [{number(mean.low, decimals, sign=sign)}, {number(mean.high, decimals, sign=sign)}]"


def _speed_text(report: Report) -> str:
    """What the real-time factors are those of."""
    evaluation, hardware = report.evaluation, machine(report.jobs)
    runtimes = ", ".join(f"{name} {by}" for name, by in zip(evaluation.systems, evaluation.runtimes, strict=True))
    place = f"{hardware['cpu']}, {report.jobs} at a time, threads: {hardware['threads']}"
    return f"RTF: extraction time over audio time, median over trials, on {place}. Runtimes: {runtimes}."
