"""`tinywase extract`: one voice out of recordings."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import OutputError, TinyWaseError
from .console import Computed, Quiet, Runtime, Threads, note, progress_bar, say_json, system_error
from .extract_report import described, print_many, print_one, report_lines
from .inputs import PIPE, Job, Plan, SoundTrack, expanded, on_track, plan, stands_for_many, track_notes
from .voice_options import Enroll, Highband, KeepOthers, Other, check_one_voice, voiceprint_from

if TYPE_CHECKING:
    from ..runtime.extractor import Extractor
    from ..runtime.voiceprint import Voiceprint


class Absent(StrEnum):
    """What to do where the voice is not found."""

    PASS = "pass"
    MUTE = "mute"
    FAIL = "fail"


class LabelFormat(StrEnum):
    """How it is written down who speaks when."""

    RTTM = "rttm"
    TXT = "txt"


@dataclass(frozen=True)
class _Choices:
    absent: Absent
    force: bool
    highband: bool
    keep_others_db: float | None
    spatial: bool
    turns: bool
    track: int | None  # of the recordings
    speaker: str  # the name in labels


def extract(
    mixtures: Annotated[
        list[str],
        typer.Argument(metavar="MIX...", help="Recordings: files, folders, 'globs*.wav', or - for standard input."),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="OUT", help="File, folder ending with /, or - for standard output (required)."
        ),
    ] = "",
    enroll: Enroll = None,
    voice: Annotated[
        Path | None, typer.Option(metavar="ME.voice", help="A voiceprint that `tinywase enroll` made.")
    ] = None,
    other: Other = None,
    enroll_from: Annotated[
        str | None,
        typer.Option(metavar="1:02-1:08.5", help="Part of the recording itself in which the voice is alone."),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Bundled model or file.")] = "default",
    residual: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write everything but the voice (a folder for several).")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Also write when the voice speaks: .rttm, or .txt for Audacity."),
    ] = None,
    label_format: Annotated[
        LabelFormat, typer.Option(help="Of several recordings' labels, whose PATH is a folder.")
    ] = LabelFormat.RTTM,
    absent: Annotated[
        Absent,
        typer.Option(help="Voice not found: pass writes the estimate as it is, mute silence, fail nothing."),
    ] = Absent.PASS,
    highband: Highband = True,
    keep_others_db: KeepOthers = None,
    spatial: Annotated[
        bool,
        typer.Option("--spatial/--no-spatial", help="Use what channels that differ tell about where the voice stands."),
    ] = True,
    turns: Annotated[
        bool,
        typer.Option("--turns/--no-turns", help="Silence in others' turns, where the recording tells voices apart."),
    ] = True,
    views: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Runs over the recording, averaged; 1 is fastest. Empty: as the model's card advises."
        ),
    ] = None,
    track: SoundTrack = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON (several: a list).")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite results that exist.")] = False,
    runtime: Computed = Runtime.AUTO,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Extract one voice from recordings, by a sample of that voice.

    The result has the length, sample rate, channels and loudness of the recording, whatever they are. The bundled
    models work up to 4 kHz; above, gains on the recording follow from what they found. Results that exist are kept;
    for several recordings they are skipped.

    Example: tinywase extract meeting.wav --enroll me.wav -o me-alone.wav
    """
    _check_usage(mixtures, out, enroll, voice, enroll_from, as_json)
    from ..runtime.enrollment import refuse_same_recording
    from ..runtime.extractor import Extractor

    enrollments = expanded(enroll or [], quiet=quiet)
    extractor = Extractor.from_pretrained(model, runtime=runtime.value, views=views, threads=threads)
    others = expanded(other or [], quiet=quiet)
    jobs = plan(
        mixtures,
        out,
        residual=residual,
        labels=labels,
        label_suffix=f".{label_format.value}",
        enrollments=enrollments,
        also_read=[*others, *([voice] if voice is not None else [])],
        quiet=quiet,
    )
    _check_labels(jobs)
    alone = Path(jobs.jobs[0].mixture) if len(jobs.jobs) == 1 else None  # beside others it may lie in their folder
    refuse_same_recording(enrollments, as_mixture=alone, as_other=others)
    for text in [] if quiet else track_notes((job.mixture for job in jobs.jobs if job.mixture != PIPE), track):
        note(text)
    if others:
        extractor = extractor.with_others(voiceprint_from(extractor, others, None))
    chosen = _voiceprint_source(extractor, enrollments, voice, enroll_from, track)
    choices = _Choices(absent, force, highband, keep_others_db, spatial, turns, track, _speaker(enrollments, voice))
    if out == PIPE:
        _to_pipe(extractor, jobs.jobs[0], chosen(jobs.jobs[0]), choices, quiet=quiet)
    elif jobs.many:
        _extract_many(extractor, jobs, chosen, choices, as_json=as_json, quiet=quiet)
    else:
        _refuse_half_done(jobs.jobs[0], choices)
        with progress_bar(Path(mixtures[0]).name, quiet=quiet) as progress:
            result = _extract_one(extractor, jobs.jobs[0], chosen(jobs.jobs[0]), choices, progress)
        print_one(result, as_json=as_json, quiet=quiet)


def _check_usage(
    mixtures: list[str],
    out: str,
    enroll: list[Path] | None,
    voice: Path | None,
    enroll_from: str | None,
    as_json: bool,
) -> None:
    if not out:
        raise typer.BadParameter("where does the voice go? Give --out, for example -o me-alone.wav.")
    check_one_voice(enroll=enroll, voice=voice, enroll_from=enroll_from)
    if enroll_from and PIPE in mixtures:
        raise typer.BadParameter("--enroll-from reads the recording twice: give a file instead of standard input.")
    if out == PIPE and (as_json or len(mixtures) != 1 or stands_for_many(mixtures[0])):
        raise typer.BadParameter("-o - writes one recording to standard output: give one MIX and no --json.")
    if PIPE in mixtures and PIPE in map(str, enroll or []):
        raise typer.BadParameter("standard input can be read once: give MIX or --enroll as a file.")
    _refuse_film(out)


def _refuse_film(out: str) -> None:
    """An answer in kind, to who gave a film."""
    from ..media import MEDIA_SUFFIXES

    path = Path(out)
    if path.suffix.lower() in MEDIA_SUFFIXES and not path.is_dir():
        raise OutputError(
            f"'{out}': {path.suffix} files are read and not written. Write a .wav file, and put it into the film if it "
            "is one: ffmpeg -i film.mp4 -i voice.wav -map 0:v -map 1:a -c:v copy out.mp4"
        )


def _check_labels(jobs: Plan) -> None:
    from ..runtime.labels import check_labels_path

    for job in jobs.jobs:
        if job.labels is not None:
            check_labels_path(job.labels)


def _voiceprint_source(
    extractor: Extractor, enroll: list[Path], voice: Path | None, enroll_from: str | None, track: int | None
) -> Callable[[Job], Voiceprint]:
    """A function that gives the voiceprint for a job: the same for all, unless each recording brings its own."""
    if enroll_from is not None:
        start_s, stop_s = _time_range(enroll_from)
        return lambda job: extractor.enroll(on_track(job.mixture, track), start_s=start_s, stop_s=stop_s)
    voiceprint = voiceprint_from(extractor, enroll, voice)
    return lambda job: voiceprint


def _time_range(text: str) -> tuple[float, float]:
    first, dash, last = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return _seconds(first), _seconds(last)
    except ValueError:
        raise typer.BadParameter(
            f"--enroll-from {text}: expected START-STOP, seconds or clock times, for example 12.0-18.5 or 1:02-1:08."
        ) from None


def _seconds(clock: str) -> float:
    """12.5, 1:02.5 or 1:00:02.5."""
    parts = [float(part) for part in clock.split(":")]
    if len(parts) > 3 or any(part < 0 for part in parts):
        raise ValueError
    return sum(part * 60**place for place, part in enumerate(reversed(parts)))


def _speaker(enroll: list[Path] | None, voice: Path | None) -> str:
    return voice.stem if voice is not None else enroll[0].stem if enroll else "target"


def _extract_one(
    extractor: Extractor, job: Job, voiceprint: Voiceprint, choices: _Choices, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Extract, write labels, and say in plain values what was done."""
    from ..files import refuse_output
    from ..runtime.labels import write_labels
    from ..runtime.summary import spans, spoken

    if job.labels is not None:
        refuse_output(job.labels, force=choices.force)
    began_s = time.perf_counter()
    report = extractor.extract_file(
        on_track(job.mixture, choices.track),
        job.output,
        voiceprint,
        residual=job.residual,
        absent=choices.absent.value,
        force=choices.force,
        highband=choices.highband,
        keep_others_db=choices.keep_others_db,
        spatial=choices.spatial,
        turns=choices.turns,
        progress=progress,
    )
    took_s = time.perf_counter() - began_s
    speech = spoken(extractor, report)
    if job.labels is not None:
        name = Path(job.mixture).stem if job.mixture != PIPE else "stdin"
        write_labels(job.labels, speech, recording=name, speaker=choices.speaker, force=choices.force)
    return described(extractor, job, voiceprint, report, took_s) | {"segments_s": spans(speech)}


def _refuse_half_done(job: Job, choices: _Choices) -> None:
    """What exists is kept, whose voice it holds is not known: nothing is redone unasked."""
    if choices.force:
        return
    there = [path for path in job.outputs if path.exists()]
    missing = [path for path in job.outputs if not path.exists()]
    if there and missing:
        existing = ", ".join(f"'{path}'" for path in there)
        raise OutputError(
            f"{existing} exists already and '{missing[0]}' does not: an earlier run was interrupted, or made less. "
            f"Remove {existing} and run again, which makes all of them; --force replaces whatever exists."
        )


def _extract_many(
    extractor: Extractor,
    jobs: Plan,
    chosen: Callable[[Job], Voiceprint],
    choices: _Choices,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """All of them, whatever happens to one: what exists is skipped, failures are told and counted at the end."""
    from ..files import make_folder

    for folder in sorted({path.parent for job in jobs.jobs for path in job.outputs}):
        make_folder(folder)
    results: list[dict[str, Any]] = []
    failed = 0
    with progress_bar(f"{len(jobs.jobs)} recordings", quiet=quiet) as progress:
        for number, job in enumerate(jobs.jobs):
            if not choices.force and all(path.exists() for path in job.outputs):
                results.append({"mixture": job.mixture, "output": str(job.output), "skipped": "exists already"})
                continue

            def part(done: float, number: int = number) -> None:
                progress((number + done) / len(jobs.jobs))

            try:
                _refuse_half_done(job, choices)
                results.append(_extract_one(extractor, job, chosen(job), choices, part))
            except (TinyWaseError, OSError) as error:
                failed += 1
                why = system_error(error) if isinstance(error, OSError) else str(error)
                note(f"Error: {why}")
                results.append({"mixture": job.mixture, "output": str(job.output), "error": why})
            except KeyboardInterrupt:
                again = "starts over" if choices.force else "goes on"
                note(f"{len(results) - failed} of {len(jobs.jobs)} recordings are done; the same command {again}.")
                raise
    if as_json:
        say_json(results)
    elif not quiet:
        print_many(results)
    if failed:
        raise typer.Exit(1)


def _to_pipe(extractor: Extractor, job: Job, voiceprint: Voiceprint, choices: _Choices, *, quiet: bool) -> None:
    """Whole or not at all holds for pipes too: nothing is written to it before everything is computed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "estimate.wav"
        inner = Job(job.mixture, path, job.residual, job.labels)
        result = _extract_one(extractor, inner, voiceprint, choices, lambda done: None)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    if not quiet:
        for line in report_lines(result | {"output": "standard output"}):
            note(line)
