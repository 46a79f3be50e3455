"""What waiting is worth: a stream of an offline model by its delay and views, beside a causal model and the whole clip.

    python bench/delay.py small --list docs/lists/dev.csv --root SPEECH --limit 40 --delays 0.1 0.2 0.5 1 2 --views 1 2
    python bench/delay.py small --list docs/lists/dev.csv --root SPEECH --limit 40 --delays 0.5 --views 1 2 --turns

Mean improvement of SI-SDR in dB, trials below 1 dB, and processor time over the time of the sound, median over trials;
everything from the first sample on, when there is no left context yet (docs/experiments.md 36). With --turns of
conversations of 28 s from the first 4 s of a trial's voices: target, other, other, both, other, target, other; from
2 s on, and the mean level of what is left where the other one speaks alone, re the mixture.
"""

from __future__ import annotations

import argparse
import dataclasses
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
TURN = 4 * RATE_HZ
BEGUN = 2 * RATE_HZ
AROUND = RATE_HZ // 2  # left out where one turn follows another


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


def in_turns(trial: RenderedTrial) -> RenderedTrial:
    """A conversation of a trial's two voices."""
    target, other = trial.target[:TURN], (trial.mixture - trial.target)[:TURN]
    nobody = np.zeros(TURN, np.float32)
    targets = np.concatenate([target, nobody, nobody, target, nobody, target, nobody])
    others = np.concatenate([nobody, other, other, other, other, nobody, other])
    return dataclasses.replace(trial, mixture=targets + others, target=targets)


def left_db(trial: RenderedTrial, estimate: np.ndarray) -> float:
    """Of the other one's own turns, re the mixture."""
    powers = []
    for turn in (1, 2, 4, 6):
        own = slice(turn * TURN + AROUND, (turn + 1) * TURN - AROUND)
        powers.append(np.sum(estimate[own] ** 2) / np.sum(trial.mixture[own] ** 2))
    return float(10 * np.log10(np.mean(powers) + 1e-6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.2, 0.5, 1.0, 2.0])
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", action="store_true")
    given = parser.parse_args()
    trials = [render_trial(trial, RATE_HZ) for trial in read_trials(given.list, root=given.root)[: given.limit]]
    if given.turns:
        trials = [in_turns(trial) for trial in trials if len(trial.target) >= TURN]
    first = BEGUN if given.turns else 0
    print(f"{len(trials)} trials\n{'system':<28} {'dB':>6} {'below 1 dB':>11} {'time':>6}{'  left' * given.turns}")
    for name, extractor, delay_s, stream in systems(given):
        gains, times, left = [], [], []
        for trial in trials:
            began_s = time.process_time()
            estimate = streamed(extractor, trial, delay_s) if stream else whole(extractor, trial)
            times.append((time.process_time() - began_s) / (len(trial.mixture) / RATE_HZ))
            sounds = (trial.mixture[first:], estimate[first:])
            before, after = (si_sdr(reference=trial.target[first:], estimate=sound) for sound in sounds)
            gains.append(after - before)
            left += [left_db(trial, estimate)] if given.turns else []
        below = np.mean(np.array(gains) < 1)
        line = f"{name:<28} {np.mean(gains):6.2f} {below:10.1%} {np.median(times):7.3f}"
        print(line + (f" {np.mean(left):5.1f}" if left else ""), flush=True)


if __name__ == "__main__":
    main()
