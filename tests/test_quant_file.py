"""From the fake-quantized network to the packed file and back: the runtime computes what training saw."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinywase.config import TINY, ModelConfig, VoiceprintConfig  # noqa: E402
from tinywase.format import inspect, read_model, to_bytes, write_model  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.runtime.reference import ReferenceModel  # noqa: E402
from tinywase.train.export import export, packed_model  # noqa: E402

LSTM = dataclasses.replace(TINY, voiceprint=VoiceprintConfig(dimensions=16, filters=8, hidden=6, window=64, hop=32))
SHARED_CAUSAL = dataclasses.replace(TINY, distinct_stacks=1, causal=True, lookahead_frames=2)
SAMPLES = 1200
CASES = [
    (TINY, QuantConfig(bits=3)),
    (TINY, QuantConfig(bits=2, method="lsq", levels="even", codec_bits=8, voiceprint_bits=4)),
    (TINY, QuantConfig(bits=1, method="lsq", per_channel=True, activation_bits=32)),
    (LSTM, QuantConfig(bits=4, method="lsq", voiceprint_bits=8, overrides=(("*.mask.weight", 8),))),
    (SHARED_CAUSAL, QuantConfig(bits=3, method="lsq", activation_bits=6)),
]


def sounds(*lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    return [rng.normal(0, 0.05, length).astype(np.float32) for length in lengths]


def quantized(config: ModelConfig, quant: QuantConfig) -> Wase:
    torch.manual_seed(1)
    model = Wase(config).eval()
    attach(model, quant)
    mixture, enrollment = (torch.from_numpy(sound)[None] for sound in sounds(SAMPLES, 900))
    with recording(model), torch.no_grad():
        model(mixture, model.enroll(enrollment))
    freeze(model)
    return model


@pytest.mark.parametrize(("config", "quant"), CASES, ids=["paper", "everything", "one-bit", "lstm", "shared-causal"])
def test_the_packed_file_runs_as_the_fake_quantized_network(
    tmp_path: Path, config: ModelConfig, quant: QuantConfig
) -> None:
    model = quantized(config, quant)
    path = tmp_path / "student.twase"
    write_model(path, packed_model(model, card={}), compact=True)
    runtime = ReferenceModel(read_model(path))
    mixture, enrollment = sounds(SAMPLES, 900)
    with torch.no_grad():
        voiceprint = model.enroll(torch.from_numpy(enrollment)[None])
        wanted = model(torch.from_numpy(mixture)[None], voiceprint).estimate[0].numpy()
    assert np.allclose(runtime.enroll(enrollment), voiceprint[0].numpy(), rtol=1e-3, atol=1e-4)
    got, _ = runtime.extract(mixture, voiceprint[0].numpy())
    error_db = 10 * np.log10(np.sum((got - wanted) ** 2) / np.sum(wanted**2))
    assert error_db < -45, f"{error_db:.1f} dB: a value near a step's edge may fall on either side, no more"


@pytest.mark.parametrize(("config", "quant"), CASES, ids=["paper", "everything", "one-bit", "lstm", "shared-causal"])
def test_compact_and_plain_files_hold_the_same_tensors(tmp_path: Path, config: ModelConfig, quant: QuantConfig) -> None:
    wanted = packed_model(quantized(config, quant), card={})
    for compact in (False, True):
        path = tmp_path / f"{compact}.twase"
        write_model(path, wanted, compact=compact)
        tensors = read_model(path).tensors
        assert all(np.array_equal(tensors[name].dequantize(), t.dequantize()) for name, t in wanted.tensors.items())
        assert inspect(path).file_bytes == path.stat().st_size
        assert inspect(path).sizes.quantized_tensors == sum(
            t.kind == "codes" and name.startswith("separator.") for name, t in wanted.tensors.items()
        )


def test_compact_writing_makes_a_large_file_smaller() -> None:
    model = Wase(dataclasses.replace(TINY, bottleneck=64, hidden=128))
    weights = [value for name, value in model.named_parameters() if name.endswith(".expand.weight")]
    for weight in weights:
        torch.nn.init.normal_(weight)  # bell-shaped, as training makes them
    attach(model, QuantConfig(bits=3, method="lsq", activation_bits=32))
    file = packed_model(model, card={})
    saved_bits = 8 * (len(to_bytes(file)) - len(to_bytes(file, compact=True)))
    assert saved_bits > 0.2 * sum(weight.numel() for weight in weights)


def test_ramp8_keeps_vectors_within_half_a_step_and_shrinks_them(tmp_path: Path) -> None:
    model = Wase(TINY)
    for kind in ("float16", "ramp8"):
        export(model, tmp_path / f"{kind}.twase", card={}, float_kind=kind, compact=True)
    tensors = read_model(tmp_path / "ramp8.twase").tensors
    for name, value in model.state_dict().items():
        step = float(value.max() - value.min()) / 255 if value.ndim == 1 else 0.0
        np.testing.assert_allclose(tensors[name].dequantize(), value.numpy(), rtol=2**-10, atol=0.5001 * step + 1e-7)
    assert tensors["separator.blocks.0.expand.bias"].bits == 8
    sizes = [(tmp_path / f"{kind}.twase").stat().st_size for kind in ("float16", "ramp8")]
    assert sizes[1] < sizes[0]
    assert tensors["separator.blocks.0.expand_norm.weight"].kind == "float16", "constant: nothing to spread levels over"


def test_a_part_of_a_model_can_be_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "student.twase"
    export(quantized(TINY, QuantConfig(method="lsq", voiceprint_bits=4)), path, card={}, compact=True)
    whole, part = read_model(path), read_model(path, part="voiceprint_encoder.")
    assert part.config == whole.config
    assert set(part.tensors) == {name for name in whole.tensors if name.startswith("voiceprint_encoder.")}
    assert all(np.array_equal(t.dequantize(), whole.tensors[name].dequantize()) for name, t in part.tensors.items())
