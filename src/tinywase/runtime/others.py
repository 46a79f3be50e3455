"""Everybody else: whether there is anybody, and how they are let through, quieter, which noise suppressors call an
attenuation limit. What an extraction damages is heard less where the rest is not quite gone."""

from __future__ import annotations

import numpy as np

from ..arguments import real_number

OTHERS_ABOVE_DB = -10.0  # what is left over against the estimate; less are the target's own remains


def nobody_else(left_over: np.ndarray, estimate: np.ndarray) -> bool:
    """Whether little of a mixture is left over beside an estimate. Shape: any, the same."""
    energies = [float(np.square(signal, dtype=np.float64).sum()) for signal in (left_over, estimate)]
    return energies[0] <= 10 ** (OTHERS_ABOVE_DB / 10) * energies[1]


def others_gain(keep_others_db: float | None) -> np.float32:
    """The gain of what is not the voice: `keep_others_db` quieter than in the recording, 0 for None.

    Raises:
        ConfigError: louder than in the recording, or not a number.
    """
    if keep_others_db is None:
        return np.float32(0)
    expected = "how many dB quieter, 0 (as in the recording) or more"
    return np.float32(10 ** (-real_number("keep_others_db", keep_others_db, expected, 0.0) / 20))


def let_through(mixture: np.ndarray, voice: np.ndarray, gain: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """The voice with everybody else at that gain, and everybody else. Shape: any, the same -> the same, twice."""
    others = mixture - voice
    return voice + gain * others, others
