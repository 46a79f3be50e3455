"""A stack of convolution blocks as one operation of the native training kernels (native/src/training).

They hold a segment's activations in cache, multiply in bfloat16 and sum in float32: several times the speed of the same
operations one by one (docs/speed-log.md). Used on a processor with AVX-512, under bfloat16 autocast or
`stacks_in_bfloat16`, where nothing is attached to the blocks; everywhere else the blocks run by themselves. Letters: B
batch, C channels, F frames.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..compiled import find_compiled
from ..errors import ConfigError
from .layers import BlockState, ConvBlock

GROUP = 32  # channels that a kernel handles together
_stacks_lowered = ContextVar("_stacks_lowered", default=False)


class Kernels:
    """The native kernels of one instruction set."""

    def __init__(self, module: Any, name: str) -> None:
        self.name = name
        self.saved_bytes = functools.partial(module.stack_saved_bytes, name)
        self.forward = functools.partial(module.stack_forward, name)
        self.backward = functools.partial(module.stack_backward, name)


@functools.cache
def all_kernels() -> dict[str, Kernels]:
    """What this processor can run, by name, the fastest first."""
    module, _ = find_compiled()
    return {} if module is None else {name: Kernels(module, name) for name in module.training_kernels()}


def kernels() -> Kernels | None:
    """The fastest, those that TINYWASE_TRAINING_KERNELS names, or none of them if it says 0.

    Raises:
        ConfigError: it names others.
    """
    wanted, found = os.environ.get("TINYWASE_TRAINING_KERNELS"), all_kernels()
    if wanted and wanted != "0" and wanted not in found:
        here = ", ".join(("0", *found))
        raise ConfigError(f"TINYWASE_TRAINING_KERNELS = '{wanted}': expected one of {here} on this processor.")
    return found.get(wanted) if wanted else next(iter(found.values()), None)


@contextmanager
def stacks_in_bfloat16() -> Iterator[None]:
    """Stacks run by the kernels, everything else in float32: faster than autocast where bfloat16 is emulated."""
    token = _stacks_lowered.set(True)
    try:
        yield
    finally:
        _stacks_lowered.reset(token)


def run_blocks(
    blocks: Sequence[ConvBlock], x: Tensor, states: Sequence[BlockState] | None = None
) -> tuple[Tensor, Tensor]:
    """Blocks one after another, from silence unless `states` says what was before.

    Shape: [B, C, F] -> x after them and the sum of their skips, each [B, C, F].
    """
    if states is None and can_fuse(blocks, x):
        return run_stack(blocks, x)
    if states is None and _trains_on_gpu(blocks, x):
        from .gpu_block import run_on_gpu  # Triton, where there is a GPU

        return run_on_gpu(blocks, x)
    skips: Tensor | None = None
    for i, block in enumerate(blocks):
        x, skip = block(x, None if states is None else states[i])
        skips = skip if skips is None else skips + skip
    assert skips is not None
    return x, skips


def _trains_on_gpu(blocks: Sequence[ConvBlock], x: Tensor) -> bool:
    """Whether gpu_block.py does what the blocks would, up to bfloat16: float activations, Triton there."""
    return (
        x.is_cuda
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cuda")
        and not torch.compiler.is_compiling()
        and not any(block._forward_hooks for block in blocks)
        and all(type(point) is nn.Identity for block in blocks for point in _points(block))
        and all(block.depthwise.kernel_size == (3,) for block in blocks)
        and find_spec("triton") is not None
    )


def can_fuse(blocks: Sequence[nn.Module], x: Tensor) -> bool:
    """Whether `run_stack` does what the blocks would, up to bfloat16, and somebody asked for bfloat16."""
    return (
        x.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and (_stacks_lowered.get() or _autocast_to_bfloat16())
        and x.shape[1] % GROUP == 0
        and all(_is_plain(block) for block in blocks)
        and kernels() is not None
    )


def _autocast_to_bfloat16() -> bool:
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16


def _is_plain(block: nn.Module) -> bool:
    """Whether the kernels can run a block: constant or learned ranges if any, kernel 3, whole groups of channels."""
    return (
        isinstance(block, ConvBlock)
        and not block._forward_hooks  # somebody wants to see what leaves it
        and all(type(point) is nn.Identity or hasattr(point, "scale") for point in _points(block))
        and block.depthwise.kernel_size == (3,)
        and block.expand.out_channels % GROUP == 0
    )


def _points(block: ConvBlock) -> tuple[Any, Any, Any]:
    """Where activations may be quantized: identities, or what quant/activation.py put in their place."""
    return block.expand_input, block.depthwise_input, block.output_input


def run_stack(blocks: Sequence[ConvBlock], x: Tensor) -> tuple[Tensor, Tensor]:
    """`run_blocks` by the kernels, where `can_fuse`."""
    first = blocks[0].depthwise
    dilations = tuple(block.depthwise.dilation[0] for block in blocks)
    tensors = [tensor for block in blocks for tensor in _tensors(block)]
    scales, constants = _ranges(blocks)
    options = first.out_channels, first.causal, blocks[0].expand_norm.keeps, dilations
    out, skip = FusedStack.apply(x.transpose(1, 2), options, scales, constants, *tensors)
    return out.transpose(1, 2), skip.transpose(1, 2)


def _ranges(blocks: Sequence[ConvBlock]) -> tuple[Tensor, Tensor]:
    """Scales of the activation points (0: float), and zero points with top steps. Shape: -> [X, 3], [X, 3, 2]."""
    nothing = torch.zeros(1)
    scales, constants = [], []
    for point in (point for block in blocks for point in _points(block)):
        plain = type(point) is nn.Identity
        scale, zero_point = (nothing, nothing) if plain else point.parameters_for(nothing)
        scales.append(scale)
        constants.append(torch.cat([zero_point, nothing if plain else torch.exp2(point.bits) - 1]))
    return torch.cat(scales).view(-1, 3), torch.stack(constants).view(-1, 3, 2)


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
        ctx: Any,
        x: Tensor,
        options: tuple[int, bool, float, tuple[int, ...]],
        scales: Tensor,
        constants: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, Tensor]:
        x = x.float().contiguous()
        hidden, causal, norm_keeps, dilations = options
        ctx.options = shape = hidden, causal, norm_keeps, list(dilations)
        ranges = torch.cat([scales.detach()[..., None], constants], -1).contiguous()
        out, skip = torch.empty_like(x), torch.empty_like(x)
        ctx.kernels = native = kernels()
        assert native is not None
        saved = torch.empty(native.saved_bytes(x.numpy(), *shape), dtype=torch.uint8)
        arrays = _arrays(tensors), ranges.numpy(), out.numpy(), skip.numpy(), saved.numpy()
        native.forward(x.numpy(), *shape, *arrays)
        ctx.save_for_backward(saved, ranges, *tensors)
        return out, skip

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor, grad_skip: Tensor) -> tuple[Tensor | None, ...]:
        saved, ranges, *tensors = ctx.saved_tensors
        grad_x, to_scales = torch.empty(grad_out.shape), torch.zeros(ranges.shape[:2])
        sizes = [tensor.numel() for tensor in tensors]
        pieces = torch.zeros(sum(sizes)).split(sizes)
        gradients = [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]
        ctx.kernels.backward(
            grad_out.float().contiguous().numpy(),
            grad_skip.float().contiguous().numpy(),
            *ctx.options,
            _arrays(tensors),
            ranges.numpy(),
            saved.numpy(),
            grad_x.numpy(),
            _arrays(gradients),
            to_scales.numpy(),
        )
        # Learned scales are damped by the size of what they scale (quant/activation.py).
        segments, frames, channels = grad_out.shape
        wide = segments * frames * ctx.options[0]
        values = torch.tensor([segments * frames * channels, wide, wide])
        to_scales *= (values * ranges[..., 2]).clamp_min(1).rsqrt()
        return grad_x, None, to_scales, None, *gradients


def _arrays(tensors: Sequence[Tensor]) -> list[Any]:
    """float32 views (or copies, where a tensor is of another type)."""
    return [tensor.detach().float().contiguous().numpy() for tensor in tensors]
