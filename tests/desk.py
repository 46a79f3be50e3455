"""What tests of `tinywase extract` lay out: a folder of recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from stand_in import Result

Extract = Callable[..., Result]


def noise(seconds: float, rate_hz: int = 8000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Shape: -> float64 [T, C]."""
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))


def lay_out(folder: Path) -> Path:
    """A stereo recording, an enrollment, and a folder of calls."""
    soundfile.write(folder / "meeting.wav", noise(1.5, 44100, 2), 44100)
    soundfile.write(folder / "me.wav", noise(2.0, seed=1), 8000)
    (folder / "calls" / "june").mkdir(parents=True)
    soundfile.write(folder / "calls" / "a.wav", noise(0.5), 8000)
    soundfile.write(folder / "calls" / "june" / "b.flac", noise(0.25, 16000), 16000)
    (folder / "calls" / "notes.md").write_text("no recording")
    return folder
