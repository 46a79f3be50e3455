"""Channels to one, for what is judged by its sound alone: voiceprints, and where somebody speaks. Letters: C channels.

It is their mean, unless they cancel each other in it: where one of them is wired the wrong way round, a frequent fault,
nothing of the voice would be left.
"""

from __future__ import annotations

import numpy as np

CANCELLED = 0.2  # of the power that the mean of channels has which know nothing of each other: 7 dB less
AS_LOUD = 0.5  # as the loudest, in power


def mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels, or where they cancel each other the loudest of them. Shape: float32 [T, C] -> [T]."""
    mean = samples.mean(axis=1)
    channels = samples.shape[1]
    if channels == 1 or not len(samples):
        return mean
    powers = samples.var(axis=0, dtype=np.float64)
    if mean.var(dtype=np.float64) >= CANCELLED * powers.mean() / channels:
        return mean
    return samples[:, int(np.argmax(powers >= AS_LOUD * powers.max()))]  # the first: all pieces of a recording agree
