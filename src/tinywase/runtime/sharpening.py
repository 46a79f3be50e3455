"""An estimate sharpened by what it implies: where it and what it leaves over differ in level, the louder is right.

A network that hears windows of 32 ms cannot tell harmonics of two voices apart that lie nearer than 30 Hz, and leaves
some of each in the other. In windows of 80 ms they are apart: there the mixture is shared out by the squares of the
estimate's and the rest's magnitudes (a Wiener filter), and the mean of that and the estimate is nearer to the voice
than either (docs/experiments.md 17). Letters: T samples.
"""

from __future__ import annotations

import numpy as np

from ..stft import HOPS_PER_WINDOW, analyze, synthesize, window_samples

WINDOW_S = 0.08
WEIGHT = 0.5  # of the filtered mixture against the estimate
SILENCE = 1e-12  # power
HOPS = 100  # filtered at once, two seconds: a spectrum takes four times the memory of its sound, and there are several


def sharpened(estimate: np.ndarray, mixture: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The mean of an estimate and of the mixture filtered by it. Shape: [T], [T] -> float32 [T]."""
    window = window_samples(WINDOW_S, sample_rate_hz)
    piece = HOPS * window // HOPS_PER_WINDOW
    result = np.float32(1 - WEIGHT) * estimate
    for start in range(0, len(mixture), piece):
        first, stop = max(0, start - window), start + piece + window  # whole hops: windows lie as without pieces
        filtered = _filtered(estimate[first:stop], mixture[first:stop], window)
        result[start : start + piece] += np.float32(WEIGHT) * filtered[start - first :][:piece]
    return result


def _filtered(estimate: np.ndarray, mixture: np.ndarray, window: int) -> np.ndarray:
    voice, everything = analyze(estimate, window), analyze(mixture, window)
    own, rest = _power(voice), _power(everything - voice)
    everything *= own / (own + rest + np.float32(SILENCE))
    return synthesize(everything, window, len(mixture))


def _power(spectra: np.ndarray) -> np.ndarray:
    return spectra.real**2 + spectra.imag**2
