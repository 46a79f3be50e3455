"""Checkpoints in the key layout of the published WASE and TinyWASE code, as networks of ours.

Their file is torch.save of {"model": state_dict, "config": ..., "updates": n}. It is unpickled with weights_only, so
that opening it runs nothing. The configuration follows from keys and shapes:

    generation   output_act, output_conv: TinyWASE; output.0, output.1: WASE, which divides the skip sum (mean_skip)
    causal       norms have a gain of shape [1, C, 1] instead of a weight of [C]
    cues         without proj.* there is no voiceprint cue, without endpoint_conv1d no activity cue
    stacks       one less than there are projections; shared if there are only `blocks` blocks

A TinyWASE file holds the float weights behind its quantizers; those are loaded, to be quantized again by ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..config import ModelConfig, VoiceprintConfig
from ..errors import ConfigError, FormatError
from ..layout import expected_tensors
from ..models import Wase
from .checkpoint import load_torch

TCN = r"ss_model\.TCN\."
BLOCK = TCN + r"TCN\.(\d+)\."
NAMES = (  # (beginning of their key, beginning of ours); the rest is weight, bias or gain, or a name of torch's LSTM
    (r"encoder\.", "encoder."),
    (r"ss_model\.decoder\.", "decoder."),
    (TCN + r"LN\.", "separator.norm."),
    (TCN + r"BN\.", "separator.bottleneck."),
    (BLOCK + r"conv1d\.", r"separator.blocks.\1.expand."),
    (BLOCK + r"nonlinearity1\.", r"separator.blocks.\1.expand_slope."),
    (BLOCK + r"reg1\.", r"separator.blocks.\1.expand_norm."),
    (BLOCK + r"dconv1d\.", r"separator.blocks.\1.depthwise."),
    (BLOCK + r"nonlinearity2\.", r"separator.blocks.\1.depthwise_slope."),
    (BLOCK + r"reg2\.", r"separator.blocks.\1.depthwise_norm."),
    (BLOCK + r"res_out\.", r"separator.blocks.\1.residual."),
    (BLOCK + r"skip_out\.", r"separator.blocks.\1.skip."),
    (TCN + r"proj\.(\d+)\.", r"separator.cue_projections.\1."),
    (TCN + r"endpoint_conv1d\.", "separator.activity."),
    (TCN + r"(?:output_act|output\.0)\.", "separator.output_slope."),
    (TCN + r"(?:output_conv|output\.1)\.", "separator.mask."),
    (r"ref_encoder\.", "voiceprint_encoder.filterbank."),
    (r"voiceprint_encoder\.rnn\.", "voiceprint_encoder.rnn."),
    (r"(?:voiceprint_)?linear\.", "voiceprint_encoder.linear."),
)
TRAINING_ONLY = "metric_fc."
PUBLISHED_BLOCKS = 8
DEFAULT_STACKS = 3  # where nothing tells
REMEDY = (
    "Expected torch.save of {'model': state_dict}; if it holds objects of its own code, load it there and save "
    "{'model': checkpoint['model']} again."
)


def load_published(path: str | Path, *, blocks: int = PUBLISHED_BLOCKS) -> Wase:
    """The network of a published checkpoint, ready to use or to train on.

    Args:
        blocks: per stack (X); 8 in all that were published. No shape tells it.

    Raises:
        FormatError: not such a file, or a key or shape that is not in the layout.
    """
    content = load_torch(path, remedy=REMEDY)
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise FormatError(f"{path}: no state_dict under the key 'model': expected a checkpoint of WASE or TinyWASE.")
    return convert_published(state, blocks=blocks, where=str(path))


def convert_published(
    state: Mapping[str, Tensor], *, blocks: int = PUBLISHED_BLOCKS, where: str = "checkpoint"
) -> Wase:
    """The network of a published state_dict; see `load_published`."""
    theirs = _our_names(state, where)
    tensors = {ours: _our_shape(ours, state[key]) for ours, key in theirs.items()}
    mean_skip = theirs.get("separator.mask.weight", "").endswith("output.1.weight")
    causal = theirs.get("separator.norm.weight", "").endswith("gain")
    try:
        config = _config(tensors, blocks=blocks, mean_skip=mean_skip, causal=causal)
    except KeyError as error:
        raise FormatError(
            f"{where}: the tensor that becomes {error} is missing: this is no WASE checkpoint."
        ) from error
    except ConfigError as error:
        raise FormatError(f"{where}: its shapes make no network: {error}") from error
    expected = expected_tensors(config)
    for ours in (*tensors, *expected):
        if ours not in expected:
            raise FormatError(
                f"{where}: key '{theirs[ours]}' does not belong to its network of {config.block_count} blocks."
            )
        if ours not in tensors:
            raise FormatError(f"{where}: the tensor that becomes '{ours}' is missing.")
        if tuple(tensors[ours].shape) != expected[ours]:
            raise FormatError(
                f"{where}: key '{theirs[ours]}' has shape {list(tensors[ours].shape)}, expected {list(expected[ours])}."
            )
    model = Wase(config)
    model.load_state_dict(tensors)
    return model.eval()


def _our_names(state: Mapping[str, Tensor], where: str) -> dict[str, str]:
    """Our name -> their key; training's own keys are left out."""
    found: dict[str, str] = {}
    for key in state:
        if key.startswith(TRAINING_ONLY):
            continue
        ours = next((re.sub(pattern, name, key) for pattern, name in NAMES if re.match(pattern, key)), None)
        if ours is None:
            raise FormatError(f"{where}: unknown key '{key}': expected the layout of WASE or TinyWASE.")
        if ours.endswith("norm.gain"):
            ours = ours.removesuffix("gain") + "weight"
        if ours in found:
            raise FormatError(f"{where}: keys '{found[ours]}' and '{key}' are the same tensor: expected one of them.")
        found[ours] = key
    return found


def _our_shape(ours: str, value: Tensor) -> Tensor:
    """Gains and biases of causal norms are [1, C, 1] there, [C] here."""
    causal_norm = "norm." in ours and value.ndim == 3 and value.shape[0] == value.shape[2] == 1
    return (value.reshape(-1) if causal_norm else value).float()


def _config(tensors: Mapping[str, Tensor], *, blocks: int, mean_skip: bool, causal: bool) -> ModelConfig:
    """What the shapes say.

    Raises:
        KeyError: a tensor is missing.
        ConfigError: no network has such shapes.
    """
    filters, _, window = _sizes(tensors, "encoder.weight", 3)
    hidden, bottleneck, _ = _sizes(tensors, "separator.blocks.0.expand.weight", 3)
    places = _count(tensors, r"separator\.cue_projections\.(\d+)\.")
    stored = _count(tensors, r"separator\.blocks\.(\d+)\.")
    stacks = places - 1 if places else max(1, stored // blocks) if stored != blocks else DEFAULT_STACKS
    activity = "separator.activity.weight" in tensors
    return ModelConfig(
        filters=filters,
        window=window,
        bottleneck=bottleneck,
        hidden=hidden,
        kernel=_sizes(tensors, "separator.blocks.0.depthwise.weight", 3)[2],
        blocks=blocks,
        stacks=stacks,
        distinct_stacks=int(stored == blocks and stacks > 1),
        causal=causal,
        cues="both" if places and activity else "voiceprint" if places else "activity",
        mean_skip=mean_skip,
        voiceprint=_voiceprint_config(tensors),
    )


def _voiceprint_config(tensors: Mapping[str, Tensor]) -> VoiceprintConfig:
    filters, _, window = _sizes(tensors, "voiceprint_encoder.filterbank.weight", 3)
    return VoiceprintConfig(
        kind="lstm",
        dimensions=_sizes(tensors, "voiceprint_encoder.linear.weight", 2)[0],
        filters=filters,
        window=window,
        hop=max(1, window // 4),  # 64 of 256
        hidden=_sizes(tensors, "voiceprint_encoder.rnn.weight_hh_l0", 2)[1],
        layers=_count(tensors, r"voiceprint_encoder\.rnn\.weight_hh_l(\d+)$"),
    )


def _sizes(tensors: Mapping[str, Tensor], name: str, dimensions: int) -> tuple[int, ...]:
    shape = tuple(tensors[name].shape)
    if len(shape) != dimensions:
        raise ConfigError(f"'{name}' would have shape {shape}: expected {dimensions} dimensions.")
    return shape


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the highest index that the pattern finds.

    Raises:
        ConfigError: an index beyond the number of tensors.
    """
    matches = (re.match(pattern, name) for name in tensors)
    count = max((int(match[1]) + 1 for match in matches if match), default=0)
    if count > len(tensors):
        raise ConfigError(f"{count} layers in {len(tensors)} tensors: expected consecutive numbers.")
    return count
