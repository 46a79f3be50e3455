"""What the packed file needs of a quantized network: codes of its weights, constants of its activation points."""

from __future__ import annotations

import numpy as np
from torch import nn

from ..errors import ConfigError
from ..tensors import PackedTensor
from .activation import FrozenRange
from .attach import activation_quantizers, original_weight, weight_quantizers
from .base import Codes


def packed_weights(model: nn.Module) -> dict[str, PackedTensor]:
    """Every quantized weight as the file holds it, by the weight's name."""
    return {
        name: pack_codes(name, q.encode(original_weight(model, name))) for name, q in weight_quantizers(model).items()
    }


def pack_codes(name: str, codes: Codes) -> PackedTensor:
    """Codes as a named tensor of the file."""
    return PackedTensor(
        name,
        tuple(codes.codes.shape),
        "codes",
        codes.bits,
        codes=np.ascontiguousarray(codes.codes.cpu().numpy()),
        levels=codes.levels.cpu().numpy(),
        scales=codes.scales.cpu().numpy(),
    )


def frozen_activations(model: nn.Module) -> dict[str, np.ndarray]:
    """Scale, zero point and bits of every activation point, float32 [1] each, by "<point>.<field>".

    Raises:
        ConfigError: a range that is not frozen, because it would depend on batch neighbours and on the future.
    """
    tensors = {}
    for name, point in activation_quantizers(model).items():
        if not isinstance(point, FrozenRange):
            raise ConfigError(
                f"activation point {name} is {type(point).__name__}: only a frozen range can be packed. "
                "Calibrate over some batches and freeze first."
            )
        for field in ("scale", "zero_point", "bits"):
            tensors[f"{name}.{field}"] = getattr(point, field).detach().cpu().numpy().astype(np.float32)
    return tensors
