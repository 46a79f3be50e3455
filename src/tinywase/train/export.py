"""A torch network to a model file: quantized weights as their codes, everything else as float32 or float16.

What the file holds is what the network computed with: the fake-quantized weight equals levels[codes] * scales bit for
bit, and activation ranges are the frozen ones. A range that still depends on the batch is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..format import ModelFile, write_model
from ..models import Wase
from ..quant.attach import float_state
from ..quant.collect import frozen_activations, packed_weights
from ..tensors import PackedTensor, float_tensor, ramp_tensor

FLOAT_KINDS = ("float32", "float16", "ramp8")


def export(
    model: Wase,
    path: str | Path,
    *,
    card: Mapping[str, Any],
    float_kind: str = "float32",
    compact: bool = False,
    force: bool = False,
) -> None:
    """Write `model` as a `.twase` file, whole or not at all.

    Args:
        card: what people should know of the model: data, licences, hours, results. Plain JSON.
        float_kind: of the tensors that are not quantized: `float32`, `float16` for half the bytes, or `ramp8` for a
            quarter: 256 even steps from the least to the largest value of each.
        compact: entropy-coded codes, smaller and a little slower to load.

    Raises:
        FormatError: a weight that is NaN, infinite, or too large for float16.
        ConfigError: another `float_kind`, or an activation range that is not frozen.
        OutputError: the file exists and `force` is false, or its folder refuses.
    """
    write_model(path, packed_model(model, card=card, float_kind=float_kind), compact=compact, force=force)


def packed_model(model: Wase, *, card: Mapping[str, Any], float_kind: str = "float32") -> ModelFile:
    """The contents of the file that `export` writes."""
    if float_kind not in FLOAT_KINDS:
        raise ConfigError(f"float_kind = {float_kind!r}: expected one of {', '.join(FLOAT_KINDS)}.")
    tensors: dict[str, PackedTensor] = {}
    codes = packed_weights(model)
    for name, value in float_state(model).items():
        tensors[name] = codes[name] if name in codes else _float(name, value.cpu().numpy(), float_kind)
    for name, number in frozen_activations(model).items():
        tensors[name] = float_tensor(name, np.asarray(number, np.float32).reshape(1))
    return ModelFile(model.config, tensors, dict(card))


def _float(name: str, values: np.ndarray, kind: str) -> PackedTensor:
    """A tensor that no quantizer was trained on; matrices keep at least float16."""
    if kind == "ramp8":
        return ramp_tensor(name, values) if values.ndim == 1 else float_tensor(name, values, "float16")
    return float_tensor(name, values, kind)
