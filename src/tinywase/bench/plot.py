"""The picture of `tinywase bench --streams`. Matplotlib is loaded only when one is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .streams import Load


def draw_streams(loads: Sequence[Load], path: Path, *, title: str) -> None:
    """Latency of a chunk over the number of streams, and the length of a chunk as the limit."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    counts = [load.streams for load in loads]
    axes.plot(counts, [load.p99_ms for load in loads], marker="o", label="99 % of chunks")
    axes.plot(counts, [load.median_ms for load in loads], marker="o", label="median")
    axes.axhline(loads[0].chunk_ms, color="black", linewidth=1, linestyle="--", label="length of a chunk")
    axes.set_yscale("log")
    axes.set_xlabel("streams")
    axes.set_ylabel("from arrival to result, ms")
    axes.set_title(title, fontsize="medium")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    figure.savefig(path, dpi=120, format="png")
