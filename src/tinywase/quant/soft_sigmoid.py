"""Weights as a sum of sigmoids: the paper's quantizer [Quantization Networks, Yang et al. 2019; Huang22].

    Q(w) = alpha * (sum_i gap_i * s(T (beta w - threshold_i)) - offset)

s is a sigmoid of temperature T in training and a step at inference. alpha and beta are learned; the thresholds are
midpoints between the clusters of a k-means on the scaled weights, then fixed; T rises on a schedule until the
staircase is sharp.

Shapes: K levels, K - 1 gaps and thresholds, O output channels. A training step costs K - 1 sigmoids per weight while T
is low, one as soon as the steps no longer overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from .base import WeightQuantizer, positive
from .levels import kmeans_thresholds, level_table, magnitude, midpoints, one_scale, spread

HEADROOM = 1.25  # beta starts at HEADROOM * top level / max|w|
TEMPERATURE_STEP = 10.0  # per epoch
TEMPERATURE_CAP = 2000.0
SATURATED = 20.0  # sigmoid(20) is 1 in float32


def temperature_at(epoch: float) -> float:
    """T = 10 * epoch, at most 2000; epochs count from 1.

    >>> temperature_at(1), temperature_at(300)
    (10.0, 2000.0)
    """
    return min(TEMPERATURE_CAP, TEMPERATURE_STEP * max(1.0, epoch))


class SoftStaircase(torch.autograd.Function):
    """sum_i gap_i * sigmoid(T (x - threshold_i)), keeping one tensor for the backward pass instead of K - 1."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, thresholds: Tensor, gaps: Tensor, temperature: Tensor, apart: bool
    ) -> Tensor:
        value, slope = (_nearest_step if apart else _all_steps)(x, thresholds, gaps, temperature)
        ctx.save_for_backward(slope)
        return value

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grad * slope, None, None, None, None


def _all_steps(x: Tensor, thresholds: Tensor, gaps: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Value and slope of the staircase, step by step."""
    value, slope = torch.zeros_like(x), torch.zeros_like(x)
    for threshold, gap in zip(thresholds, gaps, strict=True):
        step = torch.sigmoid(temperature * (x - threshold))
        value.add_(gap * step)
        slope.add_(gap * temperature * step * (1 - step))
    return value, slope


def _nearest_step(x: Tensor, thresholds: Tensor, gaps: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """The same where every step but the nearest is 0 or 1 to the last bit: one sigmoid a weight instead of K - 1."""
    nearest = torch.bucketize(x, midpoints(thresholds))
    gap = gaps[nearest]
    step = torch.sigmoid(temperature * (x - thresholds[nearest]))
    return (gaps.cumsum(0) - gaps)[nearest] + gap * step, gap * temperature * step * (1 - step)


class SoftSigmoid(WeightQuantizer):
    """The paper's weight quantizer; per tensor in the paper, per output channel on request. Without `fit` its scales
    start at 1."""

    thresholds: Tensor
    temperature: Tensor

    def __init__(
        self, weight: Tensor, *, bits: int, per_channel: bool = False, table: str = "symmetric", fit: bool = True
    ) -> None:
        levels = torch.from_numpy(level_table(bits, table)).to(weight.device)
        super().__init__(levels, bits=bits, per_channel=per_channel)
        beta, thresholds = one_scale(weight, per_channel), midpoints(levels)
        if fit:
            beta = HEADROOM * levels[-1] / magnitude(weight, per_channel=per_channel)
            scaled = (weight.detach() * spread(beta, weight)).cpu().numpy()  # one k-means: some channels have 3 weights
            between = kmeans_thresholds(scaled, len(levels))
            if (np.diff(between) > 0).all():  # else clusters coincide, as those of a layer that begins at zero
                thresholds = torch.from_numpy(between).to(weight.device)
        self.beta = nn.Parameter(beta)
        self.alpha = nn.Parameter(1 / beta)
        self.register_buffer("thresholds", thresholds)
        self.register_buffer("temperature", torch.tensor(temperature_at(1), device=weight.device))
        self._numbers: tuple[float, float] | None = None  # temperature, least distance of thresholds; read off once

    def sharpen(self, temperature: float) -> None:
        """Set the temperature."""
        self.temperature.fill_(temperature)
        self._numbers = (temperature, self._numbers[1]) if self._numbers else None

    def _apart(self) -> bool:
        """Whether the steps no longer overlap. Reading a buffer makes a GPU wait, so it is done once."""
        if self._numbers is None:
            gaps = self.thresholds.diff()
            self._numbers = float(self.temperature), float(gaps.min()) if len(gaps) else float("inf")
        return self._numbers[0] * self._numbers[1] / 2 > SATURATED

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._numbers = None

    @property
    def scales(self) -> Tensor:
        return positive(self.alpha)

    def scaled(self, weight: Tensor) -> Tensor:
        """beta * w. Shape: [O, ...] -> [O, ...]."""
        return weight * spread(positive(self.beta), weight)

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        self.alpha.mul_(factor)
        self.beta.div_(factor)

    def choose(self, weight: Tensor) -> Tensor:
        return torch.bucketize(self.scaled(weight), self.thresholds, right=True)

    def soft(self, weight: Tensor) -> Tensor:
        gaps, offset = self.levels.diff(), -self.levels[0]
        staircase = SoftStaircase.apply(self.scaled(weight), self.thresholds, gaps, self.temperature, self._apart())
        return (staircase - offset) * spread(self.scales, weight)
