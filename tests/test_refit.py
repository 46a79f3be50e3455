"""tools/refit.py: fixed filters in place of learned ones, at the same hop, with every band as loud as it was."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from torch import Tensor  # noqa: E402
from voices import RATE_HZ, voice  # noqa: E402

from tinywase.config import SMALL, ModelConfig  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402

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
    """Fresh filters with noise in them, and norms that are not the trivial ones."""
    torch.manual_seed(1)
    model = Wase(NARROW).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in ("encoder.weight", "voiceprint_encoder.filterbank.weight"):
                parameter.add_(0.02 * torch.randn_like(parameter))
            if "norm." in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(("window", "overlap"), [(64, 2), (128, 4), (256, 8)])
def test_every_band_keeps_its_mean_and_deviation(refit: ModuleType, window: int, overlap: int) -> None:
    model = network()
    new = refit.refitted(model, refit.refitted_config(NARROW, window, overlap), VOICES)
    assert (new.config.hop, new.config.codec) == (NARROW.hop, "fourier")
    assert new.config.voiceprint.filterbank == "mel"
    mixtures = [refit._mixture(one, other) for one, other in zip(VOICES, [*VOICES[1:], VOICES[0]], strict=True)]

    def heard(network: Wase) -> Tensor:
        norm = network.separator.norm
        rows = torch.cat([refit._normalized(refit._codec_bands(network, mixture)) for mixture in mixtures], 1)
        return rows * norm.weight[:, None] + norm.bias[:, None]

    with torch.no_grad():
        before, after = heard(model), heard(new)
    band = torch.arange(len(after)) // (len(after) // len(before))
    torch.testing.assert_close(after.mean(1), before.mean(1)[band], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(after.std(1), before.std(1)[band].abs(), atol=1e-3, rtol=1e-2)


def test_clean_filters_of_the_same_window_compute_what_they_did(refit: ModuleType) -> None:
    torch.manual_seed(2)
    model = Wase(NARROW).eval()
    new = refit.refitted(model, refit.refitted_config(NARROW, 64, 2), VOICES)
    mixture, enrollment = torch.from_numpy(VOICES[0] + VOICES[1])[None], torch.from_numpy(VOICES[2])[None]
    with torch.no_grad():
        estimates = [net(mixture, net.enroll(enrollment)).estimate for net in (model, new)]
    torch.testing.assert_close(estimates[0], estimates[1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "window", "overlap"),
    [({"features": "latent"}, 64, 2), ({}, 64, 4), ({}, 96, 3), ({}, 128, 2)],
)
def test_what_cannot_be_refitted_is_refused(
    refit: ModuleType, changes: dict[str, str], window: int, overlap: int
) -> None:
    config: ModelConfig = dataclasses.replace(NARROW, **changes)  # type: ignore[arg-type]
    with pytest.raises(SystemExit, match="expected a hop|only a network"):
        refit.refitted_config(config, window, overlap)


def test_the_program_writes_a_checkpoint(
    refit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tinywase.data.bank import build_bank
    from tinywase.data.utterances import read_utterances

    soundfile = pytest.importorskip("soundfile")
    for number, samples in enumerate(VOICES):
        path = tmp_path / "speech" / f"speaker{number % 4}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE_HZ)
    build_bank(read_utterances(tmp_path / "speech"), tmp_path / "bank", RATE_HZ)
    save_weights(network(), tmp_path / "before.safetensors")
    arguments = ["--bank", str(tmp_path / "bank"), "--window", "128", "--overlap", "4"]
    before, after = str(tmp_path / "before.safetensors"), str(tmp_path / "after.safetensors")
    monkeypatch.setattr(sys, "argv", ["refit.py", before, after, *arguments])
    refit.main()
    assert "parameters have become" in capsys.readouterr().out
    assert load_checkpoint(Path(after)).config.overlap == 4


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
