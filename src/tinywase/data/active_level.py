"""The active speech level of ITU-T P.56 (method B), which wsj0-mix scales its utterances by.

Pauses do not count: the mean power is taken over the time in which the signal's envelope, held for 0.2 s, lies above a
threshold 15.9 dB below the level itself. Written from the recommendation in plain numpy: the recursive envelope is a
convolution with its closed-form response. Tested under gains and pauses, not against other implementations.
"""

from __future__ import annotations

import numpy as np

MARGIN_DB = 15.9  # between the level and the threshold that defines activity
ENVELOPE_S = 0.03  # time constant of the two smoothing stages
HANGOVER_S = 0.2  # an active moment keeps the signal active this long
THRESHOLDS = 24  # each half the one before, from full scale down


def active_level_db(samples: np.ndarray, sample_rate_hz: int) -> float:
    """Level of the speech in dB relative to a mean power of 1; -inf for digital silence.

    Args:
        samples: one recording.
        sample_rate_hz: its rate.

    Shape: samples [T].
    """
    power = float(np.sum(np.square(samples, dtype=np.float64)))
    if power == 0.0:
        return -np.inf
    envelope = _held(_envelope(samples, sample_rate_hz), round(HANGOVER_S * sample_rate_hz))
    top = float(np.max(np.abs(samples)))  # thresholds relative to the peak: the result does not depend on the gain
    thresholds = top * 0.5 ** np.arange(THRESHOLDS)
    active_samples = np.searchsorted(np.sort(envelope), thresholds)
    active_samples = len(envelope) - active_samples
    used = active_samples > 0
    levels = 10 * np.log10(power / active_samples[used])  # level if activity meant "above this threshold"
    gaps = levels - 20 * np.log10(thresholds[used])  # rises as the threshold falls, and meets the margin at the answer
    if gaps[0] >= MARGIN_DB or gaps[-1] <= MARGIN_DB:
        return float(levels[0] if gaps[0] >= MARGIN_DB else levels[-1])
    return float(np.interp(MARGIN_DB, gaps, levels))


def _envelope(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """|samples| through two equal one-pole smoothers, whose joint response is (1-g)^2 (n+1) g^n."""
    pole = np.exp(-1.0 / (ENVELOPE_S * sample_rate_hz))
    taps = np.arange(round(20 * ENVELOPE_S * sample_rate_hz))  # beyond that less than 1e-7 of the response is left
    response = (1 - pole) ** 2 * (taps + 1) * pole**taps
    size = 1 << int(np.ceil(np.log2(len(samples) + len(taps))))
    spectrum = np.fft.rfft(np.abs(samples), size) * np.fft.rfft(response, size)
    return np.maximum(np.fft.irfft(spectrum, size)[: len(samples)], 0.0)


def _held(envelope: np.ndarray, hold_samples: int) -> np.ndarray:
    """The largest value of the last `hold_samples` + 1 samples, by doubling windows."""
    held, reach = envelope.copy(), 1
    while reach < hold_samples + 1:
        step = min(reach, hold_samples + 1 - reach)
        held[step:] = np.maximum(held[step:], held[:-step].copy())
        reach += step
    return held
