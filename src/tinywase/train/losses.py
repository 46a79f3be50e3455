"""Training losses: signal, activity, speaker ([Hao21] and what docs/experiments.md added).

Letters: B batch, T samples, F frames, R stacks, D voiceprint dimensions, K voices the classifier knows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FLOOR = 1e-8
LONE_DB = 12.0


def si_snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-noise ratio in dB, means removed [Hao21]. Shape: [B, T], [B, T] -> [B]."""
    estimate = estimate - estimate.mean(-1, keepdim=True)
    reference = reference - reference.mean(-1, keepdim=True)
    energy = reference.square().sum(-1, keepdim=True) + FLOOR
    projection = (estimate * reference).sum(-1, keepdim=True) / energy * reference
    ratio = projection.square().sum(-1) / ((estimate - projection).square().sum(-1) + FLOOR)
    return 10 * torch.log10(ratio + FLOOR)


def snr_loss(estimate: Tensor, reference: Tensor, mixture: Tensor, *, ceiling_db: float = 30.0) -> Tensor:
    """Minus the signal-to-noise ratio in dB, which rewards no more than `ceiling_db`; keeps the level, unlike SI-SNR.

    Where the reference is silent (an absent target), the estimate's level against the mixture takes its place.
    Shape: [B, T] each -> [B].
    """
    tau = 10 ** (-ceiling_db / 10)
    power = reference.square().sum(-1)
    against = torch.where(power > FLOOR, power, mixture.square().sum(-1)) + FLOOR
    error = (estimate - reference).square().sum(-1)
    return 10 * torch.log10(error / against + tau)


def signal_loss(kind: str, estimate: Tensor, reference: Tensor, mixture: Tensor, *, ceiling_db: float = 30.0) -> Tensor:
    """`si_snr` (the paper's) or `snr`. Shape: [B, T] each -> [B]."""
    if kind == "si_snr":
        return -si_snr(estimate, reference)
    return snr_loss(estimate, reference, mixture, ceiling_db=ceiling_db)


def is_lone(target: Tensor, interference: Tensor) -> Tensor:
    """Whether one of the two is silent, or nearly so beside the other. Shape: [B, T], [B, T] -> bool [B]."""
    powers = torch.stack([target.square().sum(-1), interference.square().sum(-1)])
    return powers.amin(0) <= 10 ** (-LONE_DB / 10) * powers.amax(0)


def activity_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Mean binary cross-entropy of the R+1 activity estimates. Shape: logits [B, R+1, F], label [B, F] -> scalar."""
    return functional.binary_cross_entropy_with_logits(logits.float(), label[:, None].expand_as(logits))


class SpeakerClassifier(nn.Module):
    """Additive angular margin softmax over voices (ArcFace): pulls voiceprints of one voice together, others apart."""

    def __init__(self, dimensions: int, voices: int, *, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(voices, dimensions)))
        self.margin, self.scale = margin, scale

    def forward(self, voiceprint: Tensor, speaker: Tensor, *, margin: float | None = None) -> Tensor:
        """Shape: [B, D], int64 [B] -> scalar loss."""
        margin = self.margin if margin is None else margin
        weight = functional.normalize(self.weight)
        cosine = functional.linear(functional.normalize(voiceprint.float()), weight)  # [B, K]
        sine = (1 - cosine.square()).clamp_min(1e-6).sqrt()
        harder = cosine * math.cos(margin) - sine * math.sin(margin)  # cos(angle + margin)
        own = torch.arange(cosine.shape[1], device=speaker.device) == speaker[:, None]
        return functional.cross_entropy(torch.where(own, harder, cosine) * self.scale, speaker)
