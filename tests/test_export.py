"""From torch to a model file: the file computes what the network computed, quantized or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinywase.config import TINY, named_config  # noqa: E402
from tinywase.errors import ConfigError, FormatError, OutputError  # noqa: E402
from tinywase.format import inspect, read_model  # noqa: E402
from tinywase.layout import activation_points, expected_tensors  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.runtime.model import PackedModel  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.export import export  # noqa: E402


def noise(length: int, seed: int = 0) -> Any:
    return 0.05 * torch.randn(1, length, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model() -> Wase:
    torch.manual_seed(0)
    return Wase(TINY).eval()


def quantized(model: Wase, **changes: Any) -> Wase:
    attach(model, QuantConfig(**({"method": "lsq"} | changes)))
    with torch.inference_mode(), recording(model):
        model(noise(2000), model.enroll(noise(4000, 1)))
    freeze(model)
    return model


def test_an_exported_model_extracts_what_the_network_extracts(model: Wase, tmp_path: Path) -> None:
    export(model, tmp_path / "model.twase", card={"data": "none"})
    packed = PackedModel.load(tmp_path / "model.twase", runtime="reference")
    mixture, enrollment = noise(3000), noise(5000, 1)
    with torch.inference_mode():
        voiceprint = model.enroll(enrollment)
        expected = model(mixture, voiceprint).estimate[0].numpy()
    assert packed.card == {"data": "none"}
    np.testing.assert_allclose(packed.enroll(enrollment[0].numpy()), voiceprint[0].numpy(), rtol=1e-4, atol=1e-5)
    estimate, _ = packed.extract(mixture[0].numpy(), voiceprint[0].numpy())
    assert np.abs(estimate - expected).max() < 1e-4 * np.abs(expected).max()


def test_float16_halves_the_tensors_and_keeps_them_within_its_rounding(model: Wase, tmp_path: Path) -> None:
    for kind in ("float32", "float16"):
        export(model, tmp_path / f"{kind}.twase", card={}, float_kind=kind)
    wide, narrow = (inspect(tmp_path / f"{kind}.twase") for kind in ("float32", "float16"))
    table_bytes = 96 * len(wide.bits)
    assert (
        narrow.core_bytes + narrow.voiceprint_bytes - table_bytes
        == (wide.core_bytes + wide.voiceprint_bytes - table_bytes) // 2
    )
    tensors = read_model(tmp_path / "float16.twase").tensors
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(tensors[name].dequantize(), value.numpy(), rtol=2**-11, atol=1e-7)


def test_a_float16_checkpoint_exports_to_float16_without_loss(model: Wase, tmp_path: Path) -> None:
    save_weights(model, tmp_path / "weights.safetensors", {"note": "x"})
    loaded = load_checkpoint(tmp_path / "weights.safetensors")
    export(loaded, tmp_path / "model.twase", card={}, float_kind="float16")
    tensors = read_model(tmp_path / "model.twase").tensors
    for name, value in loaded.state_dict().items():
        np.testing.assert_array_equal(tensors[name].dequantize(), value.numpy())


@pytest.mark.parametrize("method", ["lsq", "soft-sigmoid"])
def test_quantized_weights_are_packed_as_their_codes_bit_for_bit(model: Wase, method: str, tmp_path: Path) -> None:
    quantized(model, method=method, bits=3, codec_bits=8, voiceprint_bits=4)
    export(model, tmp_path / "model.twase", card={})
    tensors = read_model(tmp_path / "model.twase").tensors
    shapes = expected_tensors(TINY)
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        if len(shapes.get(name, ())) > 1:
            expected_bits = 8 if name.startswith(("encoder", "decoder")) else 4 if "voiceprint_enc" in name else 3
            assert (tensor.kind, tensor.bits) == ("codes", expected_bits)
            effective = getattr(model.get_submodule(owner), leaf).detach().numpy()
            np.testing.assert_array_equal(tensor.dequantize(), effective)
        else:
            assert tensor.kind == "float32"


def test_frozen_ranges_are_in_the_file(model: Wase, tmp_path: Path) -> None:
    export(quantized(model, voiceprint_bits=4, activation_bits=6), tmp_path / "model.twase", card={})
    assert inspect(tmp_path / "model.twase").activation_bits == dict.fromkeys(activation_points(TINY), 6)


def test_a_range_that_depends_on_the_batch_is_refused(model: Wase, tmp_path: Path) -> None:
    attach(model, QuantConfig())
    with pytest.raises(ConfigError, match=r"only a frozen range can be packed\. Calibrate"):
        export(model, tmp_path / "model.twase", card={})
    assert list(tmp_path.iterdir()) == []


def test_a_weight_that_is_not_finite_is_refused_by_name(model: Wase, tmp_path: Path) -> None:
    with torch.no_grad():
        model.separator.mask.weight[0, 0] = float("nan")
    with pytest.raises(FormatError, match=r"tensor 'separator\.mask\.weight': values hold NaN or infinity"):
        export(model, tmp_path / "model.twase", card={})
    assert list(tmp_path.iterdir()) == []


def test_another_float_kind_is_refused(model: Wase, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="float_kind = 'bfloat16': expected one of float32, float16"):
        export(model, tmp_path / "model.twase", card={}, float_kind="bfloat16")


def test_an_existing_file_is_kept_unless_forced(model: Wase, tmp_path: Path) -> None:
    path = tmp_path / "model.twase"
    export(model, path, card={"n": 1})
    with pytest.raises(OutputError, match="exists already"):
        export(model, path, card={"n": 2})
    assert read_model(path).card == {"n": 1}
    export(model, path, card={"n": 2}, force=True)
    assert read_model(path).card == {"n": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"distinct_stacks": 1},
        {"causal": True, "lookahead_frames": 2},
        {"cues": "activity"},
        {"codec": "fourier", "overlap": 4},
    ],
)
def test_the_configuration_survives(changes: dict[str, Any], tmp_path: Path) -> None:
    config = named_config("tiny", **changes)
    export(Wase(config), tmp_path / "model.twase", card={})
    assert read_model(tmp_path / "model.twase").config == config
