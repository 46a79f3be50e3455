"""The short-time Fourier transform and its inverse, in the precision of what they are given.

Square roots of Hann windows a quarter apart: analysis times synthesis is Hann, which overlaps to a constant. Letters:
T samples, F frames, K frequencies.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

HOPS_PER_WINDOW = 4
OVERLAP_SUM = HOPS_PER_WINDOW / 2  # of Hann windows a quarter apart


def window_samples(seconds: float, sample_rate_hz: int) -> int:
    """The whole number of hops next to `seconds`, four of them, in samples."""
    return HOPS_PER_WINDOW * max(1, round(seconds * sample_rate_hz / HOPS_PER_WINDOW))


def analyze(samples: np.ndarray, window: int) -> np.ndarray:
    """Shape: float [T] -> complex [F, K], from a window of zeros before the first sample to one after the last."""
    padded = np.pad(samples, window)  # so that every sample lies in as many windows as any other
    return transform(np.lib.stride_tricks.sliding_window_view(padded, window)[:: window // HOPS_PER_WINDOW])


def spectra_at(samples: np.ndarray, begins: np.ndarray, window: int) -> np.ndarray:
    """The same of windows that begin anywhere. Shape: float [T], whole numbers [F] -> complex [F, K]."""
    return transform(np.lib.stride_tricks.sliding_window_view(samples, window)[begins])


def synthesize(spectra: np.ndarray, window: int, length: int) -> np.ndarray:
    """Overlap-add, the inverse of `analyze`. Shape: complex [F, K] -> float [length]."""
    frames, hop = inverse(spectra, window), window // HOPS_PER_WINDOW
    wave = np.zeros((len(frames) + HOPS_PER_WINDOW - 1, hop), frames.dtype)
    for part in range(HOPS_PER_WINDOW):
        wave[part : part + len(frames)] += frames[:, part * hop : (part + 1) * hop]
    return wave.ravel()[window : window + length]


def transform(frames: np.ndarray) -> np.ndarray:
    """Of windows of samples. Shape: float [F, window] -> complex [F, K]."""
    spectra = np.fft.rfft(frames * _root_hann(frames.shape[1], frames.dtype), axis=1)
    return spectra.astype(np.result_type(frames.dtype, np.complex64), copy=False)


def inverse(spectra: np.ndarray, window: int) -> np.ndarray:
    """Windows of samples that add up to the signal, a quarter apart. Shape: complex [F, K] -> float [F, window]."""
    dtype = spectra.real.dtype
    frames = np.fft.irfft(spectra, window, axis=1).astype(dtype, copy=False)
    frames *= _root_hann(window, dtype) / dtype.type(OVERLAP_SUM)
    return frames


@lru_cache(maxsize=16)  # of a few rates: those of a service are its clients' choice
def _root_hann(window: int, dtype: np.dtype) -> np.ndarray:
    """Periodic. Shape: -> [window]."""
    return np.sin(np.pi * np.arange(window) / window).astype(dtype)
