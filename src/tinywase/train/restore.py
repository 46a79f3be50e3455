"""A model file to a torch network: what export.py wrote, ready to be trained on.

The weights stand on their levels behind learned steps (quant/lsq.py), whichever quantizer they were trained with;
activation ranges are frozen. It computes what the file does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from ..format import ModelFile
from ..layout import expected_tensors
from ..models import Wase
from ..quant.activation import FrozenRange
from ..quant.attach import attach_weight, weight_quantizers
from ..quant.levels import table_of
from ..quant.lsq import Lsq
from ..quant.rules import WeightPlan
from ..tensors import PackedTensor


@torch.no_grad()
def restored(model_file: ModelFile) -> Wase:
    """The network of a model file. Weights on levels of no table (quant/levels.py) come without a quantizer."""
    model, tensors = Wase(model_file.config), model_file.tensors
    model.load_state_dict(dequantized(model_file))
    for name in [name for name, weight in model.named_parameters() if weight.dim() > 1]:
        plan = _plan(tensors[name])
        if plan:
            attach_weight(model, name, plan, fit=False)
    for name, quantizer in weight_quantizers(model).items():
        assert isinstance(quantizer, Lsq)
        quantizer.step.copy_(torch.from_numpy(tensors[name].scales))
    for point in [name for name, module in model.named_modules() if type(module) is nn.Identity]:
        if f"{point}.scale" in tensors:
            model.set_submodule(point, _range(tensors, point))
    return model.eval()


def dequantized(model_file: ModelFile) -> dict[str, torch.Tensor]:
    """The network's tensors in float32."""
    names = expected_tensors(model_file.config)
    return {name: torch.from_numpy(model_file.tensors[name].dequantize()) for name in names}


def _plan(tensor: PackedTensor) -> WeightPlan | None:
    """How a weight is quantized; None if it is not."""
    if tensor.levels is None or tensor.scales is None:
        return None
    table = table_of(tensor.levels, tensor.bits)
    return WeightPlan(tensor.bits, "lsq", table, per_channel=len(tensor.scales) > 1) if table else None


def _range(tensors: Mapping[str, PackedTensor], point: str) -> FrozenRange:
    numbers = (tensors[f"{point}.{field}"].dequantize() for field in ("bits", "scale", "zero_point"))
    bits, scale, zero_point = map(torch.from_numpy, numbers)
    return FrozenRange(int(bits), scale, zero_point)
