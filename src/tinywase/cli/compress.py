"""`tinywase compress`: a teacher in, a packed student of few bits out, judged beside its teacher."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from .console import note, progress_bar, say, say_json
from .train import reporter

if TYPE_CHECKING:
    from ..models import Wase
    from ..train.compress import Compressor
    from ..train.compress_recipe import CompressRecipe
    from ..train.verdict import Verdict

T = TypeVar("T", int, float)
UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "KIB": 1024, "MIB": 1024**2}


class Strategy(StrEnum):
    """How the student learns."""

    PTQ = "ptq"
    QAT = "qat"
    KD = "kd"
    QAT_THEN_KD = "qat-then-kd"
    DAQ = "daq"


class Method(StrEnum):
    """Weight quantizer."""

    SOFT_SIGMOID = "soft-sigmoid"
    LSQ = "lsq"


class FloatKind(StrEnum):
    """What the tensors are stored as that are not quantized."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    RAMP8 = "ramp8"


def compress(
    teacher: Annotated[
        Path, typer.Argument(metavar="TEACHER", help="A checkpoint of `tinywase train`, or a .twase file.")
    ],
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.twase", help="The packed student.")],
    bits: Annotated[int | None, typer.Option(help="Of the separator's weights, 1 to 8; the recipe's, or 3.")] = None,
    share: Annotated[bool, typer.Option("--share", help="One stack used several times.")] = False,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            metavar="HOW", help="How the student learns: ptq, qat, kd, qat-then-kd or daq; the recipe's, or daq."
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(
            metavar="HOW",
            help="Weight quantizer: the recipe's, else lsq for ptq and the paper's soft-sigmoid for the rest.",
        ),
    ] = None,
    voiceprint_bits: Annotated[int | None, typer.Option(help="Of the voiceprint encoder; 32 is float.")] = None,
    codec_bits: Annotated[
        int | None, typer.Option(help="Of speech encoder and decoder, where learned; 32 is float.")
    ] = None,
    max_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Mixed widths: largest file, 500KB.")] = None,
    max_drop: Annotated[str | None, typer.Option(metavar="DB", help="Mixed widths: largest loss, 0.3dB.")] = None,
    recipe_path: Annotated[Path | None, typer.Option("--recipe", help="Everything else; see recipes/.")] = None,
    data: Annotated[list[str] | None, typer.Option(metavar="SOURCE", help="Speech: a tree or a manifest.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps, instead of the recipe's minutes.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Checkpoints; empty: runs/compress-NAME of FILE.")
    ] = None,
    float_kind: Annotated[
        FloatKind, typer.Option(metavar="KIND", help="Store norms and biases as float32, float16 or ramp8.")
    ] = FloatKind.FLOAT16,
    plain: Annotated[bool, typer.Option("--plain", help="No entropy coding: larger, loads faster.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Fewer bits and shared weights: train a student beside its teacher, pack it, judge it. The same command goes on.

    Example: tinywase compress runs/small/best.safetensors --bits 3 --recipe recipes/compress-daq.toml -o tiny.twase
    """
    from ..files import refuse_output
    from ..train.checkpoint import load_checkpoint
    from ..train.compress_recipe import compress_recipe

    refuse_output(output, force=force)
    network = load_checkpoint(teacher)
    name = f"compress-{output.stem}"
    recipe = compress_recipe(
        network.config,
        path=recipe_path,
        changes=changes or (),
        name=name,
        out=str(work) if work else None,
        strategy=strategy,
        max_size_bytes=_bytes(max_size),
        max_drop_db=_decibels(max_drop),
        model={"distinct_stacks": 1} if share else {},
        quant=_given(bits=bits, method=method, voiceprint_bits=voiceprint_bits, codec_bits=codec_bits),
        optimizer=_given(steps=steps),
        minutes=0.0 if steps and not any(change.startswith("minutes=") for change in changes or ()) else None,
        data=_given(sources=data, bank=f"runs/{name}/bank" if data else None),
    )
    compressor = _train(recipe, network, float_kind, quiet=quiet)
    if compressor is None:
        return
    _pack(compressor, output, float_kind=float_kind, compact=not plain, force=force)
    with progress_bar("judging", quiet=quiet) as bar:
        from ..train.verdict import judge

        verdict = judge(compressor, output, progress=bar)
    say_json(_facts(verdict, output)) if as_json else _print(verdict, output)


def _train(recipe: CompressRecipe, teacher: Wase, float_kind: str, *, quiet: bool) -> Compressor | None:
    """The compression, done; None where it was interrupted, or belongs to another process."""
    from ..train.budget import meet_budget
    from ..train.compress import Compressor

    with progress_bar("measuring sensitivity", quiet=quiet) as bar:
        recipe = meet_budget(recipe, teacher, float_kind=float_kind, progress=bar)
    steps = recipe.optimizer.steps
    with progress_bar("compressing", quiet=quiet) as bar:
        compressor = Compressor(recipe, teacher, on_step=reporter(steps, bar, quiet=quiet))
        progress = compressor.run()
    if not compressor.hardware.leads:
        return None
    if progress.position < steps:
        note(f"Interrupted at step {progress.step} of {steps}; the same command goes on.")
        raise typer.Exit(130)
    return compressor


def _pack(compressor: Compressor, output: Path, *, float_kind: str, compact: bool, force: bool) -> None:
    from ..train.export import export
    from ..train.source import sources_of

    recipe = compressor.recipe
    card = {
        "compression": recipe.strategy,
        **({} if recipe.objective == "extraction" else {"objective": recipe.objective}),
        "steps": compressor.progress.step,
        "audio_h": round(compressor.progress.audio_s / 3600, 3),
        "data": list(sources_of(recipe.data)),
    }
    export(compressor.finished(), output, card=card, float_kind=float_kind, compact=compact, force=force)


def _facts(verdict: Verdict, output: Path) -> dict[str, Any]:
    from dataclasses import asdict

    report = verdict.report
    return {
        "path": str(output),
        "file_bytes": report.file_bytes,
        "teacher_bytes": verdict.teacher_bytes,
        **asdict(report.sizes),
        "measured_on": verdict.measured_on,
        "teacher_improvement_db": asdict(verdict.teacher_db),
        "student_improvement_db": asdict(verdict.student_db),
        "difference_db": asdict(verdict.difference_db),
    }


def _print(verdict: Verdict, output: Path) -> None:
    sizes, size = verdict.report.sizes, verdict.report.file_bytes
    say(f"{output}")
    say(f"{'':24}{'teacher':>14}{'student':>14}{'ratio':>10}")
    rows = [
        ("core as the paper counts", sizes.float_core_bytes, sizes.paper_core_bytes, sizes.paper_ratio),
        ("core as stored", sizes.float_core_bytes, sizes.core_bytes, sizes.core_ratio),
        ("whole file", verdict.teacher_bytes, size, verdict.teacher_bytes / size),
    ]
    for title, before, after, ratio in rows:
        say(f"{title:24}{before:>14,}{after:>14,}{ratio:>9.2f}x")
    improvements = f"{verdict.teacher_db.value:>14.2f}{verdict.student_db.value:>14.2f}"
    say(f"{'SI-SDR improvement, dB':24}{improvements}{verdict.difference_db.value:>+10.2f}")
    low, high = verdict.difference_db.low, verdict.difference_db.high
    interval = "too few trials for an interval" if math.isnan(low) else f"{low:+.2f} to {high:+.2f} dB (95 %)"
    say(f"difference {interval}, on {verdict.measured_on}")


def _given(**values: Any) -> dict[str, Any]:
    """Those options that were given."""
    return {key: value for key, value in values.items() if value is not None}


def _bytes(text: str | None) -> int | None:
    """ "500KB", "1.5 MiB" or "300000" in bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KM]?i?B?)\s*", text, re.IGNORECASE)
    unit = match[2].upper() if match else "?"
    if match is None or unit not in UNITS:
        raise typer.BadParameter(f"{text!r}: expected a size such as 500KB or 1.5MiB.", param_hint="--max-size")
    return _above_zero(round(float(match[1]) * UNITS[unit]), text, "--max-size")


def _decibels(text: str | None) -> float | None:
    """ "0.3dB" or "0.3"."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(dB)?\s*", text, re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"{text!r}: expected decibels such as 0.3dB.", param_hint="--max-drop")
    return _above_zero(float(match[1]), text, "--max-drop")


def _above_zero(value: T, text: str, option: str) -> T:
    """A budget; a recipe's 0 is none."""
    if value <= 0:
        raise typer.BadParameter(f"{text!r}: expected more than 0. Leave it out for no budget.", param_hint=option)
    return value
