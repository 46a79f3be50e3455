"""A model file to a torch network: what export.py wrote, ready to be trained on.

The weights stand on their levels behind learned steps (quant/lsq.py), whichever quantizer they were trained with;
activation ranges are frozen. It computes what the file does.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from ..format import ModelFile
from ..models import Wase
from ..quant.activation import FrozenRange
from ..quant.attach import attach_weight, weight_quantizers
from ..quant.levels import level_table
from ..quant.lsq import Lsq
from ..quant.rules import TABLES, WeightPlan
from ..tensors import PackedTensor


@torch.no_grad()
def restored(model_file: ModelFile) -> Wase:
    """The network of a model file. Weights on levels of no table (quant/levels.py) come without a quantizer."""
    model, tensors = Wase(model_file.config), model_file.tensors
    values = {name: torch.from_numpy(tensor.dequantize()) for name, tensor in tensors.items()}
    model.load_state_dict({name: values[name] for name in model.state_dict()})
    for name in [name for name, weight in model.named_parameters() if weight.dim() > 1]:
        plan = _plan(tensors[name])
        if plan:
            attach_weight(model, name, plan)
    for name, quantizer in weight_quantizers(model).items():
        assert isinstance(quantizer, Lsq)
        quantizer.step.copy_(torch.from_numpy(tensors[name].scales))
    for point in [name for name, module in model.named_modules() if type(module) is nn.Identity]:
        if f"{point}.scale" in values:
            model.set_submodule(point, _range(values, point))
    return model.eval()


def _plan(tensor: PackedTensor) -> WeightPlan | None:
    """How a weight is quantized; None if it is not."""
    if tensor.levels is None or tensor.scales is None:
        return None
    for table in TABLES:
        if (table, tensor.bits) != ("even", 8) and level_table(tensor.bits, table).tolist() == tensor.levels.tolist():
            return WeightPlan(tensor.bits, "lsq", table, per_channel=len(tensor.scales) > 1)
    return None


def _range(values: Mapping[str, torch.Tensor], point: str) -> FrozenRange:
    bits, scale, zero_point = (values[f"{point}.{field}"] for field in ("bits", "scale", "zero_point"))
    return FrozenRange(int(bits), scale, zero_point)
