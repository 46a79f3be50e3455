"""Which tensors a configuration has, by name and shape, and where its activations may be quantized.

Names are those of `models.Wase.state_dict()`, in its order; a test holds the two together. This module needs no torch,
so that reading a model file can refuse a missing, foreign or misshapen tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .config import ModelConfig, VoiceprintConfig
from .errors import FormatError
from .tensors import PackedTensor

Shapes = dict[str, tuple[int, ...]]
ACTIVATION_FIELDS = ("scale", "zero_point", "bits")  # of a frozen activation range, one float32 each
BLOCK_POINTS = ("expand_input", "depthwise_input", "output_input")
CORE = ("encoder.", "separator.", "decoder.")
VOICEPRINT = "voiceprint_encoder."


def expected_tensors(config: ModelConfig) -> Shapes:
    """Name -> shape of every tensor that a model of this configuration must have."""
    learned = config.codec == "learned"
    shapes: Shapes = {"encoder.weight": (config.filters, 1, config.window)} if learned else {}
    shapes |= _prefixed("separator.", _separator(config))
    shapes |= {"decoder.weight": (config.filters, 1, config.window)} if learned else {}
    shapes |= _prefixed(
        VOICEPRINT, _lstm(config.voiceprint) if config.voiceprint.kind == "lstm" else _tcn(config.voiceprint)
    )
    return shapes


def activation_points(config: ModelConfig) -> tuple[str, ...]:
    """Names of the places where activations may be quantized: the inputs of the convolutions, and the voiceprint."""
    places = range(config.stacks + 1)
    points = ["separator.bottleneck_input"]
    points += [f"separator.blocks.{i}.{point}" for i in range(config.block_count) for point in BLOCK_POINTS]
    if config.cues != "activity":
        points.append("separator.voiceprint_input")
    if config.cues != "voiceprint":
        points += [f"separator.activity_inputs.{place}" for place in places]
    points.append("separator.mask_input")
    if config.voiceprint.kind == "tcn":
        points += [f"{VOICEPRINT}blocks.{i}.{point}" for i in range(config.voiceprint.layers) for point in BLOCK_POINTS]
    return tuple(points)


def activation_tensors(config: ModelConfig) -> tuple[str, ...]:
    """Names of the tensors that hold frozen activation ranges, all optional, all of shape [1]."""
    return tuple(f"{point}.{name}" for point in activation_points(config) for name in ACTIVATION_FIELDS)


def canonical_order(config: ModelConfig, names: Iterable[str]) -> list[str]:
    """`names` in the order in which they are written: the network's, then the activation ranges."""
    known = set(names)
    return [name for name in (*expected_tensors(config), *activation_tensors(config)) if name in known]


def check_names(config: ModelConfig, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> None:
    """Every tensor that the configuration needs is there once, in its shape, and no other but activation ranges.

    Raises:
        FormatError: names the tensor.
    """
    expected = expected_tensors(config)
    optional = dict.fromkeys(activation_tensors(config), (1,))
    seen: set[str] = set()
    for name, shape in shapes:
        wanted = expected.get(name) or optional.get(name)
        if wanted is None:
            raise FormatError(f"tensor '{name}' is unknown to the configuration '{config.name}' it comes with.")
        if name in seen:
            raise FormatError(f"tensor '{name}' is there twice: expected once.")
        if tuple(shape) != wanted:
            raise FormatError(f"tensor '{name}' has shape {tuple(shape)}: its configuration expects {wanted}.")
        seen.add(name)
    missing = [name for name in expected if name not in seen]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FormatError(f"tensor '{missing[0]}'{more} is missing: the configuration '{config.name}' needs it.")


def check_activations(config: ModelConfig, tensors: Mapping[str, PackedTensor]) -> None:
    """Activation ranges come in threes of float32 that make sense.

    Raises:
        FormatError: names the activation point.
    """
    for point in activation_points(config):
        found = [tensors.get(f"{point}.{name}") for name in ACTIVATION_FIELDS]
        if all(tensor is None for tensor in found):
            continue
        values = [float(t.values[0]) for t in found if t is not None and t.values is not None and t.kind == "float32"]
        if len(values) != len(ACTIVATION_FIELDS):
            raise FormatError(f"activation '{point}': expected float32 scale, zero_point and bits, all three.")
        scale, zero_point, bits = values
        if scale <= 0 or not zero_point.is_integer() or abs(zero_point) >= 1 << 24 or bits not in range(1, 17):
            raise FormatError(
                f"activation '{point}': scale {scale:g}, zero point {zero_point:g}, {bits:g} bits; expected a positive "
                "scale, an integer zero point and 1 to 16 bits."
            )


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def _conv(name: str, *shape: int) -> Shapes:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _block(bottleneck: int, hidden: int, kernel: int) -> Shapes:
    return (
        _conv("expand", hidden, bottleneck, 1)
        | {"expand_slope.weight": (1,)}
        | _norm("expand_norm", hidden)
        | _conv("depthwise", hidden, 1, kernel)
        | {"depthwise_slope.weight": (1,)}
        | _norm("depthwise_norm", hidden)
        | _conv("residual", bottleneck, hidden, 1)
        | _conv("skip", bottleneck, hidden, 1)
    )


def _separator(config: ModelConfig) -> Shapes:
    heard = config.feature_channels
    shapes = _norm("norm", heard) | _conv("bottleneck", config.bottleneck, heard, 1)
    for i in range(config.block_count):
        shapes |= _prefixed(f"blocks.{i}.", _block(config.bottleneck, config.hidden, config.kernel))
    if config.cues != "activity":
        for place in range(config.stacks + 1):
            shapes |= _conv(f"cue_projections.{place}", config.bottleneck, config.voiceprint.dimensions, 1)
    if config.cues != "voiceprint":
        shapes |= _conv("activity", 1, config.bottleneck, 1)
    return shapes | {"output_slope.weight": (1,)} | _conv("mask", config.filters, config.bottleneck, 1)


def _lstm(config: VoiceprintConfig) -> Shapes:
    shapes: Shapes = {"filterbank.weight": (config.filters, 1, config.window)}
    gates = 4 * config.hidden  # input, forget, cell, output
    for layer in range(config.layers):
        inputs = config.filters if layer == 0 else 2 * config.hidden
        for suffix in (f"l{layer}", f"l{layer}_reverse"):
            shapes[f"rnn.weight_ih_{suffix}"] = (gates, inputs)
            shapes[f"rnn.weight_hh_{suffix}"] = (gates, config.hidden)
            shapes[f"rnn.bias_ih_{suffix}"] = (gates,)
            shapes[f"rnn.bias_hh_{suffix}"] = (gates,)
    return shapes | _conv("linear", config.dimensions, 2 * config.hidden)


def _tcn(config: VoiceprintConfig) -> Shapes:
    bands = config.filters // 2
    learned = config.filterbank == "learned"
    shapes: Shapes = {"filterbank.weight": (config.filters, 1, config.window)} if learned else {}
    shapes |= _norm("norm", bands) | _conv("bottleneck", config.bottleneck, bands, 1)
    for i in range(config.layers):
        shapes |= _prefixed(f"blocks.{i}.", _block(config.bottleneck, config.hidden, 3))
    return shapes | _conv("linear", config.dimensions, 2 * config.bottleneck)
