"""`tinywase data check`: every broken row of a list or training source, by file and line, before a night of training.

On top of what readers find: files that are missing, unreadable, truncated or silent; mixtures whose target has another
rate or length; enrollments that are the target itself; repeated rows; speakers whom nobody could enroll.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import open_audio
from ..errors import AudioError, DataError
from ..progress import Progress
from .missing import start_of, way_out
from .readers import READERS, ReadOptions, find_reader, recognize, why_unknown
from .trials import Problem, Trial
from .utterances import UTTERANCE_READERS, Utterance, by_speaker, list_utterances

SILENT_PEAK = 1e-4  # -80 dB of full scale: below any recorded speech
SHORTEST_ENROLLMENT_S = 1.0


@dataclass(frozen=True)
class Recording:
    """What a file turned out to be."""

    sample_rate_hz: int
    frames: int
    fault: str = ""  # why it cannot be used; "" if it can
    missing: bool = False  # there is no such file

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate_hz if self.sample_rate_hz else 0.0


@dataclass(frozen=True)
class CheckReport:
    """What was looked at, and what is wrong with it."""

    path: Path
    layout: str
    rows: int
    speakers: int
    recordings: int
    seconds: float
    problems: tuple[Problem, ...]


def check(
    path: str | Path,
    options: ReadOptions | None = None,
    *,
    format: str | None = None,
    listen: bool = True,
    progress: Progress = lambda done: None,
) -> CheckReport:
    """Check a list of trials or a training source.

    Args:
        listen: decode every file (finds silence and truncation) instead of reading headers only.
        progress: told the part done, 0..1.

    Raises:
        DataError: the path is nothing that could be checked.
    """
    path, options = Path(path).expanduser(), options or ReadOptions()
    training = {reader.name for reader in UTTERANCE_READERS}
    if not path.exists():
        raise DataError(f"'{path}' does not exist; expected a list or a folder of recordings. Check the path.")
    start = start_of(path, options.root)
    reader = find_reader(path, format) if format is not None and format not in training else recognize(path)
    if reader is None and format is None and not any(one.detect(path) for one in UTTERANCE_READERS):
        raise _unknown(path)
    if reader is None or format in training:
        listing = list_utterances(path, options, format=format)
        layout = format or next(one.name for one in UTTERANCE_READERS if one.detect(path))
        files = _inspect([one.path for one in listing.utterances], start, listen=listen, progress=progress)
        return _check_source(path, layout, listing.utterances, listing.problems, files)
    found = reader.read(path, options)
    named = [file for trial in found.trials for file in trial.recordings]
    files = _inspect(named, start, listen=listen, progress=progress)
    return _check_trials(path, reader.name, found.trials, found.problems, files)


def _unknown(path: Path) -> DataError:
    """Neither a list of trials nor a training source."""
    trials, sources = (", ".join(reader.name for reader in readers) for readers in (READERS, UTTERANCE_READERS))
    return DataError(
        f"'{path}' is none of the known layouts, of trials ({trials}) or training sources ({sources}). "
        f"{why_unknown(path)} Write a CSV with the columns mixture,target,enrollment, or path,speaker for training; "
        "`tinywase data formats` describes them all."
    )


def _check_trials(
    path: Path, layout: str, trials: Sequence[Trial], problems: Sequence[Problem], files: dict[Path, Recording]
) -> CheckReport:
    found = list(problems)
    first_lines: dict[str, int] = {}
    for trial in trials:
        broken = _trial_faults(trial, files)
        if trial.mixture_id in first_lines:
            broken.append(
                f"trial '{trial.mixture_id}' again, first in line {first_lines[trial.mixture_id]}; expected each once. "
                "Remove one or rename it."
            )
        first_lines.setdefault(trial.mixture_id, trial.line)
        found += _faults(trial.recordings, files, path, trial.line)
        found += [Problem(path, trial.line, message) for message in broken]
    if not trials and not found:
        found.append(Problem(path, 0, "no trials; expected at least one row. Check that this is the list you meant."))
    speakers = {trial.target_speaker for trial in trials if trial.target_speaker}
    return _report(path, layout, len(trials), len(speakers), files, found)


def _trial_faults(trial: Trial, files: dict[Path, Recording]) -> list[str]:
    """What is wrong with the parts of a trial together."""
    faults = []
    enrollment, target = files[trial.enrollment], files[trial.target]
    if os.path.realpath(trial.enrollment) == os.path.realpath(trial.target):
        faults.append(
            f"the enrollment is the target itself ({trial.target}); expected another recording of the speaker, "
            "because this one gives the answer away. Choose another."
        )
    if any(os.path.realpath(trial.enrollment) == os.path.realpath(other) for other in trial.interference):
        faults.append(f"the enrollment is the interference ({trial.enrollment}); expected the target speaker's voice.")
    if not enrollment.fault and enrollment.seconds < SHORTEST_ENROLLMENT_S:
        faults.append(
            f"the enrollment {trial.enrollment} lasts {enrollment.seconds:.2f} s; expected {SHORTEST_ENROLLMENT_S:g} s "
            "or more. Choose a longer one."
        )
    if trial.mixture is None or files[trial.mixture].fault or target.fault:
        return faults
    mixture = files[trial.mixture]
    if mixture.sample_rate_hz != target.sample_rate_hz:
        faults.append(
            f"the mixture {trial.mixture} has {mixture.sample_rate_hz} Hz, its target {target.sample_rate_hz} Hz; "
            "expected one rate. Take both from the same set."
        )
    elif mixture.frames != target.frames:
        faults.append(
            f"the mixture {trial.mixture} has {mixture.frames} samples, its target {target.frames}; expected as many. "
            "Take both from the same set (min or max)."
        )
    return faults


def _check_source(
    path: Path, layout: str, utterances: Sequence[Utterance], problems: Sequence[Problem], files: dict[Path, Recording]
) -> CheckReport:
    found = list(problems)
    first_lines: dict[str, int] = {}
    for utterance in utterances:
        where = path if utterance.line else utterance.path
        found += _faults([utterance.path], files, where, utterance.line)
        real = os.path.realpath(utterance.path)
        if real in first_lines:
            message = f"{utterance.path} again, first in line {first_lines[real]}; expected each once. Remove one."
            found.append(Problem(where, utterance.line, message))
        first_lines.setdefault(real, utterance.line)
    speakers = by_speaker(utterances)
    for speaker, own in speakers.items():
        if len(own) == 1 and own[0].target:
            found.append(
                Problem(
                    path,
                    own[0].line,
                    f"speaker '{speaker}' has a single utterance; expected two or more, one to extract and another to "
                    "enroll. Add one, or cut it into halves.",
                )
            )
    if not utterances and not found:
        found.append(Problem(path, 0, "no recordings; expected <speaker>/*.wav or rows of a manifest. Check the path."))
    return _report(path, layout, len(utterances), len(speakers), files, found)


def _report(
    path: Path, layout: str, rows: int, speakers: int, files: dict[Path, Recording], problems: Sequence[Problem]
) -> CheckReport:
    ordered = sorted(problems, key=lambda problem: (str(problem.file), problem.line))
    seconds = sum(recording.seconds for recording in files.values())
    return CheckReport(path, layout, rows, speakers, len(files), seconds, tuple(ordered))


def _faults(paths: Sequence[Path], files: dict[Path, Recording], where: Path, line: int) -> list[Problem]:
    """What is wrong with each of the recordings that a row names."""
    return [
        Problem(where, line, files[path].fault, missing=path if files[path].missing else None)
        for path in dict.fromkeys(paths)
        if files[path].fault
    ]


def _inspect(paths: Sequence[Path], start: Path, *, listen: bool, progress: Progress) -> dict[Path, Recording]:
    """Look at each file once."""
    distinct = list(dict.fromkeys(paths))
    files = {}
    for done, path in enumerate(distinct, start=1):
        files[path] = inspect_recording(path, listen=listen, start=start)
        progress(done / len(distinct))
    return files


def inspect_recording(path: Path, *, listen: bool = True, start: Path | None = None) -> Recording:
    """Rate, length and what is wrong with one file; `start` is the folder that the list's relative paths start from."""
    if not os.path.exists(path):
        return Recording(0, 0, f"no file {path}; expected a recording. {way_out([path], start)}", missing=True)
    try:
        with open_audio(path) as reader:
            rate_hz, frames = reader.sample_rate_hz, reader.frames
            peak = max((float(np.abs(block).max()) for block in reader.blocks()), default=0.0) if listen else 1.0
    except AudioError as error:
        return Recording(0, 0, str(error))
    if peak < SILENT_PEAK:
        return Recording(
            rate_hz, frames, f"{path} is silent (peak {peak:.1e}); expected speech. Record it again or remove it."
        )
    return Recording(rate_hz, frames)
