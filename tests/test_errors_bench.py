"""bench/errors.py: what an estimate's error is made of."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scripts import script

RNG = np.random.default_rng(0)
TARGET, OTHER, NOISE = RNG.standard_normal((3, 16000)).astype(np.float32)


@pytest.fixture(scope="module")
def errors() -> ModuleType:
    return script("bench/errors.py")


def test_ratios_tell_the_other_voice_from_artifacts(errors: ModuleType) -> None:
    sir_db, sar_db = errors.ratios_db(0.5 * (TARGET + 0.1 * OTHER + 0.2 * NOISE), TARGET, OTHER)
    assert (sir_db, sar_db) == (pytest.approx(20.0, abs=0.6), pytest.approx(14.0, abs=0.6))


def test_swapping_takes_the_nearer_of_estimate_and_rest(errors: ModuleType) -> None:
    estimate = np.where(np.arange(16000) < 8000, TARGET, OTHER)  # the wrong voice from the middle on
    assert np.allclose(errors.swapped(estimate, TARGET + OTHER, TARGET, 250), TARGET, atol=1e-6)
    assert np.array_equal(errors.swapped(TARGET, TARGET + OTHER, TARGET, 250), TARGET)
