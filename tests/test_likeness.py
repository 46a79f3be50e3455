"""runtime/likeness.py and evaluate/common.py: cosines of what voiceprints do not have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinywase.errors import FormatError
from tinywase.evaluate.common import STRANGERS, common_part
from tinywase.runtime.likeness import common_of, cosine, direction

NOTHING = np.zeros(4, np.float32)


def voices(speakers: int, each: int, *, shared: float, dimensions: int = 32) -> tuple[np.ndarray, list[str]]:
    """Voiceprints of speakers that differ from a common one and, less, from recording to recording."""
    rng = np.random.default_rng(5)
    own = rng.standard_normal((speakers, 1, dimensions)) + 0.3 * rng.standard_normal((speakers, each, dimensions))
    vectors = own / np.sqrt(dimensions) + shared * np.eye(dimensions)[0]
    names = [f"s{number}" for number in range(speakers) for _ in range(each)]
    return vectors.reshape(-1, dimensions).astype(np.float32), names


def between(vectors: np.ndarray, names: list[str], common: np.ndarray) -> float:
    """Mean cosine of strangers."""
    pairs = [(a, b) for a in range(len(names)) for b in range(a) if names[a] != names[b]]
    return float(np.mean([cosine(vectors[a], vectors[b], common) for a, b in pairs]))


@given(st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4), st.floats(0.1, 10))
def test_a_direction_knows_no_level(values: list[float], gain: float) -> None:
    vector, common = np.array(values, np.float32), np.array([0.2, 0.0, -0.1, 0.3], np.float32)
    found = direction(vector, common)
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5) or not found.any()
    if np.linalg.norm(vector) > 1e-3:
        np.testing.assert_allclose(direction(np.float32(gain) * vector, common), found, atol=1e-3)


def test_cosines_without_anything_in_common_are_plain_ones() -> None:
    a, b = np.array([1, 2, 0, 0], np.float32), np.array([2, 1, 0, 0], np.float32)
    assert cosine(a, b, NOTHING) == pytest.approx(0.8)
    assert cosine(a, NOTHING, NOTHING) == 0.0


def test_nobodys_voiceprint_is_like_no_one_whatever_others_have_in_common() -> None:
    a, common = np.array([1, 2, 0, 0], np.float32), np.array([0.5, 0, 0, 0], np.float32)
    assert not direction(NOTHING, common).any() and cosine(a, NOTHING, common) == 0.0


def test_what_all_voices_share_is_taken_off_until_strangers_are_as_alike_as_thresholds_expect() -> None:
    vectors, names = voices(12, 3, shared=2.0)
    common = np.array(common_part(vectors, names), np.float32)
    assert between(vectors, names, np.zeros(32, np.float32)) > 0.7
    assert between(vectors, names, common) == pytest.approx(STRANGERS, abs=0.02)
    assert cosine(vectors[0], vectors[1], common) > 0.8  # one speaker's stay alike


def test_nothing_is_taken_off_where_strangers_are_unlike_anyway() -> None:
    vectors, names = voices(12, 3, shared=0.0)
    assert not np.any(common_part(vectors, names))


def test_a_card_without_it_has_nothing_in_common() -> None:
    cards: list[dict[str, Any]] = [{}, {"presence": {}}, {"presence": {"bias": 1.0}}]
    for card in cards:
        assert not common_of(card, 4).any() and len(common_of(card, 4)) == 4
    assert common_of({"presence": {"common": [0.1, 0, 0, -0.5]}}, 4).tolist() == pytest.approx([0.1, 0, 0, -0.5])


@pytest.mark.parametrize("told", [[0.1], "0.1", [0.1, 0.2, 0, None], [0, 0, 0, float("nan")], {}, [0, 0, 0, True]])
def test_a_card_that_says_something_else_is_refused(told: Any) -> None:
    with pytest.raises(FormatError, match="common = .*: expected a list of 4 numbers. `tinywase calibrate` makes it"):
        common_of({"presence": {"common": told}}, 4)
