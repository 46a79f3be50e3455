"""WASE, the whole network: audio in, frames, cues, mask, audio out [Hao21; docs/model.md].

    enrollment [B, T_e] -> voiceprint_encoder -> voiceprint [B, D]
    mixture [B, T] -> encoder -> latent [B, N, F] -> separator(voiceprint) -> mask [B, N, F]
    latent * mask -> decoder -> estimate [B, T]; latent * (1 - mask) -> decoder -> residual [B, T]

Letters: B batch, T samples, N encoder filters, F frames, L window, R stacks, V overlap. The hop is L / V; frame f looks
at samples [f * hop - (L - hop), f * hop + hop) of the mixture, so a sample is whole after V frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import ModelConfig
from ..errors import StreamError
from ..filters import fourier_filters
from .filterbank import Filters
from .operations import analyze, synthesize
from .separator import Separator, SeparatorState
from .voiceprint import build_voiceprint_encoder, pad_to_frames


@dataclass(frozen=True)
class Extraction:
    """What one pass returns."""

    estimate: Tensor  # [B, T]
    residual: Tensor  # [B, T]
    activity: Tensor | None  # [B, R+1, F - V/2 + 1] logits, frame f centred on sample f * hop; None without that cue
    features: tuple[Tensor, ...]  # R of [B, C, F - V/2 + 1]: what leaves each stack, frame f centred as above


@dataclass
class WaseState:
    """Everything a stream remembers between chunks, on the way through the network."""

    voiceprint: Tensor | None  # [B, D]
    samples: Tensor  # [B, <L] fed, not yet a whole frame
    separator: SeparatorState
    latent: list[Tensor] = field(default_factory=list)  # [B, N, <=lookahead] waiting for their mask
    overlap: Tensor | None = None  # [B, L - hop] unfinished output of the last frames
    fed: int = 0  # samples
    given: int = 0  # samples, those before the recording as negative ones
    frames: int = 0  # masks read so far, lookahead counted


class Wase(nn.Module):
    """Speech encoder, voiceprint encoder, separator and decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _filters(config)
        self.separator = Separator(config)
        self.decoder = _filters(config, 2 / config.overlap)
        self.voiceprint_encoder = build_voiceprint_encoder(config.voiceprint, config.sample_rate_hz)

    def forward(self, mixture: Tensor, voiceprint: Tensor | None) -> Extraction:
        """Extract the speaker of `voiceprint` from `mixture`. Shape: [B, T], [B, D] -> see `Extraction`."""
        config = self.config
        latent = self._encode(pad_to_frames(mixture, config.window, config.hop, config.edge))  # [B, N, F]
        ahead = config.lookahead_frames  # the separator runs on past the end over silence
        separation = self.separator(functional.pad(latent, (0, ahead)), voiceprint)
        mask, activity = separation.mask[..., ahead:], separation.activity
        begin = ahead + config.early_frames
        length = mixture.shape[-1]
        estimate = self._decode(latent * mask, length)
        whole = config.codec == "fourier"  # it gives back what it takes: nothing is left to decode
        return Extraction(
            estimate=estimate,
            residual=mixture - estimate if whole else self._decode(latent * (1 - mask), length),
            activity=None if activity is None else activity[..., begin:],
            features=tuple(x[..., begin:] for x in separation.features),
        )

    def enroll(self, enrollment: Tensor) -> Tensor:
        """The voiceprint of a prepared enrollment. Shape: [B, T] -> [B, D]."""
        return self.voiceprint_encoder(enrollment)

    def _decode(self, masked: Tensor, length: int) -> Tensor:
        """Overlap-add back to samples, without the padding. Shape: [B, N, F] -> [B, T]."""
        return self._synthesize(masked)[:, self.config.edge : self.config.edge + length]

    def _encode(self, padded: Tensor) -> Tensor:
        """Shape: [B, T] -> [B, N, F]."""
        return analyze(padded, self.encoder.weight, self.config.hop)

    def _synthesize(self, masked: Tensor) -> Tensor:
        """Shape: [B, N, F] -> [B, (F - 1) hop + L]."""
        return synthesize(masked, self.decoder.weight, self.config.hop)

    # Streaming (causal networks): feed chunks of any size, then flush; together they equal one pass.

    def start(self, voiceprint: Tensor | None, *, batch: int = 1) -> WaseState:
        """A fresh stream.

        Raises:
            StreamError: the network is offline; it needs the whole clip.
        """
        if not self.config.causal:
            raise StreamError("this model is offline: it needs the whole recording. Use a causal model to stream.")
        silence = self.encoder.weight.new_zeros(batch, self.config.edge)  # the front padding of `pad_to_frames`
        return WaseState(voiceprint, silence, self.separator.initial_state(), given=-self.config.edge)

    @torch.no_grad()
    def feed(self, state: WaseState, chunk: Tensor) -> Tensor:
        """The samples of the estimate that `chunk` completes. Shape: [B, any] -> [B, any]."""
        config = self.config
        state.fed += chunk.shape[-1]
        samples = torch.cat([state.samples, chunk], -1)
        count = max(0, (samples.shape[-1] - config.window) // config.hop + 1)
        state.samples = samples[:, count * config.hop :]
        if not count:
            return chunk[:, :0]
        used = samples[:, : count * config.hop + config.edge]
        latent = self._encode(used)
        return self._finish(state, self._masked(state, latent))

    @torch.no_grad()
    def flush(self, state: WaseState) -> Tensor:
        """The rest of the estimate once the mixture has ended; then the stream is used up. Shape: -> [B, any]."""
        config = self.config
        batch = state.samples.shape[0]
        tail = config.window - (config.hop + state.fed % config.window) % config.window + config.edge
        missing = state.fed - max(0, state.given)
        parts = [self.feed(state, state.samples.new_zeros(batch, tail))]
        if config.lookahead_frames:
            silence = state.samples.new_zeros(batch, config.filters, config.lookahead_frames)
            parts.append(self._finish(state, self._masked(state, silence)))
        return torch.cat(parts, -1)[:, :missing]

    def _masked(self, state: WaseState, latent: Tensor) -> Tensor:
        """Masked latents that have become ready: a mask belongs to the latent `lookahead_frames` before it."""
        ahead = self.config.lookahead_frames
        mask = self.separator(latent, state.voiceprint, state.separator).mask
        waiting = torch.cat([*state.latent, latent], -1)
        ready = waiting.shape[-1] - ahead  # the first `ahead` masks belong to no frame
        early = max(0, min(mask.shape[-1], ahead - state.frames))
        state.frames += mask.shape[-1]
        state.latent = [waiting[..., max(0, ready) :]]
        return waiting[..., : max(0, ready)] * mask[..., early:]

    def _finish(self, state: WaseState, masked: Tensor) -> Tensor:
        """Overlap-add: of k frames, k * hop samples are whole; the rest waits for the next frames."""
        if not masked.shape[-1]:
            return masked[:, 0, :0]
        wave, edge = self._synthesize(masked), self.config.edge  # [B, k hop + edge]
        if state.overlap is not None:
            wave = torch.cat([wave[:, :edge] + state.overlap, wave[:, edge:]], -1)
        state.overlap = wave[:, -edge:]
        whole = wave[:, max(0, -state.given) : -edge]  # the first frames begin before the recording
        state.given += wave.shape[-1] - edge
        return whole


def _filters(config: ModelConfig, scale: float = 1.0) -> Filters:
    """A side of the speech codec; learned filters that hear power begin as the transform that fixed ones are."""
    learned = config.codec == "learned"
    if learned and config.features == "latent":
        return Filters(nn.init.kaiming_uniform_(torch.empty(config.filters, 1, config.window), a=5**0.5), learned=True)
    pairs = torch.from_numpy(fourier_filters(config.filters // 2, config.window))[:, None]
    return Filters(scale * pairs, learned=learned)
