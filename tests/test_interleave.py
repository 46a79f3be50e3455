"""tools/interleave.py: half the hop computes the mean of two runs half a hop apart."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from narrow import ENROLLMENT, MIXTURE, NARROW, network  # noqa: E402
from scripts import script  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from tinywase.errors import ConfigError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.export import packed_model  # noqa: E402


@pytest.fixture(scope="module")
def interleave() -> ModuleType:
    return script("tools/interleave.py")


@torch.no_grad()
def run(model: Wase, delay: int = 0) -> Tensor:
    """The estimate of the mixture that begins `delay` samples later. Shape: -> [1, T]."""
    estimate = model(functional.pad(MIXTURE, (delay, 0)), model.enroll(ENROLLMENT)).estimate
    return estimate[:, delay:]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"overlap": 4},
        {"features": "latent"},
        {"distinct_stacks": 1},
        {"causal": True, "lookahead_frames": 2, "norm_memory_frames": 50},
    ],
)
def test_half_the_hop_computes_the_mean_of_two_runs(interleave: ModuleType, changes: dict[str, Any]) -> None:
    model = network(**changes)
    new = interleave.interleaved(model)
    assert (new.config.window, new.config.hop) == (NARROW.window, model.config.hop // 2)
    runs = [run(model), run(model, model.config.hop // 2)]
    mean, found = torch.stack(runs).mean(0), run(new)
    apart = (runs[0] - runs[1]).norm()
    assert (found - mean).norm() < 0.25 * apart  # norms hear both grids, and silence at other edges
    assert apart > 0.01 * mean.norm()  # two runs, not one


@pytest.mark.parametrize("method", ["lsq", "soft-sigmoid"])
@pytest.mark.parametrize("levels", ["even", "symmetric"])
def test_a_student_stays_one(interleave: ModuleType, method: str, levels: str) -> None:
    model = network()
    attach(model, QuantConfig(bits=3, method=method, levels=levels, per_channel=True, voiceprint_bits=4, codec_bits=6))
    with recording(model):
        run(model)
    freeze(model)
    new = interleave.interleaved(model)
    runs = [run(model), run(model, model.config.hop // 2)]
    mean, found = torch.stack(runs).mean(0), run(new)
    assert (found - mean).norm() < 0.3 * (runs[0] - runs[1]).norm()
    before, after = packed_model(model, card={}).tensors, packed_model(new, card={}).tensors
    kept = {
        "separator.blocks.0.": "separator.blocks.1.",
        "separator.blocks.3.": "separator.blocks.5.",
        "decoder.": "decoder.",
    }
    for name, tensor in before.items():
        for old, moved in kept.items():
            if name.startswith(old):
                found_tensor = after[name.replace(old, moved)]
                assert np.array_equal(found_tensor.dequantize(), tensor.dequantize() / (1 + (old == "decoder.")))


def test_windows_that_overlap_too_often_are_refused(interleave: ModuleType) -> None:
    with pytest.raises(ConfigError, match=r"overlap = 16: expected"):
        interleave.interleaved(network(overlap=8))


def test_the_program_writes_a_checkpoint(
    interleave: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_weights(network(), before)
    monkeypatch.setattr(sys, "argv", ["interleave.py", str(before), str(after)])
    interleave.main()
    assert "parameters have become" in capsys.readouterr().out
    assert load_checkpoint(after).config.blocks == NARROW.blocks + 1
