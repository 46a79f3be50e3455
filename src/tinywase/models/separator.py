"""The separator: stacks of convolution blocks that turn a latent and a voiceprint into a mask (docs/model.md 3).

Letters: B batch, N encoder filters, C bottleneck channels, F frames, D voiceprint dimensions, X blocks per stack,
R stacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from .filterbank import log_power
from .fused import run_blocks
from .layers import BlockState, ConvBlock, Norm, NormState, PointwiseConv, PReLU


@dataclass
class SeparatorState:
    """What a causal separator remembers: one state per use of a block."""

    norm: NormState
    blocks: list[BlockState]  # R*X


@dataclass(frozen=True)
class Separation:
    """What one pass of the separator returns."""

    mask: Tensor  # [B, N, F]
    activity: Tensor | None  # [B, R+1, F] logits of the R + 1 places; None where the activity cue is off
    features: tuple[Tensor, ...]  # R of [B, C, F]: what leaves each stack


class Separator(nn.Module):
    """Norm, bottleneck, R stacks of X blocks with the cues before each stack and after the last, mask."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        bottleneck, places = config.bottleneck, config.stacks + 1
        self.norm = Norm(config.feature_channels, causal=config.causal, keeps=config.norm_keeps)
        self.bottleneck_input = nn.Identity()
        self.bottleneck = PointwiseConv(config.feature_channels, bottleneck)
        self.blocks = nn.ModuleList(
            ConvBlock(
                bottleneck,
                config.hidden,
                config.kernel,
                dilation=2 ** (i % config.blocks),
                causal=config.causal,
                norm_keeps=config.norm_keeps,
            )
            for i in range(config.block_count)
        )
        if config.cues != "activity":
            self.voiceprint_input = nn.Identity()
            self.cue_projections = nn.ModuleList(
                nn.Conv1d(config.voiceprint.dimensions, bottleneck, 1) for _ in range(places)
            )
            for projection in self.cue_projections:  # begin near x * 1, so that the voiceprint cannot silence the path
                nn.init.normal_(projection.weight, std=0.02)  # type: ignore[arg-type]
                nn.init.ones_(projection.bias)  # type: ignore[arg-type]
        if config.cues != "voiceprint":
            self.activity_inputs = nn.ModuleList(nn.Identity() for _ in range(places))
            self.activity = PointwiseConv(bottleneck, 1)
            nn.init.constant_(self.activity.bias, 1.0)  # type: ignore[arg-type]
        self.output_slope = PReLU()
        self.mask_input = nn.Identity()
        self.mask = PointwiseConv(bottleneck, config.filters)

    def initial_state(self) -> SeparatorState:
        """Silence before the first frame."""
        count = self.config.stacks * self.config.blocks
        return SeparatorState(NormState(), [BlockState.silence() for _ in range(count)])

    def forward(self, latent: Tensor, voiceprint: Tensor | None, state: SeparatorState | None = None) -> Separation:
        """Shape: latent [B, N, F], voiceprint [B, D] -> see `Separation`."""
        config = self.config
        norm_state = None if state is None else state.norm
        x = self.bottleneck(self.bottleneck_input(self.norm(self._features(latent), norm_state)))  # [B, C, F]
        v = None if voiceprint is None or config.cues == "activity" else self.voiceprint_input(voiceprint)
        skips: Tensor | None = None
        logits: list[Tensor] = []
        features: list[Tensor] = []
        for stack in range(config.stacks):
            x = self._cue(x, v, stack, logits)
            uses = slice(stack * config.blocks, (stack + 1) * config.blocks)
            first = uses.start % config.block_count
            blocks = self.blocks[first : first + config.blocks]
            x, skip = run_blocks(cast(Sequence[ConvBlock], blocks), x, None if state is None else state.blocks[uses])
            skips = skip if skips is None else skips + skip
            features.append(x)
        assert skips is not None
        if config.mean_skip:
            skips = skips / (config.stacks * config.blocks)
        skips = self._cue(skips, v, config.stacks, logits)
        mask = torch.sigmoid(self.mask(self.mask_input(self.output_slope(skips))))
        return Separation(mask, torch.cat(logits, 1) if logits else None, tuple(features))

    def _features(self, latent: Tensor) -> Tensor:
        """What the separator hears. Shape: [B, N, F] -> [B, N or N/2, F]."""
        return log_power(latent) if self.config.features == "log_power" else latent

    def _cue(self, x: Tensor, voiceprint: Tensor | None, place: int, logits: list[Tensor]) -> Tensor:
        """x * W v, then x * sigmoid(activity), at one of the R + 1 places; the activity's logits join `logits`."""
        if voiceprint is not None:
            x = x * self.cue_projections[place](voiceprint[..., None])
        if self.config.cues != "voiceprint":
            logit = self.activity(self.activity_inputs[place](x))  # [B, 1, F]
            logits.append(logit)
            x = x * torch.sigmoid(logit)
        return x
