"""The upper band of a stream: where it begins, that it comes with the rest, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
from demo import demo, upper_db
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import StandInModel, StandInStream, noise, tone

from tinywase.config import TINY
from tinywase.metrics import si_sdr
from tinywase.runtime import highband_stream
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.highband import BANDS
from tinywase.runtime.stream import VoiceStream

RATES = [16000, 22050, 44100, 48000]


def stand_in_stream(rate_hz: int, *, highband: bool = True, latency: int = 32) -> VoiceStream:
    """Of a model that takes everything for the voice."""
    stream = StandInStream(StandInModel(), latency_samples=latency)
    return VoiceStream(stream, TINY, rate_hz, others_gain=np.float32(0), highband=highband)


def through(stream: VoiceStream, sound: np.ndarray, chunk: int = 700) -> np.ndarray:
    parts = [stream.feed(sound[start : start + chunk]) for start in range(0, len(sound), chunk)]
    return np.concatenate([*parts, stream.flush()])


@pytest.fixture
def open_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that lets everything through."""
    monkeypatch.setattr(highband_stream.CausalNetwork, "step", lambda self, levels: np.ones(BANDS, np.float32))


@pytest.mark.usefixtures("open_gains")
@pytest.mark.parametrize("rate_hz", RATES)
def test_the_voice_and_its_upper_band_make_the_whole(rate_hz: int) -> None:
    sound = noise(2 * rate_hz)
    found = through(stand_in_stream(rate_hz), sound)
    assert found.shape == sound.shape
    assert 10 * np.log10(np.sum(sound**2) / np.sum((found - sound) ** 2)) > 35


@pytest.mark.usefixtures("open_gains")
def test_nothing_is_added_within_the_models_band() -> None:
    sound = tone(440, 1.0, 16000) + tone(3300, 1.0, 16000)
    with_band, without = (through(stand_in_stream(16000, highband=on), sound) for on in (True, False))
    assert np.abs(with_band - without)[2000:-2000].max() < 2e-3


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=5),
    rate_hz=st.sampled_from([*RATES, 8100, 12345, 96000]),
    latency=st.sampled_from([TINY.hop, 300, 512]),
)
def test_it_is_never_late_and_the_same_for_every_way_of_cutting(sizes: list[int], rate_hz: int, latency: int) -> None:
    sound, stream = noise(sum(sizes)), stand_in_stream(rate_hz, latency=latency)
    found, fed, given_back = [], 0, 0
    for chunk in np.split(sound, np.cumsum(sizes)):
        found.append(stream.feed(chunk))
        fed, given_back = fed + len(chunk), given_back + len(found[-1])
        assert fed - given_back <= stream.latency_samples
    found.append(stream.flush())
    assert np.array_equal(np.concatenate(found), through(stand_in_stream(rate_hz, latency=latency), sound))


@pytest.mark.parametrize("rate_hz", RATES)
def test_nobody_waits_for_it(rate_hz: int) -> None:
    live = Extractor.from_pretrained("live")
    voice = live.enroll(noise(24000), sample_rate_hz=8000)
    with_band, without = (live.stream(voice, sample_rate_hz=rate_hz, highband=on) for on in (True, False))
    assert with_band.latency_samples == without.latency_samples


def test_a_sound_without_an_upper_band_has_none() -> None:
    sound = noise(16000)
    plain, full = (through(stand_in_stream(8000, highband=on), sound) for on in (False, True))
    np.testing.assert_array_equal(full, plain)


@pytest.mark.parametrize(("model", "delay_s", "least_db"), [("live", None, 2.0), ("nano", 0.5, 2.0)])
def test_the_demos_voice_gets_its_upper_band_back(model: str, delay_s: float | None, least_db: float) -> None:
    mixture, target, enrollment = demo("mixture", "target", "enrollment")
    extractor = Extractor.from_pretrained(model)
    voice = extractor.enroll(enrollment, sample_rate_hz=16000)
    plain, full = (
        through(extractor.stream(voice, sample_rate_hz=16000, delay_s=delay_s, highband=on), mixture)
        for on in (False, True)
    )
    assert upper_db(target, plain) == pytest.approx(0, abs=0.3)
    assert upper_db(target, full) > least_db
    assert si_sdr(reference=target, estimate=full) > si_sdr(reference=target, estimate=plain)
