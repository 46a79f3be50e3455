"""Everybody else let through, quieter: noise suppressors call it an attenuation limit. What an extraction damages is
heard less where the rest is not quite gone."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError


def others_gain(keep_others_db: float | None) -> np.float32:
    """The gain of what is not the voice: `keep_others_db` quieter than in the recording, 0 for None.

    Raises:
        ConfigError: louder than in the recording, or not a number.
    """
    if keep_others_db is None:
        return np.float32(0)
    if not keep_others_db >= 0:  # NaN neither
        raise ConfigError(
            f"keep_others_db = {keep_others_db}: expected how many dB quieter, 0 (as in the recording) or more."
        )
    return np.float32(10 ** (-keep_others_db / 20))


def let_through(mixture: np.ndarray, voice: np.ndarray, gain: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """The voice with everybody else at that gain, and everybody else. Shape: any, the same -> the same, twice."""
    others = mixture - voice
    return voice + gain * others, others
