"""A voiceprint and its file: the vector, the model it belongs to, and how good the enrollment was.

The `.voice` file is a small JSON object, so that it is safe to open and easy to store anywhere:

    {"format": "tinywase voiceprint", "version": 1,
     "model": name of the model, "fingerprint": 16 hex digits of the voiceprint encoder (runtime/model.py),
     "active_s": seconds of speech heard, "level_db": their RMS re full scale, "clipped": fraction of clipped samples,
     "consistency": how alike what comes before and after any moment is, at least (missing in older files),
     "vector": [D numbers], "crc32": zlib's, of the vector as little-endian float32}
"""

from __future__ import annotations

import json
import math
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from ..audio import printable
from ..audio_writer import CONTAINERS
from ..errors import FormatError, OutputError
from ..files import write_whole
from ..media import MEDIA_SUFFIXES
from ..sniff import is_recording

FORMAT = "tinywase voiceprint"
VERSION = 1
MAX_FILE_BYTES = 1 << 22
MAX_DIMENSIONS = 1 << 16
NOTES = ("active_s", "level_db", "clipped", "consistency")
OPTIONAL = {"consistency"}
KEYS = {"format", "version", "model", "fingerprint", *NOTES, "vector", "crc32"}


class Fingerprinted(Protocol):
    """A model that knows whose voiceprints it understands."""

    name: str
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Voiceprint:
    """Who is wanted; building one checks it.

    Raises:
        FormatError: values that no enrollment gives.
    """

    vector: NDArray[np.float32] = field(repr=False)  # [D]
    model: str  # its name, for people
    fingerprint: str  # of the voiceprint encoder
    active_s: float  # seconds of speech it was made from
    level_db: float  # their RMS, re full scale
    clipped: float  # 0..1, fraction of clipped samples
    consistency: float = 1.0  # -1..1: before and after any moment; little where two people speak
    left_out: bool = False  # a recording held more speech than is used; no file keeps this

    def __post_init__(self) -> None:
        vector = np.array(self.vector, np.float32)
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)
        if vector.ndim != 1 or not 1 <= len(vector) <= MAX_DIMENSIONS or not np.isfinite(vector).all():
            raise FormatError(f"voiceprint of shape {vector.shape}: expected 1 to {MAX_DIMENSIONS} finite numbers.")
        if not re.fullmatch("[0-9a-f]{16}", self.fingerprint):
            raise FormatError(f"voiceprint with the fingerprint {self.fingerprint!r}: expected 16 hex digits.")
        finite = all(math.isfinite(getattr(self, note)) for note in NOTES)
        if not finite or not 0 <= self.clipped <= 1 or self.active_s < 0:
            raise FormatError(
                f"voiceprint made from {self.active_s} s at {self.level_db} dB, {self.clipped} of it clipped: "
                "expected finite numbers, and 0 to 1 clipped."
            )

    def vector_for(self, model: Fingerprinted) -> NDArray[np.float32]:
        """The vector, if `model` understands it.

        Raises:
            FormatError: it was made by another model.
        """
        if self.fingerprint != model.fingerprint:
            other = model.name
            raise FormatError(
                f"this voiceprint was made by the model '{self.model}' ({self.fingerprint}), not by the model "
                f"'{other}' ({model.fingerprint}) that is to use it. Enroll again with '{other}', or extract a "
                f"recording with '{self.model}'."
            )
        return self.vector

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a `.voice` file, whole or not at all.

        Raises:
            OutputError: the file exists and `force` is false, its folder refuses, or it is called like a recording.
        """
        check_voice_path(path)
        write_whole(path, self.to_bytes(), force=force)

    def to_bytes(self) -> bytes:
        """What `save` writes."""
        content = {"format": FORMAT, "version": VERSION, "model": self.model, "fingerprint": self.fingerprint}
        numbers = [float(str(value)) for value in self.vector]  # the shortest text that is the same float32
        whole = content | self.notes() | {"vector": numbers, "crc32": _crc(self.vector)}
        return (json.dumps(whole, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def notes(self) -> dict[str, float]:
        """What is known of the enrollment, by name."""
        return {note: round(float(getattr(self, note)), 6) for note in NOTES}

    @classmethod
    def load(cls, path: str | Path) -> Voiceprint:
        """Read a `.voice` file.

        Raises:
            FormatError: it is missing, damaged or no voiceprint.
        """
        try:
            with Path(path).open("rb") as stream:
                raw = stream.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            _refuse(path, f"it cannot be read ({error.strerror or error})")
        return cls.from_bytes(raw, path)

    @classmethod
    def from_bytes(cls, raw: bytes, path: str | Path = "") -> Voiceprint:
        """What `to_bytes` gave; `path` is for messages.

        Raises:
            FormatError: it is damaged or no voiceprint.
        """
        if is_recording(raw):
            _refuse(path, "this is a recording: give it as 'enroll', which makes a voiceprint of it")
        content = _object(raw, path)
        if content.get("format") != FORMAT:
            _refuse(path, f'it is not a voiceprint: expected "format": "{FORMAT}"')
        if content.get("version") != VERSION:
            _refuse(path, f"its version is {content.get('version')!r}: this tinywase reads {VERSION}")
        odd = (content.keys() ^ KEYS) - OPTIONAL
        if odd:
            _refuse(path, f"its keys are not those of a voiceprint (missing or unknown: {', '.join(sorted(odd))})")
        numbers = content["vector"]
        notes = {note: content[note] for note in NOTES if note in content}
        if not isinstance(numbers, list) or not all(_is_number(value) for value in (*numbers, *notes.values())):
            _refuse(path, "its vector or its notes are not numbers")
        if not _is_text(content["model"]) or not _is_text(content["fingerprint"]):
            _refuse(path, "its model or fingerprint is not text")
        with np.errstate(over="ignore"):
            vector = np.array(numbers, np.float32)
        if _crc(vector) != content["crc32"]:
            _refuse(path, "its checksum (CRC-32) does not match its vector: it is damaged")
        try:
            known = {name: float(value) for name, value in notes.items()}
            return cls(vector, content["model"], content["fingerprint"], **known, left_out=False)
        except FormatError as error:
            _refuse(path, str(error).rstrip("."))


def check_voice_path(path: str | Path) -> None:
    """Refuse a recording's name, before long work too: programs would take the voiceprint for sound.

    Raises:
        OutputError: the suffix is a recording's.
    """
    path = Path(path)
    if path.suffix.lower() in (*CONTAINERS, *MEDIA_SUFFIXES):
        raise OutputError(
            f"'{path}': {path.suffix} is a recording's suffix, expected a voiceprint's. Call it "
            f"'{path.with_suffix('.voice')}'."
        )


def _object(raw: bytes, path: str | Path) -> dict[str, Any]:
    if len(raw) > MAX_FILE_BYTES:
        _refuse(path, f"it is longer than the {MAX_FILE_BYTES} bytes that a voiceprint may take")
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        _refuse(path, f"it is not JSON ({error}): damaged, cut short, or no voiceprint")
    if not isinstance(content, dict):
        _refuse(path, f"it is a JSON {type(content).__name__}: expected an object")
    return content


def _is_number(value: Any) -> bool:
    """A plain finite number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= 1e300


def _is_text(value: Any) -> bool:
    """Text that a file can hold: JSON spells halves of surrogate pairs too, UTF-8 does not."""
    return isinstance(value, str) and printable(value) == value


def _crc(vector: NDArray[np.float32]) -> int:
    return zlib.crc32(vector.astype("<f4").tobytes())


def _refuse(path: str | Path, why: str) -> NoReturn:
    raise FormatError(
        f"voiceprint '{path}': {printable(why)}. Make one with `tinywase enroll RECORDING -o NAME.voice`."
    )
