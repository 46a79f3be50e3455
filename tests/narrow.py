"""A narrow network of random weights and what it is tried on, for tests of programs that change networks."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from voices import voice

from tinywase.config import SMALL
from tinywase.models import Wase

NARROW = dataclasses.replace(SMALL, filters=64, window=64, overlap=2, bottleneck=16, hidden=24, blocks=2, stacks=2)
MIXTURE, ENROLLMENT = (
    torch.from_numpy(sound)[None] for sound in (voice(0, 0, 5.0) + voice(1, 1, 5.0), voice(2, 2, 5.0))
)


def network(**changes: Any) -> Wase:
    """With gains, biases and cues that are not those of the beginning."""
    torch.manual_seed(1)
    model = Wase(dataclasses.replace(NARROW, **changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm." in name or "cue_projections" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model
