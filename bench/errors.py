"""What keeps estimates from being the voice: the other voice, what is neither of them, or whose turn it is.

    python bench/errors.py small --list docs/lists/dev.csv --root SPEECH --limit 60 --views 1 4

SI-SIR counts what is left of the other voice, SI-SAR what is in neither of them (artifacts), both against the rest of
the estimate [J. Le Roux et al., SDR - half-baked or well done?, ICASSP 2019]. `swapped` takes, window by window,
whichever of estimate and rest is nearer to the target: what knowing the speaker everywhere would add to the SI-SDR
improvement. Means over trials, dB (docs/experiments.md 32).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tinywase.data.lists import read_trials
from tinywase.data.rendering import render_trial
from tinywase.evaluate.systems import open_systems
from tinywase.metrics import si_sdr

WINDOWS_S = (0.032, 0.25, 1.0)  # that may be swapped
TINY = 1e-12  # power


def ratios_db(estimate: np.ndarray, target: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """SI-SIR and SI-SAR of an estimate. Shape: [T], [T], [T]."""
    sources = np.stack([target, other], 1).astype(np.float64)  # [T, 2]
    gains = np.linalg.lstsq(sources, estimate.astype(np.float64), rcond=None)[0]
    parts = sources * gains
    artifacts = estimate - parts.sum(1)
    return _db(parts[:, 0], parts[:, 1]), _db(parts.sum(1), artifacts)


def swapped(estimate: np.ndarray, mixture: np.ndarray, target: np.ndarray, window: int) -> np.ndarray:
    """The estimate, or the rest of the mixture where that is nearer to the target. Shape: [T], [T], [T] -> [T]."""
    chosen, rest = estimate.copy(), mixture - estimate
    for begin in range(0, len(mixture), window):
        part = slice(begin, begin + window)
        if np.sum((target[part] - rest[part]) ** 2) < np.sum((target[part] - estimate[part]) ** 2):
            chosen[part] = rest[part]
    return chosen


def _db(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10((np.sum(signal**2) + TINY) / (np.sum(noise**2) + TINY)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="bundled, a .twase file or a checkpoint")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, help="only the first trials")
    parser.add_argument("--views", type=int, nargs="+", default=[1])
    options = parser.parse_args()
    trials = read_trials(options.list, root=options.root)[: options.limit]
    names = [f"swapped, {round(1000 * window_s)} ms" for window_s in WINDOWS_S]
    print("| views | improvement | SI-SIR | SI-SAR | " + " | ".join(names) + " |\n|---|" + "---:|" * (3 + len(names)))
    for views in options.views:
        system = open_systems([options.model], views=views)[0]
        rows = []
        for trial in trials:
            audio = render_trial(trial, system.sample_rate_hz)
            mixture, target = audio.mixture, audio.target
            estimate = system.bind(audio)(mixture).estimate[: len(mixture)]
            windows = [round(window_s * system.sample_rate_hz) for window_s in WINDOWS_S]
            versions = [estimate, *(swapped(estimate, mixture, target, window) for window in windows)]
            before_db = si_sdr(reference=target, estimate=mixture)
            gains = [si_sdr(reference=target, estimate=version) - before_db for version in versions]
            rows.append([gains[0], *ratios_db(estimate, target, mixture - target), *gains[1:]])
        print(f"| {views} | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, 0)) + " |")


if __name__ == "__main__":
    main()
