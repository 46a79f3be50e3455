"""Activity labels and the preparation of enrollments."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinywase.activity import activity_label, prepare_enrollment
from tinywase.errors import AudioError

RATE_HZ, HOP = 8000, 32


def speech(*parts_s: float) -> np.ndarray:
    """Tone and silence in turns, beginning with silence; each so many seconds long."""
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE_HZ * 10) / RATE_HZ).astype(np.float32)
    return np.concatenate([tone[: round(s * RATE_HZ)] * (i % 2) for i, s in enumerate(parts_s)])


def active_s(label: np.ndarray) -> float:
    return float(label.sum()) * HOP / RATE_HZ


def test_label_is_one_from_onset_to_offset() -> None:
    label = activity_label(speech(0.512, 1.024, 0.512), RATE_HZ, HOP, 512)
    assert label[:128].sum() == 0 and label[128:384].all() and label[384:].sum() == 0


def test_short_pauses_count_as_speaking_and_long_ones_do_not() -> None:
    target = speech(0.0, 0.512, 0.256, 0.512, 0.512, 0.512)
    frames = len(target) // HOP
    assert active_s(activity_label(target, RATE_HZ, HOP, frames)) == pytest.approx(0.512 * 3 + 0.256, abs=0.01)
    paper = activity_label(target, RATE_HZ, HOP, frames, longest_pause_s=math.inf)
    assert paper.all()


def test_silence_is_never_active() -> None:
    assert not activity_label(np.zeros(8000, np.float32), RATE_HZ, HOP, 250).any()


def test_enrollment_loses_its_pauses_mean_and_level() -> None:
    enrollment = 0.3 + 0.01 * speech(1.0, 1.0, 1.0)
    prepared = prepare_enrollment(enrollment.astype(np.float32), RATE_HZ)
    assert len(prepared) / RATE_HZ == pytest.approx(1.0, abs=0.1)
    assert np.sqrt(np.mean(prepared**2)) == pytest.approx(0.05, rel=1e-3)
    assert abs(prepared.mean()) < 0.01


def test_too_little_speech_is_said_with_what_to_do() -> None:
    with pytest.raises(AudioError, match=r"holds 0\.\d\d s of speech.*expected at least 0.5 s. Record a few seconds"):
        prepare_enrollment(speech(1.0, 0.2, 1.0), RATE_HZ)
    with pytest.raises(AudioError, match=r"holds 0\.00 s"):
        prepare_enrollment(np.zeros(8000, np.float32), RATE_HZ)


@pytest.mark.parametrize("offset", [0.1, 0.5, -0.3])
def test_nothing_but_an_offset_is_nobody(offset: float) -> None:
    with pytest.raises(AudioError, match=r"0\.00 s of speech"):
        prepare_enrollment(np.full(40000, offset, np.float32), 8000)
