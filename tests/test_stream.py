"""A sound that is still going on: another rate with little delay, no offset, and the voice out of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from demo import demo
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase import Extractor
from tinywase.errors import AudioError, ConfigError, StreamError
from tinywase.runtime.offset import RunningOffset
from tinywase.runtime.resampling import LowDelayResampler
from tinywase.runtime.stream import VoiceStream

RATES = [(48_000, 8_000), (8_000, 48_000), (44_100, 8_000), (8_000, 44_100), (16_000, 8_000), (8_000, 8_000)]


def sine(rate_hz: int, frequency_hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32)


def in_chunks(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(samples, np.cumsum(sizes))


# Another rate


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("frequency_hz", [100.0, 1000.0, 3000.0])
def test_a_tone_stays_what_and_where_it_is(from_hz: int, to_hz: int, frequency_hz: float) -> None:
    resampler = LowDelayResampler(from_hz, to_hz)
    found = np.concatenate([resampler.feed(sine(from_hz, frequency_hz)), resampler.flush()])
    assert len(found) == to_hz
    inner = slice(to_hz // 20, -to_hz // 20)
    error = found[inner] - sine(to_hz, frequency_hz)[inner]
    assert np.sqrt(np.mean(error**2)) < 0.001


@pytest.mark.parametrize("from_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("frequency_hz", [4_100.0, 5_000.0, 7_000.0])
def test_what_does_not_fit_below_half_the_lower_rate_is_gone(from_hz: int, frequency_hz: float) -> None:
    resampler = LowDelayResampler(from_hz, 8_000)
    found = np.concatenate([resampler.feed(sine(from_hz, frequency_hz)), resampler.flush()])
    assert np.sqrt(np.mean(found[400:-400] ** 2)) < 0.001


@settings(max_examples=40, deadline=None)
@given(rates=st.sampled_from(RATES), sizes=st.lists(st.integers(0, 3000), max_size=8))
def test_resampled_chunks_are_the_resampled_whole(rates: tuple[int, int], sizes: list[int]) -> None:
    samples = np.random.default_rng(1).standard_normal(sum(sizes)).astype(np.float32)
    whole, parts = LowDelayResampler(*rates), LowDelayResampler(*rates)
    expected = np.concatenate([whole.feed(samples), whole.flush()])
    found, fed, given_back = [], 0, 0
    for chunk in in_chunks(samples, sizes):
        found.append(parts.feed(chunk))
        fed, given_back = fed + len(chunk), given_back + len(found[-1])
        assert given_back >= (fed / rates[0] - parts.delay_s) * rates[1] - 1
    assert np.array_equal(np.concatenate([*found, parts.flush()]), expected)
    assert len(expected) == -(-len(samples) * rates[1] // rates[0])


def test_a_resampler_begins_again() -> None:
    resampler = LowDelayResampler(48_000, 8_000)
    first = np.concatenate([resampler.feed(sine(48_000, 500.0)), resampler.flush()])
    resampler.reset()
    assert np.array_equal(np.concatenate([resampler.feed(sine(48_000, 500.0)), resampler.flush()]), first)


@pytest.mark.parametrize("rate_hz", [0, -8000, 3_999, 192_001, 191_999])
def test_impossible_rates_are_refused(rate_hz: int) -> None:
    with pytest.raises(ConfigError, match=r"expected 4000 to 192000|usual sampling rate"):
        LowDelayResampler(rate_hz, 8_000)


def test_an_offset_is_learned_and_silence_stays_silence() -> None:
    offset, rng = RunningOffset(0.016), np.random.default_rng(2)
    speech = 0.05 * rng.standard_normal((300, 128)).astype(np.float32)
    found = np.stack([offset.take_from(block + np.float32(0.2)) for block in speech])
    assert abs(found[100:].mean()) < 0.002
    assert not offset.take_from(np.zeros(128, np.float32)).any()


# A voice


@pytest.fixture(scope="module")
def live() -> Extractor:
    return Extractor.from_pretrained("live")


def speech(rate_hz: int, seconds: float = 2.0, seed: int = 3) -> np.ndarray:
    """Syllables of noise: nothing to understand, enough to be heard."""
    rng, samples = np.random.default_rng(seed), round(seconds * rate_hz)
    loud = np.abs(np.sin(2 * np.pi * 2.5 * np.arange(samples) / rate_hz)) ** 2
    return (0.05 * loud * rng.standard_normal(samples)).astype(np.float32)


def stream_of(extractor: Extractor, rate_hz: int, keep_others_db: float | None = None) -> VoiceStream:
    voiceprint = extractor.enroll(speech(8_000, 3.0, seed=4), sample_rate_hz=8_000)
    return extractor.stream(voiceprint, sample_rate_hz=rate_hz, keep_others_db=keep_others_db)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
@settings(max_examples=6, deadline=None)
@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=6))
def test_the_voice_depends_on_the_samples_alone_and_is_never_late(
    live: Extractor, rate_hz: int, sizes: list[int]
) -> None:
    sound = speech(rate_hz, sum(sizes) / rate_hz)
    whole, parts = stream_of(live, rate_hz), stream_of(live, rate_hz)
    expected = np.concatenate([whole.feed(sound), whole.flush()])
    found, fed, given_back = [], 0, 0
    for chunk in in_chunks(sound, sizes):
        found.append(parts.feed(chunk))
        fed, given_back = fed + len(chunk), given_back + len(found[-1])
        assert fed - given_back <= parts.latency_samples
    assert np.array_equal(np.concatenate([*found, parts.flush()]), expected)
    assert expected.shape == sound.shape and expected.dtype == np.float32


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_others_are_let_through_in_their_place(live: Extractor, rate_hz: int) -> None:
    sound = speech(rate_hz)
    plain, kept = stream_of(live, rate_hz), stream_of(live, rate_hz, keep_others_db=20.0)
    voice = np.concatenate([plain.feed(sound), plain.flush()])
    for _ in range(2):
        chunks = in_chunks(sound, [100, 0, 7000, 3, 5000])
        found = np.concatenate([*(kept.feed(chunk) for chunk in chunks), kept.flush()])
        np.testing.assert_allclose(found, voice + 0.1 * (sound - voice), atol=1e-7)
        kept.reset()
    everything = stream_of(live, rate_hz, keep_others_db=0.0)
    np.testing.assert_allclose(np.concatenate([everything.feed(sound), everything.flush()]), sound, atol=1e-7)


def test_latency_is_that_of_the_model_and_a_few_milliseconds_for_the_rate(live: Extractor) -> None:
    own_s = (live.model.config.latency_samples or 0) / 8_000
    assert stream_of(live, 8_000).latency_s == pytest.approx(own_s)
    assert own_s < stream_of(live, 48_000).latency_s < own_s + 0.008


def test_the_future_beyond_the_latency_changes_nothing(live: Extractor) -> None:
    one, other = stream_of(live, 48_000), stream_of(live, 48_000)
    sound = speech(48_000)
    changed = np.concatenate([sound[:48_000], 3 * sound[48_000:]])
    first, second = one.feed(sound), other.feed(changed)
    assert np.array_equal(first[: 48_000 - one.latency_samples], second[: 48_000 - one.latency_samples])
    assert not np.array_equal(first, second)


def of_sample(live: Extractor) -> tuple[np.ndarray, Callable[[], VoiceStream]]:
    """The package's sample at 16 kHz, and a stream of the voice in it."""
    mixture, enrollment = demo("mixture", "enrollment")
    voiceprint = live.enroll(enrollment, sample_rate_hz=16_000)
    return mixture, lambda: live.stream(voiceprint, sample_rate_hz=16_000)


@pytest.mark.parametrize(("gain", "most"), [(0.01, 0.15), (0.1, 0.05), (10.0, 0.05)])  # the floor of log power is near
def test_the_level_changes_nothing(live: Extractor, gain: float, most: float) -> None:
    sound, begin = of_sample(live)
    expected, found = begin().feed(sound), begin().feed(np.float32(gain) * sound) / np.float32(gain)
    assert np.sqrt(np.mean((found - expected) ** 2)) < most * np.sqrt(np.mean(expected**2))


def test_what_was_heard_long_ago_is_forgotten(live: Extractor) -> None:
    sound, begin = of_sample(live)
    quiet = 1e-5 * np.random.default_rng(5).standard_normal(160_000).astype(np.float32)
    expected = begin().feed(sound)[-16_000:]
    found = begin().feed(np.concatenate([quiet, sound]))[-16_000:]
    assert live.model.config.norm_memory_frames
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1 * np.sqrt(np.mean(expected**2))


def test_channels_are_averaged_and_integers_are_full_scale(live: Extractor) -> None:
    sound, begin = of_sample(live)
    expected = begin().feed(sound)
    stereo = np.stack([2 * sound, 0 * sound], axis=1)
    assert np.allclose(begin().feed(stereo), expected, atol=1e-6)
    pcm = np.rint(sound * 32_768).astype(np.int16)
    difference = begin().feed(pcm) - expected
    assert np.sqrt(np.mean(difference**2)) < 0.02 * np.sqrt(np.mean(expected**2))


def test_silence_stays_silence_and_a_stream_begins_again(live: Extractor) -> None:
    stream = stream_of(live, 48_000)
    first = np.concatenate([stream.feed(speech(48_000)), stream.flush()])
    stream.reset()
    assert not stream.feed(np.zeros(48_000, np.float32)).any()
    stream.reset()
    assert np.array_equal(np.concatenate([stream.feed(speech(48_000)), stream.flush()]), first)
    assert 0 <= stream.activity <= 1


def test_what_cannot_be_is_refused(live: Extractor) -> None:
    stream = stream_of(live, 8_000)
    for chunk, complaint in (
        (np.array([0.0, np.nan]), "not finite"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.array(["a"]), "expected numbers"),
    ):
        with pytest.raises(AudioError, match=complaint):
            stream.feed(chunk)
    stream.flush()
    with pytest.raises(StreamError, match="ended"):
        stream.feed(np.zeros(10))
    with pytest.raises(StreamError, match="ended"):
        stream.flush()
    with pytest.raises(ConfigError, match="keep_others_db = -3"):
        stream_of(live, 8_000, keep_others_db=-3.0)
    offline = Extractor.from_pretrained("nano")
    with pytest.raises(StreamError, match="offline"):
        stream_of(offline, 8_000)
