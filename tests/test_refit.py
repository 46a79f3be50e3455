"""Filters that become fixed ones: tools/refit.py before and after, train/settling.py between; bench/filters.py."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from torch import Tensor  # noqa: E402
from voices import RATE_HZ, voice  # noqa: E402

from tinywase.config import SMALL, ModelConfig, named_config  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.settling import Settling, fixed_filters  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
NARROW = dataclasses.replace(SMALL, filters=64, window=64, bottleneck=16, hidden=24, blocks=2, stacks=1)
VOICES = [voice(number % 4, number, 5.0) for number in range(8)]


@pytest.fixture(scope="module")
def refit() -> ModuleType:
    return _script("tools/refit.py")


@pytest.fixture(scope="module")
def filters() -> ModuleType:
    return _script("bench/filters.py")


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def network() -> Wase:
    """Filters with noise in them, and norms that are not the trivial ones."""
    torch.manual_seed(1)
    model = Wase(NARROW).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("encoder.weight", "decoder.weight", "voiceprint_encoder.filterbank.weight"):
                parameter.add_(0.02 * torch.randn_like(parameter))
            if "norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def estimate(model: Wase) -> Tensor:
    mixture, enrollment = torch.from_numpy(VOICES[0] + VOICES[1])[None], torch.from_numpy(VOICES[2])[None]
    return model(mixture, model.enroll(enrollment)).estimate


@pytest.mark.parametrize(("window", "overlap"), [(64, 2), (128, 4), (256, 8)])
def test_a_longer_window_computes_what_the_old_one_did(refit: ModuleType, window: int, overlap: int) -> None:
    model = network()
    new = refit.stretched(model, window, overlap)
    assert (new.config.hop, new.config.window, new.config.overlap) == (NARROW.hop, window, overlap)
    before, after = estimate(model), estimate(new)
    assert (before - after).norm() < 0.02 * before.norm()  # norms hear a little more silence at the edges
    overlaps = (new.encoder.weight * fixed_filters(new)["encoder.weight"]).sum(-1)
    assert (overlaps >= 0).all()  # on the way to the transform nothing passes through zero


@pytest.mark.parametrize(
    ("changes", "window", "overlap"),
    [({"features": "latent"}, 64, 2), ({"filters": 32}, 64, 2), ({}, 64, 4), ({}, 128, 2)],
)
def test_what_cannot_be_stretched_is_refused(
    refit: ModuleType, changes: dict[str, Any], window: int, overlap: int
) -> None:
    with pytest.raises(SystemExit, match=r"expected a (hop|network)"):
        refit.stretched(Wase(dataclasses.replace(NARROW, **changes)), window, overlap)


def test_filters_settle_while_the_decoder_learns() -> None:
    model = network()
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    settling = Settling(model)
    assert not model.encoder.weight.requires_grad
    assert model.decoder.weight.requires_grad
    for part in (0.5, 1.0, 1.7):
        settling.move(part)
        for name, fixed in fixed_filters(model).items():
            expected = torch.lerp(begun[name], fixed, min(1.0, part))
            torch.testing.assert_close(model.state_dict()[name], expected)
    with pytest.raises(ConfigError, match="settle: expected a network that hears log_power"):
        Settling(Wase(named_config("tiny")))


def test_what_has_settled_is_left_out_and_computes_the_same(refit: ModuleType) -> None:
    model = network()
    with pytest.raises(SystemExit, match="Train with settle until it is there"):
        refit.fixed(model)
    Settling(model).move(1.0)
    new = refit.fixed(model)
    assert (new.config.codec, new.config.voiceprint.filterbank) == ("fourier_encoder", "mel")
    assert "encoder.weight" not in new.state_dict()
    torch.testing.assert_close(estimate(new), estimate(model), atol=1e-5, rtol=1e-3)


def test_the_program_writes_checkpoints(
    refit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = str(tmp_path / "before.safetensors"), str(tmp_path / "after.safetensors")

    def run(model: Wase, *options: str) -> ModelConfig:
        save_weights(model, before)
        monkeypatch.setattr(sys, "argv", ["refit.py", before, after, *options])
        refit.main()
        assert "parameters have become" in capsys.readouterr().out
        return load_checkpoint(Path(after)).config

    model = network()
    assert run(model, "--window", "128", "--overlap", "4").overlap == 4
    Settling(model).move(1.0)
    assert run(model, "--fix").codec == "fourier_encoder"
    with pytest.raises(SystemExit, match="what is to be done"):
        run(model)


def test_stray_energy_is_that_of_the_noise_in_a_filter(filters: ModuleType) -> None:
    from tinywase.filters import fourier_filters

    clean = fourier_filters(64, 128).astype(np.float64)
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    noise *= np.linalg.norm(clean, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    assert filters.stray_shares(clean, RATE_HZ, 400.0).max() < 0.02
    for share in (0.2, 0.5):
        mixed = np.sqrt(1 - share) * clean + np.sqrt(share) * noise
        found = np.median(filters.stray_shares(mixed, RATE_HZ, 400.0))
        assert found == pytest.approx(0.8 * share, rel=0.3)  # noise near the band is not stray
