"""The Markdown tables of an evaluation, for people and for documents. No arithmetic beyond rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..metrics import SIGNAL_METRICS
from ..processor import processor_name
from .report import RATES, Report, threads_of
from .score import ACTIVITY
from .statistics import Group, Mean, PairedDifference, SystemSummary

NOT_MEASURED = "–"
WIDTH = 80  # characters of a terminal: wider lines wrap there, and nobody reads them


def markdown(report: Report) -> str:
    """Tables for people: all trials, by sex pair, comparisons; and their command. JSON holds more."""
    parts = [make(report.summaries) for make in (_main_table, _further_table, _sexes_table)]
    parts.append(_comparison_table(report.comparisons))
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


def text_tables(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = WIDTH) -> str:
    """One text table where `width` characters hold it, else several below each other, the first column in each."""
    first, *others = zip(header, *rows, strict=True)
    parts: list[list[tuple[str, ...]]] = []
    room = 0
    for column in others:
        wide = len(" |") + 1 + max(map(len, column))
        if not parts or wide > room:
            parts.append([first])
            room = width - len("|  |") - max(map(len, first))
        parts[-1].append(column)
        room -= wide
    tables = [list(zip(*part, strict=True)) for part in parts]
    return "\n\n".join(text_table(lines[0], lines[1:]) for lines in tables)


def _text_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def _main_table(summaries: Sequence[SystemSummary]) -> str:
    """What every run measures: SI-SDR improvement, the shares of failures, the real-time factor."""
    header = ["system", "trials", "SI-SDRi dB", "below 1 dB", "confused", "RTF"]
    return text_tables(header, [_main_row(summary) for summary in summaries])


def _main_row(summary: SystemSummary) -> list[str]:
    group = summary.overall
    gain = with_interval(_mean(group, "si_sdr_improvement"), SIGNAL_METRICS["si_sdr"].decimals)
    rates = [percent(_mean(group, name).value) for name in RATES]
    return [summary.name, str(group.trials), gain, *rates, number(summary.rtf, 4)]


def _further_table(summaries: Sequence[SystemSummary]) -> str:
    """The other figures that were asked for; empty where none was."""
    measured = {name for summary in summaries for name in summary.overall.means}
    columns = {}
    for name, metric in SIGNAL_METRICS.items():
        if name in measured and name != "si_sdr":
            columns[f"{metric.title}i {metric.unit}" if metric.unit else f"{metric.title} (gain)"] = name
    if ACTIVITY in measured:
        columns["activity F1"] = ACTIVITY
    if not columns:
        return ""
    rows = [[one.name, *(_further_cell(one.overall, name) for name in columns.values())] for one in summaries]
    return text_tables(["system", *columns], rows)


def _further_cell(group: Group, name: str) -> str:
    if name == ACTIVITY:
        return number(_mean(group, name).value, 3)
    metric, gain = SIGNAL_METRICS[name], _mean(group, f"{name}_improvement")
    if metric.unit:
        return with_interval(gain, metric.decimals)
    return f"{number(_mean(group, name).value, metric.decimals)} ({number(gain.value, metric.decimals, sign=True)})"


def _sexes_table(summaries: Sequence[SystemSummary]) -> str:
    """SI-SDR improvement, a row per sex pair and a column per system; empty where the list does not tell the sexes."""
    pairs = [name for name in (summaries[0].groups if summaries else {}) if name != "all"]
    if not pairs:
        return ""
    rows = []
    for pair in pairs:
        groups = [summary.groups.get(pair, Group(0, {})) for summary in summaries]
        gains = (with_interval(_mean(group, "si_sdr_improvement"), 1) for group in groups)
        rows.append([f"{pair} ({groups[0].trials})", *gains])
    return text_tables(["SI-SDRi dB", *(summary.name for summary in summaries)], rows)


def _comparison_table(comparisons: Sequence[PairedDifference]) -> str:
    if not comparisons:
        return ""
    header = [f"against {comparisons[0].against}", "figure", "difference", "ahead in"]
    rows = []
    for item in comparisons:
        metric = SIGNAL_METRICS[item.value.removesuffix("_improvement")]
        difference = with_interval(item.difference, 3, sign=True)
        rows.append([item.system, f"{metric.title} {metric.unit}".rstrip(), difference, percent(item.better_rate)])
    return text_tables(header, rows)


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
    evaluation = report.evaluation
    runtimes = ", ".join(
        f"{name} {runtime} (threads: {threads_of(runtime, report.jobs)})"
        for name, runtime in zip(evaluation.systems, evaluation.runtimes, strict=True)
    )
    place = f"{processor_name()}, {report.jobs} at a time"
    return (
        f"RTF: processor time of the extraction over audio time, median over trials, on {place}. Runtimes: {runtimes}."
    )
