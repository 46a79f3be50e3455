"""The offset of a sound that is still going on: a mean that sound cards add and no training mixture has.

A recording's offset is known before it is separated (passes.py); here it is learned on the way, as the mean of the last
ten seconds, of fewer in the beginning. Letters: T samples.
"""

from __future__ import annotations

import numpy as np

MEMORY_S = 10.0


class RunningOffset:
    """Taken from one block after the other; blocks have one length, the last may be shorter."""

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self.reset()

    def reset(self) -> None:
        """Nothing has been heard."""
        self._heard_s = 0.0
        self._mean = 0.0

    def take_from(self, block: np.ndarray) -> np.ndarray:
        """The block without the offset; digital silence says nothing about a sound card. Shape: [T] -> [T]."""
        if not block.any():
            return block
        self._heard_s += self._block_s
        share = self._block_s / min(self._heard_s, MEMORY_S)
        self._mean += share * (float(block.mean(dtype=np.float64)) - self._mean)
        return block - np.float32(self._mean)
