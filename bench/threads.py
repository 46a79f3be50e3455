"""Two threads beside one, by the clock on the wall: both processors free, and a busy program on one of them."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from tinywase.bench.specimen import write_specimen
from tinywase.bench.timing import any_voiceprint, noise, take_turns
from tinywase.config import named_config
from tinywase.runtime.native import NativeModel
from tinywase.runtime.threads import allowed_processors

CLIP_S, BITS = 4.0, 3
BUSY = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True)\nwhile True: pass"


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """A clip of 4 s through the paper's core, on one thread and on two, in turns.

    Raises:
        RuntimeError: fewer than two processors to measure with.
    """
    if len(processors := allowed_processors()) < 2:
        raise RuntimeError("two threads need two processors: run this without taskset.")
    config = named_config("paper")
    path = write_specimen(folder / "threads.twase", config, BITS)
    one, two = (NativeModel(path, threads=threads) for threads in (1, 2))
    mixture, voiceprint = noise(CLIP_S, config.sample_rate_hz), any_voiceprint(one)

    def compared(name: str) -> dict[str, Any]:
        runs = {"one": lambda: one.extract(mixture, voiceprint), "two": lambda: two.extract(mixture, voiceprint)}
        times = take_turns(runs, rounds, clock=perf_counter)
        ratios = [a / b for a, b in zip(times["one"].seconds, times["two"].seconds, strict=True)]
        return {
            "name": name,
            "one_rtf": times["one"].median_s / CLIP_S,
            "two_rtf": times["two"].median_s / CLIP_S,
            "times_faster": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
        }

    rows = [compared("both processors free")]
    with busy(processors[-1]):
        rows.append(compared("a busy program on one"))
    return {"rounds": rounds, "clip_s": CLIP_S, "bits": BITS, "rows": rows}


@contextmanager
def busy(processor: int) -> Iterator[None]:
    """A program that does nothing, all the time, on one processor."""
    with subprocess.Popen([sys.executable, "-c", BUSY, str(processor)], stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            program.stdout.readline()
            yield
        finally:
            program.kill()
