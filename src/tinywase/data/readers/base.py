"""What all readers share: options, paths of foreign machines, problems by line, and the draw of enrollments.

A reader turns one layout into trials. It never opens recordings and never asks whether they exist (check.py does). What
it cannot understand becomes a `Problem` with its line, and the other rows are still read.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DataError
from ..trials import Problem, Trial

AUDIO_SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".aiff", ".aif", ".sph", ".wv1")
BEGINNING = 65_536  # characters in which a layout must show itself; a foreign file may be a single line of gigabytes
SEARCHED_PARENTS = 4  # how far above a list the folder of its relative paths is looked for


@dataclass(frozen=True)
class ReadOptions:
    """How a list is read.

    root: folder that relative paths start from; None looks for it from the list's folder upwards.
    remap: (old, new) beginnings of paths; the first that fits is replaced.
    seed: of the enrollment draw, where the layout names none.
    split: which set of a folder that holds several (tt, test, dev, ...).
    mix: which LibriMix mixture: clean, both or single.
    enrollments: a file that maps mixtures to enrollments (SpeakerBeam); None looks for one beside the data.
    """

    root: Path | None = None
    remap: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    split: str = ""
    mix: str = ""
    enrollments: Path | None = None


@dataclass(frozen=True)
class Listing:
    """What a reader found."""

    trials: list[Trial]
    problems: list[Problem]


@dataclass(frozen=True)
class Reader:
    """One layout of the field."""

    name: str
    layout: str  # one line for people
    detect: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], Listing]


@dataclass(frozen=True)
class SourceRow:
    """One speaker's recording inside a mixture."""

    utterance: str
    speaker: str
    path: Path
    gain_db: float = 0.0
    sex: str = ""


@dataclass(frozen=True)
class MixtureRow:
    """One mixture of a list before it is known who is to be extracted: every speaker in turn."""

    name: str
    sources: tuple[SourceRow, ...]
    mixture: Path | None = None  # None: rendered from the sources
    noise: Path | None = None
    noise_gain_db: float = 0.0
    line: int = 0


@dataclass
class ListFile:
    """One list under reading: resolves its paths and collects its problems."""

    path: Path
    options: ReadOptions
    problems: list[Problem] = field(default_factory=list)
    _folder: Path | None = None

    def report(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.path, line, message))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and whitespace-separated fields of every line that is not empty."""
        for line, text in enumerate(read_text(self.path).splitlines(), start=1):
            if fields := text.split():
                yield line, fields

    def resolve(self, text: str) -> Path:
        """The path that `text` means on this machine."""
        text = text.strip()
        for old, new in self.options.remap:
            if text.startswith(old):
                text = new + text[len(old) :]
                break
        path = Path(text)
        if path.is_absolute():
            return path
        if self.options.root is not None:
            return self.options.root / path
        if self._folder is None:  # found once by a recording that exists; the first ones may be missing
            self._folder = _folder_of_relative(self.path, path)
        return (self._folder or self.path.absolute().parent) / path


def read_text(path: Path) -> str:
    """The text of a list.

    Raises:
        DataError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; expected a list or a folder. Check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text (byte {error.start} is not UTF-8); expected a list in UTF-8.") from error


def first_line(path: Path) -> str:
    """The first line that is not empty, for detection; "" if there is none or it is not text."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            beginning = stream.read(BEGINNING)
        return next((text.strip() for text in beginning.splitlines() if text.strip()), "")
    except (OSError, UnicodeDecodeError):
        return ""


def is_recording(text: str | Path) -> bool:
    """Whether a name looks like that of a recording."""
    return Path(text).suffix.lower() in AUDIO_SUFFIXES


def number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None  # also refuses nan


def _folder_of_relative(list_path: Path, example: Path) -> Path | None:
    """The folder in which `example` exists: the list's, one above it, or the working one."""
    candidates = [*list_path.absolute().parents[: SEARCHED_PARENTS + 1], Path.cwd()]
    # os.path.exists, because Path.exists raises on names that no file system takes
    return next((folder for folder in candidates if os.path.exists(folder / example)), None)


class EnrollmentPool:
    """Draws an enrollment from a speaker's other utterances: for the same seed and mixture always the same."""

    def __init__(self, utterances: Iterable[SourceRow], *, seed: int) -> None:
        self._seed = seed
        self._of_speaker: dict[str, dict[str, Path]] = defaultdict(dict)
        for row in sorted(utterances, key=lambda row: (row.speaker, row.utterance, str(row.path))):
            self._of_speaker[row.speaker].setdefault(row.utterance, row.path)

    def draw(self, row: MixtureRow, target: SourceRow) -> Path | None:
        """Another utterance of the target's speaker; None if there is none.

        The draw hashes seed, mixture and utterance, so that it depends neither on the order of the list nor on numpy.
        """
        heard = {source.utterance for source in row.sources}
        others = [path for name, path in self._of_speaker[target.speaker].items() if name not in heard]
        if not others:
            return None
        digest = hashlib.sha256(f"{self._seed}/{row.name}/{target.utterance}".encode()).digest()
        return others[int.from_bytes(digest[:8], "little") % len(others)]


Enroll = Callable[[MixtureRow, SourceRow], Path | None]


def trials_of(
    rows: Sequence[MixtureRow], source: ListFile, *, enroll: Enroll | None = None, recipe: str
) -> list[Trial]:
    """A trial for every speaker of every mixture that has an enrollment; the others become problems.

    `enroll` names the enrollment; without it, one is drawn from the other utterances in these rows.
    """
    if enroll is None:
        utterances = [utterance for row in rows for utterance in row.sources]
        enroll = EnrollmentPool(utterances, seed=source.options.seed).draw
    trials = []
    for row in rows:
        for place, target in enumerate(row.sources):
            enrollment = enroll(row, target)
            if enrollment is None:
                source.report(
                    row.line,
                    f"no enrollment for speaker '{target.speaker}' of mixture '{row.name}'; expected another utterance "
                    "of this speaker in the list. Add one, or give a file that maps mixtures to enrollments.",
                )
                continue
            trials.append(_trial(row, place, enrollment, recipe))
    return trials


def _trial(row: MixtureRow, place: int, enrollment: Path, recipe: str) -> Trial:
    target = row.sources[place]
    others = [source for other, source in enumerate(row.sources) if other != place]
    sexes = target.sex + "".join(source.sex for source in others)
    return Trial(
        mixture_id=f"{row.name}_s{place + 1}",
        enrollment=enrollment,
        target=target.path,
        mixture=row.mixture,
        interference=tuple(source.path for source in others),
        noise=row.noise,
        target_gain_db=target.gain_db,
        interference_gains_db=tuple(source.gain_db for source in others),
        noise_gain_db=row.noise_gain_db,
        recipe=recipe,
        target_speaker=target.speaker,
        interference_speaker="+".join(source.speaker for source in others),
        sexes=sexes if len(sexes) == len(row.sources) else "",
        line=row.line,
    )
