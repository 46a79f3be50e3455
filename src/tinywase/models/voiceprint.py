"""From an enrollment to a voiceprint: the paper's LSTM encoder and our cheaper convolutional one (docs/model.md 1).

Letters: B batch, T samples, F frames, C channels, D dimensions of the voiceprint. The caller trims the enrollment to
its active parts and brings it to a fixed level first (`activity.prepare_enrollment`), in training and use alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..config import VoiceprintConfig
from ..filters import mel_filters
from .filterbank import Filters, log_power
from .fused import run_blocks
from .layers import ConvBlock, Norm, PointwiseConv
from .operations import analyze


def pad_to_frames(signal: Tensor, window: int, hop: int, edge: int) -> Tensor:
    """Zeros around a signal so that frames cover it: `edge` on both sides (one hop for an enrollment), and a tail to
    whole windows (docs/model.md 1).

    Shape: [B, T] -> [B, T + tail + 2 edge]
    """
    tail = window - (hop + signal.shape[-1] % window) % window
    return functional.pad(signal, (edge, tail + edge))


class LstmVoiceprint(nn.Module):
    """The paper's encoder: convolution, bidirectional LSTM, mean over frames, linear."""

    def __init__(self, config: VoiceprintConfig) -> None:
        super().__init__()
        self.window, self.hop = config.window, config.hop
        self.filterbank = nn.Conv1d(1, config.filters, config.window, stride=config.hop, bias=False)
        self.rnn = nn.LSTM(
            config.filters,
            config.hidden,
            config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.linear = nn.Linear(2 * config.hidden, config.dimensions)

    def forward(self, enrollment: Tensor) -> Tensor:
        """Shape: [B, T] -> [B, D]."""
        padded = pad_to_frames(enrollment, self.window, self.hop, self.hop)
        frames = analyze(padded, self.filterbank.weight, self.hop)  # [B, C, F]
        hidden, _ = self.rnn(frames.transpose(1, 2))  # [B, F, 2 H]
        return self.linear(hidden.mean(1))


class TcnVoiceprint(nn.Module):
    """Ours: log power of a filterbank, the separator's blocks, mean and deviation over frames, linear.

    The voiceprint is scaled to length sqrt(D), so that every speaker modulates the separator equally strongly.

    The filterbank is, or begins as, mel-spaced Hann-windowed cosine and sine pairs: channel c and c + C/2 are one band.
    """

    def __init__(self, config: VoiceprintConfig, sample_rate_hz: int) -> None:
        super().__init__()
        self.window, self.hop = config.window, config.hop
        bands = config.filters // 2
        pairs = torch.from_numpy(mel_filters(bands, config.window, sample_rate_hz))[:, None]
        self.filterbank = Filters(pairs, learned=config.filterbank == "learned")
        self.norm = Norm(bands)
        self.bottleneck = PointwiseConv(bands, config.bottleneck)
        self.blocks = nn.ModuleList(
            ConvBlock(config.bottleneck, config.hidden, 3, dilation=2**i) for i in range(config.layers)
        )
        self.linear = nn.Linear(2 * config.bottleneck, config.dimensions)

    def forward(self, enrollment: Tensor) -> Tensor:
        """Shape: [B, T] -> [B, D]."""
        padded = pad_to_frames(enrollment, self.window, self.hop, self.hop)
        pairs = analyze(padded, self.filterbank.weight, self.hop)  # [B, C, F]
        x = self.norm(log_power(pairs))  # [B, C/2, F]
        x = self.bottleneck(x)
        _, skips = run_blocks(cast(Sequence[ConvBlock], self.blocks), x)
        mean = skips.mean(-1)
        deviation = (skips - mean[..., None]).square().mean(-1).add(1e-6).sqrt()
        voiceprint = self.linear(torch.cat([mean, deviation], 1))
        return functional.normalize(voiceprint, dim=-1) * voiceprint.shape[-1] ** 0.5


def build_voiceprint_encoder(config: VoiceprintConfig, sample_rate_hz: int) -> nn.Module:
    """The encoder that `config.kind` names."""
    return LstmVoiceprint(config) if config.kind == "lstm" else TcnVoiceprint(config, sample_rate_hz)
