"""Quantizers like another network's: described, restored from a model file, adopted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from torch import Tensor, nn  # noqa: E402

from tinywase.config import TINY, ModelConfig, VoiceprintConfig  # noqa: E402
from tinywase.format import ModelFile, to_bytes  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.activation import FrozenRange  # noqa: E402
from tinywase.quant.adopt import adopt_ranges, adopt_steps, configuration  # noqa: E402
from tinywase.quant.attach import (  # noqa: E402
    activation_quantizers,
    attach,
    freeze,
    learn_ranges,
    recording,
    weight_quantizers,
)
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.export import packed_model  # noqa: E402
from tinywase.train.restore import restored  # noqa: E402

LSTM = dataclasses.replace(TINY, voiceprint=VoiceprintConfig(dimensions=16, filters=8, hidden=6, window=64, hop=32))
CONFIGS = {"tcn": TINY, "lstm": LSTM, "shared": dataclasses.replace(TINY, distinct_stacks=1, causal=True)}
QUANTS = {
    "paper": QuantConfig(),
    "ours": QuantConfig(method="lsq", levels="even", per_channel=True, voiceprint_bits=4, codec_bits=6),
    "mixed": QuantConfig(bits=2, method="lsq", overrides=(("separator.blocks.0.*", 5), ("separator.mask.weight", 32))),
    "one bit": QuantConfig(bits=1, method="lsq", levels="even", voiceprint_bits=8),
    "weights alone": QuantConfig(bits=4, method="lsq", activation_bits=32),
    "activations alone": QuantConfig(bits=32, activation_bits=6),
}


def student(
    config: ModelConfig, quant: QuantConfig, *, seed: int = 0, finish: Callable[[nn.Module], None] = freeze
) -> Wase:
    """A network with quantizers whose steps and ranges are not those that fit it best."""
    torch.manual_seed(seed)
    model = Wase(config).eval()
    attach(model, quant)
    with torch.no_grad():
        with recording(model):
            run(model)
        for quantizer in weight_quantizers(model).values():
            for parameter in quantizer.parameters():
                parameter.mul_(0.8)
    finish(model)
    for point in activation_quantizers(model).values():
        point.state_dict()["scale"].mul_(0.7)
    return model


@torch.no_grad()
def run(model: Wase) -> Tensor:
    rng = np.random.default_rng(0)
    mixture, enrollment = (torch.from_numpy(rng.normal(0, 0.1, (1, n)).astype(np.float32)) for n in (900, 700))
    return model(mixture, model.enroll(enrollment)).estimate


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("quant", QUANTS.values(), ids=QUANTS)
def test_a_configuration_read_off_a_network_attaches_the_same_quantizers(
    config: ModelConfig, quant: QuantConfig
) -> None:
    model, other = student(config, quant), Wase(config)
    found = configuration(model)
    assert found is not None
    attach(other, found)
    for quantizers in (weight_quantizers, activation_quantizers):
        ours, theirs = quantizers(other), quantizers(model)
        assert ours.keys() == theirs.keys()
        assert [(type(q) if quantizers is weight_quantizers else None, int(q.bits)) for q in ours.values()] == [
            (type(q) if quantizers is weight_quantizers else None, int(q.bits)) for q in theirs.values()
        ]
    for name, quantizer in weight_quantizers(model).items():
        own = weight_quantizers(other)[name]
        assert torch.equal(own.levels, quantizer.levels)
        assert own.scales.shape == quantizer.scales.shape


def test_a_float_network_has_no_configuration() -> None:
    assert configuration(Wase(TINY)) is None


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("quant", QUANTS.values(), ids=QUANTS)
def test_a_file_and_the_network_restored_from_it_compute_the_same(
    config: ModelConfig, quant: QuantConfig, tmp_path: Path
) -> None:
    before = packed_model(student(config, quant), card={})
    model = restored(before)
    assert torch.equal(run(model), run(student(config, quant)))
    assert to_bytes(packed_model(model, card={})) == to_bytes(before)
    save_weights(model, tmp_path / "student.safetensors")
    assert torch.equal(run(load_checkpoint(tmp_path / "student.safetensors")), run(model))


def test_weights_on_levels_of_no_table_come_without_a_quantizer() -> None:
    file = packed_model(student(TINY, QUANTS["ours"]), card={})
    name = "separator.mask.weight"
    levels = np.array([-9, -5, -3, -1, 1, 3, 5, 9], np.float32)
    uneven = ModelFile(file.config, file.tensors | {name: dataclasses.replace(file.tensors[name], levels=levels)}, {})
    model = restored(uneven)
    assert name not in weight_quantizers(model)
    assert np.array_equal(model.separator.mask.weight.detach().numpy(), uneven.tensors[name].dequantize())


@pytest.mark.parametrize("method", ["lsq", "soft-sigmoid"])
def test_steps_and_ranges_are_adopted_where_quantizers_are_alike(method: str) -> None:
    quant = dataclasses.replace(QUANTS["ours"], method=method)
    theirs, ours = student(TINY, quant), student(TINY, quant, finish=learn_ranges)
    for quantizer in (*weight_quantizers(ours).values(), *activation_quantizers(ours).values()):
        for parameter in quantizer.parameters():
            parameter.data.mul_(1.5)
    assert not torch.equal(run(ours), run(theirs))
    adopt_steps(ours, weight_quantizers(theirs))
    adopt_ranges(ours, activation_quantizers(theirs))
    assert torch.equal(run(ours), run(theirs))


def test_other_bits_and_other_kinds_keep_their_own() -> None:
    ours = student(TINY, QUANTS["ours"], finish=learn_ranges)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    for other in (
        dataclasses.replace(QUANTS["ours"], method="soft-sigmoid", activation_bits=6),
        dataclasses.replace(QUANTS["ours"], bits=2, voiceprint_bits=3, codec_bits=5, activation_bits=7),
        dataclasses.replace(QUANTS["ours"], per_channel=False, activation_bits=4),
    ):
        theirs = student(TINY, other, seed=2)
        adopt_steps(ours, weight_quantizers(theirs))
        adopt_ranges(ours, activation_quantizers(theirs))
        changed = {name for name, value in ours.state_dict().items() if not torch.equal(value, before[name])}
        assert all(name.startswith("separator.activity.") for name in changed)  # one channel: a scale of the same shape
    dynamic = student(TINY, QUANTS["ours"], seed=2)
    adopt_ranges(dynamic, activation_quantizers(ours))
    assert all(isinstance(point, FrozenRange) for point in activation_quantizers(dynamic).values())
