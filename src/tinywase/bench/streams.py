"""How many streams one core serves in real time: chunks arrive by the clock, and every one must be done in time.

N streams over one model, their chunks evenly staggered over a chunk's length, one thread that serves them in the order
of arrival. The latency of a chunk is the time from its arrival until its samples are out, waiting included. N is
served if 99 % of the chunks are done before the next one of the same stream arrives, and nothing piles up.

Every chunk is computed, in the order of arrival, so that each stream finds the caches as the others left them; its time
is the thread's processor time. The waiting is reckoned from these times: what other programs take of the core meanwhile
is left out, and a trial takes no longer than its computing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..runtime.model import RuntimeModel
from .timing import any_voiceprint, noise

SECONDS = 2.0  # of audio per trial
MOST_STREAMS = 4096


@dataclass(frozen=True)
class Load:
    """One trial."""

    streams: int
    chunk_ms: float
    median_ms: float  # latency of a chunk
    p99_ms: float
    worst_ms: float
    busy: float  # share of the time that was spent computing
    kept_up: bool


def find_most_streams(
    model: RuntimeModel,
    chunk_samples: int,
    *,
    seconds: float = SECONDS,
    told: Callable[[Load], None] = lambda load: None,
) -> list[Load]:
    """Trials with more and more streams: doubled while they are served, then halved in between. In order of streams.

    Raises:
        StreamError: the model is offline.
    """
    loads: dict[int, Load] = {}

    def serves(count: int) -> bool:
        loads[count] = serve(model, chunk_samples, count, seconds=seconds)
        told(loads[count])
        return loads[count].kept_up

    most, fewest_failed = 0, 1
    while fewest_failed <= MOST_STREAMS and serves(fewest_failed):
        most, fewest_failed = fewest_failed, 2 * fewest_failed
    while fewest_failed - most > max(1, most // 16):
        middle = (most + fewest_failed) // 2
        if serves(middle):
            most = middle
        else:
            fewest_failed = middle
    return [loads[count] for count in sorted(loads)]


def most_served(loads: list[Load]) -> int:
    """The largest number of streams that was served; 0 if not even one."""
    return max((load.streams for load in loads if load.kept_up), default=0)


def serve(model: RuntimeModel, chunk_samples: int, count: int, *, seconds: float = SECONDS) -> Load:
    """One trial with `count` streams."""
    rate, voiceprint = model.config.sample_rate_hz, any_voiceprint(model)
    chunk_s, chunk = chunk_samples / rate, noise(chunk_samples / rate, rate)
    streams = [model.stream(voiceprint) for _ in range(count)]
    for stream in streams:  # memory in place, as in a program that runs for hours
        stream.feed(chunk)
    rounds = max(3, round(seconds / chunk_s))
    latencies, busy_s, free = np.empty(rounds * count), 0.0, 0.0
    for number in range(rounds * count):
        arrival = number * chunk_s / count
        begin = time.thread_time()
        streams[number % count].feed(chunk)
        took = time.thread_time() - begin
        free, busy_s = max(free, arrival) + took, busy_s + took
        latencies[number] = free - arrival
        if latencies[number] > 20 * chunk_s:  # hopeless: do not wait for the end
            latencies = latencies[: number + 1]
            break
    median, p99, worst = (1e3 * float(np.percentile(latencies, percent)) for percent in (50, 99, 100))
    kept_up = bool(p99 <= 1e3 * chunk_s and latencies[-1] <= 2 * chunk_s)
    return Load(count, 1e3 * chunk_s, median, p99, worst, busy_s / (len(latencies) * chunk_s / count), kept_up)
