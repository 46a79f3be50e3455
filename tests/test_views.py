"""Means over views of a clip: who advises them, who may override, what they compute."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinywase.activity import prepare_enrollment
from tinywase.config import TINY
from tinywase.errors import ConfigError, FormatError
from tinywase.evaluate.cards import with_card
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.model import open_model
from tinywase.runtime.sharpening import sharpened
from tinywase.runtime.views import Views, check_views

CAUSAL = dataclasses.replace(TINY, causal=True)
HOP = TINY.hop
TARGET, OTHERS = np.ones(1), np.zeros(1)  # voiceprints


def noise(samples: int, level: float = 0.05) -> np.ndarray:
    return (level * np.random.default_rng(3).standard_normal(samples)).astype(np.float32)


def nobody(enrollment: np.ndarray) -> np.ndarray:
    raise AssertionError("nobody else is to be enrolled")


def delayed(mixture: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples, np.float32), mixture])


def test_one_view_is_the_run_itself() -> None:
    mixture = noise(100)
    estimate, activity = Views(lambda x, v: (x, "activity"), nobody, TINY, 1).averaged(mixture, TARGET)
    assert estimate is mixture
    assert activity == "activity"


@pytest.mark.parametrize("views", [2, 3, 8])
def test_a_lone_target_is_seen_as_itself_in_every_view(views: int) -> None:
    mixture = noise(8000)
    found, _ = Views(lambda x, v: (0.9 * x, None), nobody, TINY, views).averaged(mixture, TARGET)
    np.testing.assert_allclose(found, 0.9 * mixture, rtol=1e-5)  # what is left is 19 dB below: nobody
    assert found.dtype == np.float32


@pytest.mark.parametrize("views", [2, 3, 4, HOP])
def test_a_lone_target_is_seen_at_evenly_spaced_places_of_a_frame(views: int) -> None:
    def place(mixture: np.ndarray, voice: np.ndarray) -> tuple[np.ndarray, None]:
        return 1 + np.arange(len(mixture), dtype=np.float32) % HOP, None

    mixture = 1 + np.zeros(3 * HOP, np.float32)  # so that nothing is left over after them all
    found, _ = Views(place, nobody, TINY, views).averaged(mixture, TARGET)
    even, odd = (
        np.mean([1 + (np.arange(3 * HOP) + k * HOP // views) % HOP for k in range(first, views, 2)], axis=0)
        for first in (0, 1)
    )
    np.testing.assert_allclose(found, (even + odd) / 2, rtol=1e-6)


def test_odd_views_extract_the_others_and_take_them_away() -> None:
    voice, other = noise(8000), noise(8000)[::-1].copy()
    heard: list[bool] = []

    def extract(mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, None]:
        heard.append(voiceprint is TARGET)
        signal = voice + 0.5 * other if voiceprint is TARGET else other - 0.5 * voice
        return delayed(signal, len(mixture) - len(voice)), None

    def enroll(enrollment: np.ndarray) -> np.ndarray:
        expected = prepare_enrollment(0.5 * other, TINY.sample_rate_hz)  # what the target's views left over
        np.testing.assert_allclose(enrollment, expected, atol=1e-5)
        return OTHERS

    found, _ = Views(extract, enroll, TINY, 4).averaged(voice + other, TARGET)
    assert heard == [True, True, False, False]
    np.testing.assert_allclose(found, 1.25 * voice + 0.25 * other, atol=1e-6)  # ((v + o/2) + (v + o - (o - v/2))) / 2


def test_others_who_are_enrolled_are_half_of_their_voice() -> None:
    voice, other, known = noise(8000), noise(8000)[::-1].copy(), np.full(1, 3.0)
    asked: list[float] = []

    def extract(mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, None]:
        asked.append(float(voiceprint[0]))
        return np.resize(0.5 * voice if voiceprint is TARGET else other, len(mixture)), None

    Views(extract, lambda enrollment: OTHERS, TINY, 2, known).averaged(voice + other, TARGET)
    assert asked == [1.0, 1.5]


def test_others_who_are_enrolled_and_hardly_speak_are_looked_for_by_their_enrollment() -> None:
    voice, click, known = noise(8000), np.zeros(8000, np.float32), np.full(1, 3.0)
    click[4000:4100] = 1.0  # loud, and too short to be enrolled
    asked: list[np.ndarray] = []

    def extract(mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, None]:
        asked.append(voiceprint)
        return np.resize(voice, len(mixture)), None

    Views(extract, nobody, TINY, 2, known).averaged(voice + click, TARGET)
    assert asked[1] is known


def test_a_lone_target_is_seen_as_itself_whoever_else_is_enrolled() -> None:
    found, _ = Views(lambda x, v: (0.9 * x, None), nobody, TINY, 4, OTHERS).averaged(noise(8000), TARGET)
    np.testing.assert_allclose(found, 0.9 * noise(8000), rtol=1e-5)


def test_a_run_that_lends_its_memory_is_not_written_to() -> None:
    lent = np.ones(16, np.float32)
    Views(lambda x, v: (lent if len(x) == 16 else 3 * x, None), nobody, TINY, 3).averaged(lent, TARGET)
    np.testing.assert_array_equal(lent, 1)


def test_a_card_advises_and_the_caller_decides(tmp_path: Path, tiny_model_path: Path) -> None:
    path = tmp_path / "advised.twase"
    with_card(tiny_model_path, path, {"views": 2})
    assert open_model(tiny_model_path).views == 1
    assert open_model(path).views == 2
    assert Extractor.from_pretrained(path, views=4).model.views == 4
    advised = Extractor.from_pretrained(path)
    assert (advised.with_views(3).model.views, advised.model.views) == (3, 2)
    assert type(advised.with_views(np.int64(3)).model.views) is int  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="views = 0"):
        advised.with_views(0)
    once, twice = open_model(path, views=1), open_model(path)
    mixture = noise(8000)
    voiceprint = once.enroll(noise(8000))
    first, _ = once.extract(mixture, voiceprint)
    others = once.enroll(prepare_enrollment(mixture - first, TINY.sample_rate_hz))
    second = once.extract(delayed(mixture, HOP // 2), others)[0][HOP // 2 :]
    expected = sharpened((first + mixture - second) / 2, mixture, TINY.sample_rate_hz)
    np.testing.assert_allclose(twice.extract(mixture, voiceprint)[0], expected, atol=1e-6)


@pytest.mark.parametrize("views", [0, -1, HOP + 1, 2.5, True, "four"])
def test_impossible_views_are_refused(views: Any, tiny_model_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"views = {views!r}: expected 1 to {HOP} for this model \(its hop\)"):
        open_model(tiny_model_path, views=views)


def test_others_are_enrolled_for_models_of_several_views(tmp_path: Path, tiny_model_path: Path) -> None:
    path = tmp_path / "advised.twase"
    with_card(tiny_model_path, path, {"views": 2})
    extractor, mixture = Extractor.from_pretrained(path), noise(16000)
    voiceprint, other = (extractor.enroll(noise(16000)[::step], sample_rate_hz=8000) for step in (1, -1))
    told = extractor.with_others(other)
    plain, with_others = (e.extract(mixture, voiceprint, sample_rate_hz=8000).estimate for e in (extractor, told))
    assert extractor.model.others is None and not np.array_equal(plain, with_others)
    with pytest.raises(ConfigError, match="takes one view of a recording and never listens for the others"):
        extractor.with_views(1).with_others(other)
    with pytest.raises(ConfigError, match="takes one view of a recording and never listens for the others"):
        told.with_views(1)
    foreign = dataclasses.replace(other, fingerprint="0" * 16)
    with pytest.raises(FormatError, match="was made by the model"):
        extractor.with_others(foreign)


def test_an_extractor_of_other_views_or_told_of_others_is_the_same_otherwise(tiny_model_path: Path) -> None:
    class Own(Extractor):
        pass

    extractor = Own(open_model(tiny_model_path, views=2))
    extractor.rule = dataclasses.replace(extractor.rule, active_s=7.0)
    other = extractor.enroll(noise(16000), sample_rate_hz=8000)
    for changed in (extractor.with_views(3), extractor.with_others(other)):
        assert type(changed) is Own and changed.rule == extractor.rule
    assert extractor.model.views == 2 and extractor.model.others is None


def test_a_stream_has_one_view() -> None:
    assert check_views(1, CAUSAL) == 1
    with pytest.raises(ConfigError, match=r"views = 2: expected 1 to 1 .* causal model is a stream"):
        check_views(2, CAUSAL)
