"""Filters that encoders are, or begin as: pairs of a cosine and a sine (docs/model.md 1, 2).

Letters: L window, V overlap, windows that cover a sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fourier_filters(pairs: int, window: int) -> NDArray[np.float32]:
    """`pairs` evenly spaced frequencies under a square-root Hann window. Shape: -> [2 pairs, L].

    Row k is the cosine and row k + pairs the sine of frequency (k + 1/2) / (2 pairs) of the sample rate. With L / 2
    pairs these are the odd-frequency Fourier transform, an orthonormal basis of a window: used as encoder and, times
    2 / V, as decoder with a hop of L / V, it gives back the signal exactly.
    """
    samples = np.arange(window)
    phase = np.pi * (2 * np.arange(pairs) + 1)[:, None] * samples / (2 * pairs)
    root_hann = np.sin(np.pi * samples / window) * pairs**-0.5
    return np.concatenate([np.cos(phase) * root_hann, np.sin(phase) * root_hann]).astype(np.float32)


def mel_filters(bands: int, window: int, sample_rate_hz: int) -> NDArray[np.float32]:
    """`bands` mel-spaced frequencies, 60 Hz to 95 % of the highest, under a Hann window. Shape: -> [2 bands, L]."""
    mels = np.linspace(mel(60), mel(sample_rate_hz / 2 * 0.95), bands)
    frequency_hz = 700 * (10 ** (mels / 2595) - 1)
    phase = 2 * np.pi * frequency_hz[:, None] / sample_rate_hz * (np.arange(window) - window / 2)
    hann = np.sin(np.pi * np.arange(window) / window) ** 2 * (2 / window) ** 0.5
    return np.concatenate([np.cos(phase) * hann, np.sin(phase) * hann]).astype(np.float32)


def mel(frequency_hz: float) -> float:
    """A frequency on the mel scale."""
    return float(2595 * np.log10(1 + frequency_hz / 700))
