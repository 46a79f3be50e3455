"""The sample in the package: small, of the shape that the demo needs, and made by the script that says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import tinywase
from tinywase.activity import active_frames

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = Path(tinywase.__file__).parent / "assets" / "demo"
MOST_BYTES = 300_000


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    recordings = {}
    for name in ("mixture", "target", "enrollment"):
        recordings[name], rate_hz = soundfile.read(FOLDER / f"{name}.flac", dtype="float32")
        assert rate_hz == 16_000
    return recordings


def test_sample_is_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < MOST_BYTES


def test_two_voices_overlap_and_the_target_is_silent_before_and_after(sample: dict[str, np.ndarray]) -> None:
    target, other = sample["target"], sample["mixture"] - sample["target"]
    assert len(sample["mixture"]) == len(target)
    ratio_db = 10 * np.log10(np.sum(target**2) / np.sum(other**2))
    assert abs(ratio_db) < 3  # neither is easily the louder
    both = active_frames(target, 16_000) & active_frames(other, 16_000)
    assert both.mean() > 0.25
    assert not target[:8000].any()
    assert not target[-1600:].any()


def test_enrollment_is_long_enough_and_says_something_else(sample: dict[str, np.ndarray]) -> None:
    enrollment, target = sample["enrollment"], sample["target"]
    assert active_frames(enrollment, 16_000).sum() * 0.032 > 2.0
    size = 1 << 18
    correlation = np.fft.irfft(np.fft.rfft(enrollment, size) * np.conj(np.fft.rfft(target, size)))
    assert np.abs(correlation).max() < 0.5 * np.sqrt(np.sum(enrollment**2) * np.sum(target**2))


def test_script_writes_the_same_files_with_the_same_program(tmp_path: Path, sample: dict[str, np.ndarray]) -> None:
    program = shutil.which("espeak-ng")
    script = REPOSITORY / "docs" / "demo_sample.py"
    if program is None or "1.51" not in subprocess.run([program, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("espeak-ng 1.51, which made the sample, is not installed")
    subprocess.run([sys.executable, script, tmp_path], check=True)
    for name, samples in sample.items():
        np.testing.assert_allclose(soundfile.read(tmp_path / f"{name}.flac")[0], samples, atol=1e-4)
