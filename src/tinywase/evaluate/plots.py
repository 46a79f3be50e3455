"""Three pictures of an evaluation, drawn by matplotlib without a display or global state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .score import Row
from .statistics import SystemSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES, HEIGHT_INCHES = 7.0, 4.5


def draw_plots(rows: Sequence[Row], summaries: Sequence[SystemSummary]) -> dict[str, Callable[[Path], None]]:
    """File names and what writes them. `by_sexes.png` is left out where the list does not tell the sexes."""
    plots: dict[str, Callable[[Path], None]] = {
        "improvement.png": lambda path: _save(path, lambda axes: _improvement(axes, rows, summaries)),
        "input_output.png": lambda path: _save(path, lambda axes: _input_output(axes, rows, summaries)),
    }
    if any(len(summary.groups) > 1 for summary in summaries):
        plots["by_sexes.png"] = lambda path: _save(path, lambda axes: _by_sexes(axes, summaries))
    return plots


def _save(path: Path, draw: Callable[[Axes], None]) -> None:
    from matplotlib.figure import Figure  # without pyplot: no window, no global figure

    figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), layout="constrained")
    axes = figure.add_subplot()
    draw(axes)
    axes.legend()
    figure.savefig(path, dpi=120, format="png")


def _values(rows: Sequence[Row], system: str, name: str) -> np.ndarray:
    return np.array([row.values[name] for row in rows if row.system == system])


def _improvement(axes: Axes, rows: Sequence[Row], summaries: Sequence[SystemSummary]) -> None:
    """How improvement spreads over the trials: one step line per system."""
    values = {summary.name: _values(rows, summary.name, "si_sdr_improvement") for summary in summaries}
    values = {name: found[~np.isnan(found)] for name, found in values.items()}
    together = np.concatenate(list(values.values()))
    edges = np.linspace(together.min(initial=0.0) - 0.5, together.max(initial=0.0) + 0.5, 41)
    for name, found in values.items():
        axes.hist(found, list(edges), histtype="step", linewidth=1.5, label=name)
    axes.axvline(1.0, color="grey", linestyle=":", label="1 dB")
    axes.set(xlabel="SI-SDR improvement / dB", ylabel="trials")


def _input_output(axes: Axes, rows: Sequence[Row], summaries: Sequence[SystemSummary]) -> None:
    """SI-SDR of the mixture against that of the estimate: what lies on the diagonal was not improved."""
    for summary in summaries:
        inputs, outputs = (_values(rows, summary.name, name) for name in ("input_si_sdr", "si_sdr"))
        axes.plot(inputs, outputs, ".", markersize=5, alpha=0.6, label=summary.name)
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color="grey", linestyle=":", label="no improvement")
    axes.set(xlabel="SI-SDR of the mixture / dB", ylabel="SI-SDR of the estimate / dB")


def _by_sexes(axes: Axes, summaries: Sequence[SystemSummary]) -> None:
    """Mean improvement of each sex pair with its interval, the systems side by side."""
    pairs = list(dict.fromkeys(name for summary in summaries for name in summary.groups))
    width = 0.8 / len(summaries)
    for index, summary in enumerate(summaries):
        found = [
            (place, summary.groups[pair].means["si_sdr_improvement"])
            for place, pair in enumerate(pairs)
            if pair in summary.groups and summary.groups[pair].means
        ]
        if not found:  # every trial of this system failed
            continue
        places = np.array([place for place, _ in found]) + (index - (len(summaries) - 1) / 2) * width
        heights = np.array([mean.value for _, mean in found])
        spread = np.array([[mean.value - mean.low, mean.high - mean.value] for _, mean in found]).T
        axes.bar(places, heights, width, yerr=np.nan_to_num(spread), capsize=2, label=summary.name)
    axes.set_xticks(range(len(pairs)), pairs)
    axes.axhline(0.0, color="grey", linewidth=0.8)
    axes.set(xlabel="sex pair (target first)", ylabel="mean SI-SDR improvement / dB")
