"""The band above the model's: the same for every way of cutting, silent where the voice is, and what it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import script
from stand_in import noise, tone

import tinywase
from tinywase.metrics import si_sdr
from tinywase.runtime import highband
from tinywase.runtime.extractor import Extractor
from tinywase.stft import analyze

DEMO = Path(tinywase.__file__).parent / "assets" / "demo"
LARGEST_FILE = 64_000


def cut(signals: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    pieces, start = [], 0
    while start < len(signals):
        for size in sizes:
            pieces.append(signals[start : start + size])
            start += size
    return [piece for piece in pieces if len(piece)]


def whole(signals: np.ndarray, rate_hz: int, sizes: list[int] | None = None) -> np.ndarray:
    pieces = cut(signals, sizes or [len(signals)])
    return np.concatenate(list(highband.extended(pieces, sample_rate_hz=rate_hz, rms=0.1)))


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 90_000), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 500),
    rate_hz=st.sampled_from([11025, 16000, 44100]),
    frames=st.integers(1, 100_000),
)
def test_every_way_of_cutting_gives_the_same(sizes: list[int], rate_hz: int, frames: int) -> None:
    signals = noise(frames, 8).reshape(frames, 4, 2)
    result = whole(signals, rate_hz, sizes)
    assert result.shape == (frames, 2, 2) and result.dtype == np.float32
    np.testing.assert_array_equal(result[:, 0], signals[:, 0])  # the recording itself
    np.testing.assert_array_equal(result, whole(signals, rate_hz))


def test_nothing_is_added_below_nor_where_nothing_is() -> None:
    recording, lower = tone(440, 1.0, 16000), tone(440, 1.0, 16000)
    signals = np.stack([recording, 0 * recording, lower, lower], axis=1)[:, :, None]
    np.testing.assert_array_equal(whole(signals, 16000)[:, 1], signals[:, 3])
    signals[:, 1, 0] = tone(2000, 1.0, 16000)  # what cannot be: below the crossing
    middle = slice(2000, -2000)  # a tone that begins at once is at all frequencies then
    np.testing.assert_allclose(whole(signals, 16000)[middle, 1], signals[middle, 3], atol=1e-3)


def test_levels_are_of_the_sound_and_not_of_its_rate() -> None:
    found = []
    for rate_hz in (16000, 44100, 48000):
        sound = tone(1000, 1.0, rate_hz) + tone(5000, 1.0, rate_hz, amplitude=0.01)
        spectra = analyze(sound, highband.window_at(rate_hz))
        rms = float(np.sqrt(np.mean(sound**2)))
        found.append(highband.band_levels(spectra, spectra / 10, spectra, rate_hz, rms)[40:80].mean(axis=0))
        quiet = highband.band_levels(spectra / 100, spectra / 1000, spectra / 100, rate_hz, rms / 100)[40:80]
        np.testing.assert_allclose(quiet.mean(axis=0), found[-1], atol=1e-3)
    tones = [7, highband.LEVELS - 5]  # the bands with a tone in them: from 1000 and from 4500 Hz
    np.testing.assert_allclose(found[1][tones], found[0][tones], atol=0.05)
    np.testing.assert_allclose(found[2][tones], found[0][tones], atol=0.05)


def test_recordings_that_end_below_8_khz_have_empty_bands() -> None:
    spectra = analyze(noise(22050), highband.window_at(11025))
    levels = highband.band_levels(spectra, spectra, spectra, 11025, 1.0)
    assert np.isfinite(levels).all()
    assert (levels[:, -3:] == np.log10(np.float32(highband.FLOOR))).all()  # from 6000 Hz on


def test_gains_are_gains_and_the_file_is_small() -> None:
    gains = highband.network(np.float32(3) * noise(200, highband.LEVELS), highband.weights())
    assert gains.shape == (200 - 2 * highband.CONTEXT, len(highband.HIGH_HZ) - 1)
    assert ((gains >= 0) & (gains <= 1)).all()
    assert highband.WEIGHTS.stat().st_size < LARGEST_FILE


@pytest.fixture(scope="module")
def demo() -> dict[str, np.ndarray]:
    return {
        name: soundfile.read(DEMO / f"{name}.flac", dtype="float32")[0] for name in ("mixture", "target", "enrollment")
    }


def upper_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Signal-to-noise ratio from 4 kHz on."""
    voice, found = (np.fft.rfft(signal)[len(signal) // 4 :] for signal in (reference, estimate))
    return float(10 * np.log10(np.sum(np.abs(voice) ** 2) / np.sum(np.abs(voice - found) ** 2)))


def test_the_demos_voice_gets_its_upper_band_back(demo: dict[str, np.ndarray]) -> None:
    extractor = Extractor.from_pretrained("nano")
    voiceprint = extractor.enroll(demo["enrollment"], sample_rate_hz=16000)
    plain, full = (
        extractor.extract(demo["mixture"], voiceprint, sample_rate_hz=16000, highband=on).estimate
        for on in (False, True)
    )
    assert upper_db(demo["target"], plain) == pytest.approx(0, abs=0.2)
    assert upper_db(demo["target"], full) > 3
    assert si_sdr(reference=demo["target"], estimate=full) > si_sdr(reference=demo["target"], estimate=plain)


def test_a_lone_voice_keeps_its_upper_band(demo: dict[str, np.ndarray]) -> None:
    extractor = Extractor.from_pretrained("small", views=1)
    voiceprint = extractor.enroll(demo["enrollment"], sample_rate_hz=16000)
    found = extractor.extract(demo["target"], voiceprint, sample_rate_hz=16000).estimate
    assert upper_db(demo["target"], found) > 8


def test_what_ships_is_computed_as_it_was_trained() -> None:
    import torch

    tool = script("tools/train_highband.py")
    rng = np.random.default_rng(0)
    examples = [
        (rng.normal(size=(400 + 2 * highband.CONTEXT, highband.LEVELS)).astype(np.float32),
         np.abs(rng.normal(size=(400, tool.BANDS, 3))).astype(np.float32))
        for _ in range(3)
    ]  # fmt: skip
    net = tool.trained(examples, {"some": examples}, hidden=8, steps=3, seed=0)
    arrays = {name: value.astype(np.float32) for name, value in net.arrays().items()}
    with torch.no_grad():
        expected = net(torch.from_numpy(examples[0][0].T.copy())[None])[0].T.numpy()
    np.testing.assert_allclose(highband.network(examples[0][0], arrays), expected, atol=2e-2)  # float16
