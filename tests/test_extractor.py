"""The extractor's contract: length, rate, channels and loudness are kept; nothing is clipped or NaN; who is there."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import StandInModel, noise, stand_in, tone, voice

from tinywase.config import TINY
from tinywase.errors import ConfigError, TinyWaseError
from tinywase.format import ModelFile, write_model
from tinywase.runtime import windows
from tinywase.runtime.buffered import check_delay
from tinywase.runtime.extractor import Extractor
from tinywase.tensors import float_tensor


@settings(max_examples=60, deadline=None)
@given(
    frames=st.one_of(st.integers(1, 20), st.integers(1, 30_000)),
    rate_hz=st.sampled_from([4000, 8000, 11025, 16000, 44100, 192000]),
    channels=st.integers(0, 3),
    causal=st.booleans(),
)
def test_length_channels_and_sum_are_kept(frames: int, rate_hz: int, channels: int, causal: bool) -> None:
    extractor = stand_in(causal=causal)
    mixture = noise(*((frames, channels) if channels else (frames,)))
    extraction = extractor.extract(mixture, voice(extractor), sample_rate_hz=rate_hz)
    assert extraction.estimate.shape == extraction.residual.shape == mixture.shape
    assert extraction.estimate.dtype == np.float32
    assert extraction.sample_rate_hz == rate_hz
    assert np.isfinite(extraction.estimate).all()
    np.testing.assert_allclose(extraction.estimate + extraction.residual, mixture, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("gain", [1.0, -7.0, 0.01])
def test_loudness_and_timing_are_those_of_the_mixture_whatever_the_model_does_to_the_level(
    causal: bool, rate_hz: int, gain: float
) -> None:
    extractor = stand_in(lambda mixture: gain * mixture, causal=causal)
    mixture = np.stack([tone(440, 1.5, rate_hz), tone(1200, 1.5, rate_hz, amplitude=0.05)], axis=1)
    estimate = extractor.extract(mixture, voice(extractor), sample_rate_hz=rate_hz).estimate
    middle = slice(rate_hz // 10, -rate_hz // 10)
    np.testing.assert_allclose(estimate[middle], mixture[middle], atol=2e-3)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_estimate_is_never_louder_than_the_mixture(seed: int) -> None:
    extractor = stand_in(lambda mixture: noise(len(mixture), seed=seed) + 0.2 * mixture)
    mixture = noise(5000, seed=seed + 1)
    estimate = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000).estimate
    assert np.sum(estimate**2) <= np.sum(mixture**2) * (1 + 1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_silence_stays_silence(causal: bool) -> None:
    extractor = stand_in(causal=causal)
    extraction = extractor.extract(np.zeros((9000, 2), np.float32), voice(extractor), sample_rate_hz=8000)
    assert not extraction.estimate.any()
    assert not extraction.residual.any()
    assert not extraction.presence
    assert extraction.confidence is None


def test_a_silent_channel_stays_silent_beside_a_loud_one() -> None:
    extractor = stand_in()
    mixture = np.stack([tone(440, 1.0), np.zeros(8000, np.float32)], axis=1)
    estimate = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000).estimate
    assert not estimate[:, 1].any()
    assert estimate[:, 0].any()


def test_a_quiet_recording_reaches_the_model_at_its_working_level() -> None:
    extractor = stand_in()
    extractor.extract(1e-4 * noise(8000), voice(extractor), sample_rate_hz=8000)
    (heard,) = extractor.model.heard  # type: ignore[attr-defined]
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize("causal", [False, True])
def test_the_model_never_hears_a_recordings_offset(causal: bool) -> None:
    extractor = stand_in(causal=causal)
    clean = 0.1 * noise(9000, 2)
    plain = extractor.extract(clean, voice(extractor), sample_rate_hz=8000).estimate
    with_offset = extractor.extract(clean + np.array([0.3, 0.0], np.float32), voice(extractor), sample_rate_hz=8000)
    np.testing.assert_allclose(with_offset.estimate, plain, atol=1e-3)
    np.testing.assert_allclose(with_offset.residual.mean(axis=0), [0.3, 0.0], atol=1e-2)  # it belongs to nobody


def test_nothing_but_an_offset_is_silence() -> None:
    extractor = stand_in()
    extraction = extractor.extract(np.full(9000, 0.3, np.float32), voice(extractor), sample_rate_hz=44100)
    assert np.abs(extraction.estimate[500:-500]).max() < 1e-4  # at its edges the offset itself begins and ends
    assert not extraction.presence


def test_equal_channels_are_computed_once_and_different_ones_each() -> None:
    extractor = stand_in()
    left, right = noise(4000), noise(4000, seed=1)
    mixture = np.stack([left, right, left], axis=1)
    estimate = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000).estimate
    assert len(extractor.model.heard) == 2  # type: ignore[attr-defined]
    assert np.array_equal(estimate[:, 0], estimate[:, 2])


@pytest.mark.parametrize("channels", [1, 2])
def test_values_that_are_not_finite_stop_the_extraction(channels: int) -> None:
    extractor = stand_in(lambda mixture: mixture * np.float32(np.nan))
    with pytest.raises(TinyWaseError, match="the model gives values that are not finite"):
        extractor.extract(noise(8000).reshape(-1, channels), voice(extractor), sample_rate_hz=8000)


# Windows


@given(length=st.integers(1, 500), window=st.integers(20, 60), overlap=st.integers(1, 15))
def test_windows_overlap_cover_everything_and_none_is_short(length: int, window: int, overlap: int) -> None:
    starts = windows.window_starts(length, window, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(0, length - window)
    assert all(0 < later - earlier <= window - overlap for earlier, later in pairwise(starts))


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 1200), causal=st.booleans())
def test_pieces_join_without_a_trace(length: int, causal: bool) -> None:
    mixture = noise(length)
    extractor = stand_in(causal=causal)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_S", 100 / 8000)
        patch.setattr(windows, "OVERLAP_S", 30 / 8000)
        pieces = list(windows.separate(extractor.model, np.zeros(16), lambda a, b: mixture[a:b], length))
    joined = np.concatenate(pieces)
    np.testing.assert_allclose(joined[:, 0], mixture, atol=1e-7)


def test_windows_that_disagree_are_faded_not_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW_S", 0.5)
    monkeypatch.setattr(windows, "OVERLAP_S", 0.25)
    count = iter(range(100))
    extractor = stand_in(lambda mixture: np.full(len(mixture), next(count) % 2, np.float32))
    pieces = windows.separate(extractor.model, np.zeros(16), lambda a, b: np.ones(b - a, np.float32), 16000)
    estimate = np.concatenate(list(pieces))[:, 0]
    assert np.abs(np.diff(estimate)).max() <= 1.01 / 2000


def test_a_model_file_gives_the_same_in_one_window_as_when_called_directly(tiny_model_path: Path) -> None:
    extractor = Extractor.from_pretrained(tiny_model_path, runtime="reference")
    voiceprint, mixture = extractor.enroll(noise(16000), sample_rate_hz=8000), noise(20000)
    direct, _ = extractor.model.extract(mixture * np.float32(0.05 / np.sqrt(np.mean(mixture**2))), voiceprint.vector)
    expected = direct * np.dot(mixture, direct) / np.dot(direct, direct)
    estimate = extractor.extract(mixture, voiceprint, sample_rate_hz=8000).estimate
    np.testing.assert_allclose(estimate, expected, atol=1e-5)


def test_a_causal_model_streams_to_what_one_pass_gives(tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, causal=True)
    tensors = {name: float_tensor(name, v) for name, v in random_tensors(config, np.random.default_rng(0)).items()}
    write_model(tmp_path / "causal.twase", ModelFile(config, tensors, {}))
    extractor = Extractor.from_pretrained(tmp_path / "causal.twase", runtime="reference")
    voiceprint, mixture = extractor.enroll(noise(16000), sample_rate_hz=8000), noise(12345)
    direct, _ = extractor.model.extract(mixture * np.float32(0.05 / np.sqrt(np.mean(mixture**2))), voiceprint.vector)
    expected = direct * np.dot(mixture, direct) / np.dot(direct, direct)
    estimate = extractor.extract(mixture, voiceprint, sample_rate_hz=8000).estimate
    np.testing.assert_allclose(estimate, expected, atol=1e-4)


# The band above the model's


def test_above_the_models_band_the_estimate_follows_what_was_found_below_or_is_empty() -> None:
    rate_hz = 44100
    mixture = tone(440, 2.0, rate_hz) + tone(9000, 2.0, rate_hz)
    extractor = stand_in(lambda heard: np.concatenate([heard[:8000], 0 * heard[8000:]]))  # somebody else after 1 s
    plain = extractor.extract(mixture, voice(extractor), sample_rate_hz=rate_hz, highband=False).estimate
    full = extractor.extract(mixture, voice(extractor), sample_rate_hz=rate_hz)

    def level(samples: np.ndarray, frequency_hz: float, start_s: float) -> float:
        part = samples[round(start_s * rate_hz) :][: rate_hz // 2]
        return float(np.abs(np.fft.rfft(part * np.hanning(len(part))))[round(frequency_hz / 2)])

    assert level(plain, 9000, 0.25) < 0.01 * level(mixture, 9000, 0.25)
    assert level(full.estimate, 9000, 0.25) > 0.5 * level(mixture, 9000, 0.25)
    assert level(full.estimate, 9000, 1.25) < 0.1 * level(mixture, 9000, 1.25)
    np.testing.assert_allclose(full.estimate + full.residual, mixture, atol=1e-6)


# Who is there


@pytest.mark.parametrize(("enrolled_hz", "there"), [(440, True), (2800, False)])
def test_confidence_compares_the_estimate_with_the_enrolled_voice(enrolled_hz: float, there: bool) -> None:
    extractor = stand_in()
    extraction = extractor.extract(tone(440, 3.0), voice(extractor, enrolled_hz), sample_rate_hz=8000)
    assert extraction.confidence is not None
    assert bool(extraction.presence) == there
    assert (extraction.confidence > 0.9) == there


def test_activity_says_when() -> None:
    extractor = stand_in()
    mixture = np.concatenate([np.zeros(8000, np.float32), tone(440, 1.0), np.zeros(4000, np.float32)])
    extraction = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000)
    times_s = (np.arange(len(extraction.activity)) + 0.5) * extraction.activity_hop_s
    assert len(mixture) / 8000 == pytest.approx(times_s[-1] + extraction.activity_hop_s / 2)
    active = times_s[extraction.activity > 0.5]
    assert (active[0], active[-1]) == (pytest.approx(1.0, abs=0.02), pytest.approx(2.0, abs=0.02))


def test_a_clip_too_short_to_compare_is_judged_by_its_activity_alone() -> None:
    extractor = stand_in()
    extraction = extractor.extract(tone(440, 0.3), voice(extractor), sample_rate_hz=8000)
    assert extraction.confidence is None
    assert extraction.presence


def test_the_models_card_sets_when_a_target_counts_as_present() -> None:
    mixture = tone(440, 1.0)
    strict = stand_in(presence={"active_s": 5.0})
    assert stand_in().extract(mixture, voice(strict), sample_rate_hz=8000).presence
    assert not strict.extract(mixture, voice(strict), sample_rate_hz=8000).presence


def test_a_model_without_activity_cue_takes_the_estimates_level_for_activity() -> None:
    extractor = stand_in()
    extractor.model.config = dataclasses.replace(TINY, cues="voiceprint")
    mixture = np.concatenate([tone(440, 1.0), 1e-3 * noise(8000)])
    activity = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000).activity
    assert activity[10:90].all()
    assert not activity[110:].any()


def test_the_floor_of_a_quiet_recording_is_nobody_speaking_however_active_the_model_calls_it() -> None:
    class AlwaysActive(StandInModel):
        def extract(self, mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            estimate, activity = super().extract(mixture, voiceprint)
            return estimate, np.ones_like(activity)

    extractor = Extractor(AlwaysActive())  # type: ignore[arg-type]
    speech = np.concatenate([tone(440, 0.5), np.zeros(800, np.float32), tone(440, 0.5)])  # a pause of 0.1 s
    mixture = np.concatenate([speech, np.zeros(8000, np.float32)]) + 1e-3 * noise(len(speech) + 8000)
    activity = extractor.extract(mixture, voice(extractor), sample_rate_hz=8000).activity
    assert activity[:110].all()
    assert not activity[130:].any()


@pytest.mark.parametrize("not_a_voice", [None, "me.wav", np.zeros(16, np.float32)], ids=["None", "path", "vector"])
def test_what_is_no_voiceprint_is_refused_with_a_way_to_one(not_a_voice: Any) -> None:
    message = (
        rf"whose voice\? Got a {type(not_a_voice).__name__}, expected a Voiceprint\. Make one with extractor\.enroll"
    )
    with pytest.raises(ConfigError, match=message):
        stand_in().extract(noise(8000), not_a_voice, sample_rate_hz=8000)


def test_results_fit_on_a_line_when_they_are_printed() -> None:
    extractor = stand_in()
    extraction = extractor.extract(noise(8000), voice(extractor), sample_rate_hz=8000)
    assert len(repr(extraction)) < 300
    assert len(repr(voice(extractor))) < 200


def test_results_are_equal_to_themselves_alone(tmp_path: Path) -> None:
    extractor, someone, samples = stand_in(), voice(stand_in()), noise(8000)
    one, other = (extractor.extract(samples, someone, sample_rate_hz=8000) for _ in range(2))
    assert one == one and one != other and one not in [other] and len({one, other}) == 2
    reports = [extractor.extract_file(samples, tmp_path / f"{n}.wav", someone, sample_rate_hz=8000) for n in (1, 2)]
    assert reports[0] == reports[0] and reports[0] != reports[1] and len(set(reports)) == 2


@pytest.mark.parametrize("rate", [16000.7, np.nan, np.inf, True, "16000"])
def test_a_rate_that_is_no_whole_number_is_refused_by_all_alike(rate: Any) -> None:
    extractor = stand_in(causal=True)
    someone, samples = voice(extractor), noise(16000)
    message = re.escape(f"sample_rate_hz = {rate!r}: expected a whole number of Hz, for example 16000.")
    for refused in (
        lambda: extractor.extract(samples, someone, sample_rate_hz=rate),
        lambda: extractor.enroll(samples, sample_rate_hz=rate),
        lambda: extractor.find_voices(samples, sample_rate_hz=rate),
        lambda: extractor.stream(someone, sample_rate_hz=rate),
    ):
        with pytest.raises(ConfigError, match=message):
            refused()


@pytest.mark.parametrize("value", ["0.5", True, np.nan, 10**400, [1.0], 1j], ids=lambda value: f"{value!r:.10}")
@pytest.mark.parametrize("name", ["alike", "keep_others_db", "start_s", "stop_s", "delay_s"])
def test_what_is_no_number_is_refused_by_all_alike(name: str, value: Any) -> None:
    extractor = stand_in()
    someone, samples = voice(extractor), noise(16000)
    said: dict[str, Any] = {"sample_rate_hz": 8000, name: value}
    calls = {
        "alike": lambda: extractor.find_voices(samples, **said),
        "keep_others_db": lambda: extractor.extract(samples, someone, **said),
        "start_s": lambda: extractor.enroll(samples, **said),
        "stop_s": lambda: extractor.enroll(samples, **said),
        "delay_s": lambda: extractor.stream(someone, **said),
    }
    with pytest.raises(ConfigError, match=rf"{name} = {re.escape(f'{value!r:.80}')}: expected "):
        calls[name]()


@pytest.mark.parametrize("number", [1, 1.0, np.float32(1), np.int64(1)])
def test_a_number_may_come_from_anywhere(number: Any) -> None:
    extractor = stand_in()
    extractor.extract(noise(1600), voice(extractor), sample_rate_hz=8000, keep_others_db=number)
    assert extractor.enroll(noise(24000), sample_rate_hz=8000, start_s=number, stop_s=2 * number).active_s <= 1
    assert type(check_delay(number)) is float


@pytest.mark.parametrize("rate", [16000.0, np.int64(16000), np.float64(16000)])
def test_a_whole_rate_may_come_from_anywhere(rate: Any) -> None:
    extractor = stand_in()
    assert type(extractor.extract(noise(1600), voice(extractor), sample_rate_hz=rate).sample_rate_hz) is int
