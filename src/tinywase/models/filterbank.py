"""Pairs of filters: cosine and sine of one frequency, channels c and c + C/2, whose squares add up to a power.

A network that hears the logarithm of that power need not learn to undo phase first; docs/experiments.md has how much it
matters. Letters: B batch, C channels (filters), F frames, L window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LOG_FLOOR = 1e-5  # power below which a filterbank is silent; enrollments and mixtures come near RMS 0.05


def log_power(filtered: Tensor) -> Tensor:
    """log(1 + power / LOG_FLOOR) of every pair, so that silence is 0. Shape: [B, C, F] -> [B, C/2, F]."""
    real, imaginary = filtered.float().chunk(2, dim=1)
    return torch.log(1 + (real.square() + imaginary.square()) / LOG_FLOOR)


class Filters(nn.Module):
    """Of an encoder or decoder: learned or, where no checkpoint holds them, fixed. Shape of `weight`: [N, 1, L]."""

    weight: Tensor

    def __init__(self, weight: Tensor, *, learned: bool) -> None:
        super().__init__()
        if learned:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight, persistent=False)
