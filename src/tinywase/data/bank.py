"""A speech bank: a corpus at the model's rate in one memory-mapped file, so that training never decodes.

A bank is a folder with `samples.npy` (int16 [total samples]) and `utterances.csv` (speaker, source, start, length); one
that a training made also has `sources.json`, what it was made from.
Ten hours at 8 kHz take 580 MB on disk and almost no memory. Letters: T samples.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..audio import open_audio
from ..blocks import mono_at
from ..errors import DataError
from ..files import make_folder, whole_file, write_whole, writing
from .utterances import Utterance

PCM = 32767.0
SOURCES, TABLE = "sources.json", "utterances.csv"
SILENT_RMS = 1e-4
NO_TEXT = "surrogateescape"  # speakers are named by folders, whose names may be any bytes


@dataclass(frozen=True)
class BankUtterance:
    """Where one utterance lies in the bank."""

    speaker: str
    source: str
    target: bool  # False: its speaker label is not trusted, use it as interference only
    start: int  # samples
    length: int  # samples


@dataclass(frozen=True)
class SpeechBank:
    """All utterances, and for each speaker which are theirs."""

    samples: np.ndarray  # int16 [total]
    utterances: tuple[BankUtterance, ...]
    sample_rate_hz: int
    target_speakers: tuple[str, ...]  # speakers with at least two utterances: one to extract, one to enroll
    by_speaker: dict[str, tuple[int, ...]]  # speaker -> indices of their utterances

    @classmethod
    def load(cls, folder: Path | str) -> SpeechBank:
        """Open a bank that `build_bank` wrote.

        Raises:
            DataError: the folder is not a bank, or was cut short.
        """
        folder = Path(folder)
        try:
            samples = np.load(folder / "samples.npy", mmap_mode="r")
            with (folder / TABLE).open(newline="", encoding="utf-8", errors=NO_TEXT) as rows:
                utterances, rates = read_table(rows)
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            raise DataError(f"{folder}: not a speech bank ({error}). Make one with 'tinywase data pack'.") from error
        whole = all(u.start >= 0 and u.length > 0 and u.start + u.length <= len(samples) for u in utterances)
        if len(rates) != 1 or not whole:
            raise DataError(f"{folder}: the bank is empty or cut short. Make it again with 'tinywase data pack'.")
        by_speaker: dict[str, list[int]] = {}
        for index, utterance in enumerate(utterances):
            by_speaker.setdefault(utterance.speaker, []).append(index)
        targets = sorted(s for s, own in by_speaker.items() if len(own) > 1 and utterances[own[0]].target)
        return cls(samples, utterances, rates.pop(), tuple(targets), {s: tuple(i) for s, i in by_speaker.items()})

    def audio(self, index: int, first: int = 0, count: int | None = None) -> np.ndarray:
        """Samples of utterance `index`. Shape: -> float32 [T]."""
        utterance = self.utterances[index]
        end = utterance.length if count is None else min(utterance.length, first + count)
        return self.samples[utterance.start + first : utterance.start + end].astype(np.float32) / np.float32(PCM)

    def source_of(self, speaker: str) -> str:
        """The corpus a speaker is from."""
        return self.utterances[self.by_speaker[speaker][0]].source

    @property
    def seconds(self) -> float:
        """Length of everything."""
        return sum(u.length for u in self.utterances) / self.sample_rate_hz


def build_bank(
    utterances: Sequence[Utterance],
    folder: Path | str,
    sample_rate_hz: int,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> SpeechBank:
    """Decode utterances into a bank; silent recordings are left out. The folder becomes a bank only at the end.

    Raises:
        AudioError: a recording cannot be read.
        DataError: nothing usable among them.
    """
    folder = Path(folder)
    make_folder(folder)
    rows: list[BankUtterance] = []
    samples = folder / "samples.npy"
    # whoever maps the old samples keeps them, because the new ones are another file
    with writing(samples), whole_file(samples, force=True) as part, part.open("wb") as out:
        start = 0
        _write_header(out, start)  # how many there are is known at the end
        for done, utterance in enumerate(utterances, 1):
            audio = _decoded(utterance.path, sample_rate_hz)
            if len(audio) and float(np.sqrt(np.mean(audio**2))) >= SILENT_RMS:
                out.write(np.clip(np.rint(audio * PCM), -PCM - 1, PCM).astype("<i2").tobytes())
                rows.append(BankUtterance(utterance.speaker, utterance.source, utterance.target, start, len(audio)))
                start += len(audio)
            progress(done)
        if not rows:
            raise DataError(f"{folder}: no usable recording among the sources. Check them with 'tinywase data check'.")
        out.seek(0)
        _write_header(out, start)
        (folder / TABLE).unlink(missing_ok=True)  # no table without its samples
        (folder / SOURCES).unlink(missing_ok=True)
    write_table(folder, rows, sample_rate_hz)
    return SpeechBank.load(folder)


def write_bank(folder: Path, samples: np.ndarray, utterances: Sequence[BankUtterance], sample_rate_hz: int) -> None:
    """A new bank of samples that are at hand. Shape: int16 [total]."""
    np.save(folder / "samples.npy", samples)
    write_table(folder, utterances, sample_rate_hz)


def read_table(lines: Iterable[str]) -> tuple[tuple[BankUtterance, ...], set[int]]:
    """The utterances of a bank's table, and their sampling rates, which should be one.

    Raises:
        ValueError, KeyError, TypeError, csv.Error: it is damaged.
    """
    table = list(csv.DictReader(lines))
    utterances = tuple(
        BankUtterance(r["speaker"], r["source"], r["target"] == "1", int(r["start"]), int(r["length"])) for r in table
    )
    return utterances, {int(row["rate_hz"]) for row in table}


def write_table(folder: Path, utterances: Sequence[BankUtterance], sample_rate_hz: int) -> None:
    """What `read_table` reads, whole or not at all."""
    text = io.StringIO()
    rows = [(u.speaker, u.source, int(u.target), u.start, u.length, sample_rate_hz) for u in utterances]
    csv.writer(text).writerows([("speaker", "source", "target", "start", "length", "rate_hz"), *rows])
    write_whole(folder / TABLE, text.getvalue().encode(errors=NO_TEXT), force=True)


def _decoded(path: Path, rate_hz: int) -> np.ndarray:
    """A recording without its mean. Shape: -> float32 [T]."""
    with open_audio(path) as reader:
        audio = mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=rate_hz)
    return audio - audio.mean() if len(audio) else audio


def _write_header(out: BinaryIO, count: int) -> None:
    """NumPy's header of `count` int16; it is padded, and so equally long for every count."""
    np.lib.format.write_array_header_1_0(out, {"descr": "<i2", "fortran_order": False, "shape": (count,)})
