"""The spatial filter: whoever stands elsewhere goes, who stands where the voice does stays, and silence is silence."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from demo import DEMO
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import Command, stand_in
from stand_in import voice as voice_of

from tinywase import Extractor
from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.metrics import si_sdr
from tinywase.runtime import passes, spatial
from tinywase.runtime.spatial import distance, spatially_filtered, steered, wiener

RATE_HZ = 8000
SECONDS = 4


def talker(seed: int, seconds: float = SECONDS) -> np.ndarray:
    """Noise in syllables: loud and silent in turns, another pattern for every seed. Shape: -> [T]."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.random(int(8 * seconds) + 1) ** 3, RATE_HZ // 8)[: int(seconds * RATE_HZ)]
    return (0.2 * loudness * rng.standard_normal(len(loudness))).astype(np.float32)


def placed(signal: np.ndarray, gains: tuple[float, float], delay: int = 0) -> np.ndarray:
    """A signal in two channels, later in the second. Shape: [T] -> [T, 2]."""
    late = np.concatenate([np.zeros(delay, np.float32), signal])[: len(signal)]
    return np.stack([gains[0] * signal, gains[1] * late], axis=1).astype(np.float32)


def rough(voice: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What a network makes of it: a fifth of the rest, and a tenth of noise of its own."""
    own = np.random.default_rng(9).standard_normal(voice.shape).astype(np.float32)
    return voice + 0.2 * rest + 0.1 * float(voice.std()) * own


def quality(estimate: np.ndarray, voice: np.ndarray) -> float:
    """Mean over channels, dB."""
    pairs = zip(estimate.T, voice.T, strict=True)
    return float(np.mean([si_sdr(reference=reference, estimate=channel) for channel, reference in pairs]))


@pytest.mark.parametrize(
    ("gains", "delay"),
    [((0.9, 0.3), 0), ((0.5, 0.5), 3), ((0.9, 0.0), 0)],
    ids=["panned", "microphones apart", "in the other channel alone"],
)
def test_who_stands_elsewhere_goes(gains: tuple[float, float], delay: int) -> None:
    voice, rest = placed(talker(1), (0.4, 0.6), 1), placed(talker(2), gains, delay)
    estimate = rough(voice, rest)
    filtered = spatially_filtered(estimate, voice + rest, RATE_HZ)
    assert filtered.dtype == np.float32
    assert quality(filtered, voice) > quality(estimate, voice) + 6.0


def test_who_stands_where_the_voice_does_changes_nothing() -> None:
    voice, rest = placed(talker(1), (0.4, 0.6), 2), placed(talker(2), (0.4, 0.6), 2)
    estimate = 0.9 * voice + 0.2 * rest
    filtered = spatially_filtered(estimate, voice + rest, RATE_HZ)
    np.testing.assert_allclose(filtered, estimate, atol=0.01 * float(estimate.std()))


def test_a_perfect_estimate_of_who_is_in_one_channel_alone_stays() -> None:
    voice, rest = placed(talker(1), (1.0, 0.0)), placed(talker(2), (0.0, 1.0))
    assert quality(spatially_filtered(voice, voice + rest, RATE_HZ)[:, :1], voice[:, :1]) > 30.0


def test_who_speaks_alone_is_left_alone() -> None:
    """A network damages a lone voice a little; that the damage has a direction makes nobody of it."""
    voice = placed(talker(1), (0.4, 0.6), 2)
    estimate = voice - 0.2 * placed(talker(1), (0.9, 0.3), 40)
    np.testing.assert_array_equal(spatially_filtered(estimate, voice, RATE_HZ), estimate)


@settings(deadline=None, max_examples=25)
@given(
    samples=st.integers(1, 6000),
    channels=st.integers(2, 5),
    rate_hz=st.sampled_from([8000, 11025, 16000]),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    silent=st.booleans(),
)
def test_nothing_stays_nothing_and_everything_is_finite(
    samples: int, channels: int, rate_hz: int, share: float, silent: bool
) -> None:
    mixture = np.random.default_rng(samples).standard_normal((samples, channels)).astype(np.float32)
    if silent:
        mixture[:, 0] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filtered = spatially_filtered(np.float32(share) * mixture, mixture, rate_hz)
    assert filtered.shape == mixture.shape and filtered.dtype == np.float32
    assert np.isfinite(filtered).all()
    if share == 0.0:
        np.testing.assert_array_equal(filtered, 0)
    if silent:
        np.testing.assert_allclose(filtered[:, 0], 0, atol=1e-4)


def test_the_filter_is_that_of_the_equation() -> None:
    """v A (v A + w B)^-1, frame by frame, instead of by directions in which both are uncorrelated."""
    rng = np.random.default_rng(3)
    voice, rest = (rng.standard_normal((2, 3, 40)) + 1j * rng.standard_normal((2, 3, 40)) for _ in range(2))
    rest[:, 1] += 2 * rest[:, 0]
    everything = voice + rest
    found = wiener(voice, everything)
    for k in range(2):
        powers = [np.mean(np.abs(signal[k]) ** 2, axis=0) for signal in (voice, rest)]
        covariances = [
            signal[k] @ signal[k].conj().T / power.sum() for signal, power in zip((voice, rest), powers, strict=True)
        ]
        covariances[1] += spatial.FLOOR * np.eye(3)
        for f in range(40):
            own, other = (power[f] * covariance for power, covariance in zip(powers, covariances, strict=True))
            wanted = own @ np.linalg.inv(own + other) @ everything[k, :, f]
            np.testing.assert_allclose(found[k, :, f], wanted, rtol=1e-6)


def test_the_distance_is_none_for_one_direction_and_whole_for_orthogonal_ones() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.standard_normal((2, 5, 30)) + 1j * rng.standard_normal((2, 5, 30))

    def at(signal: np.ndarray, gains: tuple[float, float]) -> np.ndarray:
        return signal[:, None] * np.array(gains)[:, None]

    assert distance(at(one, (0.6, 0.8)), at(other, (0.6, 0.8))) == pytest.approx(0.0, abs=1e-12)
    assert distance(at(one, (1.0, 0.0)), at(other, (0.0, 1.0))) == pytest.approx(1.0)
    assert distance(at(one, (1.0, 0.0)), at(0 * other, (0.0, 1.0))) == 0.0


def test_stretches_join_and_activity_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spatial, "STRETCH_S", 1.0)
    monkeypatch.setattr(spatial, "OVERLAP_S", 0.25)
    voice, rest = placed(talker(1), (0.4, 0.6), 1), placed(talker(2), (0.9, 0.3))
    mixture, estimate = voice + rest, rough(voice, rest)
    activity = np.random.default_rng(5).random(mixture.shape).astype(np.float32)
    both = np.stack([estimate, activity], axis=1)  # [T, 2, C]
    pieces = [both[start : start + 3001] for start in range(0, len(both), 3001)]
    joined = np.concatenate(list(steered(pieces, lambda a, b: mixture[a:b], mixture.shape, RATE_HZ, tmp_path)))
    np.testing.assert_allclose(joined[:, 1], activity, rtol=1e-5)
    assert quality(joined[:, 0], voice) > quality(estimate, voice) + 5.0
    assert not list(tmp_path.iterdir())


def test_nothing_at_all_gives_nothing() -> None:
    pieces = list(steered([], lambda a, b: np.zeros((b - a, 2), np.float32), (0, 2), RATE_HZ, None))
    assert not sum(map(len, pieces))


def test_the_bundled_demo_in_stereo() -> None:
    """Two people, left and right of the middle: several dB better than channel by channel, as `spatial=False` does."""

    def read(name: str) -> np.ndarray:
        with open_audio(DEMO / name) as reader:
            return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=RATE_HZ)

    mixture, target = read("mixture.flac"), read("target.flac")
    voice = placed(target, (0.8, 0.4))
    sound = voice + placed(mixture - target, (0.4, 0.8))
    extractor = Extractor.from_pretrained("nano")
    voiceprint = extractor.enroll(DEMO / "enrollment.flac")
    told, alone = (
        extractor.extract(sound, voiceprint, sample_rate_hz=RATE_HZ, spatial=used).estimate for used in (True, False)
    )
    assert quality(told, voice) > quality(alone, voice) + 3.0
    for channel in range(2):
        one = extractor.extract(sound[:, channel], voiceprint, sample_rate_hz=RATE_HZ).estimate
        assert float(si_sdr(reference=one, estimate=alone[:, channel])) > 25.0  # but for the level both share


@pytest.mark.parametrize(("channels", "filtered"), [(8, True), (9, False)])
def test_the_filter_never_takes_longer_than_the_network(
    monkeypatch: pytest.MonkeyPatch, channels: int, filtered: bool
) -> None:
    used: list[tuple[int, int]] = []

    def noted(blocks: Iterable[np.ndarray], read: object, shape: tuple[int, int], *_: object) -> Iterable[np.ndarray]:
        used.append(shape)
        return blocks

    monkeypatch.setattr(passes, "steered", noted)
    extractor = stand_in()
    sound = np.stack([talker(seed, 1) for seed in range(channels)], axis=1)
    extractor.extract(sound, voice_of(extractor), sample_rate_hz=RATE_HZ)
    assert used == ([(RATE_HZ, channels)] if filtered else [])


def test_the_command_takes_every_channel_by_itself_if_asked(tmp_path: Path, tinywase: Command) -> None:
    sound = placed(talker(1), (0.4, 0.6), 1) + placed(talker(2), (0.9, 0.3))
    mixture, enrollment = tmp_path / "mixture.wav", tmp_path / "me.wav"
    soundfile.write(mixture, sound, RATE_HZ, subtype="FLOAT")
    soundfile.write(enrollment, talker(1), RATE_HZ, subtype="FLOAT")
    extractor = Extractor.from_pretrained("nano")
    voiceprint = extractor.enroll(enrollment)
    for option, used in (("--spatial", True), ("--no-spatial", False)):
        out = tmp_path / f"out{option}.wav"
        result = tinywase("extract", mixture, "--enroll", enrollment, "-m", "nano", "-o", out, option)
        assert result.code == 0, result.err
        wanted = extractor.extract(mixture, voiceprint, spatial=used).estimate
        np.testing.assert_allclose(soundfile.read(out)[0], wanted, atol=1e-6)
    alone, told = (soundfile.read(tmp_path / f"out{option}.wav")[0] for option in ("--no-spatial", "--spatial"))
    assert float(np.abs(told - alone).max()) > 0.01
