"""Learned step size [LSQ, Esser et al. 2020] over an explicit table of levels, so that 1 bit and ternary are ordinary
cases.

    Q(w) = s * level nearest to w / s
    dQ/dw = 1 inside the table's range, else 0
    dQ/ds = (level - w/s) inside, level outside; times 1 / sqrt(weights * top level)

Shapes: K levels, O output channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from .base import WeightQuantizer, positive
from .levels import fit_scale, level_table, nearest, one_scale, spread


class NearestLevel(torch.autograd.Function):
    """levels[codes] * scale with LSQ's gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, scale: Tensor, levels: Tensor, codes: Tensor) -> Tensor:
        chosen = levels[codes]
        ratio = weight / spread(scale, weight)
        inside = (ratio > levels[0]) & (ratio < levels[-1])
        ctx.save_for_backward(inside, torch.where(inside, chosen - ratio, chosen), scale)
        size = weight.numel() // scale.numel() * levels[-1]  # a tensor: asking a GPU for a number would make it wait
        ctx.gradient_scale = size.rsqrt()  # type: ignore[attr-defined]
        return chosen * spread(scale, weight)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        inside, towards_scale, scale = ctx.saved_tensors  # type: ignore[attr-defined]
        product = grad * towards_scale
        total = product.sum().view(1) if scale.numel() == 1 else product.flatten(1).sum(1)
        return grad * inside, total * ctx.gradient_scale, None, None  # type: ignore[attr-defined]


class Lsq(WeightQuantizer):
    """Learned step size; the step starts where the squared error of the given weight is least, at 1 without `fit`."""

    def __init__(
        self, weight: Tensor, *, bits: int, per_channel: bool = False, table: str = "symmetric", fit: bool = True
    ) -> None:
        levels = torch.from_numpy(level_table(bits, table)).to(weight.device)
        super().__init__(levels, bits=bits, per_channel=per_channel)
        begin = fit_scale(weight, levels, per_channel=per_channel) if fit else one_scale(weight, per_channel)
        self.step = nn.Parameter(begin)

    @property
    def scales(self) -> Tensor:
        return positive(self.step)

    @torch.no_grad()
    def rescale(self, factor: float) -> None:
        self.step.mul_(factor)

    def choose(self, weight: Tensor) -> Tensor:
        return nearest(weight / spread(self.scales, weight), self.levels)

    def soft(self, weight: Tensor) -> Tensor:
        return NearestLevel.apply(weight, self.scales, self.levels, self.choose(weight.detach()))

    @staticmethod
    def together(quantizers: Sequence[Lsq], weights: Sequence[Tensor]) -> Sequence[Tensor]:
        """`soft` of several weights, in one go where they have scales per channel and the same levels."""
        first = quantizers[0]
        if any(not q.per_channel or len(q.levels) != len(first.levels) for q in quantizers):
            return [quantizer.soft(weight) for quantizer, weight in zip(quantizers, weights, strict=True)]
        joined, scales = torch.cat(list(weights)), positive(torch.cat([quantizer.step for quantizer in quantizers]))
        codes = nearest(joined.detach() / spread(scales, joined), first.levels)
        found = NearestLevel.apply(joined, scales, first.levels, codes)
        return cast(Tensor, found).split([len(weight) for weight in weights])
