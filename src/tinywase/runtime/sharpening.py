"""An estimate sharpened by what it implies: where it and what it leaves over differ in level, the louder is right.

A network that hears windows of 32 ms cannot tell harmonics of two voices apart that lie nearer than 30 Hz, and leaves
some of each in the other. In windows of 80 ms they are apart: there the mixture is shared out by the squares of the
estimate's and the rest's magnitudes (a Wiener filter), and the mean of that and the estimate is nearer to the voice
than either (docs/experiments.md 17). Letters: T samples.
"""

from __future__ import annotations

import numpy as np

from ..stft import analyze, synthesize, window_samples

WINDOW_S = 0.08
WEIGHT = 0.5  # of the filtered mixture against the estimate
SILENCE = 1e-12  # power


def sharpened(estimate: np.ndarray, mixture: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The mean of an estimate and of the mixture filtered by it. Shape: [T], [T] -> float32 [T]."""
    window = window_samples(WINDOW_S, sample_rate_hz)
    voice, everything = analyze(estimate, window), analyze(mixture, window)
    own, rest = _power(voice), _power(everything - voice)
    everything *= own / (own + rest + np.float32(SILENCE))
    filtered = synthesize(everything, window, len(mixture))
    return np.float32(1 - WEIGHT) * estimate + np.float32(WEIGHT) * filtered


def _power(spectra: np.ndarray) -> np.ndarray:
    return spectra.real**2 + spectra.imag**2
