"""`tinywase data`: check, convert and render lists; make synthetic speech; pack a bank for training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..words import counted
from .console import note, progress_bar, say, say_json
from .list_options import (
    Enrollments,
    Format,
    Mix,
    Remap,
    Root,
    Seed,
    Split,
    listed_trials,
    read_options,
    remap_rules,
)

if TYPE_CHECKING:
    from ..data.check import CheckReport

SHOWN_MISSING = 3

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

ListPath = Annotated[Path, typer.Argument(metavar="LIST", help="A list or a folder in any layout; see `data formats`.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("check")
def check_command(
    list_path: ListPath,
    root: Root = None,
    remap: Remap = None,
    format: Format = None,
    split: Split = "",
    mix: Mix = "",
    enrollments: Enrollments = None,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Read headers only: finds no silence, no cut files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain every broken row of a list or a training source, by file and line; exit code 1 if there are any.

    Example: tinywase data check mix_2_spk_voiceP_tt_WSJ.txt --remap /home/aa/WSJ=/data/wsj0
    """
    from ..data.check import check

    options = read_options(root, remap, split=split, mix=mix, enrollments=enrollments, seed=seed)
    with progress_bar("checking", quiet=as_json) as progress:
        report = check(list_path, options, format=format, listen=not quick, progress=progress)
    if as_json:
        say_json({**dataclasses.asdict(report), "path": str(report.path), "problems": _problems(report)})
    else:
        _say_report(report, root)
    if report.problems:
        raise typer.Exit(1)


def _problems(report: CheckReport) -> list[dict[str, str | int]]:
    return [{"file": str(one.file), "line": one.line, "message": one.message} for one in report.problems]


def _say_report(report: CheckReport, root: Path | None) -> None:
    """Every problem on a line; many missing recordings, which mostly have one cause, together."""
    from ..data.missing import missing_of, start_of, way_out

    lines: dict[Path, int] = {}  # of missing recordings, where they are named first
    for problem in report.problems:
        if problem.missing is not None:
            lines.setdefault(problem.missing, problem.line)
    together = len(lines) > SHOWN_MISSING
    for problem in report.problems:
        if problem.missing is None or not together:
            say(str(problem))
    if together:
        say(f"{report.path}: {missing_of(len(lines), report.recordings)}, such as")
        for path in list(lines)[:SHOWN_MISSING]:
            say(f"  line {lines[path]}: {path}")
        say(f"  {way_out(lines, start_of(report.path, root))}")
    verdict = counted(len(report.problems), "problem") if report.problems else "everything in order"
    speakers = counted(report.speakers, "speaker") if report.speakers else "speakers not named"
    note(
        f"{report.path} ({report.layout}): {counted(report.rows, 'row')}, {speakers}, "
        f"{counted(report.recordings, 'recording')}, {report.seconds / 3600:.2f} h: {verdict}."
    )


@app.command("formats")
def formats_command(as_json: AsJson = False) -> None:
    """List the layouts that are recognized, for trials and for training sources.

    Example: tinywase data formats
    """
    from ..data.readers import READERS
    from ..data.utterances import UTTERANCE_READERS

    rows = [("trials", reader.name, reader.layout) for reader in READERS]
    rows += [("training", reader.name, reader.layout) for reader in UTTERANCE_READERS]
    if as_json:
        say_json([{"for": use, "name": name, "layout": layout} for use, name, layout in rows])
        return
    for use, name, layout in rows:
        say(f"{use:9} {name:16} {layout}")


@app.command("convert")
def convert_command(
    list_path: ListPath,
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="The CSV to write.")],
    root: Root = None,
    remap: Remap = None,
    format: Format = None,
    split: Split = "",
    mix: Mix = "",
    enrollments: Enrollments = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Write the trials of any layout as a CSV with absolute paths: mixture,target,enrollment.

    Example: tinywase data convert Libri2Mix/wav8k/min/test libri2mix_test.csv
    """
    from ..data.convert import to_csv
    from ..data.missing import missing_among, missing_of
    from ..files import write_whole

    options = read_options(root, remap, split=split, mix=mix, enrollments=enrollments, seed=seed)
    trials = listed_trials(list_path, options, format=format)
    write_whole(out, to_csv(trials).encode(), force=force)
    note(f"{out}: {counted(len(trials), 'trial')}.")
    named = dict.fromkeys(file for trial in trials for file in trial.recordings)
    if missing := missing_among(named):
        note(f"Note: {missing_of(len(missing), len(named))}; see tinywase data check {list_path}.")


@app.command("render")
def render_command(
    list_path: ListPath,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets mixture/, target/, ... and list.csv.")],
    rate: Annotated[int, typer.Option(min=4000, max=192_000, help="Sample rate in Hz.")] = 16_000,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many trials.")] = None,
    root: Root = None,
    remap: Remap = None,
    format: Format = None,
    split: Split = "",
    mix: Mix = "",
    enrollments: Enrollments = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Write the mixtures of a list as recordings, to listen to or to give to other tools.

    Example: tinywase data render mix_2_spk_tt.txt rendered --root /data/wsj0 --limit 10
    """
    from ..data.convert import render_list

    options = read_options(root, remap, split=split, mix=mix, enrollments=enrollments, seed=seed)
    trials = listed_trials(list_path, options, format=format)[:limit]
    with progress_bar("rendering") as progress:
        listing = render_list(trials, folder, rate, force=force, progress=progress)
    note(f"{listing}: {counted(len(trials), 'trial')} at {rate} Hz.")


@app.command("synth")
def synth_command(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Gets a folder for each speaker.")],
    speakers: Annotated[int, typer.Option(min=1, help="How many voices.")] = 40,
    utterances: Annotated[int, typer.Option(min=1, help="How many recordings of each.")] = 10,
    seed: Seed = 1,
    engine: Annotated[
        str, typer.Option(help="source-filter (ours), espeak or flite (installed programs).")
    ] = "source-filter",
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest recording.")] = (3.0, 6.0),
    rate: Annotated[int, typer.Option(min=4000, max=48_000, help="Sample rate in Hz.")] = 16_000,
    force: Force = False,
) -> None:
    """Make a corpus of synthetic speakers, a folder of recordings for each; the same seed gives the same.

    Example: tinywase data synth synthetic --speakers 40 --utterances 10 --seed 1
    """
    from ..data.speakers import make_speakers, write_corpus

    if not 0.2 <= seconds[0] <= seconds[1]:
        raise typer.BadParameter(
            f"{seconds[0]} {seconds[1]}: expected 0.2 or more, the shorter first.", param_hint="--seconds"
        )
    voices = make_speakers(engine, speakers, seed)
    with progress_bar("speaking") as progress:
        count = write_corpus(
            folder,
            voices,
            utterances=utterances,
            seconds=seconds,
            seed=seed,
            sample_rate_hz=rate,
            force=force,
            progress=progress,
        )
    note(f"{folder}: {counted(count, 'recording')} of {counted(len(voices), 'speaker')}.")


@app.command("pack")
def pack_command(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Folders of speakers, manifests, lists.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="BANK", help="Folder of the bank.")],
    rate: Annotated[int, typer.Option(min=4000, max=48_000, help="Sample rate in Hz, the model's.")] = 8000,
    root: Root = None,
    remap: Remap = None,
    split: Split = "",
    force: Force = False,
) -> None:
    """Decode training sources once into a bank that training maps into memory; archives are sources too, by themselves.

    Example: tinywase data pack LibriSpeech/train-clean-100 -o bank
    """
    from ..data.archive import is_archive, unpack_archives
    from ..data.bank import build_bank
    from ..data.utterances import check_names, read_utterances
    from ..errors import OutputError

    if (out / "utterances.csv").exists() and not force:
        raise OutputError(
            f"'{out}' is a bank already: nothing was written. Choose another folder or replace it (--force)."
        )
    rules = remap_rules(remap)
    with progress_bar("packing") as progress:
        if all(map(is_archive, sources)):
            bank = unpack_archives(sources, out, progress=progress)
        else:
            read = [
                (path, read_utterances(path, root=root, remap=rules, split=split if path.is_file() else ""))
                for path in sources
            ]
            check_names(read)
            rows = [row for _, utterances in read for row in utterances]
            bank = build_bank(rows, out, rate, progress=lambda done: progress(done / len(rows)))
    note(
        f"{out}: {counted(len(bank.utterances), 'utterance')}, {bank.seconds / 3600:.2f} h at "
        f"{bank.sample_rate_hz} Hz, {counted(len(bank.by_speaker), 'speaker')}, {len(bank.target_speakers)} of them "
        "with two recordings or more."
    )


@app.command("archive")
def archive_command(
    bank: Annotated[Path, typer.Argument(metavar="BANK", help="Folder that `data pack` made.")],
    out: Annotated[Path, typer.Argument(metavar="FILE.zip", help="The archive to write.")],
    kbit: Annotated[float, typer.Option(min=6, max=256, help="Bit rate in kbit/s; 13 is 5.9 MB an hour.")] = 13.0,
    force: Force = False,
) -> None:
    """Write a bank as one small lossy file (Opus), to carry it to another machine; `data pack FILE.zip` unpacks it.

    Example: tinywase data archive runs/bank speech.zip
    """
    from ..data.archive import write_archive

    with progress_bar("encoding") as progress:
        write_archive(bank, out, kbit_per_s=kbit, force=force, progress=progress)
    note(f"{out}: {out.stat().st_size / 1e6:.1f} MB.")
