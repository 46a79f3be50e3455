"""Write the sample that `tinywase demo` extracts from: two synthetic speakers who say different sentences at once.

`python docs/demo_sample.py` writes src/tinywase/assets/demo/{mixture,target,enrollment}.flac. The voices are variants
of espeak-ng (the files in the repository: version 1.51), which has to be installed; nothing is drawn, so that the same
program writes the same files. No recording of a person is in them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from tinywase.activity import scale_to_rms
from tinywase.data.speakers import ProgramSpeaker

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tinywase" / "assets" / "demo"
RATE_HZ = 16_000
MIXTURE_S = 5.8
TARGET_START_S = 0.9  # the target is silent before and after, so that its activity can be seen
VOICE_RMS = 0.05
TARGET = ("espeak-ng", "-v", "en-gb-x-rp+Annie", "-p", "52", "-s", "150")
OTHER = ("espeak-ng", "-v", "en-us+Michael", "-p", "42", "-s", "160")
TARGET_SAYS = "This is the voice that you asked for. Whoever else was talking here is gone."
OTHER_SAYS = (
    "Nobody asked me, and yet I go on talking over everybody else, about the weather, about my garden, and about the "
    "price of seven green apples at the market on a rainy morning."
)
ENROLLMENT_SAYS = "A few seconds of somebody speaking alone, and the voice is known in any crowd."


def spoken(program: tuple[str, ...], text: str) -> np.ndarray:
    """The text by a voice, at the level that every voice has here. Shape: float32 [T]."""
    speaker = ProgramSpeaker(program[0], (*program, "-w", "{wav}", "{text}"))
    return scale_to_rms(speaker.speak(text, RATE_HZ), VOICE_RMS)


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where to write (default: the package)")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    length, start = round(MIXTURE_S * RATE_HZ), round(TARGET_START_S * RATE_HZ)
    target, other = np.zeros(length, np.float32), np.zeros(length, np.float32)
    sentence = spoken(TARGET, TARGET_SAYS)[: length - start]
    target[start : start + len(sentence)] = sentence
    babble = spoken(OTHER, OTHER_SAYS)[:length]
    other[: len(babble)] = babble
    signals = {"mixture": target + other, "target": target, "enrollment": spoken(TARGET, ENROLLMENT_SAYS)}
    for name, samples in signals.items():
        soundfile.write(folder / f"{name}.flac", samples, RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
