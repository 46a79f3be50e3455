"""Sound that neither the wanted voice's estimate nor everybody else's claims."""

from __future__ import annotations

import numpy as np
import pytest

from tinywase.config import TINY
from tinywase.runtime.unclaimed import claimed
from tinywase.runtime.views import Views

RATE_HZ = 8000
TARGET, OTHERS = np.ones(1), np.zeros(1)  # voiceprints


def turns() -> np.ndarray:
    """Three who speak for a second each, one after the other. Shape: -> [3, T]."""
    voices = (0.05 * np.random.default_rng(1).standard_normal((3, 3 * RATE_HZ))).astype(np.float32)
    for number, voice in enumerate(voices):
        voice[: number * RATE_HZ] = voice[(number + 1) * RATE_HZ :] = 0
    return voices


def test_the_turn_of_a_third_voice_is_claimed_by_nobody() -> None:
    target, other, third = turns()
    share = claimed(target + other + third, target + 0.1 * third, other + 0.1 * third, RATE_HZ)
    assert share.dtype == np.float32
    assert share.shape == (3 * RATE_HZ,)
    assert (share[: 2 * RATE_HZ - 2400] == 1).all()
    assert (share[2 * RATE_HZ + 2400 :] == 0).all(), "both are 20 dB below it"


@pytest.mark.parametrize("samples", [1, 399, 401])
def test_all_is_claimed_in_silence_and_in_a_short_clip(samples: int) -> None:
    clip = turns()[0][:samples]
    assert (claimed(clip, clip, 0 * clip, RATE_HZ) == 1).all()
    assert (claimed(0 * clip, 0 * clip, 0 * clip, RATE_HZ) == 1).all()


def test_a_third_voice_does_not_come_back_by_the_others_views() -> None:
    """What everybody else's voiceprint does not extract stays in the mixture, but not in the estimate."""
    target, other, third = turns()
    mixture = target + other + third

    def extract(heard: np.ndarray, voice: np.ndarray) -> tuple[np.ndarray, None]:
        clean = target if voice is TARGET else other
        return np.concatenate([np.zeros(len(heard) - len(clean), np.float32), clean]), None

    found, _ = Views(extract, lambda heard: OTHERS, TINY, 2).averaged(mixture, TARGET)
    inside = slice(2 * RATE_HZ + 2400, None)
    assert np.abs(found[inside]).max() < 1e-6, "half of the third voice, without a look at who claims it"
    np.testing.assert_allclose(found[: 2 * RATE_HZ - 2400], target[: 2 * RATE_HZ - 2400], atol=1e-6)
