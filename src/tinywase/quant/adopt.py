"""Quantizers like another network's: what configuration attaches them, and the steps and ranges that they have learned.

A student that goes on from another has to begin with its steps and ranges too. Fitted anew to the weights behind the
steps, they are others, and what the other student had learned with its own is lost (docs/experiments.md 33).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

import torch
from torch import nn

from .activation import ActivationQuantizer, FrozenRange, LearnedRange
from .attach import QUANTIZERS, activation_quantizers, attach, float_state, replace_point, weight_quantizers
from .base import WeightQuantizer
from .levels import table_of
from .rules import FLOAT_BITS, QuantConfig, plan_weights


def configuration(model: nn.Module) -> QuantConfig | None:
    """What attaches quantizers like those of `model`; None if it has none."""
    quantizers, points = weight_quantizers(model), activation_quantizers(model)
    if not quantizers and not points:
        return None
    shapes = {name: tuple(value.shape) for name, value in float_state(model).items() if value.dim() > 1}
    widths = {name: quantizers[name].bits if name in quantizers else FLOAT_BITS for name in shapes}
    tables = {table_of(quantizer.levels.cpu().numpy(), quantizer.bits) for quantizer in quantizers.values()}
    first = next(iter(quantizers.values()), None)
    config = QuantConfig(
        bits=_usual(widths, "separator."),
        method=next((name for name, kind in QUANTIZERS.items() if type(first) is kind), QuantConfig.method),
        levels="even" if "even" in tables else "symmetric",
        per_channel=any(quantizer.per_channel for quantizer in quantizers.values()),
        codec_bits=_usual(widths, "encoder.", "decoder."),
        voiceprint_bits=_usual(widths, "voiceprint_encoder."),
        activation_bits=max((int(point.bits) for point in points.values()), default=FLOAT_BITS),
    )
    plans = plan_weights(shapes, config)
    planned = {name: plans[name].bits if name in plans else FLOAT_BITS for name in shapes}
    overrides = tuple((name, bits) for name, bits in widths.items() if bits != planned[name])
    return dataclasses.replace(config, overrides=overrides)


def attach_like(model: nn.Module, other: nn.Module) -> None:
    """Quantizers configured as those of `other`, if it has any; their steps and ranges are still to be loaded."""
    quant = configuration(other)
    if quant:
        attach(model, quant, fit=False)


def _usual(widths: Mapping[str, int], *beginnings: str) -> int:
    """The most frequent width of a group of weights; float where there is none."""
    counted = Counter(bits for name, bits in widths.items() if name.startswith(beginnings))
    return counted.most_common(1)[0][0] if counted else FLOAT_BITS


@torch.no_grad()
def adopt_steps(model: nn.Module, others: Mapping[str, WeightQuantizer]) -> None:
    """What `others` have learned, for every weight's quantizer of `model` that is like the other's of its name: the
    same kind, levels and shapes."""
    for name, own in weight_quantizers(model).items():
        other = others.get(name)
        if other is None or type(own) is not type(other) or not torch.equal(own.levels, other.levels):
            continue
        learned, theirs = own.state_dict(), other.state_dict()
        if all(theirs[key].shape == value.shape for key, value in learned.items()):
            own.load_state_dict(theirs)


@torch.no_grad()
def adopt_ranges(model: nn.Module, others: Mapping[str, ActivationQuantizer]) -> None:
    """Ranges to learn on from those of `others`, for every point of `model` that is not frozen and whose other of its
    name is learned or frozen and as many bits wide."""
    for name, own in activation_quantizers(model).items():
        other = others.get(name)
        if not isinstance(other, LearnedRange | FrozenRange) or isinstance(own, FrozenRange):
            continue
        if torch.equal(own.bits, other.bits):
            replace_point(model, name, LearnedRange(int(own.bits), other.scale, other.zero_point))
