"""Synthetic speakers of several engines behind one call, and corpora made of them.

  source-filter  our own synthesizer (synthetic.py): any number of voices; babble, no words
  espeak         espeak-ng with its voice variants, accents and pitches: formant synthesis of sentences
  flite          flite with its built-in voices: few of them, made from recordings of people
The last two run the programs of these names; the sentences come from a small grammar of ours.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..activity import scale_to_rms
from ..audio_writer import AudioFormat, write_recording
from ..errors import DataError, OutputError
from .rendering import read_recording
from .sentences import draw_sentence
from .synthetic import RMS, SourceFilterSpeaker, draw_voice

ENGINES = ("source-filter", "espeak", "flite")
# not "en-gb": espeak-ng 1.51 drops the variant of that name, and all its speakers are one voice
ESPEAK_ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbcwmd", "en-029")
ESPEAK_VARIANTS = (  # those that sound like a person; the others are robots and whispers
    "adam", "Alex", "Alicia", "Andrea", "Andy", "Annie", "belinda", "benjamin", "boris", "caleb", "david",
    "Denis", "Diogo", "edward", "f1", "f2", "f3", "f4", "f5", "Gene", "Henrique", "Hugo", "iven", "Jacky",
    "john", "Lee", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "Marco", "Mario", "max",
    "Michael", "michel", "miguel", "Mike", "Nguyen", "pablo", "paul", "pedro", "quincy", "rob", "robert",
    "sandro", "shelby", "steph", "steph2", "steph3", "travis", "victor", "zac",
)  # fmt: skip
FLITE_VOICES = ("slt", "rms", "awb", "kal16")


class Speaker(Protocol):
    """Somebody who can say something."""

    @property
    def name(self) -> str: ...

    def say(self, seconds: float, rng: np.random.Generator, sample_rate_hz: int) -> np.ndarray:
        """An utterance of that length, RMS 0.05. Shape: float32 [seconds * sample_rate_hz]."""
        ...


@dataclass(frozen=True)
class ProgramSpeaker:
    """A voice of a program that turns text into a WAV file."""

    name: str
    command: tuple[str, ...]  # {wav} and {text} are filled in

    def say(self, seconds: float, rng: np.random.Generator, sample_rate_hz: int) -> np.ndarray:
        """Sentences until the time is full; see `Speaker`."""
        wanted = round(seconds * sample_rate_hz)
        parts: list[np.ndarray] = []
        while sum(len(part) for part in parts) < wanted:
            parts.append(self.speak(draw_sentence(rng), sample_rate_hz))
            parts.append(np.zeros(round(rng.uniform(0.1, 0.4) * sample_rate_hz), np.float32))
        return scale_to_rms(np.concatenate(parts)[:wanted], RMS)

    def speak(self, text: str, sample_rate_hz: int) -> np.ndarray:
        """One text, as loud as the program says it. Shape: float32 [T]."""
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "sentence.wav"
            command = [part.format(wav=wav, text=text) for part in self.command]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode or not wav.is_file():
                said = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
                raise DataError(
                    f"{' '.join(command)}: exit code {ran.returncode}, it said: {said}; expected a recording. "
                    "Try the command by hand, or take another --engine."
                )
            return read_recording(wav, sample_rate_hz).astype(np.float32)


def espeak_speakers(count: int, seed: int) -> list[Speaker]:
    """Different voices of espeak-ng: a variant each, while they last, with an accent, a pitch and a rate.

    Raises:
        DataError: espeak-ng is not installed.
    """
    program = _program("espeak-ng", "espeak")
    listed = subprocess.run([program, "--voices=variant"], capture_output=True, text=True, check=False).stdout
    variants = [name for name in ESPEAK_VARIANTS if f"!v/{name} " in listed]
    if not variants:
        raise DataError(f"'{program} --voices=variant' lists no known variant; expected espeak-ng 1.50 or later.")
    rng = np.random.default_rng([seed, 11])
    order = rng.permutation(len(variants))
    speakers: list[Speaker] = []
    for place in range(count):
        variant, accent = variants[order[place % len(variants)]], str(rng.choice(ESPEAK_ACCENTS))
        pitch, rate = str(rng.integers(35, 66)), str(rng.integers(145, 186))
        command = (program, "-v", f"{accent}+{variant}", "-p", pitch, "-s", rate, "-w", "{wav}", "{text}")
        speakers.append(ProgramSpeaker(f"espeak{place:04d}-{variant}", command))
    return speakers


def flite_speakers(count: int, seed: int) -> list[Speaker]:
    """The voices of flite, in an order that depends on the seed.

    Raises:
        DataError: flite is not installed, or has fewer voices.
    """
    program = _program("flite")
    if count > len(FLITE_VOICES):
        raise DataError(
            f"{count} speakers asked for; expected {len(FLITE_VOICES)} at most, as many as flite has voices. "
            "Take fewer, or another --engine."
        )
    order = np.random.default_rng([seed, 13]).permutation(len(FLITE_VOICES))
    names = [FLITE_VOICES[place] for place in order[:count]]
    return [ProgramSpeaker(f"flite-{name}", (program, "-voice", name, "-o", "{wav}", "-t", "{text}")) for name in names]


def source_filter_speakers(count: int, seed: int) -> list[Speaker]:
    """Voices of our own synthesizer, low and high in turn."""
    return [SourceFilterSpeaker(draw_voice(1000 * seed + place)) for place in range(count)]


def make_speakers(engine: str, count: int, seed: int) -> list[Speaker]:
    """`count` different speakers of an engine.

    Raises:
        DataError: an unknown engine, one that is not installed, or one with fewer voices.
    """
    makers: dict[str, Callable[[int, int], list[Speaker]]] = {
        "source-filter": source_filter_speakers,
        "espeak": espeak_speakers,
        "flite": flite_speakers,
    }
    if engine not in makers:
        raise DataError(f"engine '{engine}' is unknown; expected one of {', '.join(ENGINES)}.")
    return makers[engine](count, seed)


def write_corpus(
    folder: Path,
    speakers: Sequence[Speaker],
    *,
    utterances: int,
    seconds: tuple[float, float],
    seed: int,
    sample_rate_hz: int,
    force: bool = False,
    progress: Callable[[float], None] = lambda done: None,
) -> int:
    """Write folder/<speaker>/<number>.flac, lengths uniform between the two `seconds`; gives the number of files.

    Every utterance depends on the seed, its speaker's place and its number alone.

    Raises:
        OutputError: one of the files exists and `force` is false.
    """
    files = [(s, u, folder / who.name / f"{u:04d}.flac") for s, who in enumerate(speakers) for u in range(utterances)]
    there = next((file for _, _, file in files if file.exists()), None)
    if there is not None and not force:
        raise OutputError(f"'{there}' exists already: nothing was written. Choose another folder or use --force.")
    for done, (s, u, file) in enumerate(files, start=1):
        rng = np.random.default_rng([seed, s, u])
        audio = speakers[s].say(float(rng.uniform(*seconds)), rng, sample_rate_hz)
        write_recording(file, audio, AudioFormat(sample_rate_hz, 1, "FLAC", "PCM_16"), force=force)
        progress(done / len(files))
    return len(files)


def _program(*names: str) -> str:
    """The first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise DataError(
        f"no program {' or '.join(names)} on this machine; expected it for this --engine. Install {names[0]} "
        "or take --engine source-filter, which needs none."
    )
