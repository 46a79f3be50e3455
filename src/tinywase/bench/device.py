"""One screen about a device: how fast are the bundled models here, and which networks run in real time?

The second network is the paper's, with random weights, at several widths: offline over a clip, and causal in chunks.
Chunks count as real time if 99 % of them take less than half of their own length, so that the rest of a program finds
time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import named_config
from ..runtime.model import RuntimeModel, open_model
from ..runtime.registry import model_names
from .machine import describe, pinned
from .specimen import FLOAT_BITS, write_specimen
from .timing import any_voiceprint, noise, take_turns, time_chunks

WIDTHS = (3, 8, FLOAT_BITS)
CHUNKS_MS = (8.0, 16.0, 32.0)
CLIP_S = 4.0
STREAM_S = 3.0  # of audio per width and chunk
MOST_OF_A_CHUNK = 0.5  # that computing may take


@dataclass(frozen=True)
class Clip:
    """A whole recording, offline."""

    bits: int
    file_bytes: int
    rtf: float  # one thread


@dataclass(frozen=True)
class Stream:
    """A causal network fed in chunks, one thread."""

    bits: int
    chunk_ms: float
    latency_ms: float  # of the algorithm, to which a chunk's length and its computation are added
    median_ms: float  # processor time per chunk
    p99_ms: float
    taken_by_others: float  # share of the time that other programs took while this was measured
    state_bytes: int
    real_time: bool


@dataclass(frozen=True)
class Bundled:
    """A model of the package as users run it, on one thread: offline with its card's views, causal in hops."""

    name: str
    rtf: float
    latency_ms: float | None  # of the algorithm; None for an offline model
    real_time: bool | None  # of a causal model: 99 % of the hops leave half of their time; None for an offline one


@dataclass(frozen=True)
class DeviceReport:
    """Everything that was measured."""

    models: tuple[Bundled, ...]
    clips: tuple[Clip, ...]
    streams: tuple[Stream, ...]
    open_s: float  # opening a model file of 3 bits

    def best(self) -> Stream | None:
        """The shortest chunk that runs in real time, at the width that takes least; None if nothing does."""
        fitting = [stream for stream in self.streams if stream.real_time]
        return min(fitting, key=lambda stream: (stream.chunk_ms, stream.median_ms), default=None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with the machine."""
        best = self.best()
        return {"machine": asdict(describe()), **asdict(self), "best": asdict(best) if best else None}


def measure_device(*, rounds: int = 5, told: Callable[[float], None] = lambda done: None) -> DeviceReport:
    """Measure here, on one pinned thread; `told` hears how much is done, 0..1."""
    steps = len(model_names()) + len(WIDTHS) * (1 + len(CHUNKS_MS))
    done = iter(range(1, steps + 1))

    def step() -> None:
        told(next(done) / steps)

    with tempfile.TemporaryDirectory() as folder, pinned():
        models = tuple(_bundled(rounds, step))
        clips = tuple(_clips(Path(folder), rounds, step))
        streams = tuple(_streams(Path(folder), step))
        begin = time.perf_counter()
        open_model(Path(folder) / f"causal-{WIDTHS[0]}.twase")
        open_s = time.perf_counter() - begin
    return DeviceReport(models, clips, streams, open_s)


def _bundled(rounds: int, step: Callable[[], None]) -> Iterator[Bundled]:
    for name in model_names():
        model = open_model(name)
        config, voiceprint = model.config, any_voiceprint(model)
        mixture = noise(CLIP_S, config.sample_rate_hz)
        if config.latency_samples is None:
            rtf = take_turns({"clip": _extraction(model, mixture, voiceprint)}, rounds)["clip"].median_s / CLIP_S
            yield Bundled(name, rtf, None, None)
        else:
            hop_s = config.hop / config.sample_rate_hz
            times = time_chunks(model.stream(voiceprint), config.hop, mixture, warm_up=10)
            latency_ms = 1e3 * config.latency_samples / config.sample_rate_hz
            yield Bundled(name, times.median_s / hop_s, latency_ms, times.percentile_s(99) < MOST_OF_A_CHUNK * hop_s)
        step()


def _clips(folder: Path, rounds: int, step: Callable[[], None]) -> Iterator[Clip]:
    config = named_config("paper")
    mixture = noise(CLIP_S, config.sample_rate_hz)
    for bits in WIDTHS:
        path = write_specimen(folder / f"offline-{bits}.twase", config, bits)
        model = open_model(path)
        voiceprint = any_voiceprint(model)
        times = take_turns({"clip": _extraction(model, mixture, voiceprint)}, rounds)
        step()
        yield Clip(bits, path.stat().st_size, times["clip"].median_s / CLIP_S)


def _extraction(model: RuntimeModel, mixture: Any, voiceprint: Any) -> Callable[[], object]:
    return lambda: model.extract(mixture, voiceprint)


def _streams(folder: Path, step: Callable[[], None]) -> Iterator[Stream]:
    config = named_config("paper", causal=True)
    mixture = noise(STREAM_S, config.sample_rate_hz)
    for bits in WIDTHS:
        model = open_model(write_specimen(folder / f"causal-{bits}.twase", config, bits))
        for chunk_ms in CHUNKS_MS:
            stream = model.stream(any_voiceprint(model))
            times = time_chunks(stream, round(chunk_ms * config.sample_rate_hz / 1000), mixture, warm_up=10)
            p99_ms = 1e3 * times.percentile_s(99)
            step()
            yield Stream(
                bits=bits,
                chunk_ms=chunk_ms,
                latency_ms=1e3 * stream.latency_samples / config.sample_rate_hz,
                median_ms=1e3 * times.median_s,
                p99_ms=p99_ms,
                taken_by_others=times.taken_by_others,
                state_bytes=stream.state_bytes,
                real_time=p99_ms <= MOST_OF_A_CHUNK * chunk_ms,
            )
