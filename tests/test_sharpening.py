"""Sharpening: silence and the whole mixture stay what they are, tones that lie near each other are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.metrics import si_sdr
from tinywase.runtime import sharpening
from tinywase.runtime.sharpening import sharpened

RATE_HZ = 8000


def tone(frequency_hz: float, samples: int = 2 * RATE_HZ) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / RATE_HZ)).astype(np.float32)


@settings(deadline=None, max_examples=40)
@given(samples=st.integers(0, 3000), rate_hz=st.sampled_from([8000, 16000, 11025]), seed=st.integers(0, 99))
def test_everything_and_nothing_stay(samples: int, rate_hz: int, seed: int) -> None:
    mixture = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    everything, nothing = sharpened(mixture, mixture, rate_hz), sharpened(0 * mixture, mixture, rate_hz)
    np.testing.assert_allclose(everything, mixture, atol=2e-6)
    np.testing.assert_array_equal(nothing, 0)
    assert everything.dtype == nothing.dtype == np.float32


def test_an_equal_share_stays_a_half() -> None:
    mixture = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    np.testing.assert_allclose(sharpened(mixture / 2, mixture, RATE_HZ), mixture / 2, atol=2e-6)


@pytest.mark.parametrize("apart_hz", [40.0, 100.0])
def test_what_a_neighbour_left_in_is_halved(apart_hz: float) -> None:
    voice, other = tone(500.0), tone(500.0 + apart_hz)
    estimate = 0.8 * voice + 0.2 * other
    before, after = (
        float(si_sdr(reference=voice, estimate=x)) for x in (estimate, sharpened(estimate, voice + other, RATE_HZ))
    )
    assert before == pytest.approx(12.0, abs=0.3)
    assert after > before + 4.0  # 6 dB less of the other, a little more of the voice


def test_a_clip_joined_of_pieces_is_the_clip() -> None:
    """A window at the edge of a piece hears silence beyond: inside, two window lengths on, nothing is different."""
    rng = np.random.default_rng(2)
    mixture = rng.standard_normal(8000).astype(np.float32)
    estimate = (0.5 * mixture + 0.1 * rng.standard_normal(8000)).astype(np.float32)
    hop, margin = 160, 1280
    whole, later = sharpened(estimate, mixture, RATE_HZ), sharpened(estimate[2 * hop :], mixture[2 * hop :], RATE_HZ)
    np.testing.assert_allclose(later[margin:-margin], whole[2 * hop :][margin:-margin], atol=1e-5)


@pytest.mark.parametrize("count", [1, 700, 16_000, 40_001])
def test_pieces_change_no_bit(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    estimate, mixture = rng.standard_normal((2, count)).astype(np.float32)
    in_pieces = sharpened(estimate, mixture, RATE_HZ)
    monkeypatch.setattr(sharpening, "HOPS", 10**6)
    np.testing.assert_array_equal(in_pieces, sharpened(estimate, mixture, RATE_HZ))
