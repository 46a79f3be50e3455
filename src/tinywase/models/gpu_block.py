"""A convolution block as a few kernels of its own, forward and backward: how stacks train on a GPU.

A GPU waits for memory, not for products. Between two products every activation is read and written as rarely as its
norms allow, in bfloat16, and everything is computed in float32 (gpu_kernels.py). Weights may be on levels
(quant/lsq.py); activations are float. What a causal norm knows at a frame are sums over the frames before it, the later
ones whole: a product with a triangular matrix, and in the backward pass with its transpose. Letters: B segments, C
channels, H hidden channels, F frames, O output channels.
"""

from __future__ import annotations

import functools
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
        past: Tensor | None,  # [F, F]: of a causal block, the share of frame g in what its norms know at frame f
    ) -> tuple[Tensor, Tensor, Tensor]:
        (batch, channels, frames), hidden = x.shape, len(expand)
        rows, options = (batch * hidden,), {"BLOCK": BLOCK, "num_warps": WARPS}
        causal = {"CAUSAL": past is not None} | options
        u = _product(expand, low)
        sums, late_sums = (_no_sums(x, hidden, frames, past) for _ in range(2))
        gpu_kernels.sum_values[rows](u, bias, slope, sums, hidden, frames, **causal)
        moments = _moments(sums, frames, past)
        early = bias, slope, gain, shift, moments
        v = torch.empty_like(u)
        gpu_kernels.convolve[rows](
            u, *early, depthwise, late_bias, late_slope, v, late_sums, hidden, frames, dilation, **causal
        )
        late_moments = _moments(late_sums, frames, past)
        h = torch.empty_like(u)
        late = late_slope, late_gain
        gpu_kernels.normalize[rows](v, *late, late_shift, late_moments, h, hidden, frames, **causal)
        y = _product(outputs, h)
        x_out, skips_out, low_out = torch.empty_like(x), torch.empty_like(skips), torch.empty_like(low)
        gpu_kernels.add_outputs[(batch * channels,)](
            x, skips, y, output_bias, x_out, skips_out, low_out, channels, frames, **options
        )
        ctx.save_for_backward(low, u, v, h, expand, depthwise, outputs, *early, *late, late_moments, past)
        ctx.dilation = dilation
        ctx.mark_non_differentiable(low_out)  # x_out's gradient is everything
        return x_out, low_out, skips_out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gx: Tensor, _: Tensor, gs: Tensor) -> tuple[Tensor | None, ...]:
        low, u, v, h, expand, depthwise, outputs, *others = ctx.saved_tensors
        bias, slope, gain, shift, moments, late_slope, late_gain, late_moments, past = others
        (batch, channels, frames), hidden = low.shape, u.shape[1]
        rows, sizes = (batch * hidden,), (hidden, frames, ctx.dilation)
        options = {"BLOCK": BLOCK, "num_warps": WARPS}
        causal = {"CAUSAL": past is not None} | options
        gx, gs = gx.contiguous(), gs.contiguous()

        def row_sums(count: int) -> Tensor:
            return moments.new_empty(batch, hidden, count)

        gy, to_outputs = u.new_empty(batch, 2 * channels, frames), moments.new_empty(batch, 2 * channels)
        gpu_kernels.join_gradients[(batch * channels,)](gx, gs, gy, to_outputs, channels, frames, **options)
        g = _product(outputs.t(), gy)  # [B, H, F]
        outputs_gradient = torch.bmm(gy, h.transpose(1, 2)).sum(0, dtype=torch.float32)
        g_sums, g_frames = row_sums(2), _no_sums(moments, hidden, frames, past)
        gpu_kernels.late_sums[rows](
            g, v, late_slope, late_gain, late_moments, g_sums, g_frames, hidden, frames, **causal
        )
        late_means = _means(g_sums, late_gain, frames) if past is None else _back(g_frames, late_moments, past)
        dv, late_out = torch.empty_like(u), row_sums(5)
        gpu_kernels.to_convolution[rows](
            *(g, v, late_slope, late_gain, late_moments, late_means),
            *(u, bias, slope, gain, shift, moments, dv, late_out),
            *sizes,
            **causal,
        )
        h_sums, h_frames = row_sums(2), _no_sums(moments, hidden, frames, past)
        gpu_kernels.early_sums[rows](dv, depthwise, u, bias, slope, gain, moments, h_sums, h_frames, *sizes, **causal)
        means = _means(h_sums, gain, frames) if past is None else _back(h_frames, moments, past)
        du, early_out = g, row_sums(2)  # g is used up: du takes its memory
        gpu_kernels.to_expansion[rows](
            dv, depthwise, u, bias, slope, gain, moments, means, du, early_out, *sizes, **causal
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
            *(None, None),
        )


def _no_sums(like: Tensor, hidden: int, frames: int, past: Tensor | None) -> Tensor:
    """Where two sums of every row go, or, where rows add to them, of every frame. Shape: -> [B, H, 2] or [B, 2, F]."""
    batch = len(like)
    return like.new_empty(batch, hidden, 2) if past is None else like.new_zeros(batch, 2, frames)


def _moments(sums: Tensor, frames: int, past: Tensor | None) -> Tensor:
    """Mean and inverse deviation of every segment, or at every frame. Shape: [B, H, 2] -> [B, 2]; [B, 2, F] -> the
    same."""
    if past is not None:
        mean, square = (sums @ past.t()).unbind(1)
        return torch.stack([mean, torch.rsqrt((square - mean.square()).clamp_min(0) + EPSILON)], 1)
    (batch, hidden, _), found = sums.shape, sums.new_empty(len(sums), 2)
    pad = triton.next_power_of_2(hidden)
    gpu_kernels.find_moments[(batch,)](sums, found, hidden, pad, float(hidden * frames), EPSILON, num_warps=WARPS)
    return found


def _back(sums: Tensor, moments: Tensor, past: Tensor) -> Tensor:
    """What comes back through the moments of every frame, in the form of `_means`; sums: over the channels, of the
    gradient, gain in it, and of it times the values. Shape: [B, 2, F], [B, 2, F] -> [B, 2, F].

    A frame's moments came of all frames before it. With m and r its mean and inverse deviation, a and b the sums, the
    gradient of the mean that it knows is (m r b - a) r, of the mean square -b r r / 2.
    """
    (a, b), (mean, r) = sums.unbind(1), moments.unbind(1)
    to_means = torch.stack([(mean * r * b - a) * r, -0.5 * b * r.square()], 1)
    to_sum, to_squares = (to_means @ past).unbind(1)
    return torch.stack([-(to_sum + 2 * mean * to_squares) / r, -2 * to_squares / r.square()], 1)


@functools.lru_cache(maxsize=4)
def _past(frames: int, hidden: int, keeps: float, device: torch.device) -> Tensor:
    """The share of every value of frame g in the means of all that is known at frame f, where `keeps` is left of a
    frame at the next one. Shape: -> [F, F]."""
    place = torch.arange(frames, device=device, dtype=torch.float64)
    ago = place[:, None] - place
    left = torch.where(ago >= 0, keeps ** ago.clamp_min(0), 0.0)
    return (left / (hidden * left.sum(1, keepdim=True))).float()


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
    first = blocks[0].expand_norm
    past = _past(x.shape[-1], len(first.weight), first.keeps, x.device) if first.causal else None
    with torch.autocast("cuda", enabled=False):  # the kernels say themselves what is rounded
        weights = [_weights([getattr(block, name) for block in blocks]) for name in CONVOLUTIONS]
        for block, expand, depthwise, residual, skip in zip(blocks, *weights, strict=True):
            x, low, skips = Block.apply(
                *(x, low, skips, expand[..., 0], depthwise[:, 0].contiguous()),
                *(torch.cat([residual, skip])[..., 0], torch.cat([block.residual.bias, block.skip.bias])),
                *(block.expand.bias, block.expand_slope.weight, block.expand_norm.weight, block.expand_norm.bias),
                *(block.depthwise.bias, block.depthwise_slope.weight),
                *(block.depthwise_norm.weight, block.depthwise_norm.bias, block.depthwise.dilation[0], past),
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
