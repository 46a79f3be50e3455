"""The ceiling: what a mask could reach if it knew the target.

The phase-sensitive mask of a short-time Fourier transform, kept within 0..1 [Erdogan15]: of all real masks in that
range it leaves the smallest error in every bin. Window 32 ms (square root of Hann), hop a quarter of it. A learned
encoder with a shorter window, such as the network's, is not bound by it: read it as a yardstick, not as a proof.
Letters: T samples, F frames, K frequencies.
"""

from __future__ import annotations

import numpy as np

WINDOW_S = 0.032
HOPS_PER_WINDOW = 4


def oracle_estimate(*, mixture: np.ndarray, target: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The mixture under the mask that knows `target`. Shape: [T], [T] -> float32 [T]."""
    window_samples = HOPS_PER_WINDOW * max(1, round(WINDOW_S * sample_rate_hz / HOPS_PER_WINDOW))
    spectrum = _analyze(mixture, window_samples)
    mask = phase_sensitive_mask(mixture=spectrum, target=_analyze(target, window_samples))
    return _synthesize(spectrum * mask, window_samples, len(mixture)).astype(np.float32)


def phase_sensitive_mask(*, mixture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """|target| / |mixture| * cos(their phase difference), within 0..1. Shape: complex [F, K], [F, K] -> [F, K].

    >>> phase_sensitive_mask(mixture=np.array([2.0 + 0j, 1.0, 0.0]), target=np.array([1.0 + 1j, -1.0, 0.0]))
    array([0.5, 0. , 0. ])
    """
    power = np.abs(mixture) ** 2
    projection = (target * mixture.conj()).real  # |target| |mixture| cos(phase difference)
    return np.clip(np.divide(projection, power, out=np.zeros_like(power), where=power > 0), 0.0, 1.0)


def _window(window_samples: int) -> np.ndarray:
    """Square root of a periodic Hann window: analysis times synthesis is Hann, which overlaps to a constant."""
    return np.sin(np.pi * np.arange(window_samples) / window_samples)


def _analyze(samples: np.ndarray, window_samples: int) -> np.ndarray:
    """Shape: [T] -> complex [F, K], with a window of zeros before the first sample and after the last."""
    hop = window_samples // HOPS_PER_WINDOW
    tail = window_samples + -len(samples) % hop
    padded = np.concatenate([np.zeros(window_samples), np.asarray(samples, np.float64), np.zeros(tail)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_samples)[::hop]
    return np.fft.rfft(frames * _window(window_samples))


def _synthesize(spectrum: np.ndarray, window_samples: int, length: int) -> np.ndarray:
    """Overlap-add, the inverse of `_analyze`. Shape: complex [F, K] -> [length]."""
    hop = window_samples // HOPS_PER_WINDOW
    frames = np.fft.irfft(spectrum, window_samples) * _window(window_samples)
    samples = np.zeros(window_samples + (len(frames) - 1) * hop)
    for index, frame in enumerate(frames):
        samples[index * hop : index * hop + window_samples] += frame
    overlap_sum = HOPS_PER_WINDOW / 2  # of Hann windows a quarter apart
    return samples[window_samples : window_samples + length] / overlap_sum
