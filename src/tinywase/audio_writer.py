"""Recordings out: whole or not at all, in blocks, never over something that exists unless told to.

The suffix names the container, the encoding stays that of the mixture where the container allows it. Samples go to a
temporary file beside the output, which takes its name only when everything is written.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .audio import LOSSY, system_path
from .errors import OutputError
from .files import make_folder, whole_file

CONTAINERS = {  # suffix -> libsndfile's container, and the subtype where the container's default is not meant
    ".wav": ("WAV", ""), ".wave": ("WAV", ""), ".flac": ("FLAC", ""), ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"), ".mp3": ("MP3", ""), ".aif": ("AIFF", ""),
    ".aiff": ("AIFF", ""), ".caf": ("CAF", ""), ".au": ("AU", ""), ".w64": ("W64", ""), ".rf64": ("RF64", ""),
}  # fmt: skip
LARGEST_WAV_BYTES = 2**32 - 2**16  # sizes in WAV headers have 32 bits; the rest is room for the header
FLOATS = ("FLOAT", "DOUBLE")
SAMPLE_BY_SAMPLE = (*FLOATS, "PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW")  # others pad to blocks
FULL_SCALE = 1.0 - 2.0**-15  # the largest 16-bit sample


@dataclass(frozen=True)
class AudioFormat:
    """How samples are laid down."""

    sample_rate_hz: int
    channels: int
    container: str
    subtype: str

    @property
    def ceiling(self) -> float:
        """The largest sample that is not clipped."""
        return float("inf") if self.subtype in FLOATS else FULL_SCALE


def output_format(path: Path, *, sample_rate_hz: int, channels: int, subtype: str, frames: int) -> AudioFormat:
    """The format of a file at `path` for `frames` of a recording whose own encoding is `subtype`.

    Raises:
        OutputError: a suffix that names no container, or a container that cannot hold such a recording.
    """
    if path.suffix.lower() not in CONTAINERS:
        named = f"'{path.suffix}' is no sound file that can be written" if path.suffix else "has no suffix"
        raise OutputError(
            f"{path}: {named}, expected one of {', '.join(CONTAINERS)}. Give the output another suffix, or end it with "
            "'/' if you mean a folder."
        )
    container, wanted = CONTAINERS[path.suffix.lower()]
    if not wanted:
        keep = subtype in SAMPLE_BY_SAMPLE and soundfile.check_format(container, subtype)
        wanted = subtype if keep else soundfile.default_subtype(container)
    if container == "WAV" and frames * channels * _bytes_per_sample(wanted) > LARGEST_WAV_BYTES:
        container = "RF64"  # the same file with 64-bit sizes
    chosen = AudioFormat(sample_rate_hz, channels, container, wanted)
    _sound_file(io.BytesIO(), chosen, path).close()  # asked now, because the long work comes before the writing
    return chosen


class AudioWriter:
    """Appends blocks; made by `open_writer`.

    Attributes: peak, the largest absolute sample written so far; frames, their count per channel.
    """

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self._path = file, path
        self.peak = 0.0
        self.frames = 0

    def write(self, block: np.ndarray) -> None:
        """Append samples. Shape: float32 [any, channels]."""
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        try:
            self._file.write(block)
        except (soundfile.LibsndfileError, AssertionError, OSError) as error:  # soundfile asserts on a short write
            raise _unwritable(self._path, error) from None
        self.frames += len(block)


@contextmanager
def open_writer(path: str | Path, audio_format: AudioFormat, *, force: bool = False) -> Iterator[AudioWriter]:
    """`with open_writer(path, audio_format) as writer: writer.write(block)`; an exception inside leaves nothing."""
    kind, path = audio_format, Path(path)
    with whole_file(path, force=force) as part:
        with _sound_file(system_path(str(part)), kind, path) as file:
            writer = AudioWriter(file, path)
            yield writer
        _check_whole(part, path, writer.frames, lossy=kind.subtype in LOSSY)


def write_recording(path: Path, samples: np.ndarray, audio_format: AudioFormat, *, force: bool = False) -> None:
    """Write samples that are in memory; folders are made. Shape: [T] or [T, channels].

    Raises:
        OutputError: the file exists and `force` is false, or it cannot be written whole.
    """
    make_folder(path.parent)
    with open_writer(path, audio_format, force=force) as writer:
        writer.write(np.asarray(samples))


def _sound_file(file: str | bytes | io.BytesIO, kind: AudioFormat, path: Path) -> Any:
    """An empty sound file; `path` is its name in messages."""
    try:
        return soundfile.SoundFile(
            file, "w", samplerate=kind.sample_rate_hz, channels=kind.channels,
            format=kind.container, subtype=kind.subtype,
        )  # fmt: skip
    except soundfile.LibsndfileError as error:
        raise OutputError(
            f"{path}: {kind.container}/{kind.subtype} cannot hold {kind.channels} channels at "
            f"{kind.sample_rate_hz} Hz ({error.error_string.strip()}). Write WAV or FLAC instead."
        ) from None


def _check_whole(part: Path, path: Path, expected_frames: int, *, lossy: bool) -> None:
    """A full disk shows only here where libsndfile's own buffers are written at the end."""
    try:
        frames = soundfile.info(system_path(str(part))).frames
    except soundfile.LibsndfileError as error:
        raise _unwritable(path, error) from None
    if frames < expected_frames and not lossy:
        raise _unwritable(path, f"{frames} of {expected_frames} frames arrived")


def _unwritable(path: Path, reason: object) -> OutputError:
    detail = str(getattr(reason, "error_string", "") or reason or "short write").strip()
    return OutputError(
        f"{path}: could not be written whole ({detail}); the disk may be full. Nothing was left behind. "
        "Free some space or write elsewhere."
    )


def _bytes_per_sample(subtype: str) -> int:
    return {"PCM_U8": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}.get(subtype, 4)
