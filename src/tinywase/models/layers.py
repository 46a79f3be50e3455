"""The separator's building blocks: PReLU, norms, depthwise convolution, and the convolution block of Conv-TasNet.

Letters: B batch, C channels, H hidden channels, F frames, P kernel. Every layer that remembers the past takes a
`state`; without one it starts from silence, so an offline pass and a stream run the same code and agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .operations import depthwise, pointwise, prelu

EPSILON = 1e-8  # docs/model.md
SUMMED_FRAMES = 256  # at once, where norms forget


class PReLU(nn.Module):
    """max(x, 0) + a min(x, 0) with one learned slope a."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return prelu(x, self.weight)


@dataclass
class NormState:
    """Running sums of a cumulative norm over the frames so far, in float64 so that hours do not drift."""

    count: Tensor | float = 0.0  # of frames, each by how much of it is left
    total: Tensor | float = 0.0  # [B, 1]
    squares: Tensor | float = 0.0  # [B, 1]


class Norm(nn.Module):
    """Layer norm over channels and time, with a gain and a bias per channel.

    Global: one mean and variance for the clip. Causal: those of frames 0..f, for every frame f (cumulative layer norm);
    where `keeps` is less than 1, that much of the sums is left from one frame to the next.
    """

    def __init__(self, channels: int, *, causal: bool = False, keeps: float = 1.0) -> None:
        super().__init__()
        self.causal, self.keeps = causal, keeps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, state: NormState | None = None) -> Tensor:
        """Shape: [B, C, F] -> [B, C, F]."""
        if not self.causal:
            return functional.group_norm(x, 1, self.weight, self.bias, EPSILON)
        state = state if state is not None else NormState()
        mean, variance = self._cumulative(x, state)
        normalized = (x - mean) / torch.sqrt(variance + EPSILON)
        return normalized * self.weight[:, None] + self.bias[:, None]

    def _cumulative(self, x: Tensor, state: NormState) -> tuple[Tensor, Tensor]:
        """Mean and variance of everything up to each frame, [B, 1, F]; the sums move on in `state`."""
        x = x.float()
        total = running_sums(x.sum(1).double(), state.total, self.keeps)  # [B, F]
        squares = running_sums(x.square().sum(1).double(), state.squares, self.keeps)
        frames = running_sums(torch.ones_like(total[:1]), state.count, self.keeps)  # [1, F]
        count = x.shape[1] * frames
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0.0)
        if x.shape[2]:
            state.total, state.squares, state.count = total[:, -1:], squares[:, -1:], frames[:, -1:]
        return mean.float()[:, None], variance.float()[:, None]


def running_sums(values: Tensor, before: Tensor | float, keeps: float) -> Tensor:
    """sum[f] = keeps * sum[f - 1] + values[f], beginning with `before`. Shape: [B, F], [B, 1] -> [B, F]."""
    if keeps == 1.0:
        return before + values.cumsum(-1)
    done = []
    for part in values.split(SUMMED_FRAMES, -1):
        place = torch.arange(part.shape[-1], device=part.device, dtype=part.dtype)
        ago = place[:, None] - place  # [F, F]
        left = torch.where(ago >= 0, keeps ** ago.clamp_min(0), 0.0)
        done.append(part @ left.T + before * keeps ** (place + 1))
        before = done[-1][:, -1:]
    return torch.cat(done, -1) if done else values


class PointwiseConv(nn.Conv1d):
    """Convolution of kernel 1: a linear layer for every frame."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: [B, C, F] -> [B, H, F]."""
        return pointwise(x, self.weight, cast(Tensor, self.bias))


class DepthwiseConv(nn.Conv1d):
    """Dilated depthwise convolution that keeps the number of frames: centred, or causal with a memory of the past."""

    def __init__(self, channels: int, kernel: int, *, dilation: int, causal: bool) -> None:
        super().__init__(channels, channels, kernel, dilation=dilation, groups=channels)
        self.causal = causal

    @property
    def memory_frames(self) -> int:
        """Past frames a causal convolution needs: (P-1) * dilation."""
        return (self.kernel_size[0] - 1) * self.dilation[0]

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Shape: [B, H, F] -> [B, H, F]; `past` [B, H, memory_frames] stands before x (zeros if it is left out)."""
        if self.causal:
            past = past if past is not None else x.new_zeros(x.shape[0], x.shape[1], self.memory_frames)
            padded = torch.cat([past, x], -1)
        else:
            padded = functional.pad(x, (self.memory_frames // 2, self.memory_frames // 2))
        return depthwise(padded, self.weight, cast(Tensor, self.bias), self.dilation[0])


@dataclass
class BlockState:
    """What a causal block remembers between chunks."""

    expand: NormState
    depthwise: NormState
    past: Tensor | None = None  # [B, H, memory_frames]

    @staticmethod
    def silence() -> BlockState:
        """Before the first frame. (A default factory in its place would stop torch.compile.)"""
        return BlockState(NormState(), NormState())


class ConvBlock(nn.Module):
    """1x1 expand, PReLU, norm, depthwise, PReLU, norm, then two 1x1: residual (added to x) and skip (docs/model.md 3).

    The `*_input` identities name the activations that a quantizer may attach to.
    """

    def __init__(
        self,
        bottleneck: int,
        hidden: int,
        kernel: int,
        *,
        dilation: int,
        causal: bool = False,
        norm_keeps: float = 1.0,
    ) -> None:
        super().__init__()
        self.expand_input = nn.Identity()
        self.expand = PointwiseConv(bottleneck, hidden)
        self.expand_slope = PReLU()
        self.expand_norm = Norm(hidden, causal=causal, keeps=norm_keeps)
        self.depthwise_input = nn.Identity()
        self.depthwise = DepthwiseConv(hidden, kernel, dilation=dilation, causal=causal)
        self.depthwise_slope = PReLU()
        self.depthwise_norm = Norm(hidden, causal=causal, keeps=norm_keeps)
        self.output_input = nn.Identity()
        self.residual = PointwiseConv(hidden, bottleneck)
        self.skip = PointwiseConv(hidden, bottleneck)

    def forward(self, x: Tensor, state: BlockState | None = None) -> tuple[Tensor, Tensor]:
        """Shape: [B, C, F] -> x + residual [B, C, F], skip [B, C, F]."""
        state = state if state is not None else BlockState.silence()
        h = self.expand_norm(self.expand_slope(self.expand(self.expand_input(x))), state.expand)  # [B, H, F]
        h = self.depthwise_input(h)
        past, state.past = state.past, self._remember(h, state.past)
        h = self.depthwise_norm(self.depthwise_slope(self.depthwise(h, past)), state.depthwise)
        h = self.output_input(h)
        return x + self.residual(h), self.skip(h)

    def _remember(self, h: Tensor, past: Tensor | None) -> Tensor | None:
        """The last memory_frames of everything seen, zeros before the beginning."""
        if not self.depthwise.causal:
            return None
        if past is None:
            past = h.new_zeros(h.shape[0], h.shape[1], self.depthwise.memory_frames)
        seen = torch.cat([past, h], -1)
        return seen[..., seen.shape[-1] - self.depthwise.memory_frames :].detach()
