"""Which part of a window is loud: a network's norms are means over a window, and a long pause in it, or somebody far
from the microphone, makes the network half deaf to the rest (docs/experiments.md 26).

Letters: T samples.
"""

from __future__ import annotations

import numpy as np

from ..activity import frame_levels

CELL_S = 0.01
SMOOTHED_S = 1.0  # twice: levels of phrases, not of syllables
QUIET_DB = 9.0  # below the loudest phrase
QUIET_S = 1.5  # shorter pauses belong to what is around them
FADE_S = 0.02


def loud_part(mixture: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """How much every sample belongs to the loud stretches: 1 or 0, with ramps on the quiet side. Shape: [T] -> [T]."""
    cell = max(1, round(CELL_S * sample_rate_hz))
    level = _smooth(_smooth(frame_levels(mixture, cell).astype(np.float64)))
    quiet = level < level.max(initial=0.0) * 10 ** (-QUIET_DB / 10)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    loud = np.ones(len(level) * cell, np.float32)
    fade = round(FADE_S * sample_rate_hz)
    for first, last in zip(edges[::2] * cell, edges[1::2] * cell, strict=True):
        if last - first >= QUIET_S * sample_rate_hz:
            ramp = np.minimum(np.arange(last - first), fade) / fade
            before = 1 - ramp if first > 0 else np.zeros_like(ramp)  # a window's edge has no loud neighbour
            after = (1 - ramp)[::-1] if last < len(loud) else np.zeros_like(ramp)
            loud[first:last] = np.maximum(before, after)
    return loud[: len(mixture)]


def _smooth(level: np.ndarray) -> np.ndarray:
    """Mean over SMOOTHED_S around every cell, over what there is at the edges."""
    width = min(round(SMOOTHED_S / CELL_S), len(level))
    ones = np.ones(width)
    return np.convolve(level, ones, "same") / np.convolve(np.ones(len(level)), ones, "same")
