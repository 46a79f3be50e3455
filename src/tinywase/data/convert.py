"""Trials out again: as the plain CSV, as the CSV with gains, or rendered to recordings."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..audio import printable
from ..audio_writer import AudioFormat, write_recording
from ..errors import DataError, OutputError
from ..files import write_whole
from .readers.csv_lists import GAIN_COLUMNS
from .rendering import PEAK_LIMIT, render_trial
from .trials import Trial

PLAIN_COLUMNS = (
    "id", "mixture", "target", "enrollment", "interference", "target_speaker", "interference_speaker", "sexes",
)  # fmt: skip
PARTS = ("mixture", "target", "interference", "enrollment")
SPEAKER_COLUMNS = ("target_speaker", "interference_speaker", "sexes")


def to_csv(trials: Sequence[Trial]) -> str:
    """The CSV that describes the trials: mixture,target,enrollment where they are files, else sources with gains.

    Raises:
        DataError: trials that no CSV of ours describes, because they are mixed by another recipe or a name is no text.
    """
    recipes = {trial.recipe for trial in trials}
    if recipes <= {"files"}:
        return _table(PLAIN_COLUMNS, [_plain_row(trial) for trial in trials])
    if recipes <= {"equal-rms"}:
        return _table((*GAIN_COLUMNS, *SPEAKER_COLUMNS), [_gain_row(trial) for trial in trials])
    raise DataError(
        f"trials of the recipe {', '.join(sorted(recipes))}; expected finished mixtures, or dry recordings with equal "
        "levels. Render them to recordings first: tinywase data render LIST FOLDER."
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    for cell in (cell for row in rows for cell in row):
        if printable(cell) != cell:
            raise DataError(f"'{printable(cell)}' is no text in UTF-8, which a CSV is. Rename what is called so.")
    return text.getvalue()


def _plain_row(trial: Trial) -> list[str]:
    paths = (trial.mixture or "", trial.target, trial.enrollment)
    others = ";".join(str(path.absolute()) for path in trial.interference)
    files = [str(Path(path).absolute()) for path in paths]
    return [trial.mixture_id, *files, others, trial.target_speaker, trial.interference_speaker, trial.sexes]


def _gain_row(trial: Trial) -> list[str]:
    return [
        trial.mixture_id,
        str(trial.target.absolute()),
        repr(trial.target_gain_db),
        str(trial.interference[0].absolute()),
        repr(trial.interference_gains_db[0]),
        str(trial.enrollment.absolute()),
        trial.target_speaker,
        trial.interference_speaker,
        trial.sexes,
    ]


def render_list(
    trials: Sequence[Trial],
    folder: Path,
    sample_rate_hz: int,
    *,
    force: bool = False,
    progress: Callable[[float], None] = lambda done: None,
) -> Path:
    """Write folder/{mixture,target,interference,enrollment}/<id>.flac and folder/list.csv, which names them.

    The list is written last, so that it stands for a folder that is complete.

    Raises:
        DataError: trials whose names cannot be names of files of their own.
        OutputError: a recording to write is one that the list names, or it or the list exists and `force` is false,
            or the folder refuses.
    """
    names = _file_names(trials)
    listing = folder / "list.csv"
    if listing.exists() and not force:
        raise OutputError(
            f"'{listing}' exists already: nothing was written. Choose another folder or replace it (--force)."
        )
    _refuse_recordings(trials, [_file(folder, part, name) for name in names for part in PARTS], force=force)
    rows = []
    for done, (trial, name) in enumerate(zip(trials, names, strict=True), start=1):
        rows.append(_render(trial, name, folder, sample_rate_hz))
        progress(done / len(trials))
    relative = to_csv(rows).replace(f"{folder.absolute()}/", "")  # so that the folder can be moved
    write_whole(listing, relative.encode(), force=force)
    return listing


def _file(folder: Path, part: str, name: str) -> Path:
    return folder / part / f"{name}.flac"


def _refuse_recordings(trials: Sequence[Trial], outputs: Sequence[Path], *, force: bool) -> None:
    """Refuse to write over what is read, with `force` too, and over anything else without it."""
    read = {Path(path).resolve() for trial in trials for path in trial.recordings}
    for output in outputs:
        if output.resolve() in read:
            raise OutputError(
                f"'{output}' is a recording of the list itself: nothing was written. Choose another folder."
            )
        if output.exists() and not force:
            raise OutputError(
                f"'{output}' exists already: nothing was written. Choose another folder or replace it (--force)."
            )


def _file_names(trials: Sequence[Trial]) -> list[str]:
    """A name below the folder for each trial: that of its mixture."""
    names: dict[str, int] = {}
    for trial in trials:
        name = Path(trial.mixture_id)
        if name.is_absolute() or ".." in name.parts or name.name != trial.mixture_id.rpartition("/")[2]:
            raise DataError(f"trial '{trial.mixture_id}': expected a name that a file may have. Rename it in the list.")
        if str(name) in names:
            raise DataError(
                f"trial '{trial.mixture_id}' stands in lines {names[str(name)]} and {trial.line}; expected each name "
                "once, because the recordings are named by it. Rename one."
            )
        names[str(name)] = trial.line
    return list(names)


def _render(trial: Trial, name: str, folder: Path, sample_rate_hz: int) -> Trial:
    """Write the parts of a trial; gives the trial that reads them."""
    rendered = render_trial(trial, sample_rate_hz)
    mixed = [part for part in (rendered.mixture, rendered.target, rendered.interference) if part is not None]
    # recipes without a peak guard may exceed full scale, which a file would clip: the parts keep their proportions
    scale = PEAK_LIMIT / max(PEAK_LIMIT, *(float(np.abs(part).max()) for part in mixed))
    files = {}
    for part in PARTS:
        samples = getattr(rendered, part)
        if samples is not None:
            factor = 1.0 if part == "enrollment" else scale
            files[part] = _write(_file(folder, part, name), samples * factor, sample_rate_hz)
    return dataclasses.replace(
        trial,
        mixture=files["mixture"],
        target=files["target"],
        enrollment=files["enrollment"],
        interference=(files["interference"],) if "interference" in files else (),
        recipe="files",
    )


def _write(path: Path, samples: np.ndarray, sample_rate_hz: int) -> Path:
    write_recording(path, samples, AudioFormat(sample_rate_hz, 1, "FLAC", "PCM_24"), force=True)
    return path
