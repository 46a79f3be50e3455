"""Two operations whose stock gradients are slow on a CPU, with gradients written out; values are unchanged.

Measured (docs/speed-log.md): nn.PReLU's backward and the grouped Conv1d took half of a training step.
Letters: B batch, C channels, F frames, P kernel, d dilation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


class SharedSlope(Function):
    """PReLU with one slope a: y = x where x > 0, else a x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return functional.prelu(x, slope.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        grad = grad.to(x.dtype)  # autocast may have lowered what came out
        upper = torch.ops.aten.threshold_backward(grad, x, 0.0)  # grad where x > 0, else 0
        flat_x = x.reshape(-1)
        grad_slope = torch.dot(grad.reshape(-1), flat_x) - torch.dot(upper.reshape(-1), flat_x)
        return torch.lerp(upper, grad, slope.to(grad.dtype)), grad_slope.reshape(1).to(slope.dtype)


class DilatedDepthwise(Function):
    """Depthwise convolution without padding: y[f] = b + sum_k w[k] x[f + k d], as P shifted multiply-adds."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        """Shape: x [B, C, F + (P-1) d], weight [C, 1, P], bias [C] -> [B, C, F]."""
        ctx.save_for_backward(x, weight)
        ctx.dilation, ctx.bias_dtype = dilation, bias.dtype
        taps = weight.to(x.dtype)
        kernel = taps.shape[-1]
        frames = x.shape[-1] - (kernel - 1) * dilation
        y = torch.addcmul(bias.to(x.dtype)[:, None], x[..., :frames], taps[:, 0, :1])
        for k in range(1, kernel):
            y.addcmul_(x[..., k * dilation : k * dilation + frames], taps[:, 0, k : k + 1])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        dilation, frames = ctx.dilation, grad.shape[-1]
        taps = weight.to(grad.dtype)
        grad_x = torch.zeros_like(x)
        grad_taps = []
        for k in range(taps.shape[-1]):
            window = slice(k * dilation, k * dilation + frames)
            grad_x[..., window].addcmul_(grad, taps[:, 0, k : k + 1])
            grad_taps.append(torch.einsum("bcf,bcf->c", grad, x[..., window]))
        grad_weight = torch.stack(grad_taps, -1)[:, None].to(weight.dtype)
        return grad_x, grad_weight, grad.sum((0, 2)).to(ctx.bias_dtype), None
