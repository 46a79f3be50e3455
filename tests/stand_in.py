"""Models whose behaviour a test can choose, in place of trained ones, and the command line in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinywase.cli.main import main
from tinywase.config import TINY, ModelConfig
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.voiceprint import Voiceprint

Listen = Callable[[np.ndarray], np.ndarray]
BANDS = 16


def spectrum(enrollment: np.ndarray) -> np.ndarray:
    """A voiceprint that tells tones apart: amplitudes of sixteen bands. Shape: [T] -> [16]."""
    amplitudes = np.abs(np.fft.rfft(enrollment))[1:]
    return np.array([band.mean() for band in np.array_split(amplitudes, BANDS)], np.float32)


@dataclass
class StandInModel:
    """Does to a mixture what `listen` says; active where the mixture is loud."""

    listen: Listen = lambda mixture: mixture
    config: ModelConfig = TINY
    card: dict[str, Any] = field(default_factory=dict)
    name: str = "stand-in"
    fingerprint: str = "0123456789abcdef"
    runtime_name: str = "stand-in"
    path: Path = Path("stand-in.twase")
    others: np.ndarray | None = None
    common: np.ndarray = field(default_factory=lambda: np.zeros(BANDS, np.float32))
    heard: list[np.ndarray] = field(default_factory=list)  # every mixture it was given

    def enroll(self, enrollment: np.ndarray) -> np.ndarray:
        return spectrum(enrollment)

    def extract(self, mixture: np.ndarray, voiceprint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.heard.append(mixture)
        hop = self.config.hop
        padded = np.pad(mixture, (hop, 2 * hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
        return self.listen(mixture), (np.abs(frames).max(axis=1) > 0.02).astype(np.float32)

    def stream(self, voiceprint: np.ndarray) -> StandInStream:
        return StandInStream(self)


@dataclass
class StandInStream:
    """Gives everything back, `latency_samples` late, of which a hop goes into gathering it."""

    model: StandInModel
    latency_samples: int = 32
    step_samples: int = 16
    activity: float = 0.0
    state_bytes: int = 0
    _waiting: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        joined = np.concatenate([self._waiting, self.model.listen(chunk)])
        ready = max(0, len(joined) - (self.latency_samples - self.model.config.hop))
        self._waiting = joined[ready:]
        self.activity = float(np.abs(chunk).max(initial=0.0) > 0.02)
        return joined[:ready]

    def flush(self) -> np.ndarray:
        rest, self._waiting = self._waiting, self._waiting[:0]
        return rest

    def reset(self) -> None:
        self._waiting = self._waiting[:0]


def stand_in(listen: Listen = lambda mixture: mixture, *, causal: bool = False, **card: Any) -> Extractor:
    """An extractor around a `StandInModel`."""
    config = dataclasses.replace(TINY, causal=causal)
    return Extractor(StandInModel(listen, config, card))  # type: ignore[arg-type]


def tone(frequency_hz: float, seconds: float, rate_hz: int = 8000, amplitude: float = 0.2) -> np.ndarray:
    """Shape: float32 [T]."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


class Command:
    """`tinywase` in this process: `command("extract", "a.wav", ...)`."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str | Path) -> Result:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        captured = self._capture.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else int(code is not None), captured.out, captured.err)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def voice(extractor: Extractor, frequency_hz: float = 440.0) -> Voiceprint:
    return extractor.enroll(tone(frequency_hz, 2.0), sample_rate_hz=8000)
