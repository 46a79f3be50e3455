"""Quantizers onto a network and its activation points, by name, without changing a line of the network.

Weights: `torch.nn.utils.parametrize`, so `module.weight` is the fake-quantized tensor and
`parametrizations.weight.original` what is trained. Activations: the network marks its points with named identities; a
quantizer takes their place.

    attach(student, QuantConfig(bits=3))
    ...train...
    with recording(student): run some batches
    freeze(student)                            # now an item's result does not depend on its batch, and it can be packed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .activation import ActivationQuantizer, DynamicRange, FrozenRange, LearnedRange
from .base import WeightQuantizer, positive
from .lsq import Lsq
from .rules import QuantConfig, WeightPlan, plan_activations, plan_weights
from .soft_sigmoid import SoftSigmoid, temperature_at

QUANTIZERS: dict[str, Callable[..., WeightQuantizer]] = {"soft-sigmoid": SoftSigmoid, "lsq": Lsq}


def attach(model: nn.Module, config: QuantConfig, *, fit: bool = True) -> None:
    """Quantize the weights and activation points of `model` that `config` names, in place; without `fit` for a state
    that brings the scales along.

    Raises:
        ConfigError: an override that names no tensor.
    """
    weights = dict(model.named_parameters())
    for name, plan in plan_weights({key: tuple(value.shape) for key, value in weights.items()}, config).items():
        attach_weight(model, name, plan, fit=fit)
    points = [name for name, module in model.named_modules() if type(module) is nn.Identity]
    for point, bits in plan_activations(points, config).items():
        replace_point(model, point, DynamicRange(bits))
    model.train(model.training)  # what was attached takes the mode of the rest


def replace_point(model: nn.Module, name: str, point: ActivationQuantizer) -> None:
    """Put a quantizer where the point is, on the network's device."""
    model.set_submodule(name, point.to(next(model.parameters()).device))


def attach_weight(model: nn.Module, name: str, plan: WeightPlan, *, fit: bool = True) -> None:
    """Quantize one weight; the quantizer is fitted to it, or waits for a state."""
    path, _, leaf = name.rpartition(".")
    owner = model.get_submodule(path)
    quantizer = QUANTIZERS[plan.method](
        getattr(owner, leaf), bits=plan.bits, per_channel=plan.per_channel, table=plan.levels, fit=fit
    )
    parametrize.register_parametrization(owner, leaf, quantizer.train(owner.training))
    if isinstance(owner, nn.RNNBase) and not owner._forward_pre_hooks:
        owner.register_forward_pre_hook(_read_weights)
        owner.register_forward_hook(_drop_weights)


def _read_weights(rnn: nn.Module, _: object) -> None:
    """torch's recurrent layers run on a private list of weights: give it the quantized ones."""
    rnn._flat_weights = [getattr(rnn, name) for name in rnn._flat_weights_names]  # type: ignore[union-attr, assignment]


def _drop_weights(rnn: nn.Module, _: object, __: object) -> None:
    """Cut the list from the graph again, so that the network can be copied."""
    rnn._flat_weights = [weight.detach() for weight in rnn._flat_weights]  # type: ignore[union-attr, assignment]


def weight_quantizers(model: nn.Module) -> dict[str, WeightQuantizer]:
    """The quantizer of every quantized weight, by the weight's name."""
    found = {}
    for path, module in model.named_modules():
        for leaf in getattr(module, "parametrizations", {}):
            quantizer = module.parametrizations[leaf][0]
            if isinstance(quantizer, WeightQuantizer):
                found[f"{path}.{leaf}"] = quantizer
    return found


def original_weight(model: nn.Module, name: str) -> Tensor:
    """The trained float weight behind a quantized one."""
    path, _, leaf = name.rpartition(".")
    return model.get_submodule(path).parametrizations[leaf].original  # type: ignore[index, union-attr]


@torch.no_grad()
def scale_weight(model: nn.Module, name: str, factor: float) -> None:
    """Multiply a parameter by a positive number; codes of a quantized one stay, its scale moves."""
    quantizer = weight_quantizers(model).get(name)
    weight = model.get_parameter(name) if quantizer is None else original_weight(model, name)
    weight.mul_(factor)
    if quantizer is not None:
        quantizer.rescale(factor)


def activation_quantizers(model: nn.Module) -> dict[str, ActivationQuantizer]:
    """The quantizer of every quantized activation point, by the point's name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ActivationQuantizer)}


def float_state(model: nn.Module) -> dict[str, Tensor]:
    """Every tensor under the float network's own name, the trained float weights where they are quantized."""
    suffix = ".original"
    state = {}
    for key, value in model.state_dict().items():
        if "parametrizations." not in key:
            state[key] = value
        elif key.endswith(suffix):
            state[key.replace("parametrizations.", "").removesuffix(suffix)] = value
    points = activation_quantizers(model)
    return {key: value for key, value in state.items() if key.rpartition(".")[0] not in points}


def set_temperature(model: nn.Module, epoch: float) -> None:
    """Sharpen every soft staircase to its temperature at `epoch` (from 1)."""
    for quantizer in weight_quantizers(model).values():
        if isinstance(quantizer, SoftSigmoid):
            quantizer.sharpen(temperature_at(epoch))


@contextmanager
def recording(model: nn.Module) -> Iterator[None]:
    """While open, every dynamic range remembers the widest range that passes; earlier records are forgotten."""
    points = [point for point in activation_quantizers(model).values() if isinstance(point, DynamicRange)]
    for point in points:
        point.recording = True
        point.low.fill_(float("inf"))
        point.high.fill_(-float("inf"))
    try:
        yield
    finally:
        for point in points:
            point.recording = False


def learn_ranges(model: nn.Module) -> None:
    """Turn recorded dynamic ranges into learned ones.

    Raises:
        ConfigError: a point with no record.
    """
    for name, point in activation_quantizers(model).items():
        if isinstance(point, DynamicRange):
            replace_point(model, name, LearnedRange(int(point.bits), *point.recorded(name)))


def freeze(model: nn.Module) -> None:
    """Turn recorded dynamic ranges and learned ones into constants.

    Raises:
        ConfigError: a dynamic point with no record.
    """
    for name, point in activation_quantizers(model).items():
        if isinstance(point, DynamicRange):
            replace_point(model, name, FrozenRange(int(point.bits), *point.recorded(name)))
        elif isinstance(point, LearnedRange):
            replace_point(model, name, FrozenRange(int(point.bits), positive(point.scale), point.zero_point))


def match_ranges(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give `model` the stage of ranges that `state` was saved at: dynamic points become frozen where it has
    constants."""
    for name, point in activation_quantizers(model).items():
        if f"{name}.zero_point" in state and isinstance(point, DynamicRange):
            one = torch.ones_like(point.bits)
            replace_point(model, name, FrozenRange(int(point.bits), one, one))


def load_quantized(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load the state of an attached network by name, whatever stage its ranges had reached."""
    match_ranges(model, state)
    model.load_state_dict(state)
