"""Quantizers attached to the network from outside: which tensors, state by name, freezing, what goes into the file."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from tinywase.config import PAPER, TINY, ModelConfig, VoiceprintConfig, named_config  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.layout import activation_points, expected_tensors  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import (  # noqa: E402
    activation_quantizers,
    attach,
    float_state,
    freeze,
    learn_ranges,
    load_quantized,
    recording,
    set_temperature,
    weight_quantizers,
)
from tinywase.quant.collect import frozen_activations, packed_weights  # noqa: E402
from tinywase.quant.rules import QuantConfig, plan_weights  # noqa: E402

LSTM = dataclasses.replace(TINY, voiceprint=VoiceprintConfig(dimensions=16, filters=8, hidden=6, window=64, hop=32))
FIXED = dataclasses.replace(
    TINY, codec="fourier", filters=TINY.window, voiceprint=dataclasses.replace(TINY.voiceprint, filterbank="mel")
)
SHARED_CAUSAL = dataclasses.replace(TINY, distinct_stacks=1, causal=True)
EVERYTHING = QuantConfig(bits=3, method="lsq", codec_bits=8, voiceprint_bits=4)


def run(model: Wase, *, seed: int = 0, batch: int = 2) -> Tensor:
    rng = np.random.default_rng(seed)
    mixture, enrollment = (torch.from_numpy(rng.normal(0, 0.1, (batch, n)).astype(np.float32)) for n in (900, 700))
    return model(mixture, model.enroll(enrollment)).estimate


def student(config: ModelConfig, quant: QuantConfig, *, frozen: bool = True) -> Wase:
    torch.manual_seed(0)
    model = Wase(config).eval()
    attach(model, quant)
    if frozen:
        with recording(model), torch.no_grad():
            run(model)
        freeze(model)
    return model


@pytest.mark.parametrize(("share", "count"), [(False, 103), (True, 39)])
def test_the_paper_quantizes_so_many_tensors(share: bool, count: int) -> None:
    plans = plan_weights(expected_tensors(named_config("paper", distinct_stacks=int(share))), QuantConfig())
    assert len(plans) == count
    assert all(name.startswith("separator.") for name in plans)


def test_overrides_choose_single_tensors_and_the_last_match_wins() -> None:
    overrides = (("separator.blocks.*", 2), ("separator.blocks.0.skip.weight", 5), ("separator.mask.weight", 32))
    plans = plan_weights(expected_tensors(PAPER), QuantConfig(overrides=overrides))
    assert plans["separator.blocks.0.skip.weight"].bits == 5
    assert plans["separator.blocks.1.skip.weight"].bits == 2
    assert plans["separator.bottleneck.weight"].bits == 3
    assert "separator.mask.weight" not in plans


def test_fixed_filters_take_no_bits_and_what_is_learned_beside_them_does() -> None:
    learned, fixed = (plan_weights(expected_tensors(config), EVERYTHING) for config in (TINY, FIXED))
    filters = {"encoder.weight", "decoder.weight", "voiceprint_encoder.filterbank.weight"}
    assert set(learned) - set(fixed) == filters and set(fixed) <= set(learned)
    assert {plan.bits for name, plan in fixed.items() if name.startswith("voiceprint_encoder.")} == {4}
    assert plan_weights(expected_tensors(FIXED), dataclasses.replace(EVERYTHING, codec_bits=32)) == fixed


def test_an_override_that_names_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'separator\.block\.\*' matches no weight"):
        plan_weights(expected_tensors(TINY), QuantConfig(overrides=(("separator.block.*", 2),)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bits": 0}, "bits = 0: expected 1 to 8 bits, or 32"),
        ({"bits": 9}, "bits = 9: expected 1 to 8 bits"),
        ({"voiceprint_bits": 16}, "voiceprint_bits = 16"),
        ({"overrides": (("separator.*", 0),)}, r"overrides: separator\.\* = 0"),
        ({"method": "magic"}, "method = 'magic': expected one of soft-sigmoid, lsq"),
        ({"levels": "odd"}, "levels = 'odd': expected one of symmetric, even"),
    ],
)
def test_impossible_configurations_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QuantConfig(**values)


@pytest.mark.parametrize("config", [TINY, LSTM, FIXED, SHARED_CAUSAL], ids=["tcn", "lstm", "fixed", "shared-causal"])
def test_quantized_everywhere_it_should_be_and_every_weight_lies_on_its_codebook(config: ModelConfig) -> None:
    model = student(config, EVERYTHING)
    assert set(weight_quantizers(model)) == {name for name, shape in expected_tensors(config).items() if len(shape) > 1}
    assert set(activation_quantizers(model)) == set(activation_points(config))
    for name, packed in packed_weights(model).items():
        path, _, leaf = name.rpartition(".")
        assert np.array_equal(getattr(model.get_submodule(path), leaf).detach().numpy(), packed.dequantize())


def test_recurrent_layers_really_run_on_quantized_weights() -> None:
    model = student(LSTM, QuantConfig(bits=32, activation_bits=32, voiceprint_bits=2, method="lsq"))
    plain = Wase(LSTM).eval()
    state = float_state(model) | {name: torch.from_numpy(t.dequantize()) for name, t in packed_weights(model).items()}
    plain.load_state_dict(state)
    enrollment = torch.randn(2, 700)
    assert torch.allclose(model.enroll(enrollment), plain.enroll(enrollment), atol=1e-6)
    assert not torch.allclose(model.enroll(enrollment), Wase(LSTM).eval().enroll(enrollment), atol=1e-3)
    model.train().enroll(enrollment).sum().backward()
    learned = weight_quantizers(model)["voiceprint_encoder.rnn.weight_hh_l0"]
    assert all(parameter.grad is not None for parameter in learned.parameters())
    copy.deepcopy(model)


def test_the_float_network_comes_back_under_its_own_names() -> None:
    torch.manual_seed(0)
    plain = Wase(TINY)
    names = set(plain.state_dict())
    model = copy.deepcopy(plain)
    attach(model, EVERYTHING)
    state = float_state(model)
    assert set(state) == names == set(expected_tensors(TINY))
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("method", ["lsq", "soft-sigmoid"])
def test_save_and_restore_by_name(method: str, frozen: bool) -> None:
    quant = QuantConfig(bits=2, method=method)
    model = student(TINY, quant, frozen=frozen)
    set_temperature(model, 50)
    torch.manual_seed(5)
    other = Wase(TINY).eval()
    attach(other, quant)
    load_quantized(other, model.state_dict())
    assert torch.equal(run(model), run(other))
    assert torch.equal(run(model.train()), run(other.train()))


def test_an_item_does_not_depend_on_its_batch_once_ranges_are_frozen() -> None:
    for frozen, equal in ((True, True), (False, False)):
        model = student(TINY, QuantConfig(bits=3, method="lsq", activation_bits=4), frozen=frozen)
        rng = np.random.default_rng(1)
        mixture = torch.from_numpy(rng.normal(0, 0.1, (2, 900)).astype(np.float32)) * torch.tensor([[1.0], [30.0]])
        voiceprint = torch.from_numpy(rng.normal(0, 1, (2, 16)).astype(np.float32))
        with torch.no_grad():
            together, alone = model(mixture, voiceprint).estimate[:1], model(mixture[:1], voiceprint[:1]).estimate
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-6) is equal


def test_only_frozen_ranges_can_be_packed() -> None:
    model = student(TINY, QuantConfig(), frozen=False)
    with pytest.raises(ConfigError, match=r"DynamicRange: only a frozen range can be packed\. Calibrate"):
        frozen_activations(model)
    with pytest.raises(ConfigError, match="no range was recorded"):
        freeze(model)
    with recording(model):
        run(model)
    learn_ranges(model)
    with pytest.raises(ConfigError, match="LearnedRange: only a frozen"):
        frozen_activations(model)
    before = run(model)
    freeze(model)
    assert torch.equal(run(model), before)
    tensors = frozen_activations(model)
    assert set(tensors) == {f"{p}.{f}" for p in activation_quantizers(model) for f in ("scale", "zero_point", "bits")}
    assert all(value.shape == (1,) and value.dtype == np.float32 for value in tensors.values())


def test_thirty_two_bits_change_nothing() -> None:
    torch.manual_seed(0)
    plain = Wase(TINY).eval()
    before = run(plain)
    attach(plain, QuantConfig(bits=32, activation_bits=32))
    assert torch.equal(run(plain), before)
    assert not weight_quantizers(plain)
    assert not activation_quantizers(plain)
