"""A bank as one small file, to carry speech to another machine; lossy, so for training only.

The file is a zip without compression: `utterances.csv` as in the bank, and `0000.opus`, `0001.opus`, ...: the bank's
samples in pieces of five minutes, one after the other, each an Ogg/Opus stream. Opus keeps the number of samples and
their place. Ten hours at 13 kbit/s take 59 MB. At 8 kHz and this rate levels fall by about 0.3 dB, by 2 dB above 3 kHz.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from ..errors import DataError
from ..files import make_folder, whole_file, writing
from .bank import NO_TEXT, PCM, SOURCES, TABLE, BankUtterance, SpeechBank, read_table, write_table

PIECE_S = 300
RATES_HZ = (8000, 12_000, 16_000, 24_000, 48_000)  # Opus knows no others
LEAST_KBIT_PER_S, MOST_KBIT_PER_S = 6, 256  # libsndfile's compression levels 1 and 0


def is_archive(path: Path | str) -> bool:
    """Whether a training source is such a file."""
    return zipfile.is_zipfile(path)


def write_archive(
    bank_folder: Path | str,
    path: Path | str,
    *,
    kbit_per_s: float = 13.0,
    force: bool = False,
    progress: Callable[[float], None] = lambda done: None,
) -> None:
    """Write the bank in `bank_folder` as an archive, whole or not at all, encoding on all cores.

    Raises:
        DataError: not a bank, or of a rate that Opus does not know.
        OutputError: the file exists and `force` is false, or its folder refuses.
    """
    folder, bank = Path(bank_folder), SpeechBank.load(bank_folder)
    if bank.sample_rate_hz not in RATES_HZ:
        known = ", ".join(map(str, RATES_HZ))
        raise DataError(f"{folder}: speech at {bank.sample_rate_hz} Hz, Opus knows {known}. Pack it at one of these.")
    starts = range(0, len(bank.samples), PIECE_S * bank.sample_rate_hz)

    def encode(start: int) -> bytes:
        piece = bank.samples[start : start + PIECE_S * bank.sample_rate_hz] / np.float32(PCM)
        return _encoded(piece, bank.sample_rate_hz, kbit_per_s)

    with writing(Path(path)), whole_file(path, force=force) as part, zipfile.ZipFile(part, "w") as archive:
        archive.write(folder / TABLE, TABLE)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for index, data in enumerate(pool.map(encode, starts)):
                archive.writestr(_piece_name(index), data)
                progress((index + 1) / len(starts))


def unpack_archives(
    paths: Sequence[Path | str], folder: Path | str, *, progress: Callable[[float], None] = lambda done: None
) -> SpeechBank:
    """Make one bank from archives, decoding on all cores. The folder becomes a bank only at the end.

    Raises:
        DataError: not such files, damaged, or of different rates.
        OutputError: the disk is full, or the folder refuses.
    """
    folder = Path(folder)
    samples = folder / "samples.npy"
    make_folder(folder)
    with contextlib.ExitStack() as opened:
        parts = [_Part.open(path, opened) for path in paths]
        rates = sorted({part.rate_hz for part in parts})
        if len(rates) != 1:
            raise DataError(
                f"archives at {' and '.join(map(str, rates))} Hz: one bank has one rate. Unpack them apart."
            )
        # whoever maps the old samples keeps them, and a damaged archive leaves the old bank whole
        with whole_file(samples, force=True) as target:
            with writing(samples):
                places = _set_aside(target, sum(part.length for part in parts))
            _decode_all(parts, places, progress)
            (folder / TABLE).unlink(missing_ok=True)  # no table without its samples
            (folder / SOURCES).unlink(missing_ok=True)
    write_table(folder, _joined(parts), rates[0])
    return SpeechBank.load(folder)


@dataclass(frozen=True)
class _Part:
    """One archive, open."""

    path: Path
    archive: zipfile.ZipFile
    utterances: tuple[BankUtterance, ...]
    rate_hz: int

    @classmethod
    def open(cls, path: Path | str, opened: contextlib.ExitStack) -> _Part:
        path = Path(path)
        with _explained(path):
            archive = opened.enter_context(zipfile.ZipFile(path))
            utterances, rates = read_table(io.StringIO(archive.read(TABLE).decode(errors=NO_TEXT)))
            if len(rates) != 1:
                raise ValueError(f"{TABLE} is empty, or of several sampling rates")
            return cls(path, archive, utterances, rates.pop())

    @property
    def length(self) -> int:
        """Samples of everything."""
        return max(utterance.start + utterance.length for utterance in self.utterances)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what is wrong with an archive.

    Raises:
        DataError: whatever it was.
    """
    try:
        yield
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, csv.Error, soundfile.SoundFileError) as error:
        message = f"{path}: not a whole speech archive ({error}). Make it again with 'tinywase data archive'."
        raise DataError(message) from error


def _joined(parts: Sequence[_Part]) -> list[BankUtterance]:
    """The utterances of all, where they are once the samples stand one after another."""
    found: list[BankUtterance] = []
    before = 0
    for part in parts:
        found += [replace(utterance, start=utterance.start + before) for utterance in part.utterances]
        before += part.length
    return found


def _set_aside(target: Path, length: int) -> np.memmap:
    """Room for so many samples in `target` (npy). Mapped files begin with holes, and a disk that has no room left for
    one of them ends the process (SIGBUS): whether it has is asked first, where the system can say."""
    samples = np.lib.format.open_memmap(target, "w+", np.int16, (length,))
    if hasattr(os, "posix_fallocate"):
        with target.open("rb+") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, target.stat().st_size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system without it
                    raise
    return samples


def _decode_all(parts: Sequence[_Part], samples: np.memmap, progress: Callable[[float], None]) -> None:
    """Fill `samples` with those of all pieces."""
    piece_samples, pieces, before = PIECE_S * parts[0].rate_hz, [], 0
    for part in parts:
        places = np.split(samples[before : before + part.length], range(piece_samples, part.length, piece_samples))
        pieces += [(part, index, place) for index, place in enumerate(places)]
        before += part.length
    reading = threading.Lock()  # a zip file is read by one at a time

    def decode(piece: tuple[_Part, int, np.ndarray]) -> None:
        part, index, place = piece
        with _explained(part.path):
            with reading:
                data = part.archive.read(_piece_name(index))
            audio, _ = soundfile.read(io.BytesIO(data), dtype="float32")
            if audio.shape != place.shape:
                raise ValueError(f"{_piece_name(index)} holds {len(audio)} samples, expected {len(place)}")
            place[:] = np.rint(np.clip(audio, -1.0, 1.0) * PCM)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(decode, pieces), 1):
            progress(done / len(pieces))
    samples.flush()


def _encoded(samples: np.ndarray, rate_hz: int, kbit_per_s: float) -> bytes:
    """Ogg/Opus bytes of float32 [T]."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format="OGG", subtype="OPUS", compression_level=opus_level(kbit_per_s))
    return out.getvalue()


def opus_level(kbit_per_s: float) -> float:
    """libsndfile's compression level for a bit rate of mono Opus."""
    return min(1.0, max(0.0, 1 - (kbit_per_s - LEAST_KBIT_PER_S) / (MOST_KBIT_PER_S - LEAST_KBIT_PER_S)))


def _piece_name(index: int) -> str:
    return f"{index:04d}.opus"
