"""tools/cut.py: what is left of a network is its first stacks, with the cue on the summed skips at its new place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from native_models import CONFIGS, integer_model
from scripts import script

from tinywase.format import ModelFile, read_model, write_model
from tinywase.runtime.reference import ReferenceModel

cut = script("tools/cut.py")


def idle(model: ModelFile, stacks: int) -> ModelFile:
    """The model with everything silent that its blocks from `stacks` stacks on add."""
    first, tensors = stacks * model.config.blocks, dict(model.tensors)
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[:2] == ["separator", "blocks"] and int(parts[2]) >= first and parts[3] in ("residual", "skip"):
            if parts[4] == "bias":
                tensors[name] = dataclasses.replace(tensor, values=np.zeros_like(tensor.values))
            elif tensor.codes is not None:
                zero = int(np.flatnonzero(tensor.levels == 0)[0])
                tensors[name] = dataclasses.replace(tensor, codes=np.full_like(tensor.codes, zero))
    return dataclasses.replace(model, tensors=tensors)


@pytest.mark.parametrize("left", [1, 2])
def test_idle_stacks_can_go(tmp_path: Path, left: int) -> None:
    whole = idle(integer_model(dataclasses.replace(CONFIGS["tiny"], stacks=3), 3), left)
    write_model(tmp_path / "whole.twase", whole)
    cut.cut_model(tmp_path / "whole.twase", tmp_path / "cut.twase", left)
    smaller = read_model(tmp_path / "cut.twase")
    assert smaller.config.stacks == left
    sound = np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32) / 9
    results = [ReferenceModel(model) for model in (whole, smaller)]
    estimates = [model.extract(sound[0], model.enroll(sound[1]))[0] for model in results]
    assert np.abs(estimates[0] - estimates[1]).max() < 1e-6


def test_a_students_checkpoint_keeps_its_quantizers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    from tinywase.config import TINY
    from tinywase.models import Wase
    from tinywase.quant.attach import QuantConfig, attach
    from tinywase.train.checkpoint import load_checkpoint, save_weights

    torch.manual_seed(0)
    model = Wase(dataclasses.replace(TINY, stacks=3))
    config = QuantConfig(bits=3, method="lsq")
    attach(model, config)
    facts = {"quant": json.dumps(dataclasses.asdict(config))}
    save_weights(model, tmp_path / "student.safetensors", facts)
    cut.cut_checkpoint(tmp_path / "student.safetensors", tmp_path / "cut.safetensors", 1)
    before, after = load_file(tmp_path / "student.safetensors"), load_file(tmp_path / "cut.safetensors")
    step = "separator.cue_projections.{}.parametrizations.weight.0.step"
    assert torch.equal(after[step.format(1)], before[step.format(3)])
    assert load_checkpoint(tmp_path / "cut.safetensors").config.stacks == 1
