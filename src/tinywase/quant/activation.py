"""Activations on 2^bits steps with an integer zero point, straight-through [Huang22].

    q = clip(rint(x / scale) + zero_point, 0, 2^bits - 1);   x' = (q - zero_point) * scale

The range always holds zero, so that padding is exact. Three quantizers for one point, in the order of a point's life:

    DynamicRange   min and max of the tensor as it comes (the paper's): an item's result depends on its batch and on
                   its future
    LearnedRange   a fixed zero point and a learned scale
    FrozenRange    constants: the only one that can be packed

Gradient: 1 inside the range, 0 where x is clipped; the learned scale's as in `lsq`. Shapes: any.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from ..errors import ConfigError
from .base import positive


class AffineSteps(torch.autograd.Function):
    """Fake-quantize with a scale and a zero point, straight-through."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Tensor, zero_point: Tensor, bits: Tensor) -> Tensor:
        ratio = x / scale
        steps = torch.round(ratio) + zero_point
        top = torch.exp2(bits) - 1
        inside = (steps >= 0) & (steps <= top)
        whole = torch.minimum(steps.clamp_min(0), top) - zero_point
        learned = ctx.needs_input_grad[1]  # type: ignore[attr-defined]
        ctx.save_for_backward(inside, *([torch.where(inside, whole - ratio, whole)] if learned else []))
        ctx.gradient_scale = (x.numel() * top).rsqrt()  # type: ignore[attr-defined]
        return whole * scale

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        inside, *towards_scale = ctx.saved_tensors  # type: ignore[attr-defined]
        total = [(grad * towards).sum().view(1) * ctx.gradient_scale for towards in towards_scale]  # type: ignore[attr-defined]
        return grad * inside, total[0] if total else None, None, None


def affine_range(low: Tensor, high: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and integer zero point that cover low..high and zero. Shape: [1], [1], [1] -> [1], [1]."""
    low, high = low.clamp_max(0), high.clamp_min(0)
    top = torch.exp2(bits) - 1
    scale = (high - low) / top
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # nothing but zeros: any scale keeps them
    return scale, torch.round(-low / scale).clamp(torch.zeros_like(top), top)


class ActivationQuantizer(nn.Module):
    """One activation point: replaces the named identity of the network."""

    bits: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.register_buffer("bits", torch.tensor([float(bits)]))

    def parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and zero point to use on x, [1] each."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Fake-quantize. Shape: [any] -> the same."""
        scale, zero_point = self.parameters_for(x)
        return AffineSteps.apply(x, scale, zero_point, self.bits)

    def extra_repr(self) -> str:
        return f"bits={int(self.bits)}"


class DynamicRange(ActivationQuantizer):
    """The paper's: the range of each tensor as it comes. It remembers the widest range seen while `recording`."""

    low: Tensor
    high: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__(bits)
        self.recording = False
        self.register_buffer("low", torch.tensor([float("inf")]))
        self.register_buffer("high", torch.tensor([-float("inf")]))

    def parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low, high = (edge.float().view(1) for edge in x.detach().aminmax())
        if self.recording:
            self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        return affine_range(low, high, self.bits)

    def recorded(self, name: str) -> tuple[Tensor, Tensor]:
        """Scale and zero point of the widest recorded range.

        Raises:
            ConfigError: nothing was recorded.
        """
        if not torch.isfinite(self.low):
            raise ConfigError(
                f"activation point {name}: no range was recorded. Calibrate over some batches, then freeze."
            )
        return affine_range(self.low, self.high, self.bits)


class FrozenRange(ActivationQuantizer):
    """A constant range: what the packed file holds."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, bits: int, scale: Tensor, zero_point: Tensor) -> None:
        super().__init__(bits)
        self.register_buffer("scale", scale.detach().clone())
        self.register_buffer("zero_point", zero_point.detach().clone())

    def parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.scale, self.zero_point


class LearnedRange(ActivationQuantizer):
    """A learned scale around a fixed zero point."""

    zero_point: Tensor

    def __init__(self, bits: int, scale: Tensor, zero_point: Tensor) -> None:
        super().__init__(bits)
        self.scale = nn.Parameter(scale.detach().clone())
        self.register_buffer("zero_point", zero_point.detach().clone())

    def parameters_for(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return positive(self.scale), self.zero_point
