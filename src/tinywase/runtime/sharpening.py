"""An estimate sharpened by what it implies: where it and what it leaves over differ in level, the louder is right.

A network that hears windows of 32 ms cannot tell harmonics of two voices apart that lie nearer than 30 Hz, and leaves
some of each in the other. In windows of 80 ms they are apart: there the mixture is shared out by the squares of the
estimate's and the rest's magnitudes (a Wiener filter), and the mean of that and the estimate is nearer to the voice
than either (docs/experiments.md 17). Letters: T samples, F frames, K frequencies.
"""

from __future__ import annotations

import numpy as np

WINDOW_S = 0.08
HOPS_PER_WINDOW = 4
WEIGHT = 0.5  # of the filtered mixture against the estimate
SILENCE = 1e-12  # power


def sharpened(estimate: np.ndarray, mixture: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The mean of an estimate and of the mixture filtered by it. Shape: [T], [T] -> float32 [T]."""
    hop = round(WINDOW_S * sample_rate_hz) // HOPS_PER_WINDOW
    window = np.sqrt(np.hanning(HOPS_PER_WINDOW * hop + 1)[:-1]).astype(np.float32)
    voice, everything = _spectra(estimate, window, hop), _spectra(mixture, window, hop)
    own, rest = _power(voice), _power(everything - voice)
    everything *= own / (own + rest + np.float32(SILENCE))
    filtered = _samples(everything, window, hop, len(mixture))
    return np.float32(1 - WEIGHT) * estimate + np.float32(WEIGHT) * filtered


def _spectra(samples: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Shape: [T] -> complex64 [F, K]."""
    padded = np.pad(samples, len(window))  # so that every sample lies in as many windows as any other
    frames = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop]
    return np.fft.rfft(frames * window, axis=1).astype(np.complex64)


def _power(spectra: np.ndarray) -> np.ndarray:
    return spectra.real**2 + spectra.imag**2


def _samples(spectra: np.ndarray, window: np.ndarray, hop: int, length: int) -> np.ndarray:
    """Windows added up, twice windowed: squares of the windows sum to a constant. Shape: [F, K] -> float32 [T]."""
    frames = np.fft.irfft(spectra, len(window), axis=1).astype(np.float32) * window
    wave = np.zeros((len(frames) + HOPS_PER_WINDOW - 1, hop), np.float32)
    for part in range(HOPS_PER_WINDOW):
        wave[part : part + len(frames)] += frames[:, part * hop : (part + 1) * hop]
    start, scale = len(window), np.float32(hop / np.square(window).sum())
    return np.pad(wave.ravel(), (0, len(window)))[start : start + length] * scale
