"""How long things take: candidates in turns, so that a busy moment of the machine hits all of them alike.

Real-time factor (RTF): computing time over audio time. Below 1 a device keeps up. Whole clips are measured in the
process's processor time, which on an idle machine is the time on the wall and on a shared one leaves out what others
take; chunks in both, and whatever runs on several threads by the wall.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..runtime.model import RuntimeModel, RuntimeStream

Array = NDArray[np.float32]


@dataclass
class Times:
    """What the turns of one candidate took."""

    seconds: list[float] = field(default_factory=list)
    wall_s: float = 0.0  # all turns together on the wall, where that was measured too

    @property
    def taken_by_others(self) -> float:
        """The share of the wall's time in which something else had the processor."""
        return max(0.0, 1 - sum(self.seconds) / self.wall_s) if self.wall_s else 0.0

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least_s(self) -> float:
        return min(self.seconds)

    def percentile_s(self, percent: float) -> float:
        """The time that `percent` of the turns do not exceed."""
        return float(np.percentile(self.seconds, percent))


def take_turns(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Times]:
    """Run every candidate once per round, in alternating order; the first rounds do not count."""
    times = {name: Times() for name in candidates}
    for turn in range(warm_up + rounds):
        for name in list(candidates) if turn % 2 else reversed(list(candidates)):
            begin = clock()
            candidates[name]()
            if turn >= warm_up:
                times[name].seconds.append(clock() - begin)
    return times


def ratio(times: Mapping[str, Times], slower: str, faster: str) -> float:
    """How many times longer one takes than the other: the median over rounds of the ratios within a round."""
    pairs = zip(times[slower].seconds, times[faster].seconds, strict=True)
    return statistics.median(one / other for one, other in pairs)


def noise(seconds: float, sample_rate_hz: int, seed: int = 0) -> Array:
    """Samples at the level of speech: what a signal holds does not change how long it takes. Shape: -> [T]."""
    samples = 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * sample_rate_hz))
    return samples.astype(np.float32)


def any_voiceprint(model: RuntimeModel) -> Array:
    """A voiceprint as long as the model's."""
    return np.full(model.config.voiceprint.dimensions, 0.5, np.float32)


def time_chunks(stream: RuntimeStream, chunk_samples: int, mixture: Array, *, warm_up: int = 50) -> Times:
    """Feed the mixture chunk by chunk, in this thread's processor time. Shape: [T]."""
    times = Times()
    for count, chunk in enumerate(chunks(mixture, chunk_samples)):
        wall, begin = time.perf_counter(), time.thread_time()
        stream.feed(chunk)
        if count >= warm_up:
            times.seconds.append(time.thread_time() - begin)
            times.wall_s += time.perf_counter() - wall
    return times


def chunks(mixture: Array, chunk_samples: int) -> Sequence[Array]:
    """Whole chunks. Shape: [T] -> [chunk_samples] each."""
    whole = len(mixture) // chunk_samples
    return list(mixture[: whole * chunk_samples].reshape(whole, chunk_samples))
