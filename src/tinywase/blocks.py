"""What becomes of a recording's blocks (audio.py): a part of them, one channel, another rate, other sizes.

Resampling is soxr's. Memory never grows with the length of a recording; `mono_at` alone gives it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import soxr

from .arguments import real_number
from .audio import AudioReader
from .errors import AudioError


def time_range(start_s: Any, stop_s: Any) -> tuple[float, float | None]:
    """A start and a stop in seconds, None for the end, as plain numbers.

    Raises:
        ConfigError: one is no number.
    """
    start = real_number("start_s", start_s, "seconds, for example 1.5")
    return start, None if stop_s is None else real_number("stop_s", stop_s, "seconds, for example 4.5, or None")


def part_blocks(reader: AudioReader, start_s: float = 0.0, stop_s: float | None = None) -> Iterator[np.ndarray]:
    """The blocks of a time range; a stop after the end means the end. Shape: float32 [any, channels] each.

    Raises:
        AudioError: a range that is empty or outside the recording.
        ConfigError: a start or a stop that is no number.
    """
    start_s, stop_s = time_range(start_s, stop_s)
    length_s = reader.frames / reader.sample_rate_hz
    end_s = length_s if stop_s is None else min(stop_s, length_s)
    if not 0 <= start_s < end_s:
        stop = "the end" if stop_s is None else f"{stop_s:g} s"
        raise AudioError(
            f"{reader.name}: the range from {start_s:g} s to {stop} was asked for, but the recording lasts "
            f"{length_s:.2f} s. Give a start before its end, and a stop after the start."
        )
    first = round(start_s * reader.sample_rate_hz)
    last = None if stop_s is None else round(end_s * reader.sample_rate_hz)
    position = 0
    for block in reader.blocks():
        part = block[max(0, first - position) : None if last is None else last - position]
        position += len(block)
        if len(part):
            yield part
        if last is not None and position >= last:
            return


def mono_at(blocks: Iterable[np.ndarray], *, from_hz: int, to_hz: int) -> np.ndarray:
    """The mean of the channels at another rate, whole. Shape: blocks [any, channels] -> float32 [T]."""
    mixed = (block.mean(axis=1, keepdims=True, dtype=np.float32) for block in blocks)
    parts = list(resample_blocks(mixed, from_hz=from_hz, to_hz=to_hz, channels=1))
    return np.concatenate([np.zeros((0, 1), np.float32), *parts])[:, 0]


def resample_blocks(blocks: Iterable[np.ndarray], *, from_hz: int, to_hz: int, channels: int) -> Iterator[np.ndarray]:
    """The same sound at another rate, without delay. Shape: float32 [any, channels] each."""
    if from_hz == to_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block)).reshape(-1, channels)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels)


class BlockQueue:
    """Blocks of any size, taken out in sizes of the reader's choice; after their end comes silence."""

    def __init__(self, blocks: Iterable[np.ndarray], channels: int) -> None:
        self._blocks = iter(blocks)
        self._rest = np.zeros((0, channels), np.float32)

    def take(self, frames: int) -> np.ndarray:
        """The next `frames`. Shape: float32 [frames, channels]."""
        parts, missing = [self._rest], frames - len(self._rest)
        while missing > 0:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((missing, self._rest.shape[1]), np.float32)
            parts.append(block)
            missing -= len(block)
        joined = np.concatenate(parts)
        self._rest = joined[frames:]
        return joined[:frames]
