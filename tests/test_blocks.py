"""Blocks on their way: resampling without delay, queues, ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.audio import open_audio
from tinywase.blocks import BlockQueue, mono_at, part_blocks, resample_blocks
from tinywase.errors import AudioError, ConfigError


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, channels))).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    frames=st.integers(1, 4000),
    rates=st.sampled_from([(44100, 8000), (8000, 44100), (48000, 16000), (4000, 8000), (8000, 192000), (8000, 8000)]),
    block=st.integers(1, 999),
)
def test_resampling_in_blocks_equals_resampling_at_once(frames: int, rates: tuple[int, int], block: int) -> None:
    samples = noise(frames, 2, seed=frames)
    options = {"from_hz": rates[0], "to_hz": rates[1], "channels": 2}
    parts = np.concatenate(list(resample_blocks((samples[i : i + block] for i in range(0, frames, block)), **options)))
    once = np.concatenate(list(resample_blocks([samples], **options)))
    assert abs(len(once) - frames * rates[1] / rates[0]) <= 1
    np.testing.assert_allclose(parts, once, atol=1e-6)


def test_resampling_there_and_back_has_no_delay() -> None:
    time_s = np.arange(44100) / 44100
    samples = np.sin(2 * np.pi * 1000 * time_s).astype(np.float32)[:, None]
    low = list(resample_blocks([samples], from_hz=44100, to_hz=8000, channels=1))
    back = np.concatenate(list(resample_blocks(low, from_hz=8000, to_hz=44100, channels=1)))
    np.testing.assert_allclose(back[2000:40000], samples[2000:40000], atol=1e-3)


@given(sizes=st.lists(st.integers(0, 50), max_size=10), takes=st.lists(st.integers(0, 70), max_size=10))
def test_a_queue_gives_what_it_got_in_any_sizes_then_silence(sizes: list[int], takes: list[int]) -> None:
    samples = np.arange(1, sum(sizes) + 1, dtype=np.float32)[:, None]
    queue = BlockQueue(np.split(samples, np.cumsum(sizes)), 1)
    found = np.concatenate([np.zeros((0, 1)), *(queue.take(n) for n in takes)])
    assert len(found) == sum(takes)
    padded = np.concatenate([samples, np.zeros((sum(takes), 1))])
    assert np.array_equal(found, padded[: len(found)])


def test_mono_is_the_mean_of_the_channels_within_the_range() -> None:
    samples = noise(16000, 2)
    with open_audio(samples, sample_rate_hz=16000) as reader:
        found = mono_at(part_blocks(reader, 0.25, 0.75), from_hz=16000, to_hz=16000)
    np.testing.assert_allclose(found, samples[4000:12000].mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("start_s", "stop_s"),
    [(2.0, None), (0.5, 0.5), (-1.0, 0.5), (0.6, 0.2), (-math.inf, 0.5), (math.inf, None)],
)
def test_a_range_outside_the_recording_is_refused(start_s: float, stop_s: float | None) -> None:
    with (
        open_audio(noise(8000), sample_rate_hz=8000) as reader,
        pytest.raises(AudioError, match=r"lasts 1\.00 s\. Give a start before its end"),
    ):
        list(part_blocks(reader, start_s, stop_s))


@pytest.mark.parametrize("stop_s", [math.nan, "2", 10**400], ids=lambda value: f"{value!r:.10}")
def test_a_time_that_is_no_number_is_refused(stop_s: Any) -> None:
    with open_audio(noise(8000), sample_rate_hz=8000) as reader:
        with pytest.raises(ConfigError, match=r"stop_s = .*: expected seconds"):
            list(part_blocks(reader, 0.0, stop_s))
        assert sum(map(len, part_blocks(reader, 0.5, math.inf))) == 4000
