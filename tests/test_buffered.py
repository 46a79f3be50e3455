"""A stream of an offline model: what it hears, when it gives it, and that it is a stream like any other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
from demo import DEMO
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import StandInModel, stand_in

from tinywase import Extractor
from tinywase.config import TINY
from tinywase.errors import ConfigError, StreamError
from tinywase.metrics import si_sdr
from tinywase.runtime.buffered import BufferedStream, left_context_s
from tinywase.runtime.stream import check_streams
from tinywase.runtime.windows import WORKING_RMS

RATE_HZ = 8_000
DELAY_S = 0.4
ANYBODY = np.zeros(4, np.float32)


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def given_back(stream: BufferedStream, sound: np.ndarray, chunk: int = 160) -> np.ndarray:
    parts = [stream.feed(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    return np.concatenate([*parts, stream.flush()])


@pytest.fixture
def model() -> StandInModel:
    return stand_in().model  # type: ignore[return-value]


@pytest.fixture(scope="module")
def nano() -> Extractor:
    return Extractor.from_pretrained("nano", views=2)


def test_windows_are_the_left_context_a_step_and_the_right_context(model: StandInModel) -> None:
    sound, stream = noise(6.0), BufferedStream(model, ANYBODY, DELAY_S)
    assert stream.latency_samples == DELAY_S * RATE_HZ
    given_back(stream, sound)
    ends = [stream.latency_samples + k * stream.step_samples for k in range(len(model.heard) - 1)]
    for k, (heard, end) in enumerate(zip(model.heard, [*ends, len(sound)], strict=True)):
        expected = sound[max(0, k * stream.step_samples - round(left_context_s(DELAY_S) * RATE_HZ)) : end]
        level = np.sqrt(np.mean(np.square(expected, dtype=np.float64)))
        assert np.allclose(heard, expected * WORKING_RMS / level, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 5000), max_size=8), delay_s=st.floats(0.1, 1.0), seed=st.integers(0, 3))
def test_what_changes_nothing_gives_everything_back_in_time(sizes: list[int], delay_s: float, seed: int) -> None:
    stream, sound = BufferedStream(stand_in().model, ANYBODY, delay_s), noise(sum(sizes) / RATE_HZ, seed)
    found, fed, back = [], 0, 0
    for chunk in np.split(sound, np.cumsum(sizes)):
        found.append(stream.feed(chunk))
        fed, back = fed + len(chunk), back + len(found[-1])
        assert fed - back < stream.latency_samples
    found.append(stream.flush())
    assert np.allclose(np.concatenate(found), sound, atol=1e-6)


@settings(max_examples=5, deadline=None)
@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=5), rate_hz=st.sampled_from([8_000, 44_100]))
def test_the_voice_depends_on_the_samples_alone(nano: Extractor, sizes: list[int], rate_hz: int) -> None:
    sound, voice = noise(sum(sizes) / RATE_HZ), nano.enroll(noise(2.0, seed=4), sample_rate_hz=RATE_HZ)
    whole, parts = (nano.stream(voice, sample_rate_hz=rate_hz, delay_s=DELAY_S) for _ in range(2))
    expected = np.concatenate([whole.feed(sound), whole.flush()])
    found, fed, back = [], 0, 0
    for chunk in np.split(sound, np.cumsum(sizes)):
        found.append(parts.feed(chunk))
        fed, back = fed + len(chunk), back + len(found[-1])
        assert fed - back <= parts.latency_samples
    assert np.array_equal(np.concatenate([*found, parts.flush()]), expected)
    assert expected.shape == sound.shape and expected.dtype == np.float32 and 0 <= parts.activity <= 1


def test_a_sound_shorter_than_the_delay_is_heard_as_a_whole(nano: Extractor) -> None:
    sound, voice = noise(1.5), nano.enroll(noise(2.0, seed=4), sample_rate_hz=RATE_HZ)
    found = given_back(BufferedStream(nano.model, voice.vector, 2.0), sound)
    scale = np.float32(WORKING_RMS / np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    assert np.allclose(found, nano.model.extract(sound * scale, voice.vector)[0] / scale, atol=1e-6)


def test_what_was_heard_before_the_left_context_is_forgotten(nano: Extractor) -> None:
    voice, model = nano.enroll(noise(2.0, seed=4), sample_rate_hz=RATE_HZ).vector, nano.with_views(1).model
    first, second = noise(8.5), noise(8.5)
    first[: RATE_HZ // 2] = 3 * noise(0.5, seed=9)
    streams = [BufferedStream(model, voice, 2.0) for _ in range(2)]
    one, other = (given_back(stream, sound) for stream, sound in zip(streams, (first, second), strict=True))
    forgotten_s = 0.5 + left_context_s(2.0)
    same = round(forgotten_s * RATE_HZ) + 2 * streams[0].step_samples  # a step is faded from the one before it
    assert np.array_equal(one[same:], other[same:]) and not np.allclose(one[:same], other[:same])


def test_the_level_changes_nothing_and_silence_stays_silence(nano: Extractor) -> None:
    voice, sound = nano.enroll(noise(2.0, seed=4), sample_rate_hz=RATE_HZ).vector, noise(2.0)
    stream = BufferedStream(nano.model, voice, DELAY_S)
    expected = given_back(stream, sound)
    for gain in (np.float32(2.0**-10), np.float32(2.0**10)):  # which round nothing
        stream.reset()
        assert np.array_equal(given_back(stream, gain * sound), gain * expected)
    stream.reset()
    assert not given_back(stream, np.zeros(RATE_HZ, np.float32)).any() and stream.activity == 0
    stream.reset()
    assert np.isfinite(given_back(stream, np.float32(1e-38) * sound)).all()
    stream.reset()
    assert not len(stream.flush())


def test_waiting_is_worth_its_time() -> None:
    (mixture, rate_hz), (target, _) = (
        soundfile.read(DEMO / f"{name}.flac", dtype="float32") for name in ("mixture", "target")
    )
    improvements = []
    for extractor, delay_s in ((Extractor.from_pretrained("live"), None), (Extractor.from_pretrained("default"), 0.5)):
        voice = extractor.enroll(DEMO / "enrollment.flac")
        stream = extractor.stream(voice, sample_rate_hz=rate_hz, delay_s=delay_s)
        found = np.concatenate([stream.feed(mixture), stream.flush()])
        improvements.append(si_sdr(reference=target, estimate=found))
    assert improvements[1] > improvements[0] + 0.5


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 5.5, -1.0, float("nan"), float("inf")])
def test_impossible_delays_are_refused(nano: Extractor, delay_s: float) -> None:
    with pytest.raises(ConfigError, match=r"expected 0\.1 to 5"):
        check_streams(nano.model, delay_s)


def test_a_delay_of_less_than_a_hop_is_refused_with_the_shortest() -> None:
    model = StandInModel(config=dataclasses.replace(TINY, window=4096))  # a hop of 2048
    with pytest.raises(ConfigError, match=r"delay_s = 0\.1: expected 0\.256 s, a hop of this model, or more"):
        BufferedStream(model, ANYBODY, 0.1)
    stream, sound = BufferedStream(model, ANYBODY, 0.256), noise(2.0)
    assert stream.latency_samples == 2048
    assert np.allclose(given_back(stream, sound), sound, atol=1e-6)


def test_offline_models_need_a_delay_and_causal_ones_have_theirs(nano: Extractor) -> None:
    with pytest.raises(StreamError, match="'nano' is offline"):
        check_streams(nano.model, None)
    with pytest.raises(StreamError, match="'live' is causal"):
        check_streams(Extractor.from_pretrained("live").model, 0.5)
