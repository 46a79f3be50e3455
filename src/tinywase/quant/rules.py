"""Which tensor is quantized how: one frozen configuration, resolved to one plan per tensor name. Needs no torch.

Quantizable are tensors of two dimensions or more: convolutions, linear layers, LSTM matrices. Norms, biases and
slopes stay float. Groups by name: `separator.` (what the paper quantizes), `encoder.` and `decoder.` (the speech
codec), and `voiceprint_encoder.`; then single tensors by pattern, the last match winning. Fixed filters (`codec`
`fourier`, `voiceprint.filterbank` `mel`) are no tensors: they are computed in float and take no bytes, whatever the
bits of their group. So one recipe serves networks of either kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..config import one_of
from ..errors import ConfigError

FLOAT_BITS = 32
METHODS = ("soft-sigmoid", "lsq")
TABLES = ("symmetric", "even")
MAX_BITS = 8


@dataclass(frozen=True)
class QuantConfig:
    """How a student is quantized. The defaults are the paper's; 32 bits leave a group in float."""

    bits: int = 3  # weights of the separator's convolutions
    method: str = "soft-sigmoid"
    levels: str = "symmetric"  # table of levels, see levels.py
    per_channel: bool = False  # a scale per output channel instead of one per tensor
    codec_bits: int = FLOAT_BITS  # speech encoder and decoder, where they are learned
    voiceprint_bits: int = FLOAT_BITS  # voiceprint encoder, all of it that is learned
    activation_bits: int = 8
    overrides: tuple[tuple[str, int], ...] = ()  # (name pattern, bits): mixed widths

    def __post_init__(self) -> None:
        object.__setattr__(self, "overrides", tuple((str(name), int(bits)) for name, bits in self.overrides))
        for label in ("bits", "codec_bits", "voiceprint_bits", "activation_bits"):
            _check_width(label, getattr(self, label))
        for pattern, bits in self.overrides:
            _check_width(f"overrides: {pattern}", bits)
        one_of("method", self.method, METHODS)
        one_of("levels", self.levels, TABLES)

    def plan(self, bits: int) -> WeightPlan:
        """A weight of that width; beyond 7 bits there is only the symmetric table."""
        return WeightPlan(bits, self.method, "symmetric" if bits == MAX_BITS else self.levels, self.per_channel)


@dataclass(frozen=True)
class WeightPlan:
    """How one weight is quantized."""

    bits: int
    method: str
    levels: str
    per_channel: bool


def plan_weights(shapes: Mapping[str, tuple[int, ...]], config: QuantConfig) -> dict[str, WeightPlan]:
    """A plan for every tensor that is quantized; names that are left out stay float.

    Raises:
        ConfigError: an override that names no tensor.
    """
    names = [name for name, shape in shapes.items() if len(shape) > 1]
    _refuse_idle(config.overrides, names)
    plans = {}
    for name in names:
        bits = _group_bits(name, config)
        for pattern, width in config.overrides:
            if fnmatchcase(name, pattern):
                bits = width
        if bits != FLOAT_BITS:
            plans[name] = config.plan(bits)
    return plans


def plan_activations(points: Iterable[str], config: QuantConfig) -> dict[str, int]:
    """Bits of every activation point that is quantized: the separator's, and the voiceprint encoder's if its weights
    are."""
    if config.activation_bits == FLOAT_BITS:
        return {}
    quantized = ("separator.", "voiceprint_encoder.") if config.voiceprint_bits != FLOAT_BITS else ("separator.",)
    return {point: config.activation_bits for point in points if point.startswith(quantized)}


def _group_bits(name: str, config: QuantConfig) -> int:
    if name.startswith("separator."):
        return config.bits
    return config.voiceprint_bits if name.startswith("voiceprint_encoder.") else config.codec_bits


def _refuse_idle(overrides: Iterable[tuple[str, int]], names: list[str]) -> None:
    for pattern, _ in overrides:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"overrides: {pattern!r} matches no weight of this network, such as {names[0]!r}.")


def _check_width(label: str, bits: int) -> None:
    if bits != FLOAT_BITS and not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"{label} = {bits}: expected 1 to {MAX_BITS} bits, or {FLOAT_BITS} to leave it in float.")
