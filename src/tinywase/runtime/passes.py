"""The three passes over a recording of any length, rate and channels: listen, separate, render. Memory stays constant.

1. listen: the mixture at the model's rate goes to a spool; its level, its offset (a mean that is not zero, which sound
   cards add and no training mixture has) and which channels are copies become known.
2. separate: every distinct channel through the model with the same voiceprint (so a stereo recording stays stereo),
   two to eight of them through a filter of where the voice stands (spatial.py), the estimate to a second spool. The
   level is known at its end: one projection of the estimate on the mixture over the whole recording and all channels,
   gain = <mixture, estimate> / <estimate, estimate>; never louder than the mixture.
3. render: the recording is read again beside the estimate at the recording's own rate, sample for sample, and the
   band above the model's is added to it (highband_file.py).

Activity and powers are kept per cell of 10 ms. Letters: C channels; spools are float32 [frames, C].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..audio import BLOCK_FRAMES, AudioReader
from ..blocks import BlockQueue, resample_blocks
from ..errors import TinyWaseError
from ..progress import Progress
from .highband_file import extended
from .model import RuntimeModel
from .presence import activity_from_power, audible_activity
from .spatial import MOST_CHANNELS, steered
from .spool import Spool
from .windows import WORKING_RMS, separate

CELL_S = 0.01
OFFSET_BELOW_DB = 34.0  # smaller offsets change nothing, and digital silence beside them stays silence


@dataclass(frozen=True)
class Heard:
    """What the first pass knows."""

    mixture: Spool  # at the model's rate
    frames: int  # of the recording, at its own rate
    rms: float  # without the offset
    offset: np.ndarray  # what the model does not get to hear. Shape: float32 [C]
    same_as: tuple[int, ...]  # for every channel the first one that is equal to it

    def read(self, start: int, stop: int) -> np.ndarray:
        """The mixture at the model's rate without its offset. Shape: float32 [stop - start, C]."""
        return self.mixture.read(start, stop) - self.offset


@dataclass(frozen=True)
class Separated:
    """What the second pass knows."""

    estimate: Spool  # at the model's rate, level not yet set
    gain: float  # sets the level
    activity: np.ndarray  # 0..1, the most active channel. Shape: float32 [cells]
    activity_hop_s: float
    mixture_power: np.ndarray  # mean over channels. Shape: [cells]
    estimate_power: np.ndarray  # level set


def cell_samples(rate_hz: int) -> int:
    """Length of a cell at the model's rate."""
    return max(1, round(CELL_S * rate_hz))


def listen(reader: AudioReader, rate_hz: int, folder: Path | None, progress: Progress) -> Heard:
    """First pass; the spool lies in `folder`, or in memory for None."""
    channels, frames = reader.channels, 0
    total, power = np.zeros(channels), np.zeros(channels)
    equal = np.ones((channels, channels), bool)

    def observed() -> Iterator[np.ndarray]:
        nonlocal frames, total, power
        for block in reader.blocks():
            frames += len(block)
            total += block.sum(axis=0, dtype=np.float64)
            power += np.einsum("ij,ij->j", block, block, dtype=np.float64)
            for a, b in np.argwhere(np.triu(equal, 1)):
                equal[a, b] = np.array_equal(block[:, a], block[:, b])
            progress(frames / max(frames, reader.frames))
            yield block

    spool = Spool(channels, folder)
    try:
        for block in resample_blocks(observed(), from_hz=reader.sample_rate_hz, to_hz=rate_hz, channels=channels):
            spool.append(block)
        length = max(1, -(-frames * rate_hz // reader.sample_rate_hz))
        spool.append(np.zeros((max(0, length - spool.frames), channels), np.float32))
    except BaseException:
        spool.close()
        raise
    same_as = tuple(int(np.argmax(equal[: c + 1, c])) for c in range(channels))
    offset, power = _offset(total / max(1, frames), power / max(1, frames))
    return Heard(spool, frames, float(np.sqrt(power.mean())), offset.astype(np.float32), same_as)


def separate_channels(
    model: RuntimeModel,
    voiceprint: np.ndarray,
    heard: Heard,
    folder: Path | None,
    progress: Progress,
    *,
    spatial: bool = True,
) -> Separated:
    """Second pass.

    Args:
        spatial: use what channels that differ tell about where the voice stands (spatial.py).

    Raises:
        TinyWaseError: the model gives values that are not finite.
    """
    mixture, estimate = heard.mixture, Spool(heard.mixture.channels, folder)
    scale = np.float32(WORKING_RMS / heard.rms if heard.rms > 0 else 1.0)
    distinct = sorted(set(heard.same_as))
    column = [distinct.index(first) for first in heard.same_as]
    pieces = [separate(model, voiceprint, partial(_channel, heard, c, scale), mixture.frames) for c in distinct]
    rate_hz = model.config.sample_rate_hz
    cells, products = _Cells(cell_samples(rate_hz), 3), np.zeros(2)
    blocks: Iterator[np.ndarray] = (_finite(np.stack(pair, axis=-1)) for pair in zip(*pieces, strict=True))
    if spatial and 1 < len(distinct) <= MOST_CHANNELS:
        shape = mixture.frames, len(distinct)
        blocks = _told(blocks, mixture.frames, lambda done: progress(done / 2))
        blocks = steered(blocks, partial(_channels, heard, distinct, scale), shape, rate_hz, folder)
        blocks = _told(blocks, mixture.frames, lambda done: progress(0.5 + done / 2))
    else:
        blocks = _told(blocks, mixture.frames, progress)
    for both in blocks:  # [n, 2, distinct channels]
        found = both[:, 0, column] / scale
        original = heard.read(estimate.frames, estimate.frames + len(found))
        estimate.append(found)
        powers = [np.square(signal) for signal in (original, found)]
        products += np.sum(original * found, dtype=np.float64), powers[1].sum(dtype=np.float64)
        cells.add(np.stack([both[:, 1].max(axis=1), *(power.mean(axis=1) for power in powers)], axis=1))
    gain = float(products[0] / products[1]) if products[1] > 0 else 0.0
    activity, mixture_power, estimate_power = cells.take()
    by_level = model.config.cues == "voiceprint"
    activity = activity_from_power(estimate_power) if by_level else audible_activity(activity, estimate_power)
    estimate_power *= np.float32(gain**2)
    return Separated(
        estimate,
        gain=gain,
        activity=activity.astype(np.float32, copy=False),
        activity_hop_s=cell_samples(rate_hz) / rate_hz,
        mixture_power=mixture_power,
        estimate_power=estimate_power,
    )


def render(
    reader: AudioReader, heard: Heard, separated: Separated, *, rate_hz: int, highband: bool = True
) -> Iterator[np.ndarray]:
    """Third pass: the recording beside its estimate. Shape: float32 [n, 2, C] each.

    Args:
        rate_hz: the model's.
        highband: with the band above the model's (highband_file.py).
    """
    back = partial(resample_blocks, from_hz=rate_hz, to_hz=reader.sample_rate_hz, channels=reader.channels)
    estimate = BlockQueue(back(_blocks(separated.estimate)), reader.channels)
    gain = np.float32(separated.gain)
    pairs = (np.stack([block, gain * estimate.take(len(block))], axis=1) for block in reader.blocks())
    if not highband or reader.sample_rate_hz <= rate_hz or not gain or not heard.rms:
        yield from pairs
        return

    def lower(start: int, stop: int) -> np.ndarray:
        voice, mixture = gain * separated.estimate.read(max(0, start), stop), heard.read(max(0, start), stop)
        both = np.stack([voice, mixture - voice], axis=1)
        before = max(0, -start)
        return np.pad(both, ((before, stop - start - before - len(both)), (0, 0), (0, 0)))

    yield from extended(pairs, lower, sample_rate_hz=reader.sample_rate_hz, model_rate_hz=rate_hz, rms=heard.rms)


def _offset(mean: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The means that matter, 0 where they do not, and the power without them. Shape: [C], [C] -> [C], [C]."""
    around = power - mean**2
    matters = mean**2 > 10 ** (-OFFSET_BELOW_DB / 10) * np.maximum(around, 0.0)
    still = around <= 1e-9 * power  # nothing but the offset: what is left is rounding
    return np.where(matters, mean, 0.0), np.where(matters, np.where(still, 0.0, around), power)


def _channel(heard: Heard, channel: int, scale: np.float32, start: int, stop: int) -> np.ndarray:
    return _channels(heard, [channel], scale, start, stop)[:, 0]


def _channels(heard: Heard, channels: Sequence[int], scale: np.float32, start: int, stop: int) -> np.ndarray:
    """Shape: -> float32 [stop - start, channels]."""
    return heard.read(start, stop)[:, channels] * scale


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise TinyWaseError("the model gives values that are not finite: damaged or badly trained. Use another.")
    return values


def _told(blocks: Iterable[np.ndarray], frames: int, progress: Progress) -> Iterator[np.ndarray]:
    """The blocks as they are, and after each of them what part of `frames` is done."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        progress(done / frames)


def _blocks(spool: Spool) -> Iterator[np.ndarray]:
    for start in range(0, spool.frames, BLOCK_FRAMES):
        yield spool.read(start, start + BLOCK_FRAMES)


class _Cells:
    """Means over cells of rows that come in pieces of any size."""

    def __init__(self, size: int, columns: int) -> None:
        self._size = size
        self._rest = np.zeros((0, columns), np.float32)
        self._means: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Shape: [n, columns]."""
        rows = np.concatenate([self._rest, rows])
        whole = len(rows) // self._size * self._size
        means = rows[:whole].reshape(-1, self._size, rows.shape[1]).mean(axis=1, dtype=np.float64)
        self._means.append(means.astype(np.float32))  # hours of them are kept
        self._rest = rows[whole:]

    def take(self) -> np.ndarray:
        """The means, which are forgotten here; the last cell may be short. Shape: [columns, cells]."""
        if len(self._rest):
            self._means.append(self._rest.mean(axis=0, keepdims=True))
        taken = np.empty((self._rest.shape[1], sum(map(len, self._means))), np.float32)
        stop = taken.shape[1]
        while self._means:  # of hours they are megabytes: none is kept beside its copy
            means = self._means.pop()
            taken[:, stop - len(means) : stop] = means.T
            stop -= len(means)
        return taken
