"""Samples to frames and back: padding, strided convolution, overlap-add (docs/model.md 1).

Letters: T samples, F frames, N filters, L window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
LOG_FLOOR = np.float32(1e-5)  # power below which a filterbank is silent


def tail_samples(length: int, window: int, hop: int) -> int:
    """Zeros after a signal, besides those on both sides, that complete its last window (docs/model.md 1)."""
    return window - (hop + length % window) % window


def pad_to_frames(signal: Array, window: int, hop: int, edge: int) -> Array:
    """Zeros around a signal so that frames cover it, `edge` on both sides (one hop for an enrollment).

    Shape: [T] -> [T + tail + 2 edge]
    """
    return np.pad(signal, (edge, tail_samples(len(signal), window, hop) + edge))


def analyse(signal: Array, filters: Array, hop: int) -> Array:
    """A strided convolution without bias. Shape: [T], [N, 1, L] -> [N, (T - L) / hop + 1]."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, filters.shape[-1])[::hop]
    return filters[:, 0] @ np.ascontiguousarray(frames).T


def log_power(filtered: Array) -> Array:
    """log(1 + power / LOG_FLOOR) of cosine and sine filters, rows n and n + N/2. Shape: [N, F] -> [N/2, F]."""
    real, imaginary = np.split(filtered, 2)
    return np.log(1 + (np.square(real) + np.square(imaginary)) / LOG_FLOOR)


def overlap_add(masked: Array, filters: Array, hop: int) -> Array:
    """The decoder, a transposed convolution. Shape: [N, F], [N, 1, L] -> [(F - 1) hop + L]."""
    pieces = masked.T @ filters[:, 0]  # [F, L]
    overlap = pieces.shape[1] // hop
    wave = np.zeros((len(pieces) + overlap - 1, hop), np.float32)
    for part in range(overlap):
        wave[part : part + len(pieces)] += pieces[:, part * hop : (part + 1) * hop]
    return wave.reshape(-1)
