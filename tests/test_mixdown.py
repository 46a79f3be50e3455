"""Channels to one: their mean, and no silence where one of them is wired the wrong way round."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stand_in import noise, stand_in, tone

from tinywase.runtime.mixdown import mono
from tinywase.runtime.voiceprint import Voiceprint


def opposite(samples: np.ndarray, level: float = 1.0) -> np.ndarray:
    """Stereo whose channels cancel each other. Shape: [T] -> [T, 2]."""
    return np.stack([samples, -level * samples], axis=1)


@pytest.mark.parametrize("channels", [1, 2, 4, 32])
def test_channels_that_do_not_cancel_are_averaged(channels: int) -> None:
    samples = noise(8000, channels)
    same = np.repeat(samples[:, :1], channels, axis=1)
    for each in (samples, same, samples[:0], 0 * samples):
        np.testing.assert_array_equal(mono(each), each.mean(axis=1))


def test_of_channels_that_cancel_the_loudest_is_taken_offset_or_not() -> None:
    voice = tone(300, 1.0)
    np.testing.assert_array_equal(mono(opposite(voice, 1.0)), voice)
    np.testing.assert_array_equal(mono(opposite(voice, 0.8) + np.float32(0.5)), voice + np.float32(0.5))
    pieces = np.concatenate([mono(part) for part in np.array_split(opposite(voice, 1.001), 9)])
    np.testing.assert_array_equal(pieces, voice)  # not now one of them and then the other


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_a_channel_that_is_inverted_changes_neither_enrollment_nor_verdict(rate_hz: int) -> None:
    extractor, voice = stand_in(), tone(440, 3.0, rate_hz)
    one, both = (extractor.enroll(sound, sample_rate_hz=rate_hz) for sound in (voice, opposite(voice)))
    assert both.active_s == one.active_s and same(one, both)
    extraction = extractor.extract(opposite(voice), one, sample_rate_hz=rate_hz)
    assert extraction.confidence == pytest.approx(1.0, abs=0.02)
    assert extraction.evidence.likeness == pytest.approx(1.0, abs=0.02)


def test_voices_are_found_though_a_channel_is_inverted() -> None:
    talk = np.concatenate([tone(300, 6.0), tone(3000, 8.0)])
    plain, inverted = (stand_in().find_voices(sound, sample_rate_hz=8000) for sound in (talk, opposite(talk)))
    assert [dataclasses.replace(voice, voiceprint=None) for voice in inverted] == [  # type: ignore[arg-type]
        dataclasses.replace(voice, voiceprint=None)  # type: ignore[arg-type]
        for voice in plain
    ]
    assert len(plain) == 2 and all(same(a.voiceprint, b.voiceprint) for a, b in zip(plain, inverted, strict=True))


def same(a: Voiceprint, b: Voiceprint) -> bool:
    return bool(np.allclose(a.vector, b.vector, rtol=1e-4))
