"""The operations of the network, each computed in the form its device likes; the values are the same.

Compiled: plain formulas, which the compiler fuses with their neighbours; a pointwise convolution is a matrix product,
because a convolution library would reorder [B, C, F] first. On a CPU: gradients written out (gradients.py), and
products over frames side by side, as the training kernels (fused.py) leave them. Otherwise: torch's own kernels.
Letters: B batch, C and H channels, N filters, L window, F frames, T samples, P kernel, d dilation.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from .gradients import DilatedDepthwise, SharedSlope


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """max(x, 0) + slope min(x, 0). Shape: any, [1] -> any."""
    if torch.compiler.is_compiling() or x.is_cuda:
        return functional.prelu(x, slope.to(x.dtype))
    return cast(Tensor, SharedSlope.apply(x, slope))


def pointwise(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolution of kernel 1. Shape: [B, C, F], [H, C, 1], [H] -> [B, H, F]."""
    if torch.compiler.is_compiling():
        y = torch.bmm(weight[..., 0].expand(x.shape[0], -1, -1), x)
        return y + bias.to(y.dtype)[:, None]
    if x.is_cuda:
        y = torch.matmul(weight[..., 0], x)
        return y + bias.to(y.dtype)[:, None]
    return functional.linear(x.transpose(1, 2), weight[..., 0], bias).transpose(1, 2)


def depthwise(x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """Depthwise convolution without padding. Shape: [B, C, F + (P-1) d], [C, 1, P], [C] -> [B, C, F]."""
    if torch.compiler.is_compiling():
        frames = x.shape[-1] - (weight.shape[-1] - 1) * dilation
        y = bias[:, None] + weight[:, 0, :1] * x[..., :frames]
        for k in range(1, weight.shape[-1]):
            y = y + weight[:, 0, k : k + 1] * x[..., k * dilation : k * dilation + frames]
        return y
    if x.is_cuda:
        return functional.conv1d(x, weight, bias, dilation=dilation, groups=len(weight))
    return cast(Tensor, DilatedDepthwise.apply(x, weight, bias, dilation))


def analyze(signal: Tensor, weight: Tensor, hop: int) -> Tensor:
    """Filters over every window. Shape: [B, T], [N, 1, L] -> [B, N, F]."""
    if torch.compiler.is_compiling():
        return functional.conv1d(signal[:, None], weight, stride=hop)
    windows = signal.unfold(-1, weight.shape[-1], hop)  # [B, F, L]
    if signal.is_cuda:
        return torch.matmul(weight[:, 0], windows.transpose(1, 2))
    return functional.linear(windows, weight[:, 0]).transpose(1, 2)


def synthesize(latent: Tensor, weight: Tensor, hop: int) -> Tensor:
    """Filters added up where windows overlap, hop by hop. Shape: [B, N, F], [N, 1, L] -> [B, (F - 1) hop + L]."""
    if torch.compiler.is_compiling():
        return functional.conv_transpose1d(latent, weight, stride=hop)[:, 0]
    if latent.is_cuda:
        windows = torch.matmul(weight[:, 0].t(), latent).transpose(1, 2)  # [B, F, L]
    else:
        windows = functional.linear(latent.transpose(1, 2), weight[:, 0].t())
    return overlap_add(windows, hop)


def overlap_add(windows: Tensor, hop: int) -> Tensor:
    """Windows of whole hops, one hop after another. Shape: [B, F, L] -> [B, (F - 1) hop + L]."""
    parts = [part.flatten(1) for part in windows.split(hop, -1)]  # each [B, F hop]
    late = len(parts) - 1
    return cast(Tensor, sum(functional.pad(part, (i * hop, (late - i) * hop)) for i, part in enumerate(parts)))
