"""Where a training stands, and its numbers over time: tensorboard and curves.jsonl."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

Numbers = Mapping[str, Tensor | float]


@dataclass
class Progress:
    """Where a training stands; saved with it."""

    step: int = 0
    position: float = 0.0  # of the schedules, in steps
    audio_s: float = 0.0
    train_s: float = 0.0  # without the first step of a run, which may compile
    best_score: float = float("-inf")
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def audio_per_s(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.train_s if self.train_s else 0.0


class Every:
    """True once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self.last < self.seconds:
            return False
        self.last = now
        return True


@contextmanager
def curve_writer(folder: Path, progress: Progress) -> Iterator[Callable[[Numbers], None]]:
    """Yields a function that writes numbers to tensorboard and to curves.jsonl, one line each."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / "tensorboard")) as board, (folder / "curves.jsonl").open("a") as lines:

        def write(numbers: Numbers) -> None:
            values = {key: float(value) for key, value in numbers.items()}
            for key, value in values.items():
                board.add_scalar(key, value, progress.step)
            where = {"step": progress.step, "audio_h": progress.audio_s / 3600, "train_h": progress.train_s / 3600}
            told = {k: None if math.isnan(v) else round(v, 5) for k, v in {**where, **values}.items()}
            lines.write(json.dumps(told) + "\n")
            lines.flush()

        yield write
