"""A stack of convolution blocks as one operation of the native training kernels (native/src/training).

They hold a segment's activations in cache, multiply in bfloat16 and sum in float32: several times the speed of the same
operations one by one (docs/speed-log.md). Used on a processor that has the instructions, under bfloat16 autocast, where
nothing is attached to the blocks; everywhere else the blocks run by themselves. Letters: B batch, C channels, F frames.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .layers import BlockState, ConvBlock

GROUP = 32  # channels that a kernel handles together


@functools.cache
def _kernels() -> Any:
    """The native module, if it is there and this processor can run its training kernels."""
    try:
        from tinywase import _native
    except ImportError:
        return None
    return _native if _native.training_supported() else None


def run_blocks(
    blocks: Sequence[ConvBlock], x: Tensor, states: Sequence[BlockState] | None = None
) -> tuple[Tensor, Tensor]:
    """Blocks one after another, from silence unless `states` says what was before.

    Shape: [B, C, F] -> x after them and the sum of their skips, each [B, C, F].
    """
    if states is None and can_fuse(blocks, x):
        return run_stack(blocks, x)
    skips: Tensor | None = None
    for i, block in enumerate(blocks):
        x, skip = block(x, None if states is None else states[i])
        skips = skip if skips is None else skips + skip
    assert skips is not None
    return x, skips


def can_fuse(blocks: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether `run_stack` computes what the blocks would, up to bfloat16: plain blocks, on this processor, autocast on."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and os.environ.get("TINYWASE_TRAINING_KERNELS") != "0"
        and x.shape[1] % GROUP == 0
        and all(_is_plain(block) for block in blocks)
        and _kernels() is not None
    )


def _is_plain(block: nn.Module) -> bool:
    """Whether nothing but floats is in a block: no quantized activations, kernel 3, whole groups of channels."""
    return (
        isinstance(block, ConvBlock)
        and not block._forward_hooks  # somebody wants to see what leaves it
        and all(type(m) is nn.Identity for m in (block.expand_input, block.depthwise_input, block.output_input))
        and block.depthwise.kernel_size == (3,)
        and block.expand.out_channels % GROUP == 0
    )


def run_stack(blocks: Sequence[ConvBlock], x: Tensor) -> tuple[Tensor, Tensor]:
    """All blocks one after another, from silence. Shape: [B, C, F] -> x after them and the sum of their skips, each [B, C, F]."""
    first = blocks[0].depthwise
    dilations = tuple(block.depthwise.dilation[0] for block in blocks)
    tensors = [tensor for block in blocks for tensor in _tensors(block)]
    frames_first = x.transpose(1, 2)
    out, skip = FusedStack.apply(frames_first, first.out_channels, first.causal, dilations, *tensors)
    return out.transpose(1, 2), skip.transpose(1, 2)


def _tensors(block: ConvBlock) -> tuple[Tensor, ...]:
    """In the order of the kernels' BlockTensors."""
    return (
        *(block.expand.weight, block.expand.bias, block.expand_slope.weight),
        *(block.expand_norm.weight, block.expand_norm.bias),
        *(block.depthwise.weight, block.depthwise.bias, block.depthwise_slope.weight),
        *(block.depthwise_norm.weight, block.depthwise_norm.bias),
        *(block.residual.weight, block.residual.bias, block.skip.weight, block.skip.bias),
    )  # type: ignore[return-value]


class FusedStack(Function):
    """x [B, F, C] and the blocks' tensors -> x after the blocks, sum of their skips."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, hidden: int, causal: bool, dilations: tuple[int, ...], *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        x = x.float().contiguous()
        ctx.options = hidden, causal, list(dilations)
        own = _arrays(tensors)
        out, skip = torch.empty_like(x), torch.empty_like(x)
        saved = torch.empty(_kernels().stack_saved_bytes(x.numpy(), *ctx.options), dtype=torch.uint8)
        _kernels().stack_forward(x.numpy(), *ctx.options, own, out.numpy(), skip.numpy(), saved.numpy())
        ctx.save_for_backward(saved, *tensors)
        return out, skip

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_skip: Tensor) -> tuple[Tensor | None, ...]:
        saved, *tensors = ctx.saved_tensors
        grad_x = torch.empty(grad_out.shape)
        flat = torch.zeros(sum(tensor.numel() for tensor in tensors))
        pieces = flat.split([tensor.numel() for tensor in tensors])
        gradients = [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]
        _kernels().stack_backward(
            grad_out.float().contiguous().numpy(),
            grad_skip.float().contiguous().numpy(),
            *ctx.options,
            _arrays(tensors),
            saved.numpy(),
            grad_x.numpy(),
            _arrays(gradients),
        )
        return grad_x, None, None, None, *gradients


def _arrays(tensors: Sequence[Tensor]) -> list[Any]:
    """float32 views (or copies, where a tensor is of another type)."""
    return [tensor.detach().float().contiguous().numpy() for tensor in tensors]
