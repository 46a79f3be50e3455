"""tools/reuse.py: a network's stacks run again, with the cues of their first use."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from narrow import ENROLLMENT, MIXTURE, NARROW, network  # noqa: E402
from scripts import script  # noqa: E402

from tinywase.errors import ConfigError  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.cues import CUE, with_cues_moved  # noqa: E402
from tinywase.train.export import packed_model  # noqa: E402


@pytest.fixture(scope="module")
def reuse() -> ModuleType:
    return script("tools/reuse.py")


@pytest.mark.parametrize("distinct", [0, 1])
def test_stacks_run_again_with_their_first_cues(reuse: ModuleType, distinct: int) -> None:
    model = network(stacks=2, distinct_stacks=distinct)
    new = reuse.reused(model, 5)
    latent, voiceprint = torch.randn(1, NARROW.filters, 20), torch.randn(1, NARROW.voiceprint.dimensions)
    with torch.no_grad():
        before, after = model.separator(latent, voiceprint), new.separator(latent, voiceprint)
    for first, again in zip(before.features, after.features, strict=False):
        assert torch.equal(first, again)
    assert len(after.features) == 5 and not torch.allclose(after.mask, before.mask)
    cues = new.separator.cue_projections
    for place, source in ((2, 0), (3, 1), (4, 0)) if not distinct else ((2, 0), (3, 0), (4, 0)):
        assert torch.equal(cues[place].weight, model.separator.cue_projections[source].weight)
    assert torch.equal(cues[5].weight, model.separator.cue_projections[2].weight)


def test_as_many_uses_as_before_change_nothing(reuse: ModuleType) -> None:
    model = network()
    same, voiceprint = reuse.reused(model, NARROW.stacks), model.enroll(ENROLLMENT)
    assert torch.equal(same(MIXTURE, voiceprint).estimate, model(MIXTURE, voiceprint).estimate)


def test_a_student_stays_one(reuse: ModuleType) -> None:
    model = network()
    attach(
        model, QuantConfig(bits=3, method="lsq", per_channel=True, voiceprint_bits=4, codec_bits=6, activation_bits=8)
    )
    with recording(model):
        model(MIXTURE, model.enroll(ENROLLMENT))
    freeze(model)
    before, after = (packed_model(one, card={}).tensors for one in (model, reuse.reused(model, 4)))
    new = {name for name in after if name not in before}
    assert new and all(CUE.fullmatch(name) for name in new)
    for name, tensor in before.items():
        moved = with_cues_moved({name: None}, 2, 4)
        assert np.array_equal(after[next(iter(moved))].dequantize(), tensor.dequantize()), name


def test_fewer_uses_than_stacks_are_refused(reuse: ModuleType) -> None:
    with pytest.raises(ConfigError, match="distinct_stacks = 2: expected 0 to 1"):
        reuse.reused(network(), 1)


def test_the_program_writes_a_checkpoint(
    reuse: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_weights(network(), before)
    monkeypatch.setattr(sys, "argv", ["reuse.py", str(before), str(after), "--stacks", "3"])
    reuse.main()
    assert "2 uses of 2 stacks have become 3" in capsys.readouterr().out
    config = load_checkpoint(after).config
    assert (config.stacks, config.distinct_stacks) == (3, 2)
