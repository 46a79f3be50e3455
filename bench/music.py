"""What music behind the voices does: trials with music of a folder added, the target alone or in its mixture.

    python bench/music.py small nano live --music FOLDER --list docs/lists/dev.csv --root SPEECH --limit 40

Music at 10, 5 and 0 dB below the target, a part of it drawn for every trial. Improvement of SI-SDR with its 95 %
interval, and the share of targets that are reported present.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tinywase import Extractor, Presence
from tinywase.activity import scale_to_rms
from tinywase.data.lists import read_trials
from tinywase.data.rendering import read_recording, render_trial
from tinywase.evaluate.conditions import rms
from tinywase.metrics import si_sdr

RATE_HZ = 8000
BELOW_DB = (None, 10.0, 5.0, 0.0)  # None: no music
TRACK_S = 60.0  # of every recording, from its middle on
QUIETEST = 0.01  # RMS of a part, over the track's peak: an intro's silence is no music


def track(path: Path) -> np.ndarray:
    """A minute of it, its peak at 1. Shape: -> float32 [T]."""
    samples = read_recording(path, RATE_HZ)
    part = samples[len(samples) // 2 :][: round(TRACK_S * RATE_HZ)]
    return part / np.float32(max(1e-9, np.abs(part).max()))


def behind(voice: np.ndarray, tracks: list[np.ndarray], below_db: float, rng: np.random.Generator) -> np.ndarray:
    """Drawn music, so far below the voice. Shape: [T] -> [T]."""
    while True:
        music = np.resize(tracks[rng.integers(len(tracks))], len(voice) + round(TRACK_S * RATE_HZ))
        part = music[rng.integers(round(TRACK_S * RATE_HZ)) :][: len(voice)]
        if rms(part) >= QUIETEST:
            return scale_to_rms(part, rms(voice) * 10 ** (-below_db / 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--music", type=Path, required=True, help="a folder of recordings without voices")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, default=40, help="trials, spread over the list")
    given = parser.parse_args()
    tracks = [track(path) for path in sorted(given.music.rglob("*")) if path.is_file()]
    extractors = [Extractor.from_pretrained(name, threads=1) for name in given.models]
    trials = read_trials(given.list, root=given.root)
    found: dict[tuple[str, str, float | None], list[tuple[float, bool]]] = {}
    for position in np.linspace(0, len(trials) - 1, min(given.limit, len(trials))).astype(int):
        audio = render_trial(trials[position], RATE_HZ)
        voiceprints = [extractor.enroll(audio.enrollment, sample_rate_hz=RATE_HZ) for extractor in extractors]
        for below_db in BELOW_DB:
            rng = np.random.default_rng(position)  # the same music at every level
            music = 0 * audio.target if below_db is None else behind(audio.target, tracks, below_db, rng)
            for what, voices in (("alone", audio.target), ("in its mixture", audio.mixture)):
                if what == "alone" and below_db is None:
                    continue  # nothing to improve
                heard = (voices + music).astype(np.float32)
                before = si_sdr(reference=audio.target, estimate=heard)
                for name, extractor, voiceprint in zip(given.models, extractors, voiceprints, strict=True):
                    one = extractor.extract(heard, voiceprint, sample_rate_hz=RATE_HZ)
                    gain = si_sdr(reference=audio.target, estimate=one.estimate) - before
                    found.setdefault((name, what, below_db), []).append((gain, one.presence is Presence.PRESENT))
    print("| model | target | music below it, dB | improvement, dB | heard |\n|---|---|---:|---:|---:|")
    for (name, what, below_db), rows in found.items():
        gains, heard_share = np.array([gain for gain, _ in rows]), np.mean([is_heard for _, is_heard in rows])
        interval = 1.96 * gains.std() / np.sqrt(len(gains))
        level = "no music" if below_db is None else f"{below_db:g}"
        print(f"| {name} | {what} | {level} | {gains.mean():.2f} (±{interval:.2f}) | {heard_share:.0%} |")


if __name__ == "__main__":
    main()
