"""The ceiling: what a mask could reach if it knew the target.

The phase-sensitive mask of a short-time Fourier transform, kept within 0..1 [Erdogan15]: of all real masks in that
range it leaves the smallest error in every bin. Window 32 ms (square root of Hann), hop a quarter of it. A learned
encoder with a shorter window, such as the network's, is not bound by it: read it as a yardstick, not as a proof.
Letters: T samples, F frames, K frequencies.
"""

from __future__ import annotations

import numpy as np

from ..stft import analyze, synthesize, window_samples

WINDOW_S = 0.032


def oracle_estimate(*, mixture: np.ndarray, target: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The mixture under the mask that knows `target`. Shape: [T], [T] -> float32 [T]."""
    window = window_samples(WINDOW_S, sample_rate_hz)
    spectrum, known = (analyze(np.asarray(samples, np.float64), window) for samples in (mixture, target))
    mask = phase_sensitive_mask(mixture=spectrum, target=known)
    return synthesize(spectrum * mask, window, len(mixture)).astype(np.float32)


def phase_sensitive_mask(*, mixture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """|target| / |mixture| * cos(their phase difference), within 0..1. Shape: complex [F, K], [F, K] -> [F, K].

    >>> phase_sensitive_mask(mixture=np.array([2.0 + 0j, 1.0, 0.0]), target=np.array([1.0 + 1j, -1.0, 0.0]))
    array([0.5, 0. , 0. ])
    """
    power = np.abs(mixture) ** 2
    projection = (target * mixture.conj()).real  # |target| |mixture| cos(phase difference)
    return np.clip(np.divide(projection, power, out=np.zeros_like(power), where=power > 0), 0.0, 1.0)
