"""Recordings that end before their time: half a download must not become half an extraction without a word."""

from __future__ import annotations

import re
from typing import Any

from .errors import AudioError

# libsndfile's words in logs of WAV and CAF, AIFF, W64, RF64 and AU
SHORT = r"^\s*(?:data|SSND|riff|Riff size|Data Size)\s*: (\d+) \(should be (\d+)\)"
ENDLESS_BYTES = 0x7FFF0000  # a RIFF size from here on was written by a pipe that could not know it


def refuse_truncated(file: Any, name: str) -> None:
    """Raise if libsndfile's log says that the file is shorter than its header promises (it reads on silently)."""
    if re.search(r"end-of-stream (bit|flag)", file.extra_info, re.IGNORECASE):
        raise truncated(name, file.frames / file.samplerate, None)
    found = re.search(SHORT, file.extra_info, re.MULTILINE)
    if found:
        promised, held = int(found[1]), int(found[2])
        if held < promised < ENDLESS_BYTES and held > 0:
            held_s = file.frames / file.samplerate
            raise truncated(name, held_s, held_s * promised / held)


def truncated(name: str, held_s: float, promised_s: float | None) -> AudioError:
    """The error; `promised_s` is None where only the mark of the end is missing."""
    promised = "a proper end" if promised_s is None else f"the {promised_s:.2f} s that its header promises"
    return AudioError(
        f"{name}: is truncated or damaged: {held_s:.2f} s can be read, expected {promised}. Copy it again, or keep "
        "what there is: ffmpeg -i INPUT output.wav"
    )
