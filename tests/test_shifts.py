"""Means over shifted passes: who advises them, who may override, what they compute."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tinywase.config import TINY
from tinywase.errors import ConfigError
from tinywase.evaluate.cards import with_card
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.model import open_model
from tinywase.runtime.shifts import averaged, check_shifts

CAUSAL = dataclasses.replace(TINY, causal=True)


def noise(samples: int) -> np.ndarray:
    return (0.05 * np.random.default_rng(3).standard_normal(samples)).astype(np.float32)


def test_one_pass_is_the_pass_itself() -> None:
    mixture = noise(100)
    estimate, activity = averaged(lambda x: (x, "activity"), mixture, hop=8, shifts=1)
    assert estimate is mixture
    assert activity == "activity"


@pytest.mark.parametrize("shifts", [2, 3, 8])
def test_what_does_not_depend_on_the_frames_stays(shifts: int) -> None:
    mixture = noise(100)
    estimate, _ = averaged(lambda x: (0.5 * x, None), mixture, hop=8, shifts=shifts)
    np.testing.assert_allclose(estimate, 0.5 * mixture, rtol=1e-6)
    assert estimate.dtype == np.float32


@pytest.mark.parametrize(("hop", "shifts"), [(8, 2), (8, 4), (8, 8), (9, 4)])
def test_every_sample_is_seen_at_evenly_spaced_places_of_a_frame(hop: int, shifts: int) -> None:
    def place(mixture: np.ndarray) -> tuple[np.ndarray, None]:
        return np.arange(len(mixture), dtype=np.float32) % hop, None

    found, _ = averaged(place, noise(3 * hop), hop=hop, shifts=shifts)
    delays = [shift * hop // shifts for shift in range(shifts)]
    np.testing.assert_allclose(found, [np.mean([(t + d) % hop for d in delays]) for t in range(3 * hop)], rtol=1e-6)


def test_a_pass_that_lends_its_memory_is_not_written_to() -> None:
    lent = np.ones(16, np.float32)
    averaged(lambda x: (lent if len(x) == 16 else 3 * np.ones(len(x), np.float32), None), lent, hop=8, shifts=2)
    np.testing.assert_array_equal(lent, 1)


def test_a_card_advises_and_the_caller_decides(tmp_path: Path, tiny_model_path: Path) -> None:
    path = tmp_path / "advised.twase"
    with_card(tiny_model_path, path, {"shifts": 2})
    assert open_model(tiny_model_path).shifts == 1
    assert open_model(path).shifts == 2
    assert Extractor.from_pretrained(path, shifts=4).model.shifts == 4
    once, twice = open_model(path, shifts=1), open_model(path)
    mixture, delay = noise(4000), TINY.hop // 2
    voiceprint = once.enroll(noise(8000))
    late, _ = once.extract(np.concatenate([np.zeros(delay, np.float32), mixture]), voiceprint)
    expected = (once.extract(mixture, voiceprint)[0] + late[delay:]) / 2
    np.testing.assert_allclose(twice.extract(mixture, voiceprint)[0], expected, atol=1e-7)


@pytest.mark.parametrize("shifts", [0, -1, TINY.hop + 1])
def test_impossible_shifts_are_refused(shifts: int, tiny_model_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"shifts = {shifts}: expected 1 to {TINY.hop} for this model \(its hop\)"):
        open_model(tiny_model_path, shifts=shifts)


def test_a_stream_has_one_pass() -> None:
    assert check_shifts(1, CAUSAL) == 1
    with pytest.raises(ConfigError, match=r"shifts = 2: expected 1 to 1 .* causal model is a stream"):
        check_shifts(2, CAUSAL)
