"""The shift trick: a mean over extractions of the mixture delayed by parts of a hop, each moved back.

A mask holds for a whole frame; where the frames begin is an accident, and its errors differ from one beginning to the
next while the voice does not. What helps (docs/experiments.md 12) costs a pass over the mixture per shift, and a stream
would have to wait for it: for offline models alone. Demucs calls it so (A. Défossez et al., 2019); in denoising it is
cycle spinning (R. R. Coifman and D. L. Donoho, 1995). Letters: T samples, F frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from ..config import ModelConfig
from ..errors import ConfigError

Activity = TypeVar("Activity")  # [F], or None where the model has none
Extract = Callable[[np.ndarray], tuple[np.ndarray, Activity]]  # mixture [T] -> estimate [T], activity


def check_shifts(shifts: int, config: ModelConfig) -> int:
    """The number of passes itself.

    Raises:
        ConfigError: less than one, more than a hop has samples, or more than one for a causal model.
    """
    most = 1 if config.causal else config.hop
    if not 1 <= shifts <= most:
        because = "a causal model is a stream, which cannot wait for a second pass" if config.causal else "its hop"
        raise ConfigError(f"shifts = {shifts}: expected 1 to {most} for this model ({because}).")
    return shifts


def averaged(extract: Extract[Activity], mixture: np.ndarray, *, hop: int, shifts: int) -> tuple[np.ndarray, Activity]:
    """Estimate and activity of a clip; the activity is that of the pass without delay. Shape: [T] -> [T], [F]."""
    estimate, activity = extract(mixture)
    if shifts == 1:
        return estimate, activity
    total = estimate.astype(np.float32)  # a copy: the first pass may own its memory
    for shift in range(1, shifts):
        delay = shift * hop // shifts
        total += extract(np.concatenate([np.zeros(delay, np.float32), mixture]))[0][delay:]
    return total / np.float32(shifts), activity
