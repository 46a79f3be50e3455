"""tools/widen.py: more hidden channels compute what fewer did."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from narrow import ENROLLMENT, MIXTURE, NARROW, network  # noqa: E402
from scripts import script  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from tinywase.models import Wase  # noqa: E402
from tinywase.models.layers import ConvBlock  # noqa: E402
from tinywase.quant.adopt import configuration  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording, weight_quantizers  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402

SEED = 3


@pytest.fixture(scope="module")
def widen() -> ModuleType:
    return script("tools/widen.py")


def student(method: str, levels: str) -> Wase:
    model = network()
    attach(model, QuantConfig(bits=3, method=method, levels=levels, per_channel=True, voiceprint_bits=4, codec_bits=6))
    with recording(model):
        run(model)
    freeze(model)
    return model


@torch.no_grad()
def run(model: Wase) -> Tensor:
    """The estimate. Shape: -> [1, T]."""
    return model(MIXTURE, model.enroll(ENROLLMENT)).estimate


def generator() -> Any:
    return torch.Generator().manual_seed(SEED)


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def twins(block: ConvBlock) -> list[int]:
    """Of every channel that was added, the one that it is a copy of."""
    rows = block.expand.weight.detach().flatten(1)
    return [int((row == rows[: NARROW.hidden]).all(1).nonzero()[0]) for row in rows[NARROW.hidden :]]


@pytest.mark.parametrize("changes", [{}, {"features": "latent"}, {"distinct_stacks": 1}, {"causal": True}])
def test_twice_the_channels_compute_the_same(widen: ModuleType, changes: dict[str, Any]) -> None:
    model = network(**changes)
    new = widen.widened(model, 2 * NARROW.hidden, generator())
    assert new.config == dataclasses.replace(model.config, hidden=2 * NARROW.hidden)
    assert distance(run(new), run(model)) < 1e-4


def test_some_more_channels_differ_by_what_the_norms_make_of_them(widen: ModuleType) -> None:
    model = network()
    wrong = network()
    with torch.no_grad():
        for block in cast(Sequence[ConvBlock], wrong.separator.blocks):  # as many channels lost
            block.depthwise_norm.weight[:8] = block.depthwise_norm.bias[:8] = 0.0
    found = distance(run(widen.widened(model, NARROW.hidden + 8, generator())), run(model))
    assert found < 0.2 * distance(run(wrong), run(model))


@pytest.mark.parametrize("method", ["lsq", "soft-sigmoid"])
@pytest.mark.parametrize("levels", ["even", "symmetric"])
def test_a_student_stays_one_on_its_levels(widen: ModuleType, method: str, levels: str) -> None:
    model = student(method, levels)
    new = widen.widened(model, 2 * NARROW.hidden, generator())
    assert configuration(new) == configuration(model)
    before, after = weight_quantizers(model), weight_quantizers(new)
    for name, quantizer in before.items():
        assert torch.equal(after[name].levels, quantizer.levels)
        assert set(after[name].scales.tolist()) == set(quantizer.scales.tolist())
    old, block = model.separator.blocks[1], new.separator.blocks[1]
    for side in ("residual", "skip"):
        weight = getattr(block, side).weight.detach()
        both = weight[:, twins(block)] + weight[:, NARROW.hidden :]
        torch.testing.assert_close(both, 2 * getattr(old, side).weight.detach()[:, twins(block)])
    assert distance(run(new), run(model)) < 0.05  # activations are rounded at other places


def test_pairs_learn_to_differ(widen: ModuleType) -> None:
    new = widen.widened(student("lsq", "even"), 2 * NARROW.hidden, generator()).train()
    new(MIXTURE, new.enroll(ENROLLMENT)).estimate.square().sum().backward()
    block = new.separator.blocks[0]
    assert sorted(twins(block)) == list(range(NARROW.hidden))
    gradient = block.expand.parametrizations.weight.original.grad.flatten(1)
    alike = functional.cosine_similarity(gradient[twins(block)], gradient[NARROW.hidden :])
    assert float(alike.median()) < 0.999


@pytest.mark.parametrize("hidden", [NARROW.hidden - 1, 2 * NARROW.hidden + 1])
def test_other_widths_are_refused(widen: ModuleType, hidden: int) -> None:
    with pytest.raises(SystemExit, match=f"--hidden {hidden}: expected 24 to 48"):
        widen.widened(network(), hidden, generator())


def test_the_program_writes_a_checkpoint(
    widen: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_weights(network(), before)
    monkeypatch.setattr(sys, "argv", ["widen.py", str(before), str(after), "--hidden", "32"])
    widen.main()
    assert "parameters have become" in capsys.readouterr().out
    assert load_checkpoint(after).config.hidden == 32
