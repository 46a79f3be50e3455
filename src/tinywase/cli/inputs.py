"""Which recordings are meant, and where their results go: files, folders, globs; a file or a folder out."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import OutputError
from .console import note

if TYPE_CHECKING:
    from ..audio import Source

PIPE = "-"
READ_ALONE = (".aifc", ".bwf", ".mp2", ".snd", ".sph", ".voc")  # recordings that are never written
SEVERAL_ENROLLMENTS = " (several enrollments: repeat --enroll, or name a folder or a quoted pattern)"

SoundTrack = Annotated[  # the type of a `track`
    int | None, typer.Option("--track", metavar="N", min=1, help="Which sound track of a film; the first if empty.")
]


@dataclass(frozen=True)
class Job:
    """One recording and the files made from it."""

    mixture: str
    output: Path
    residual: Path | None
    labels: Path | None

    @property
    def outputs(self) -> list[Path]:
        """All files that are made."""
        return [path for path in (self.output, self.residual, self.labels) if path is not None]


@dataclass(frozen=True)
class Plan:
    """All jobs, and whether they were asked for as one file or as many."""

    jobs: list[Job]
    many: bool


def plan(
    mixtures: Sequence[str],
    out_given: str,
    *,
    residual: Path | None,
    labels: Path | None,
    label_suffix: str,
    enrollments: Sequence[Path],
    also_read: Sequence[Path],
    quiet: bool = False,
) -> Plan:
    """One file gives a file, unless `out_given` is a folder or ends like one; folders, globs and several give a folder.

    In a folder every result has the name of its recording, and `residual` and `labels` are folders too. No result may
    replace a recording, an enrollment or what is `also_read`. What a folder holds besides is told unless `quiet`.
    """
    out = Path(out_given)
    out_is_folder = out.is_dir() or out_given.endswith(tuple(filter(None, (os.sep, os.altsep))))
    if len(mixtures) == 1 and not stands_for_many(mixtures[0]) and not out_is_folder:
        jobs = [Job(mixtures[0], out, residual, labels)]
        many = False
    else:
        hint = SEVERAL_ENROLLMENTS if len(mixtures) > 1 and enrollments else ""
        _refuse_files(hint, out=out, residual=residual, labels=labels)
        found = _expanded(mixtures, out, quiet=quiet)
        jobs, many = [_job_in_folder(m, name, out, residual, labels, label_suffix) for m, name in found], True
        _refuse_same_names(jobs)
    recordings = [Path(job.mixture) for job in jobs if job.mixture != PIPE]
    refuse_overwritten_inputs([path for job in jobs for path in job.outputs], [*recordings, *enrollments, *also_read])
    return Plan(jobs, many)


def expanded(paths: Sequence[Path], *, quiet: bool = False) -> list[Path]:
    """Recordings of one speaker: files as they are, folders and globs as what is in them."""
    return [
        inner
        for path in paths
        for inner in (recordings_of(str(path), quiet=quiet) if stands_for_many(str(path)) else [path])
    ]


def stands_for_many(given: str) -> bool:
    """A folder or a glob."""
    from ..audio import is_address

    path = Path(given)
    return (
        given != PIPE
        and not is_address(given)
        and (path.is_dir() or (not path.exists() and any(sign in given for sign in "*?[")))
    )


def recordings_of(given: str, *, outside: Path | None = None, quiet: bool = False) -> list[Path]:
    """The recordings in a folder or of a glob, sorted; those in the folder `outside` are left out.

    Which files are taken their suffixes say; of others the suffixes are told, unless `quiet`.

    Raises:
        BadParameter: there are none.
    """
    from ..media import MEDIA_SUFFIXES

    folder = Path(given).is_dir()
    paths = Path(given).rglob("*") if folder else map(Path, glob.glob(given, recursive=True))
    known = (*_writable(), *READ_ALONE, *MEDIA_SUFFIXES)
    seen = (path for path in paths if not path.name.startswith("."))  # unlike macOS's "._name.wav" on foreign disks
    files = sorted(path for path in seen if path.is_file())
    if outside is not None:
        files = [path for path in files if outside.resolve() not in path.resolve().parents]
    found = [path for path in files if path.suffix.lower() in known]
    if not quiet:
        _tell_left_out(given, [path for path in files if path.suffix.lower() not in known])
    if not found:
        none = f"there are no recordings in the folder '{given}'" if folder else f"no recording matches '{given}'"
        raise typer.BadParameter(f"{none}.")
    return found


def on_track(recording: str | Path, track: int | None) -> Source:
    """A recording as it was given, or a sound track of it."""
    from ..audio import Track

    return recording if track is None else Track(recording, track)


def track_notes(recordings: Iterable[str | Path], track: int | None) -> list[str]:
    """Of which films the first of several sound tracks is taken unasked, in words; empty where `track` was chosen."""
    from ..media import count_tracks

    counts = {} if track is not None else {recording: count_tracks(Path(recording)) for recording in recordings}
    return [
        f"{recording}: {count} sound tracks, the first is taken; --track 2 takes another"
        for recording, count in counts.items()
        if count > 1
    ]


def _tell_left_out(given: str, files: Sequence[Path]) -> None:
    """A folder may hold recordings of suffixes that nobody thought of: silence would pass for completeness."""
    if files:
        suffixes = sorted({path.suffix.lower() or "without suffix" for path in files})
        were = "file was" if len(files) == 1 else "files were"
        note(f"{given}: {len(files)} {were} not taken: {', '.join(suffixes)}")


def refuse_overwritten_inputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """`refuse_replaced` for a command line.

    Raises:
        BadParameter: an output would take the place of an input.
    """
    from ..files import refuse_replaced

    try:
        refuse_replaced(outputs, inputs)
    except OutputError as error:
        raise typer.BadParameter(str(error)) from None


def _writable() -> tuple[str, ...]:
    """Suffixes of sound files that are read and written."""
    from ..audio_writer import CONTAINERS

    return tuple(CONTAINERS)


def _expanded(mixtures: Sequence[str], out: Path, *, quiet: bool) -> Iterator[tuple[str, Path]]:
    """(recording, its name below the output folder); what lies in the output folder is no input."""
    for mixture in mixtures:
        path = Path(mixture)
        if path.is_dir() and path.resolve() == out.resolve():
            raise typer.BadParameter(
                f"'{out}' is the folder of the recordings. Give the results a folder of their own."
            )
        if stands_for_many(mixture):
            found = recordings_of(mixture, outside=out, quiet=quiet)
            yield from ((str(inner), inner.relative_to(path) if path.is_dir() else Path(inner.name)) for inner in found)
        else:
            yield mixture, Path("stdin.wav" if mixture == PIPE else path.name)


def _job_in_folder(
    mixture: str, name: Path, out: Path, residual: Path | None, labels: Path | None, label_suffix: str
) -> Job:
    written = name if name.suffix.lower() in _writable() else name.with_suffix(".wav")
    return Job(
        mixture,
        out / written,
        residual / written if residual is not None else None,
        labels / name.with_suffix(label_suffix) if labels is not None else None,
    )


def _refuse_files(hint: str, **folders: Path | None) -> None:
    """Where several recordings go, no option names one file."""
    from ..runtime.labels import LABEL_SUFFIXES

    for option, path in folders.items():
        if path is not None and path.suffix.lower() in (*_writable(), *LABEL_SUFFIXES) and not path.is_dir():
            raise typer.BadParameter(
                f"several recordings, or a folder, need a folder: --{option} got the file '{path}'{hint}."
            )


def _refuse_same_names(jobs: Sequence[Job]) -> None:
    seen: dict[Path, str] = {}
    for job in jobs:
        for path in job.outputs:
            if path in seen:
                raise typer.BadParameter(
                    f"'{seen[path]}' and '{job.mixture}' would both become '{path}'. Extract them one by one."
                )
            seen[path] = job.mixture
