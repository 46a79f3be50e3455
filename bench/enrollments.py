"""What it costs to enroll in a room or in noise: mixtures as the list says and in rooms, enrolled from several places.

    pip install pyroomacoustics
    python bench/enrollments.py small BEFORE.twase --views 4 --list docs/lists/dev.csv --root SPEECH --limit 40

Improvement of SI-SDR in dB, and beside the first model the difference of every other one, trial by trial, with its 95 %
interval (docs/experiments.md 42). Rooms are shoe boxes of T60 0.2 to 0.6 s by image sources, one for the mixture and
another for the enrollment; the target to compare with is the one in the mixture's room. Noise is 15 dB below the voice.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyroomacoustics

from tinywase import Extractor
from tinywase.activity import scale_to_rms
from tinywase.data import augment
from tinywase.data.lists import read_trials
from tinywase.data.rendering import RenderedTrial, render_trial
from tinywase.evaluate.conditions import in_noise, rms
from tinywase.metrics import si_sdr

RATE_HZ = 8000
NOISE_DB = 15.0
MIXTURES = ("dry", "room")
ENROLLMENTS = ("dry", "room", "noise", "room and noise")
Response = Callable[[float, float], np.ndarray]  # nearest and farthest talker in m -> impulse response


def drawn_room(rng: np.random.Generator) -> Response:
    """A room; every call puts talker and microphone somewhere else in it."""
    size, t60_s = rng.uniform([3.0, 3.0, 2.4], [8.0, 6.0, 3.2]), rng.uniform(0.2, 0.6)
    absorption, order = pyroomacoustics.inverse_sabine(t60_s, size)

    def response(nearest_m: float, farthest_m: float) -> np.ndarray:
        material = pyroomacoustics.Material(absorption)
        room = pyroomacoustics.ShoeBox(size, fs=RATE_HZ, materials=material, max_order=min(order, 40))
        microphone = np.append((size * rng.uniform(0.35, 0.65, 3))[:2], rng.uniform(0.7, 1.3))
        angle, distance_m = rng.uniform(0, 2 * np.pi), rng.uniform(nearest_m, farthest_m)
        away = distance_m * np.array([np.cos(angle), np.sin(angle), rng.uniform(-0.1, 0.3)])
        room.add_microphone(microphone)
        room.add_source(np.clip(microphone + away, 0.2, size - 0.2))
        room.compute_rir()
        found = room.rir[0][0]
        return found[max(0, int(np.argmax(np.abs(found))) - 8) :].astype(np.float32)  # the direct sound stays in place

    return response


def in_room(voice: np.ndarray, response: np.ndarray) -> np.ndarray:
    """As loud as it was. Shape: [T], [R] -> [T]."""
    return scale_to_rms(augment.reverberate(voice, response), rms(voice))


def placed(audio: RenderedTrial, rng: np.random.Generator) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], dict]:
    """(mixture, target) by where they are; the enrollment by where it is."""
    here, there = drawn_room(rng), drawn_room(rng)
    target, other = (in_room(v, here(0.5, 2.0)) for v in (audio.target, audio.mixture - audio.target))
    mixtures = {"dry": (audio.mixture, audio.target), "room": (target + other, target)}
    wet = in_room(audio.enrollment, there(0.2, 1.5))
    noisy = [in_noise(voice, voice, snr_db=NOISE_DB, rate_hz=RATE_HZ, rng=rng) for voice in (audio.enrollment, wet)]
    voices = (audio.enrollment, wet, *noisy)
    return mixtures, dict(zip(ENROLLMENTS, voices, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--views", type=int)
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, default=40, help="trials, spread over the list")
    options = parser.parse_args()
    extractors = [Extractor.from_pretrained(model, views=options.views) for model in options.models]
    trials = read_trials(options.list, root=options.root)
    gains: dict[tuple[str, str], list[list[float]]] = {(m, e): [] for m in MIXTURES for e in ENROLLMENTS}
    for position in np.linspace(0, len(trials) - 1, min(options.limit, len(trials))).astype(int):
        mixtures, enrollments = placed(render_trial(trials[position], RATE_HZ), np.random.default_rng(position))
        for (mixed, enrolled), rows in gains.items():
            mixture, target = mixtures[mixed]
            before, row = si_sdr(reference=target, estimate=mixture), []
            for extractor in extractors:
                voiceprint = extractor.enroll(enrollments[enrolled], sample_rate_hz=RATE_HZ)
                estimate = extractor.extract(mixture, voiceprint, sample_rate_hz=RATE_HZ).estimate
                row.append(si_sdr(reference=target, estimate=estimate) - before)
            rows.append(row)
    for (mixed, enrolled), rows in gains.items():
        values = np.array(rows)  # [trials, models]
        print(f"mixture {mixed:5} enrolled {enrolled:15}", end="")
        for column, model in enumerate(options.models):
            own = values[:, column]
            print(f" {Path(model).stem} {own.mean():5.2f} ({np.mean(own < 1):4.0%} below 1)", end="")
            if column:
                difference = own - values[:, 0]
                interval = 1.96 * difference.std() / np.sqrt(len(difference))
                print(f", {difference.mean():+.2f} (±{interval:.2f})", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
