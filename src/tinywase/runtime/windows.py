"""A mixture of any length through a model: overlapping windows for offline models, the stream for causal ones.

Both give pieces of [n, 2]: the estimate beside the activity, sample by sample, in order and without gaps; together they
are as long as the mixture. One window, or a second of a stream, is all that is ever in memory. Letters: T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .model import RuntimeModel, RuntimeStream
from .stretches import loud_part

WINDOW_S = 12.0
OVERLAP_S = 2.0
MUCH_QUIET = 0.25  # of a window: with less, the loud rest is heard well enough
LEAST_LOUD_S = 1.0
WORKING_RMS = 0.05  # the level of training mixtures; the networks' norms are level-free only down to their epsilon
FEED_S = 0.04  # what a stream is fed at once; also the resolution of its activity

Read = Callable[[int, int], np.ndarray]  # (start, stop) -> float32 [stop - start] of the mixture


def separate(model: RuntimeModel, voiceprint: np.ndarray, read: Read, length: int) -> Iterator[np.ndarray]:
    """Estimate and activity of a mixture of `length` samples at the model's rate. Shape: float32 [n, 2] each."""
    if model.config.causal:
        return _streamed(model, voiceprint, read, length)
    return _windowed(model, voiceprint, read, length)


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Where the windows begin; the last one is moved back to end with the mixture, so that it is never short."""
    last = max(0, length - window)
    return [*range(0, last, window - overlap), last]


def faded(piece_of: Callable[[int, int], np.ndarray], length: int, window: int, overlap: int) -> Iterator[np.ndarray]:
    """Pieces of overlapping windows, each faded into the next: together `length` long, without gaps.

    `piece_of` gives what belongs to samples start to stop, which may be overwritten. Shape: [n, ...] each.
    """
    rise = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
    done, tail = 0, None  # samples given; what the window before says about the `overlap` samples after them
    for start in window_starts(length, window, overlap):
        piece = piece_of(start, min(start + window, length))[done - start :]
        if tail is not None:
            share = rise.reshape(-1, *[1] * (piece.ndim - 1))
            piece[:overlap] = tail * (1 - share) + piece[:overlap] * share
        if start + window < length:
            piece, tail = piece[:-overlap], piece[-overlap:]
        done += len(piece)
        yield piece


def _windowed(model: RuntimeModel, voiceprint: np.ndarray, read: Read, length: int) -> Iterator[np.ndarray]:
    window, overlap = (round(seconds * model.config.sample_rate_hz) for seconds in (WINDOW_S, OVERLAP_S))
    return faded(lambda start, stop: one_window(model, voiceprint, read(start, stop)), length, window, overlap)


def one_window(model: RuntimeModel, voiceprint: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """All of it, and where much of it is quiet, the loud rest once more by itself. Shape: [T] -> [T, 2]."""
    result = _extracted(model, voiceprint, mixture)
    rate_hz = model.config.sample_rate_hz
    share = loud_part(mixture, rate_hz)
    loud = share > 0
    if LEAST_LOUD_S * rate_hz <= loud.sum() <= (1 - MUCH_QUIET) * len(mixture):
        weight = share[loud, None]
        result[loud] += weight * (_extracted(model, voiceprint, mixture[loud]) - result[loud])
    return result


def _extracted(model: RuntimeModel, voiceprint: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Shape: [T] -> [T, 2]. Digital silence needs no model."""
    result = np.zeros((len(mixture), 2), np.float32)
    if mixture.any():
        estimate, activity = model.extract(mixture, voiceprint)
        result[:, 0] = estimate
        centers = np.arange(len(activity)) * model.config.hop  # frame f is centred on sample f * hop
        result[:, 1] = np.interp(np.arange(len(mixture)), centers, activity)
    return result


def _streamed(model: RuntimeModel, voiceprint: np.ndarray, read: Read, length: int) -> Iterator[np.ndarray]:
    stream = model.stream(voiceprint)
    step, block = round(FEED_S * model.config.sample_rate_hz), model.config.sample_rate_hz
    for start in range(0, length, block):
        mixture = read(start, min(start + block, length))
        chunks = (mixture[i : i + step] for i in range(0, len(mixture), step))
        yield np.concatenate([_beside(stream.feed(chunk), stream) for chunk in chunks])
    yield _beside(stream.flush(), stream)


def _beside(estimate: np.ndarray, stream: RuntimeStream) -> np.ndarray:
    return np.stack([estimate, np.full(len(estimate), stream.activity, np.float32)], axis=1)
