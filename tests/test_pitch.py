from __future__ import annotations

import numpy as np
import pytest

from tinywase.data.pitch import USUAL_HZ, median_pitch_hz

RATE_HZ = 8000


def voiced(pitch_hz: float, seconds: float = 1.0) -> np.ndarray:
    """Harmonics that fall off, as those of a voice."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.sum([np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 10)], axis=0).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [80.0, 110.0, 180.0, 240.0, 380.0])
def test_pitch_of_harmonics(pitch_hz: float) -> None:
    assert median_pitch_hz(voiced(pitch_hz), RATE_HZ) == pytest.approx(pitch_hz, rel=0.03)


def test_silent_parts_do_not_count() -> None:
    samples = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), voiced(150.0)])
    samples += 1e-3 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    assert median_pitch_hz(samples, RATE_HZ) == pytest.approx(150.0, rel=0.03)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(RATE_HZ)])
def test_nothing_voiced_is_the_usual_pitch(samples: np.ndarray) -> None:
    assert median_pitch_hz(samples.astype(np.float32), RATE_HZ) == USUAL_HZ
