"""Windows much of which is quiet: which part is loud, and that it is heard by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.config import named_config
from tinywase.runtime.stretches import loud_part
from tinywase.runtime.windows import separate

RATE_HZ = 8_000


def noise(seconds: float, level_db: float = 0.0, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (0.05 * samples * 10 ** (level_db / 20)).astype(np.float32)


@pytest.mark.parametrize("level_db", [-100.0, -30.0, -12.0])
def test_a_long_pause_is_not_loud_and_its_neighbours_are(level_db: float) -> None:
    loud = loud_part(np.concatenate([noise(3), noise(4, level_db, 1), noise(3, 0, 2)]), RATE_HZ)
    assert loud.shape == (10 * RATE_HZ,)
    assert (loud[: 3 * RATE_HZ] == 1).all() and (loud[7 * RATE_HZ :] == 1).all()
    assert (loud[round(4.1 * RATE_HZ) : round(5.9 * RATE_HZ)] == 0).all()
    inner = np.diff(loud[2 * RATE_HZ : 8 * RATE_HZ])
    assert np.abs(inner).max() < 0.01, "ramps, no steps"


@pytest.mark.parametrize("pause_s", [0.0, 0.5, 1.5])
def test_speech_with_its_pauses_is_loud(pause_s: float) -> None:
    mixture = np.concatenate([noise(3), noise(pause_s, -60, 1), noise(3, -3, 2)])
    assert (loud_part(mixture, RATE_HZ) == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.sampled_from([-200.0, -40.0, -12.0, -6.0, 0.0]), max_size=8), rate_hz=st.sampled_from([50, 8000])
)
def test_any_window_has_a_loud_part(levels: list[float], rate_hz: int) -> None:
    mixture = np.concatenate([np.zeros(3, np.float32), *(noise(1, level, i) for i, level in enumerate(levels))])
    loud = loud_part(mixture, rate_hz)
    assert loud.shape == mixture.shape and loud.min() >= 0 and loud.max() == 1


class Half:
    """A model that gives half of what it hears, is a tenth active for every call, and keeps what it was given."""

    config = named_config("tiny")

    def __init__(self) -> None:
        self.heard: list[np.ndarray] = []

    def extract(self, mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.heard.append(mixture)
        return mixture / 2, np.full(1 + len(mixture) // self.config.hop, 0.1 * len(self.heard), np.float32)


def separated(mixture: np.ndarray) -> tuple[np.ndarray, Half]:
    model = Half()
    pieces = separate(model, np.zeros(16), lambda start, stop: mixture[start:stop], len(mixture))  # type: ignore[arg-type]
    return np.concatenate(list(pieces)), model


def test_the_loud_rest_of_a_window_is_heard_by_itself() -> None:
    mixture = np.concatenate([noise(5, -30), noise(4, 0, 1)])
    found, model = separated(mixture)
    assert len(model.heard) == 2 and len(model.heard[0]) == len(mixture)
    assert 4 * RATE_HZ <= len(model.heard[1]) < 6 * RATE_HZ
    assert np.allclose(found[:, 0], mixture / 2, atol=1e-7), "whatever was cut comes back in its place"
    assert np.allclose(found[: 3 * RATE_HZ, 1], 0.1) and np.allclose(found[5 * RATE_HZ :, 1], 0.2)


@pytest.mark.parametrize(
    "mixture", [noise(9), np.concatenate([noise(7), noise(2, -40, 1)]), np.zeros(9 * RATE_HZ, np.float32)]
)
def test_windows_that_are_loud_throughout_or_nearly_so_are_heard_once(mixture: np.ndarray) -> None:
    assert len(separated(mixture)[1].heard) == bool(mixture.any())


def test_a_word_is_too_short_to_be_heard_by_itself() -> None:
    assert len(separated(np.concatenate([noise(8, -60), noise(0.1, 0, 1)]))[1].heard) == 1
