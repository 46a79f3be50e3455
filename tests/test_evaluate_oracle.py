"""The ceiling: its transform is exact, its mask is 0..1, and it beats every other real mask of its kind."""

from __future__ import annotations

import numpy as np
import pytest

from tinywase.evaluate.oracle import oracle_estimate, phase_sensitive_mask
from tinywase.metrics import si_sdr

RATE_HZ = 8000


def voices(length: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Two noises that take turns: a mask can tell them apart."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, length)).astype(np.float32)
    gate = (np.arange(length) // 1000 % 2).astype(np.float32)
    return first * gate, second * (1 - gate)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 256, 5999, 6000])
def test_a_mixture_of_the_target_alone_comes_back_as_it_was(length: int) -> None:
    target = voices()[0][-length:] + 0.1
    estimate = oracle_estimate(mixture=target, target=target, sample_rate_hz=RATE_HZ)
    np.testing.assert_allclose(estimate, target, atol=1e-6)
    assert estimate.dtype == np.float32


def test_an_absent_target_gives_silence() -> None:
    mixture = voices()[0]
    estimate = oracle_estimate(mixture=mixture, target=np.zeros_like(mixture), sample_rate_hz=RATE_HZ)
    assert not estimate.any()


def test_voices_that_take_turns_are_nearly_separated() -> None:
    target, interference = voices()
    estimate = oracle_estimate(mixture=target + interference, target=target, sample_rate_hz=RATE_HZ)
    assert si_sdr(reference=target, estimate=estimate) > si_sdr(reference=target, estimate=target + interference) + 10


def test_no_other_mask_in_its_range_leaves_a_smaller_error() -> None:
    rng = np.random.default_rng(1)
    mixture, target = rng.standard_normal((2, 50)) + 1j * rng.standard_normal((2, 50))
    mask = phase_sensitive_mask(mixture=mixture, target=target)
    assert mask.min() >= 0
    assert mask.max() <= 1
    error = np.abs(mask * mixture - target)
    for other in np.linspace(0, 1, 21):
        assert np.all(error <= np.abs(other * mixture - target) + 1e-12)
