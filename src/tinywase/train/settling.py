"""Learned filters that become fixed ones in the course of a training, while everything else follows.

All at once costs a network half of what it can do: a band hears something else then (docs/experiments.md 31). Letters:
N filters, L window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError
from ..filters import fourier_filters, mel_filters
from ..models import Wase
from .checkpoint import FILTERS

ENCODER, _, FILTERBANK = FILTERS


class Settling:
    """The speech encoder moves to the Fourier transform, the voiceprint encoder's filters to mel pairs, straight ahead.

    The decoder goes on learning: it has to undo what the encoder does.

    Raises:
        ConfigError: filters that are no pairs, or fixed already.
    """

    def __init__(self, model: Wase) -> None:
        self._weights = dict(model.named_parameters())
        if not can_settle(model):
            raise ConfigError(
                "settle: expected a network that hears log_power, with a tcn voiceprint encoder, learned filters and "
                "as many of them as samples in a window. Leave settle out, or choose another [model]."
            )
        self._fixed = fixed_filters(model)
        self._begun = {name: self._weights[name].detach().clone() for name in self._fixed}
        for name in self._fixed:
            self._weights[name].requires_grad_(False)

    @torch.no_grad()
    def move(self, part: float) -> None:
        """Put the filters where they are after `part` of the way."""
        for name, fixed in self._fixed.items():
            self._weights[name].copy_(torch.lerp(self._begun[name], fixed.to(self._weights[name]), min(1.0, part)))


def can_settle(model: Wase) -> bool:
    """Whether the network's learned filters have fixed ones to move to."""
    config = model.config
    return (
        config.features == "log_power"
        and config.filters == config.window
        and config.voiceprint.kind == "tcn"
        and {ENCODER, FILTERBANK} <= set(model.state_dict())
    )


def fixed_filters(model: Wase) -> dict[str, Tensor]:
    """What speech encoder and voiceprint encoder settle on, by name. Shape: [N, 1, L] each."""
    config, voiceprint = model.config, model.config.voiceprint
    mel = mel_filters(voiceprint.filters // 2, voiceprint.window, config.sample_rate_hz)
    fourier = fourier_filters(config.filters // 2, config.window)
    return {name: torch.from_numpy(w)[:, None] for name, w in ((ENCODER, fourier), (FILTERBANK, mel))}
