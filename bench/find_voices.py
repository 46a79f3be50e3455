"""How well `tinywase voices` finds who speaks: conversations of one to four of a list's speakers, made at random.

    python bench/find_voices.py small --list docs/lists/test.csv --list docs/lists/test_ocean.csv --root SPEECH

Levels of the speakers differ by up to 8 dB, a quarter of the turns cut in, and there is a little noise. A found voice
counts for the speaker who is loudest for most of the time that it is said to speak. Improvement of SI-SDR: of the whole
conversation by the voices found, and by voiceprints of the speakers' clean recordings (docs/experiments.md 29).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinywase import Extractor
from tinywase.data.lists import read_trials
from tinywase.data.rendering import SPEECH_RMS, read_recording
from tinywase.data.trials import Trial
from tinywase.evaluate.dialogue import take_turns
from tinywase.metrics import si_sdr
from tinywase.runtime.voices import ALIKE, CELL_S, FoundVoice

SPEAKERS = (1, 2, 3, 4)
LEVELS_DB = (-4.0, 4.0)
NOISE_DB = -35.0  # below speech


@dataclass(frozen=True)
class Outcome:
    """What was found in a conversation."""

    speakers: int
    voices: int
    found: int  # speakers whom a voice counts for
    by_found_db: list[float]  # of the speakers found
    by_clean_db: list[float]


def recordings_by_speaker(trials: Sequence[Trial]) -> dict[str, list[Path]]:
    """Every recording of every speaker of a list."""
    said: dict[str, set[Path]] = {}
    for trial in trials:
        said.setdefault(trial.target_speaker, set()).update((trial.target, trial.enrollment))
        said.setdefault(trial.interference_speaker, set()).update(trial.interference)
    return {speaker: sorted(paths) for speaker, paths in sorted(said.items())}


def conversation(
    extractor: Extractor,
    recordings: Sequence[Sequence[Path]],
    seconds: float,
    rng: np.random.Generator,
    *,
    alike: float,
    extracts: bool,
) -> Outcome:
    """One conversation of these speakers, and what was found in it."""
    rate_hz = extractor.sample_rate_hz
    said = [[read_recording(path, rate_hz) for path in paths] for paths in recordings]
    tracks = take_turns(said, round(seconds * rate_hz), rate_hz, rng)
    tracks *= (10 ** (rng.uniform(*LEVELS_DB, len(tracks)) / 20)).astype(np.float32)[:, None]
    noise = rng.standard_normal(tracks.shape[1]) * SPEECH_RMS * 10 ** (NOISE_DB / 20)
    mixture = (tracks.sum(axis=0) + noise).astype(np.float32)
    voices = extractor.find_voices(mixture, sample_rate_hz=rate_hz, alike=alike)
    owners: dict[int, FoundVoice] = {}
    for voice in voices:  # who speaks most comes first and counts
        owners.setdefault(owner(voice, tracks, rate_hz), voice)
    by_found: list[float] = []
    by_clean: list[float] = []
    for speaker, voice in owners.items() if extracts and len(tracks) > 1 else ():
        before = si_sdr(reference=tracks[speaker], estimate=mixture)
        clean = extractor.enroll(*said[speaker], sample_rate_hz=rate_hz)
        for gains, voiceprint in ((by_found, voice.voiceprint), (by_clean, clean)):
            estimate = extractor.extract(mixture, voiceprint, sample_rate_hz=rate_hz).estimate
            gains.append(si_sdr(reference=tracks[speaker], estimate=estimate) - before)
    return Outcome(len(tracks), len(voices), len(owners), by_found, by_clean)


def owner(voice: FoundVoice, tracks: np.ndarray, rate_hz: int) -> int:
    """The speaker who is loudest for most of the time that the voice is said to speak. Shape: tracks [speakers, T]."""
    cell = round(CELL_S * rate_hz)
    loudest = np.square(tracks[:, : tracks.shape[1] // cell * cell]).reshape(len(tracks), -1, cell).sum(-1).argmax(0)
    spoken = [loudest[round(s.start_s / CELL_S) : round(s.stop_s / CELL_S)] for s in voice.segments]
    return int(np.bincount(np.concatenate(spoken), minlength=len(tracks)).argmax())


def main() -> None:
    """Print a row for every list and number of speakers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--list", action="append", type=Path, required=True, dest="lists")
    parser.add_argument("--root", type=Path, help="where the recordings are")
    parser.add_argument("--conversations", type=int, default=10, help="of every number of speakers")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--speakers", type=int, nargs="+", default=SPEAKERS, help="how many, one row each")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--alike", type=float, nargs="+", default=[ALIKE])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count-only", action="store_true", help="extract nothing")
    options = parser.parse_args()
    print(
        "| model, alike | list | speakers | number right | found | voices too many | by voices found, by clean ones |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for model in options.models:
        extractor = Extractor.from_pretrained(model, views=options.views)
        for path in options.lists:
            people = recordings_by_speaker(read_trials(path, root=options.root))
            for alike in options.alike:
                for count in options.speakers:
                    outcomes = []
                    for number in range(options.conversations):
                        rng = np.random.default_rng([options.seed, count, number])
                        names = rng.choice(sorted(people), count, replace=False)
                        chosen = [people[name] for name in names]
                        outcomes.append(
                            conversation(
                                extractor, chosen, options.seconds, rng, alike=alike, extracts=not options.count_only
                            )
                        )
                    print(f"| {model}, {alike:g} | {path.stem} | {count} | {row(outcomes)} |", flush=True)


def row(outcomes: Sequence[Outcome]) -> str:
    """The cells of a table."""
    right = np.mean([outcome.voices == outcome.speakers for outcome in outcomes])
    found = sum(outcome.found for outcome in outcomes) / sum(outcome.speakers for outcome in outcomes)
    extra = np.mean([outcome.voices - outcome.found for outcome in outcomes])
    by_found = [gain for outcome in outcomes for gain in outcome.by_found_db]
    by_clean = [gain for outcome in outcomes for gain in outcome.by_clean_db]
    shown = f"{np.mean(by_found):.1f}, {np.mean(by_clean):.1f} dB" if by_found else "–"
    return f"{right:.0%} | {found:.0%} | {extra:.1f} | {shown}"


if __name__ == "__main__":
    main()
