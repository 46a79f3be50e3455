"""What waiting is worth: a stream of an offline model by its delay and views, beside a causal model and the whole clip.

    python bench/delay.py small --list docs/lists/dev.csv --root SPEECH --limit 40 --delays 0.2 0.5 1 2 --views 1 2

Mean improvement of SI-SDR in dB, trials below 1 dB, and processor time over the time of the sound, median over trials;
everything from the first sample on, when there is no left context yet (docs/experiments.md 36).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinywase import Extractor
from tinywase.data.lists import read_trials
from tinywase.data.rendering import RenderedTrial, render_trial
from tinywase.metrics import si_sdr

RATE_HZ = 8000
CHUNK = 160  # samples fed at once


def streamed(extractor: Extractor, trial: RenderedTrial, delay_s: float | None) -> np.ndarray:
    """Shape: -> [T]."""
    voiceprint = extractor.enroll(trial.enrollment, sample_rate_hz=RATE_HZ)
    stream = extractor.stream(voiceprint, sample_rate_hz=RATE_HZ, delay_s=delay_s, views=extractor.model.views)
    chunks = (trial.mixture[start : start + CHUNK] for start in range(0, len(trial.mixture), CHUNK))
    return np.concatenate([*(stream.feed(chunk) for chunk in chunks), stream.flush()])


def whole(extractor: Extractor, trial: RenderedTrial) -> np.ndarray:
    """Shape: -> [T]."""
    voiceprint = extractor.enroll(trial.enrollment, sample_rate_hz=RATE_HZ)
    return extractor.extract(trial.mixture, voiceprint, sample_rate_hz=RATE_HZ).estimate


def systems(given: argparse.Namespace) -> Iterator[tuple[str, Extractor, float | None, bool]]:
    """Name, extractor, delay, and whether it is a stream."""
    yield "live", Extractor.from_pretrained("live", threads=1), None, True
    model = Extractor.from_pretrained(given.model, threads=1)
    for views in given.views:
        extractor = model.with_views(views)
        for delay_s in given.delays:
            yield f"{model.model.name}, {delay_s:g} s, {views} views", extractor, delay_s, True
        yield f"{model.model.name}, whole clip, {views} views", extractor, None, False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.2, 0.5, 1.0, 2.0])
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    trials = [render_trial(trial, RATE_HZ) for trial in read_trials(given.list, root=given.root)[: given.limit]]
    print(f"{'system':<28} {'dB':>6} {'below 1 dB':>11} {'time':>6}")
    for name, extractor, delay_s, stream in systems(given):
        gains, times = [], []
        for trial in trials:
            began_s = time.process_time()
            estimate = streamed(extractor, trial, delay_s) if stream else whole(extractor, trial)
            times.append((time.process_time() - began_s) / (len(trial.mixture) / RATE_HZ))
            before = si_sdr(reference=trial.target, estimate=trial.mixture)
            gains.append(si_sdr(reference=trial.target, estimate=estimate) - before)
        below = np.mean(np.array(gains) < 1)
        print(f"{name:<28} {np.mean(gains):6.2f} {below:10.1%} {np.median(times):7.3f}", flush=True)


if __name__ == "__main__":
    main()
