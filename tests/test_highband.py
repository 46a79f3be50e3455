"""The band above the model's: the same for every way of cutting, silent where the voice is, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from demo import demo, upper_db
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import script
from stand_in import noise, tone

from tinywase import stft
from tinywase.metrics import si_sdr
from tinywase.runtime import highband, highband_file, highband_stream
from tinywase.runtime.extractor import Extractor
from tinywase.stft import analyze, synthesize

LARGEST_FILE = 64_000


def cut(signals: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    pieces, start = [], 0
    while start < len(signals):
        for size in sizes:
            pieces.append(signals[start : start + size])
            start += size
    return [piece for piece in pieces if len(piece)]


def whole(signals: np.ndarray, lower: np.ndarray, rate_hz: int, sizes: list[int] | None = None) -> np.ndarray:
    """Shape: [T, 2, C], [T', 2, C] -> [T, 2, C]."""

    def read(start: int, stop: int) -> np.ndarray:
        padded = np.pad(lower, ((max(0, -start), max(0, stop - len(lower))), (0, 0), (0, 0)))
        return padded[start + max(0, -start) : stop + max(0, -start)]

    pieces = cut(signals, sizes or [len(signals)])
    found = highband_file.extended(pieces, read, sample_rate_hz=rate_hz, model_rate_hz=8000, rms=0.1)
    return np.concatenate(list(found))


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 90_000), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 500),
    rate_hz=st.sampled_from([11025, 16000, 44100]),
    frames=st.integers(1, 100_000),
)
def test_every_way_of_cutting_gives_the_same(sizes: list[int], rate_hz: int, frames: int) -> None:
    signals, below = noise(frames, 4).reshape(frames, 2, 2), frames * 8000 // rate_hz + 1
    lower = noise(below, 4, seed=1).reshape(below, 2, 2)
    result = whole(signals, lower, rate_hz, sizes)
    assert result.shape == (frames, 2, 2) and result.dtype == np.float32
    np.testing.assert_array_equal(result[:, 0], signals[:, 0])  # the recording itself
    np.testing.assert_array_equal(result, whole(signals, lower, rate_hz))


def test_nothing_is_added_within_the_models_band() -> None:
    recording, below = tone(440, 1.0, 16000) + tone(3600, 1.0, 16000), tone(440, 1.0, 8000)
    signals = np.stack([recording, 0 * recording], axis=1)[:, :, None]
    lower = np.stack([below, 0 * below], axis=1)[:, :, None]
    middle = slice(2000, -2000)  # a tone that begins at once is at all frequencies then
    assert np.abs(whole(signals, lower, 16000)[middle, 1]).max() < 1e-3


def test_levels_are_of_the_sound_and_not_of_its_rate() -> None:
    found = []
    for rate_hz in (16000, 44100, 48000):
        sound = tone(1000, 1.0, rate_hz) + tone(5000, 1.0, rate_hz, amplitude=0.01)
        spectra = analyze(sound, highband.window_at(rate_hz))
        rms = float(np.sqrt(np.mean(sound**2)))
        levels = highband.band_levels((spectra, rate_hz), (spectra / 10, rate_hz), (spectra, rate_hz), rms)
        found.append(levels[40:80].mean(axis=0))
        quiet = spectra / 100
        levels = highband.band_levels((quiet, rate_hz), (quiet / 10, rate_hz), (quiet, rate_hz), rms / 100)
        np.testing.assert_allclose(levels[40:80].mean(axis=0), found[-1], atol=1e-3)
    tones = [7, highband.LEVELS - 5]  # the bands with a tone in them: from 1000 and from 4500 Hz
    np.testing.assert_allclose(found[1][tones], found[0][tones], atol=0.05)
    np.testing.assert_allclose(found[2][tones], found[0][tones], atol=0.05)


def test_recordings_that_end_below_8_khz_have_empty_bands() -> None:
    spectra = analyze(noise(22050), highband.window_at(11025)), 11025
    levels = highband.band_levels(spectra, spectra, spectra, 1.0)
    assert np.isfinite(levels).all()
    assert (levels[:, -3:] == np.log10(np.float32(highband.FLOOR))).all()  # from 6000 Hz on


def test_a_resampled_estimate_and_its_upper_band_make_the_whole() -> None:
    sound = noise(32000)
    low = soxr.resample(soxr.resample(sound, 16000, 8000), 8000, 16000)
    window = highband.window_at(16000)
    spectra = analyze(sound, window) * highband_file.rise_of_bins(window, 16000, 8000)
    again = low + synthesize(spectra, window, len(sound))
    assert 10 * np.log10(np.sum(sound**2) / np.sum((again - sound) ** 2)) > 25


def test_rates_that_clients_choose_are_not_remembered_for_ever() -> None:
    samples = np.zeros(2_000, np.float32)
    for rate_hz in range(40_000, 60_000, 500):
        highband.band_powers((analyze(samples, highband.window_at(rate_hz)), rate_hz), highband.HIGH_HZ)
    for kept in (highband._bins_of_bands, stft._root_hann):
        assert kept.cache_info().currsize <= 16


def test_gains_are_gains_and_the_file_is_small() -> None:
    levels = np.float32(3) * noise(200, highband.LEVELS)
    gains = highband.network(levels, highband.weights(highband_file.WEIGHTS))
    causal = highband.CausalNetwork(highband.weights(highband_stream.WEIGHTS))
    assert gains.shape == (200 - highband.REACH, highband.BANDS)
    for found in (gains, np.stack([causal.step(frame) for frame in levels])):
        assert ((found >= 0) & (found <= 1)).all() and found.std() > 0
    for name in (highband_file.WEIGHTS, highband_stream.WEIGHTS):
        assert (highband.ASSETS / f"{name}.npz").stat().st_size < LARGEST_FILE


def test_the_demos_voice_gets_its_upper_band_back() -> None:
    mixture, target, enrollment = demo("mixture", "target", "enrollment")
    extractor = Extractor.from_pretrained("nano")
    voiceprint = extractor.enroll(enrollment, sample_rate_hz=16000)
    plain, full = (
        extractor.extract(mixture, voiceprint, sample_rate_hz=16000, highband=on).estimate for on in (False, True)
    )
    assert upper_db(target, plain) == pytest.approx(0, abs=0.2)
    assert upper_db(target, full) > 3
    assert si_sdr(reference=target, estimate=full) > si_sdr(reference=target, estimate=plain)


def test_a_lone_voice_keeps_its_upper_band() -> None:
    target, enrollment = demo("target", "enrollment")
    extractor = Extractor.from_pretrained("small", views=1)
    voiceprint = extractor.enroll(enrollment, sample_rate_hz=16000)
    found = extractor.extract(target, voiceprint, sample_rate_hz=16000).estimate
    assert upper_db(target, found) > 8


@pytest.mark.parametrize("causal", [False, True])
def test_what_ships_is_computed_as_it_was_trained(causal: bool) -> None:
    import torch

    tool = script("tools/train_highband.py")
    rng = np.random.default_rng(0)
    examples = [
        (rng.normal(size=(400 + highband.REACH, highband.LEVELS)).astype(np.float32),
         np.abs(rng.normal(size=(400, highband.BANDS, 3))).astype(np.float32))
        for _ in range(3)
    ]  # fmt: skip
    net = tool.trained(examples, {"some": examples}, causal=causal, hidden=8, steps=3, seed=0)
    arrays = {name: value.astype(np.float32) for name, value in net.arrays().items()}
    levels = examples[0][0]
    with torch.no_grad():
        expected = net(torch.from_numpy(levels.T.copy())[None])[0].T.numpy()
    steps = highband.CausalNetwork(arrays)
    found = (
        np.stack([steps.step(frame) for frame in levels])[highband.REACH :]
        if causal
        else highband.network(levels, arrays)
    )
    np.testing.assert_allclose(found, expected, atol=2e-2)  # float16
