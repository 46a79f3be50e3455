"""The three numbers of `tinywase bench --quick`: the paper's core, the limit of the processor, PyTorch.

All in turns on one pinned thread, over a clip of 4 s: the native runtime at 3 bits, the probe of the core's peak in
multiply-adds of bytes, and the same network in PyTorch, eager, float32. The floor is the time that the core's products
alone would take at that peak: no runtime that multiplies bytes can be faster.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..config import named_config
from ..runtime.native import NativeModel
from .machine import pinned
from .specimen import multiply_adds_per_second, write_specimen
from .timing import any_voiceprint, noise, ratio, take_turns

CLIP_S = 4.0
BITS = 3
ROUNDS = 9
CORE, PROBE, TORCH = "paper core", "int8 probe", "torch eager"


def measure_quickly(*, rounds: int = ROUNDS, with_torch: bool | None = None) -> dict[str, Any]:
    """Real-time factors: paper_core_rtf, int8_floor_rtf, torch_eager_rtf (if torch is installed), and their ratios."""
    native, config = import_module("tinywase._native"), named_config("paper")
    with tempfile.TemporaryDirectory() as folder:
        model = NativeModel(write_specimen(Path(folder) / "paper.twase", config, BITS))
    mixture, voiceprint = noise(CLIP_S, config.sample_rate_hz), any_voiceprint(model)
    peaks: list[float] = []
    candidates: dict[str, Callable[[], object]] = {
        CORE: lambda: model.extract(mixture, voiceprint),
        PROBE: lambda: peaks.append(native.int8_peak()),
    }
    with pinned():
        if find_spec("torch") is not None if with_torch is None else with_torch:
            from .torch_peer import eager

            candidates[TORCH] = eager(config, mixture, voiceprint)
        times = take_turns(candidates, rounds)
    core_rtf = times[CORE].median_s / CLIP_S
    floor_rtf = multiply_adds_per_second(config) / statistics.median(peaks)
    result = {
        "paper_core_rtf": core_rtf,
        "int8_floor_rtf": floor_rtf,
        "times_the_floor": core_rtf / floor_rtf,
        "int8_peak_per_s": statistics.median(peaks),
        "isa": model.isa,
        "bits": BITS,
        "clip_s": CLIP_S,
        "rounds": rounds,
    }
    if TORCH in times:
        result |= {"torch_eager_rtf": times[TORCH].median_s / CLIP_S, "times_torch": ratio(times, TORCH, CORE)}
    return result
