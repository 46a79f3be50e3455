"""What two channels add to one: trials placed in a stereo mix, or in simulated rooms before two microphones.

    pip install pyroomacoustics
    python bench/spatial.py small --list docs/lists/dev.csv --root SPEECH --limit 40

Mean improvement of SI-SDR in dB over both channels, channel by channel (--no-spatial) and with the spatial filter
(docs/experiments.md 35). Rooms are shoe boxes by image sources: microphones in the middle, talkers 0.6 to 1.4 m away in
directions 30 to 180 degrees apart. "one place": both talkers in the same place of a stereo mix.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyroomacoustics

from tinywase import Extractor
from tinywase.data.lists import read_trials
from tinywase.data.rendering import render_trial
from tinywase.metrics import si_sdr

RATE_HZ = 8000
Place = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # [2 talkers, T] -> [2 talkers, 2 channels, any]


def panned(talkers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each somewhere between left and right, by level alone."""
    share = rng.uniform(0.1, 0.9, (2, 1))
    return np.stack([np.sqrt(1 - share) * talkers, np.sqrt(share) * talkers], axis=1)


def in_one_place(talkers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Both in one place of a stereo mix, whose channels have a little noise of their own, 60 dB down."""
    placed = np.stack([talkers, 0.7 * talkers], axis=1)
    placed[1] += 1e-3 * talkers.std() * rng.standard_normal(placed[1].shape)
    return placed


def in_room(t60_s: float, apart_m: float) -> Place:
    """Before two microphones in a room of that reverberation time."""

    def place(talkers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = rng.uniform([4.0, 3.5, 2.5], [7.0, 6.0, 3.2])
        absorption, order = pyroomacoustics.inverse_sabine(t60_s, size)
        material = pyroomacoustics.Material(absorption)
        room = pyroomacoustics.ShoeBox(size, fs=RATE_HZ, materials=material, max_order=min(order, 30))
        centre = np.append((size * rng.uniform(0.4, 0.6, 3))[:2], 1.2)
        facing, first = rng.uniform(0, 2 * np.pi, 2)
        half = apart_m / 2 * np.array([np.cos(facing), np.sin(facing), 0.0])
        room.add_microphone_array(np.stack([centre - half, centre + half], axis=1))
        for angle, talker in zip((first, first + rng.uniform(np.pi / 6, np.pi)), talkers, strict=True):
            away = rng.uniform(0.6, 1.4) * np.array([np.cos(angle), np.sin(angle), 0.0])
            away[2] = rng.uniform(-0.1, 0.4)
            room.add_source(np.clip(centre + away, 0.2, size - 0.2), signal=talker)
        return np.asarray(room.simulate(return_premix=True))

    return place


PLACES: dict[str, Place] = {
    "one place": in_one_place,
    "panned": panned,
    **{
        f"room {t60_s:g} s, {100 * apart_m:g} cm": in_room(t60_s, apart_m)
        for t60_s in (0.2, 0.4)
        for apart_m in (0.05, 0.15)
    },
}


def improvements_db(extractor: Extractor, sound: np.ndarray, voice: np.ndarray, enrollment: np.ndarray) -> list[float]:
    """Without and with the spatial filter. Shape: [T, 2], [T, 2], [T]."""
    voiceprint = extractor.enroll(enrollment, sample_rate_hz=RATE_HZ)
    before = quality_db(sound, voice)
    estimates = (
        extractor.extract(sound, voiceprint, sample_rate_hz=RATE_HZ, spatial=used).estimate for used in (False, True)
    )
    return [quality_db(estimate, voice) - before for estimate in estimates]


def quality_db(sound: np.ndarray, voice: np.ndarray) -> float:
    """Mean over channels. Shape: [T, 2], [T, 2]."""
    return float(np.mean([si_sdr(reference=voice[:, c], estimate=sound[:, c]) for c in range(voice.shape[1])]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    given = parser.parse_args()
    extractor = Extractor.from_pretrained(given.model)
    trials = [render_trial(trial, RATE_HZ) for trial in read_trials(given.list, root=given.root)[: given.limit]]
    print(f"{'place':<18} {'alone':>6} {'spatial':>8}  difference, better in")
    for name in given.places:
        rng, found = np.random.default_rng(0), []
        for trial in trials:
            placed = PLACES[name](np.stack([trial.target, trial.mixture - trial.target]), rng)
            placed *= 0.05 / np.sqrt(np.mean(placed.sum(0) ** 2))
            sound, voice = (signal.T.astype(np.float32) for signal in (placed.sum(0), placed[0]))
            found.append(improvements_db(extractor, sound, voice, trial.enrollment))
        alone, spatial = np.array(found).T
        gain = spatial - alone
        error = 1.96 * gain.std() / np.sqrt(len(gain))
        print(
            f"{name:<18} {alone.mean():6.2f} {spatial.mean():8.2f}  {gain.mean():+.2f} (±{error:.2f}), "
            f"{np.mean(gain > 0):.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
