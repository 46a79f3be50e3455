"""What a model makes of a voice when something else was heard before: a quiet room, noise, the same voices from afar.

    python bench/before.py small nano --list ../shared/speech/lists/dev.csv --list ../shared/speech/lists/dev_ocean.csv
    python bench/before.py live --seconds 30 --memory 0 63 100 125 --list ...

Improvement of SI-SDR of the trials alone, in dB; causal models stream, with --memory as if their norms remembered that
many frames (docs/experiments.md 25, 26).
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinywase import Extractor
from tinywase.data.lists import read_trials
from tinywase.data.rendering import RenderedTrial, render_trial
from tinywase.evaluate.conditions import rms
from tinywase.format import read_model, write_model
from tinywase.metrics import si_sdr
from tinywase.runtime.registry import find_model

SOUNDS = (("noise", -50.0), ("noise", -30.0), ("noise", -12.0), ("voices", -12.0), ("voices", 0.0))  # kind, level in dB


def sound_before(kind: str, level_db: float, seconds: float, trial: RenderedTrial, seed: int) -> np.ndarray:
    """White noise or the trial's own mixture, by its level beside that. Shape: -> float32 [any]."""
    length = round(seconds * trial.sample_rate_hz)
    if not length:
        return np.zeros(0, np.float32)
    noise = np.random.default_rng(seed).standard_normal(length)
    sound = np.resize(trial.mixture, length) if kind == "voices" else noise
    return (sound * (rms(trial.mixture) / rms(sound) * 10 ** (level_db / 20))).astype(np.float32)


def improvement_db(extractor: Extractor, trial: RenderedTrial, before: np.ndarray) -> float:
    """Of the trial's part of a recording that begins with something else."""
    rate_hz, sound = trial.sample_rate_hz, np.concatenate([before, trial.mixture])
    voiceprint = extractor.enroll(trial.enrollment, sample_rate_hz=rate_hz)
    if extractor.model.config.causal:
        stream = extractor.stream(voiceprint, sample_rate_hz=rate_hz)
        voice = np.concatenate([stream.feed(sound), stream.flush()])
    else:
        voice = extractor.extract(sound, voiceprint, sample_rate_hz=rate_hz).estimate
    heard = si_sdr(reference=trial.target, estimate=voice[len(before) :])
    return heard - si_sdr(reference=trial.target, estimate=trial.mixture)


def variants(name: str, memories: list[int] | None, folder: Path) -> Iterator[tuple[str, Path]]:
    """The model, or with other memories of its norms."""
    path = find_model(name)
    if not memories:
        yield name, path
    for frames in memories or ():
        model, changed = read_model(path), folder / f"{frames}.twase"
        config = dataclasses.replace(model.config, norm_memory_frames=frames)
        write_model(changed, dataclasses.replace(model, config=config), force=True)
        yield f"{name}, {frames} frames", changed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--list", type=Path, action="append", required=True)
    parser.add_argument("--seconds", type=float, nargs="*", default=[4.0, 10.0], help="of what is heard before")
    parser.add_argument("--memory", type=int, nargs="*", help="causal models: frames; 0 remembers everything")
    parser.add_argument("--every", type=int, default=4, help="one trial in so many")
    parser.add_argument("--views", type=int, help="runs over a recording; empty: as the models' cards advise")
    options = parser.parse_args()
    cases = [("nothing", 0.0, 0.0), *((*sound, seconds) for seconds in options.seconds for sound in SOUNDS)]
    print("| model |", " | ".join(f"{s:g} s {kind} {db:g} dB" if s else kind for kind, db, s in cases), "|")
    print("|---|", "---:|" * len(cases), sep="")
    trials = [trial for path in options.list for trial in read_trials(path)][:: options.every]
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models:
            for label, path in variants(name, options.memory, Path(folder)):
                extractor = Extractor.from_pretrained(path, views=options.views)
                rendered = [render_trial(trial, extractor.sample_rate_hz) for trial in trials]
                means = [
                    np.mean([
                        improvement_db(extractor, trial, sound_before(kind, level_db, seconds, trial, seed))
                        for seed, trial in enumerate(rendered)
                    ])
                    for kind, level_db, seconds in cases
                ]  # fmt: skip
                print(f"| {label} |", " | ".join(f"{mean:.2f}" for mean in means), "|", flush=True)


if __name__ == "__main__":
    main()
