"""A convolution block as a few kernels of its own, forward and backward: how stacks train on a GPU.

A GPU waits for memory, not for products. Between two products every activation is read and written as rarely as its
norms allow, in bfloat16, and everything is computed in float32 (gpu_kernels.py). Weights may be on levels
(quant/lsq.py); activations are float. Letters: B segments, C channels, H hidden channels, F frames, O output channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import triton
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import gpu_kernels
from .layers import EPSILON, ConvBlock

BLOCK = 512  # frames at once
WARPS = 4
ROUNDED = torch.bfloat16  # what products are made of, and what is kept for the backward pass
CONVOLUTIONS = ("expand", "depthwise", "residual", "skip")


def _product(weight: Tensor, x: Tensor) -> Tensor:
    """Shape: [O, C], [B, C, F] -> [B, O, F], rounded as x is."""
    return torch.bmm(weight.to(x.dtype).expand(x.shape[0], -1, -1), x)


class Block(Function):
    """x, its rounded copy and the skips so far, each [B, C, F], and a block's tensors -> the same three."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        low: Tensor,
        skips: Tensor,
        expand: Tensor,  # [H, C]
        depthwise: Tensor,  # [H, 3]
        outputs: Tensor,  # [2 C, H]: residual and skip
        output_bias: Tensor,  # [2 C]
        bias: Tensor,
        slope: Tensor,
        gain: Tensor,
        shift: Tensor,
        late_bias: Tensor,
        late_slope: Tensor,
        late_gain: Tensor,
        late_shift: Tensor,
        dilation: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (batch, channels, frames), hidden = x.shape, len(expand)
        rows, options = (batch * hidden,), {"BLOCK": BLOCK, "num_warps": WARPS}
        u = _product(expand, low)
        sums, late_sums = (x.new_empty(batch, hidden, 2) for _ in range(2))
        gpu_kernels.sum_rows[rows](u, bias, slope, sums, hidden, frames, **options)
        moments = _moments(sums, frames)
        early = bias, slope, gain, shift, moments
        v = torch.empty_like(u)
        gpu_kernels.convolve[rows](
            u, *early, depthwise, late_bias, late_slope, v, late_sums, hidden, frames, dilation, **options
        )
        late_moments = _moments(late_sums, frames)
        h = torch.empty_like(u)
        gpu_kernels.normalize[rows](v, late_slope, late_gain, late_shift, late_moments, h, hidden, frames, **options)
        y = _product(outputs, h)
        x_out, skips_out, low_out = torch.empty_like(x), torch.empty_like(skips), torch.empty_like(low)
        gpu_kernels.add_outputs[(batch * channels,)](
            x, skips, y, output_bias, x_out, skips_out, low_out, channels, frames, **options
        )
        late = late_slope, late_gain, late_moments
        ctx.save_for_backward(low, u, v, h, expand, depthwise, outputs, *early, *late)
        ctx.dilation = dilation
        ctx.mark_non_differentiable(low_out)  # x_out's gradient is everything
        return x_out, low_out, skips_out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gx: Tensor, _: Tensor, gs: Tensor) -> tuple[Tensor | None, ...]:
        low, u, v, h, expand, depthwise, outputs, *others = ctx.saved_tensors
        bias, slope, gain, shift, moments, late_slope, late_gain, late_moments = others
        (batch, channels, frames), hidden = low.shape, u.shape[1]
        rows, sizes = (batch * hidden,), (hidden, frames, ctx.dilation)
        options = {"BLOCK": BLOCK, "num_warps": WARPS}
        gx, gs = gx.contiguous(), gs.contiguous()

        def row_sums(count: int) -> Tensor:
            return moments.new_empty(batch, hidden, count)

        gy, to_outputs = u.new_empty(batch, 2 * channels, frames), moments.new_empty(batch, 2 * channels)
        gpu_kernels.join_gradients[(batch * channels,)](gx, gs, gy, to_outputs, channels, frames, **options)
        g = _product(outputs.t(), gy)  # [B, H, F]
        outputs_gradient = torch.bmm(gy, h.transpose(1, 2)).sum(0, dtype=torch.float32)
        g_sums = row_sums(2)
        gpu_kernels.late_sums[rows](g, v, late_slope, late_moments, g_sums, hidden, frames, **options)
        dv, late_out, late_means = torch.empty_like(u), row_sums(5), _means(g_sums, late_gain, frames)
        gpu_kernels.to_convolution[rows](
            *(g, v, late_slope, late_gain, late_moments, late_means),
            *(u, bias, slope, gain, shift, moments, dv, late_out),
            *sizes,
            **options,
        )
        h_sums = row_sums(2)
        gpu_kernels.early_sums[rows](dv, depthwise, u, bias, slope, moments, h_sums, *sizes, **options)
        du, early_out, means = g, row_sums(2), _means(h_sums, gain, frames)  # g is used up: du takes its memory
        gpu_kernels.to_expansion[rows](
            dv, depthwise, u, bias, slope, gain, moments, means, du, early_out, *sizes, **options
        )
        x_gradient = gx + _product(expand.t(), du)
        expand_gradient = torch.bmm(du, low.transpose(1, 2)).sum(0, dtype=torch.float32)
        late, early = late_out.sum(0), early_out.sum(0)  # [H, 5], [H, 2]
        g_sum, h_sum = g_sums.sum(0), h_sums.sum(0)  # [H, 2]
        return (
            *(x_gradient, None, gs),
            *(expand_gradient, late[:, 2:], outputs_gradient, to_outputs.sum(0)),
            *(early[:, 1], early[:, 0].sum().view(1), h_sum[:, 1], h_sum[:, 0]),
            *(late[:, 1], late[:, 0].sum().view(1), g_sum[:, 1], g_sum[:, 0]),
            None,
        )


def _moments(sums: Tensor, frames: int) -> Tensor:
    """Mean and inverse deviation of every segment. Shape: [B, H, 2] -> [B, 2]."""
    (batch, hidden, _), found = sums.shape, sums.new_empty(len(sums), 2)
    pad = triton.next_power_of_2(hidden)
    gpu_kernels.find_moments[(batch,)](sums, found, hidden, pad, float(hidden * frames), EPSILON, num_warps=WARPS)
    return found


def _means(sums: Tensor, gains: Tensor, frames: int) -> Tensor:
    """Means of every segment's gradient, and of it times the values. Shape: [B, H, 2], [H] -> [B, 2]."""
    (batch, hidden, _), found = sums.shape, sums.new_empty(len(sums), 2)
    pad = triton.next_power_of_2(hidden)
    gpu_kernels.find_means[(batch,)](sums, gains, found, hidden, pad, float(hidden * frames), num_warps=WARPS)
    return found


def run_on_gpu(blocks: Sequence[ConvBlock], x: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks one after another. Shape: [B, C, F] -> x after them and the sum of their skips, float32 [B, C, F]."""
    x = x.float().contiguous()
    low, skips = x.detach().to(ROUNDED), torch.zeros_like(x)
    with torch.autocast("cuda", enabled=False):  # the kernels say themselves what is rounded
        weights = [_weights([getattr(block, name) for block in blocks]) for name in CONVOLUTIONS]
        for block, expand, depthwise, residual, skip in zip(blocks, *weights, strict=True):
            x, low, skips = Block.apply(
                *(x, low, skips, expand[..., 0], depthwise[:, 0].contiguous()),
                *(torch.cat([residual, skip])[..., 0], torch.cat([block.residual.bias, block.skip.bias])),
                *(block.expand.bias, block.expand_slope.weight, block.expand_norm.weight, block.expand_norm.bias),
                *(block.depthwise.bias, block.depthwise_slope.weight),
                *(block.depthwise_norm.weight, block.depthwise_norm.bias, block.depthwise.dilation[0]),
            )
    return x, skips


def _weights(convolutions: Sequence[nn.Conv1d]) -> Sequence[Tensor]:
    """Of the same convolution of several blocks; on levels they find them together, in a few launches."""
    if not all(hasattr(conv, "parametrizations") for conv in convolutions):
        return [conv.weight for conv in convolutions]
    lists: list[Any] = [conv.parametrizations.weight for conv in convolutions]  # type: ignore[union-attr]
    quantizers = [found[0] for found in lists]
    if not all(hasattr(quantizer, "together") for quantizer in quantizers):
        return [conv.weight for conv in convolutions]
    return cast(Sequence[Tensor], quantizers[0].together(quantizers, [found.original for found in lists]))
