"""The package's sample, and what a result has of its upper band."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

import tinywase

DEMO = Path(tinywase.__file__).parent / "assets" / "demo"


def demo(*names: str) -> list[np.ndarray]:
    """Some of mixture, target and enrollment. Shape: -> float32 [T] each."""
    return [soundfile.read(DEMO / f"{name}.flac", dtype="float32")[0] for name in names]


def upper_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Signal-to-noise ratio from 4 kHz on."""
    voice, found = (np.fft.rfft(signal)[len(signal) // 4 :] for signal in (reference, estimate))
    return float(10 * np.log10(np.sum(np.abs(voice) ** 2) / np.sum(np.abs(voice - found) ** 2)))
