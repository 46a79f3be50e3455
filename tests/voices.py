"""Lists of trials with voices that differ: tones of their own frequency in syllables, so that `stand_in` tells them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tinywase.data.trials import Trial

RATE_HZ = 8000


def voice(number: int, seed: int, seconds: float = 2.0) -> np.ndarray:
    """Voice `number` saying something: noise in a band of its own, about three syllables a second. Shape: [T]."""
    rng = np.random.default_rng((number, seed))
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    spectrum = np.fft.rfft(rng.standard_normal(len(times_s)))
    frequency_hz = np.fft.rfftfreq(len(times_s), 1 / RATE_HZ)
    spectrum[np.abs(frequency_hz - 300 - 600 * number) > 200] = 0
    syllables = np.maximum(0.05, np.sin(2 * np.pi * 3.0 * times_s + rng.uniform(0, 6)))
    samples = np.fft.irfft(spectrum, len(times_s)) * syllables
    return (0.05 * samples / np.sqrt(np.mean(samples**2))).astype(np.float32)


def trials_of_voices(folder: Path, *, speakers: int = 4, seconds: float = 2.0) -> list[Trial]:
    """Everybody with their neighbour, enrolled by another recording; paths below `folder`."""
    trials = []
    for speaker in range(speakers):
        for take in ("enrollment", "speech"):
            path = folder / f"{speaker}-{take}.wav"
            soundfile.write(path, voice(speaker, len(take), seconds), RATE_HZ, subtype="FLOAT")
    for speaker in range(speakers):
        other = (speaker + 1) % speakers
        trials.append(
            Trial(
                mixture_id=f"{speaker:04d}",
                enrollment=folder / f"{speaker}-enrollment.wav",
                target=folder / f"{speaker}-speech.wav",
                interference=(folder / f"{other}-speech.wav",),
                interference_gains_db=(0.0,),
                recipe="equal-rms",
                target_speaker=f"s{speaker}",
                interference_speaker=f"s{other}",
                sexes="FM",
            )
        )
    return trials
