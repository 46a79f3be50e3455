"""tools/stretch.py: longer windows that compute what shorter ones did; bench/filters.py: stray energy."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from scripts import script  # noqa: E402
from torch import Tensor  # noqa: E402
from voices import RATE_HZ, voice  # noqa: E402

from tinywase.config import SMALL  # noqa: E402
from tinywase.filters import fourier_filters  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402

NARROW = dataclasses.replace(SMALL, filters=64, window=64, overlap=2, bottleneck=16, hidden=24, blocks=2, stacks=1)
VOICES = [voice(number, number, 5.0) for number in range(3)]


@pytest.fixture(scope="module")
def stretch() -> ModuleType:
    return script("tools/stretch.py")


def network() -> Wase:
    """Filters that are not a transform, and norms that are not the trivial ones."""
    torch.manual_seed(1)
    model = Wase(NARROW).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("encoder.weight", "decoder.weight"):
                parameter.add_(0.02 * torch.randn_like(parameter))
            if "norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def estimate(model: Wase) -> Tensor:
    mixture, enrollment = torch.from_numpy(VOICES[0] + VOICES[1])[None], torch.from_numpy(VOICES[2])[None]
    return model(mixture, model.enroll(enrollment)).estimate


@pytest.mark.parametrize(("window", "overlap"), [(64, 2), (128, 4), (256, 8)])
def test_a_longer_window_computes_what_the_shorter_one_did(stretch: ModuleType, window: int, overlap: int) -> None:
    model = network()
    new = stretch.stretched(model, window, overlap)
    assert (new.config.hop, new.config.window, new.config.overlap) == (NARROW.hop, window, overlap)
    before, after = estimate(model), estimate(new)
    assert (before - after).norm() < 0.02 * before.norm()  # norms hear a little more silence at the edges


@pytest.mark.parametrize(
    ("changes", "window", "overlap"),
    [({"features": "latent"}, 128, 4), ({"codec": "fourier"}, 128, 4), ({}, 64, 4), ({}, 128, 2), ({}, 96, 2)],
)
def test_what_cannot_be_stretched_is_refused(
    stretch: ModuleType, changes: dict[str, Any], window: int, overlap: int
) -> None:
    with pytest.raises(SystemExit, match=r"expected a (hop|network)"):
        stretch.stretched(Wase(dataclasses.replace(NARROW, **changes)), window, overlap)


def test_the_program_writes_a_checkpoint(
    stretch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_weights(network(), before)
    monkeypatch.setattr(sys, "argv", ["stretch.py", str(before), str(after), "--window", "128", "--overlap", "4"])
    stretch.main()
    assert "parameters have become" in capsys.readouterr().out
    assert load_checkpoint(after).config.overlap == 4


def test_stray_energy_is_that_of_the_noise_in_a_filter() -> None:
    filters = script("bench/filters.py")
    clean = fourier_filters(64, 128).astype(np.float64)
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    noise *= np.linalg.norm(clean, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    assert filters.stray_shares(clean, RATE_HZ, 400.0).max() < 0.02
    for share in (0.2, 0.5):
        mixed = np.sqrt(1 - share) * clean + np.sqrt(share) * noise
        found = np.median(filters.stray_shares(mixed, RATE_HZ, 400.0))
        assert found == pytest.approx(0.8 * share, rel=0.3)  # noise near the band is not stray
