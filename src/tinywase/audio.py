"""Recordings in: any file libsndfile or PyAV knows, arrays, bytes, file objects, pipes; always in blocks, never whole.

What a file is, its content says, not its name. A block is float32 [frames, channels] in -1..1. What cannot be used is
refused here and nowhere else: foreign, empty or truncated files, rates outside 4..192 kHz, more than 32 channels,
samples that are not finite or far too large (with the time of the first one). What becomes of the blocks: blocks.py.
"""

from __future__ import annotations

import io
import math
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from .arguments import whole_number
from .errors import AudioError
from .media import MEDIA_SUFFIXES, decode_media
from .mpeg import SUFFIXES as MPEG_SUFFIXES
from .mpeg import Lengthened, tells_its_length
from .sniff import HEAD_BYTES, may_be_mpeg, media_kind
from .truncation import refuse_truncated, truncated

Source = str | os.PathLike | bytes | BinaryIO | np.ndarray


@dataclass(frozen=True)
class Track:
    """One of a film's sound tracks, as a source: `Track("film.mkv", 2)` is the second."""

    path: str | os.PathLike
    number: int

    def __fspath__(self) -> str:
        return os.fspath(self.path)


BLOCK_FRAMES = 65_536
LOWEST_RATE_HZ = 4_000
HIGHEST_RATE_HZ = 192_000
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:[/\\]", re.IGNORECASE)
WHOLE_RATE = "a whole number of Hz, for example 16000"
LOSSY = ("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "VORBIS", "OPUS")
LOSSY_SHORTFALL_S = 0.1  # headers of lossy files only estimate their length
MALFORMED = 3  # libsndfile's error of files whose kind it knows and that are damaged
ENDLESS_FRAMES = 2**62  # libsndfile's word for a length that the file does not tell, or half of it
LOUDEST = 1e6  # floats are -1..1, or a careless program's integers; the squares of much more are beyond float32
MOST_CHANNELS = 32  # of a mixing desk; every channel that differs takes as long as a recording of one


class AudioReader:
    """One recording that can be read any number of times from its start. Made by `open_audio`.

    Attributes: name (for messages), sample_rate_hz, channels, frames (as declared), container and subtype (libsndfile's
    names, "" and "FLOAT" for arrays).
    """

    def __init__(self, name: str, *, sample_rate_hz: int, channels: int, frames: int, subtype: str) -> None:
        self.name = printable(name)
        self.sample_rate_hz = sample_rate_hz
        self.channels = channels
        self.frames = frames
        self.container = ""
        self.subtype = subtype
        if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
            raise AudioError(
                f"{name}: the sample rate is {sample_rate_hz} Hz, expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz. "
                "Correct the rate if it is wrong, or resample the recording first."
            )
        if frames == 0 or channels == 0:
            raise AudioError(f"{name}: holds no samples, expected at least one. Check how the recording was made.")
        if channels > MOST_CHANNELS:
            raise AudioError(
                f"{name}: has {channels} channels, expected at most {MOST_CHANNELS}. Keep those that are nearest to "
                "the voice, or check what wrote the file."
            )

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[np.ndarray]:
        """The recording from its start. Shape: float32 [<= frames, channels] each.

        Raises:
            AudioError: samples that are not finite or beyond LOUDEST, or a file that ends before its time.
        """
        position = 0
        for block in self._raw_blocks(frames):
            if not (np.abs(block) <= LOUDEST).all():  # NaN neither
                raise self._impossible(block, position)
            position += len(block)
            yield block

    def _impossible(self, block: np.ndarray, position: int) -> AudioError:
        """The first sample that no recording has, in a block that begins at `position`. Shape: [any, channels]."""
        frame, channel = np.argwhere(~(np.abs(block) <= LOUDEST))[0]
        value = float(block[frame, channel])
        what = (
            f"{value:g}, expected -1..1 or about that, {LOUDEST:g} at most"
            if math.isfinite(value)
            else "NaN or infinite, expected finite samples"
        )
        return AudioError(
            f"{self.name}: the sample at {(position + frame) / self.sample_rate_hz:.3f} s is {what}. The recording was "
            "damaged when it was written: export it again."
        )

    def _raw_blocks(self, frames: int) -> Iterator[np.ndarray]:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _ArrayReader(AudioReader):
    def __init__(self, samples: np.ndarray, sample_rate_hz: int) -> None:
        self._samples = _as_columns(samples)
        frames, channels = self._samples.shape
        super().__init__("array", sample_rate_hz=sample_rate_hz, channels=channels, frames=frames, subtype="FLOAT")

    def _raw_blocks(self, frames: int) -> Iterator[np.ndarray]:
        for start in range(0, self.frames, frames):
            yield self._samples[start : start + frames]


class _SequentialFile(soundfile.SoundFile):
    """Reads on without the seek that soundfile adds to every block: MP3 decoders lose their history by it."""

    def seekable(self) -> bool:
        return False


class _FileReader(AudioReader):
    """Of a path or an open file, as libsndfile opened it."""

    def __init__(self, opened: _SequentialFile, file: Any, name: str, track: int = 1) -> None:
        self._owned: list[Any] = [opened, *([file] if hasattr(file, "read") else [])]
        self._file = opened
        try:
            if track != 1:
                raise AudioError(f"{printable(name)}: sound track {track} was asked for, it has one. Leave that out.")
            refuse_truncated(self._file, printable(name))
            frames = self._file.frames
            if self._file.subtype.startswith("MPEG"):
                frames = self._counted_anew(file, name) or frames
            elif frames >= ENDLESS_FRAMES:  # FLAC that was written to a pipe
                frames = self._counted(name)
            super().__init__(
                name,
                sample_rate_hz=self._file.samplerate,
                channels=self._file.channels,
                frames=frames,
                subtype=self._file.subtype,
            )
        except BaseException:
            self.close()
            raise
        self.container = self._file.format

    def _counted_anew(self, file: Any, name: str) -> int:
        """The frames of an MPEG file that does not tell them, opened anew so that all can be read; 0 of others."""
        if isinstance(file, str):
            file = open(file, "rb")  # noqa: SIM115 (closed with the others)
            self._owned.append(file)
        if tells_its_length(file):
            return 0
        self._file = _sequential_file(Lengthened(file), name)
        self._owned.insert(0, self._file)
        return self._counted(name)

    def _counted(self, name: str) -> int:
        """The frames, all of which are read for that."""
        count = 0
        try:
            while len(block := self._file.read(BLOCK_FRAMES, dtype="float32")):
                count += len(block)
        except soundfile.LibsndfileError:
            raise truncated(printable(name), count / self._file.samplerate, None) from None
        return count

    def _raw_blocks(self, frames: int) -> Iterator[np.ndarray]:
        count = 0
        try:
            self._file.seek(0)
            while len(block := self._file.read(frames, dtype="float32", always_2d=True)):
                count += len(block)
                yield block
        except soundfile.LibsndfileError:  # the block is lost, but libsndfile stands behind what it could decode of it
            raise self._ended_early(max(count, self._file.tell())) from None
        tolerated = LOSSY_SHORTFALL_S * self.sample_rate_hz if self.subtype in LOSSY else 0
        if count < self.frames - tolerated:
            raise self._ended_early(count)

    def _ended_early(self, count: int) -> AudioError:
        return truncated(self.name, count / self.sample_rate_hz, self.frames / self.sample_rate_hz)

    def close(self) -> None:
        for file in self._owned:
            file.close()


class _DamagedError(AudioError):
    """libsndfile knows what the file is, and that it is damaged."""


def _sequential_file(file: Any, name: str) -> _SequentialFile:
    try:
        return _SequentialFile(system_path(file) if isinstance(file, str) else file)
    except (soundfile.LibsndfileError, TypeError) as error:  # the latter of headerless files, whose rate it wants
        why = getattr(error, "error_string", "raw samples without a header").strip().rstrip(".")
        kind = _DamagedError if getattr(error, "code", None) == MALFORMED else AudioError
        raise kind(
            f"{printable(name)}: not a recording that can be read ({why}). Expected WAV, FLAC, OGG, MP3 or another "
            "format of libsndfile; convert it, for example: ffmpeg -i INPUT output.wav"
        ) from None


def system_path(path: str) -> str | bytes:
    """A path as soundfile takes it whatever its name is: bytes where names may be no text."""
    return os.fsencode(path) if os.name == "posix" else path


def printable(name: str) -> str:
    """A file's name for messages: bytes that are no text, which Linux allows, as question marks."""
    return name.encode(errors="replace").decode()


def is_array(source: object) -> bool:
    """Samples in memory, which need their rate beside them."""
    return hasattr(source, "__array__")


def source_path(source: Source) -> Path | None:
    """Where a source lies, as far as it tells: paths and open files do."""
    named = source if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    return Path(os.fspath(named)) if isinstance(named, (str, os.PathLike)) else None


def open_audio(source: Source, *, sample_rate_hz: int | None = None) -> AudioReader:
    """A reader of `source`: a path, `-` (standard input), bytes, a file-like object, or an array with its rate.

    Films and what phones record (mp4, m4a, mkv, ...) need the extra `media`; of a film with several sound tracks a path
    is the first, a `Track` any. Arrays (of numpy, or whatever turns into one) are [T] or
    [T, channels], floats in -1..1 or integers.

    Raises:
        AudioError: what cannot be used as a recording.
        ConfigError: a rate that is no whole number.
    """
    if is_array(source):
        if sample_rate_hz is None:
            raise AudioError("an array carries no sample rate. Pass sample_rate_hz=, for example 16000.")
        return _ArrayReader(np.asarray(source), whole_number("sample_rate_hz", sample_rate_hz, WHOLE_RATE))
    if not isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) and not hasattr(source, "read"):
        raise AudioError(
            f"got a {type(source).__name__}, expected a recording: a path, bytes, an open file or a numpy array. Give "
            "several one by one: enroll(*recordings)."
        )
    if sample_rate_hz is not None:
        raise AudioError(f"sample_rate_hz = {sample_rate_hz} was given with a file, which says its own. Leave it out.")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _open_file(_not_empty(io.BytesIO(source), "bytes"), "bytes")
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "file"))
        _refuse_text(source, name)
        seekable = hasattr(source, "seekable") and source.seekable()
        # soundfile would leave the caller's file open on success only; a private reader leaves it open always
        return _open_file(_not_empty(_Borrowed(source) if seekable else _spooled(source), name), name)
    track = source.number if isinstance(source, Track) else 1
    if os.fspath(source) == "-":
        return _open_file(_not_empty(_spooled(sys.stdin.buffer), "standard input"), "standard input", track)
    return _open_path(Path(os.fspath(source)), track)


def is_address(source: object) -> bool:
    """Whether what was given for a path is an address, as of the web; a drive's letter is none."""
    return isinstance(source, (str, os.PathLike)) and ADDRESS.match(os.fspath(source)) is not None


def _open_path(path: Path, track: int) -> AudioReader:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last of names that hold a NUL
        if is_address(path):
            raise AudioError(
                f"{path}: is an address, expected a file: nothing is fetched here. Download it first, then name the "
                "file."
            ) from None
        raise AudioError(f"{path}: there is no such file. Check the path.") from None
    except OSError as error:  # too long a name, a folder above it that refuses
        raise AudioError(f"{path}: cannot be opened ({error.strerror}). Check the path and its permissions.") from None
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path}: is a folder, expected a recording. Name a file in it.")
    if not stat.S_ISREG(mode):  # a pipe, as of a shell's <(command)
        with path.open("rb") as pipe:
            return _open_file(_not_empty(_spooled(pipe), str(path)), str(path), track)
    try:
        with path.open("rb") as file:
            _not_empty(file, str(path))
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror}). Check its permissions.") from None
    if path.suffix.lower() == ".voice":
        raise AudioError(
            f"{path}: is a voiceprint, expected a recording. A voiceprint stands alone: give it to --voice, or to "
            "Voiceprint.load."
        )
    return _open_file(str(path), str(path), track)


def _open_file(file: Any, name: str, track: int = 1) -> AudioReader:
    """A path, or a seekable file that is closed with its reader: by libsndfile, or else by PyAV."""
    head, suffix = _head(file), Path(name).suffix.lower()
    kind, refused = media_kind(head), None
    if not kind:
        if isinstance(file, str) and suffix in MPEG_SUFFIXES and not may_be_mpeg(head):
            file = open(file, "rb")  # noqa: SIM115 (closed below; by its name it would go to libmpg123, which complains)
        try:
            opened = _sequential_file(file, name)
        except AudioError as error:
            refused = error
        else:
            return _FileReader(opened, file, name, track)
    with open(file, "rb") if isinstance(file, str) else file as media:
        if isinstance(refused, _DamagedError):  # of which PyAV would read what there is, without a word
            raise refused
        media.seek(0)
        try:
            sound = decode_media(media, printable(name), kind=kind or suffix, track=track)
        except AudioError:
            if refused is not None and suffix not in MEDIA_SUFFIXES:  # no film, as far as anybody knows
                raise refused from None
            raise
    return _FileReader(_sequential_file(sound, name), sound, name)


def _head(file: Any) -> bytes:
    """The first bytes of a path, or of a file that stays at its start."""
    if isinstance(file, str):
        with open(file, "rb") as opened:
            return opened.read(HEAD_BYTES)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return head


def _as_columns(samples: np.ndarray) -> np.ndarray:
    """Any numeric [T] or [T, channels] as float32 [T, channels]; integers are divided by their full scale."""
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise AudioError(
            f"array of shape {samples.shape} and type {samples.dtype}: expected numbers of shape [T] or [T, channels]."
        )
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        raise AudioError(
            f"array of shape {samples.shape}: expected [T, channels], and {samples.shape[1]} channels are unlikely. "
            "Pass its transpose (array.T)."
        )
    columns = samples[:, None] if samples.ndim == 1 else samples
    if samples.dtype.kind == "f":
        return columns.astype(np.float32, copy=False)
    return whole_numbers(columns)


def whole_numbers(samples: np.ndarray) -> np.ndarray:
    """Integers of any width as float32, full scale as 1. Shape: any."""
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return ((samples - half if samples.dtype.kind == "u" else samples) / half).astype(np.float32)


def _refuse_text(file: Any, name: str) -> None:
    """libsndfile reads by callbacks, in which a file's own complaint would only be printed."""
    try:
        text = isinstance(file.read(0), str)
    except (OSError, ValueError) as error:  # closed, or open for writing alone
        raise AudioError(f"{printable(name)}: cannot be read ({error}). Open it with mode 'rb'.") from None
    if text:
        raise AudioError(f"{printable(name)}: gives text, expected bytes. Open it with mode 'rb', not 'r'.")


class _Borrowed(io.RawIOBase):
    """A caller's file that stays open when we are done."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()


def _spooled(pipe: Any) -> BinaryIO:
    """A pipe's bytes in a nameless temporary file, because recordings are read twice."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by its reader)
    shutil.copyfileobj(pipe, file)
    file.seek(0)
    return file


def _not_empty(file: Any, name: str) -> Any:
    file.seek(0, io.SEEK_END)
    if file.tell() == 0:
        raise AudioError(f"{name}: is empty (0 bytes), expected a recording. Check how it was made.")
    file.seek(0)
    return file
