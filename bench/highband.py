"""What the band above the model's gains (runtime/highband.py), at 16 kHz, where the lists' recordings have one.

    python bench/highband.py small --list docs/lists/dev.csv --root SPEECH
    python bench/highband.py live --stream --list docs/lists/dev.csv --root SPEECH
    python bench/highband.py small --stream --delay 0.5 --list docs/lists/dev.csv --root SPEECH

improvement: of SI-SDR over the mixture, whole band. upper: signal-to-noise ratio above 4 kHz, 0 dB where it is empty.
distance: log-spectral, above 4 kHz, of what is within 40 dB of its peak, per frame. PESQ: wide band. time: processor
time of an extraction over the recording's, one thread; of a stream in chunks of 16 ms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pesq import PesqError, pesq

from tinywase.data.lists import read_trials
from tinywase.data.rendering import RenderedTrial, render_trial
from tinywase.metrics import si_sdr
from tinywase.runtime.extractor import Extractor
from tinywase.stft import analyze

RATE_HZ = 16_000
CROSSING_HZ = 4_000
WINDOW = 512
PEAK_DB = 40.0
CHUNK = 256  # samples fed at once

Extract = Callable[[Extractor, RenderedTrial, bool], np.ndarray]  # by a model, with the upper band or without -> [T]


def upper_band(samples: np.ndarray) -> np.ndarray:
    """Shape: [T] -> complex [F, K]."""
    return analyze(samples, WINDOW)[:, CROSSING_HZ * WINDOW // RATE_HZ :]


def upper_db(target: np.ndarray, estimate: np.ndarray) -> float:
    """Signal-to-noise ratio."""
    voice, found = upper_band(target), upper_band(estimate)
    return float(10 * np.log10(np.sum(np.abs(voice) ** 2) / np.sum(np.abs(voice - found) ** 2)))


def distance_db(target: np.ndarray, estimate: np.ndarray) -> float:
    """Root mean square over frequencies, mean over frames."""
    powers = [np.abs(upper_band(signal)) ** 2 for signal in (target, estimate)]
    floor = 10 ** (-PEAK_DB / 10) * powers[0].max()
    one, other = (10 * np.log10(power + floor) for power in powers)
    return float(np.sqrt(np.mean((one - other) ** 2, axis=1)).mean())


def wide_pesq(target: np.ndarray, estimate: np.ndarray) -> float:
    """NaN where there is no utterance in it."""
    try:
        return float(pesq(RATE_HZ, target, estimate, "wb"))
    except PesqError:
        return float("nan")


def whole(extractor: Extractor, trial: RenderedTrial, highband: bool) -> np.ndarray:
    """Shape: -> [T]."""
    voiceprint = extractor.enroll(trial.enrollment, sample_rate_hz=RATE_HZ)
    return extractor.extract(trial.mixture, voiceprint, sample_rate_hz=RATE_HZ, highband=highband).estimate


def streamed(extractor: Extractor, trial: RenderedTrial, highband: bool, *, delay_s: float | None) -> np.ndarray:
    """Shape: -> [T]."""
    voiceprint = extractor.enroll(trial.enrollment, sample_rate_hz=RATE_HZ)
    stream = extractor.stream(voiceprint, sample_rate_hz=RATE_HZ, delay_s=delay_s, highband=highband)
    chunks = (trial.mixture[start : start + CHUNK] for start in range(0, len(trial.mixture), CHUNK))
    return np.concatenate([*(stream.feed(chunk) for chunk in chunks), stream.flush()])


def row(extract: Extract, extractor: Extractor, trial: RenderedTrial, highband: bool) -> list[float]:
    """Figures of one trial."""
    began_s = time.process_time()
    found = extract(extractor, trial, highband)
    took = (time.process_time() - began_s) / (len(trial.mixture) / RATE_HZ)
    gain = si_sdr(reference=trial.target, estimate=found) - si_sdr(reference=trial.target, estimate=trial.mixture)
    target = trial.target
    return [gain, upper_db(target, found), distance_db(target, found), wide_pesq(target, found), took]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, help="only the first trials")
    parser.add_argument("--stream", action="store_true", help="in chunks, as they come")
    parser.add_argument("--delay", type=float, metavar="S", help="how long an offline model waits in a stream")
    given = parser.parse_args()
    extract = partial(streamed, delay_s=given.delay) if given.stream else whole
    trials = [render_trial(trial, RATE_HZ) for trial in read_trials(given.list, root=given.root)[: given.limit]]
    print("| model | upper band | improvement | upper | distance | PESQ | time |\n|---|---|---:|---:|---:|---:|---:|")
    for name in given.models:
        extractor = Extractor.from_pretrained(name, threads=1)
        found = {
            highband: np.array([row(extract, extractor, trial, highband) for trial in trials])
            for highband in (False, True)
        }
        for highband, rows in found.items():
            means = [*np.nanmean(rows[:, :4], axis=0), np.median(rows[:, 4])]
            figures = "{:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.3f}".format(*means)
            print(f"| {name} | {'by gains' if highband else 'empty'} | {figures} |", flush=True)
        gains = found[True][:, 0] - found[False][:, 0]
        error = 1.96 * gains.std() / np.sqrt(len(gains))
        better = np.mean(gains > 0)
        print(f"\nDifference of the improvements: {gains.mean():+.2f} (±{error:.2f}) dB, better in {better:.0%}\n")


if __name__ == "__main__":
    main()
