"""How high a voice is: the median fundamental frequency of its voiced frames, by autocorrelation."""

from __future__ import annotations

import numpy as np

LOWEST_HZ, HIGHEST_HZ = 65.0, 420.0
WINDOW_S, HOP_S = 0.04, 0.02
VOICED = 0.5  # least autocorrelation at the period, of that at no lag
OCTAVE_COST = 0.05  # two periods are as alike as one: prefer the shorter
USUAL_HZ = 160.0  # where nothing is voiced


def median_pitch_hz(samples: np.ndarray, sample_rate_hz: int) -> float:
    """Shape: [T] -> Hz."""
    window, hop = round(WINDOW_S * sample_rate_hz), round(HOP_S * sample_rate_hz)
    if len(samples) < window:
        return USUAL_HZ
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop] * np.hanning(window)
    power = np.abs(np.fft.rfft(frames, 2 * window)) ** 2
    correlation = np.fft.irfft(power)[:, :window]
    # A window's own autocorrelation falls with the lag: undo it, or short periods would always win.
    taper = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(window), 2 * window)) ** 2)[:window]
    shortest, longest = (round(sample_rate_hz / hz) for hz in (HIGHEST_HZ, LOWEST_HZ))
    lags = np.arange(shortest, min(longest, window // 2 + 1) + 1)
    strength = correlation[:, lags] / taper[lags] / np.maximum(correlation[:, :1] / taper[0], 1e-12)
    best = (strength - OCTAVE_COST * np.log2(lags / shortest)).argmax(1)
    loud = correlation[:, 0] > 0.1 * correlation[:, 0].max(initial=0.0)
    voiced = loud & (strength.max(1, initial=0.0) > VOICED)
    return float(np.median(sample_rate_hz / lags[best[voiced]])) if voiced.any() else USUAL_HZ
