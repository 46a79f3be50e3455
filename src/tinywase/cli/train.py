"""`tinywase train`: a recipe in, checkpoints out; the same command goes on where the last one ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import note, progress_bar, say, say_json

if TYPE_CHECKING:
    from ..train.loop import Progress
    from ..train.objectives import Logs

LINE_S = 30.0  # between progress lines where nobody watches a bar


def train(
    recipe_path: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train; see recipes/.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change the recipe, such as optimizer.batch=4; may be repeated."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print where the training stands as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Train a model, or go on training it: stop it whenever you like, the same command resumes.

    Example: tinywase train recipes/small.toml

    On several GPUs or cores: torchrun --nproc-per-node 2 -m tinywase train recipes/small.toml
    """
    from ..train.loop import Trainer
    from ..train.recipe import load_recipe

    recipe = load_recipe(recipe_path, changes or ())
    with progress_bar(f"training {recipe.name}", quiet=quiet) as bar:
        trainer = Trainer(recipe, on_step=reporter(recipe.optimizer.steps, bar, quiet=quiet))
        progress = trainer.run()
    if trainer.hardware.leads:
        _conclude(progress, recipe.folder, recipe.optimizer.steps, as_json=as_json)
    if progress.position < recipe.optimizer.steps:
        raise typer.Exit(130)  # what Ctrl-C means to a shell


def reporter(steps: int, bar: Callable[[float], None], *, quiet: bool) -> Callable[[Progress, Logs], None]:
    """Moves the bar, and says a line now and then where there is none: the losses' means since the last one."""
    from ..train.objectives import mean_logs

    last = time.monotonic()
    unsaid: list[Logs] = []

    def report(progress: Progress, logs: Logs) -> None:
        nonlocal last
        done = progress.position / steps
        bar(done)
        if quiet:
            return
        unsaid.append(logs)
        if time.monotonic() - last < LINE_S:
            return
        last = time.monotonic()
        left_h = (1 - done) / max(1e-9, done) * progress.train_s / 3600
        values = " ".join(f"{key} {float(value):.3f}" for key, value in mean_logs(unsaid).items())
        unsaid.clear()
        dev = progress.scores.get("improvement_db")
        note(
            f"step {progress.step} ({done:.0%}), {progress.audio_s / 3600:.2f} h heard at "
            f"{progress.audio_per_s:.1f} s/s, {left_h:.1f} h left: {values}"
            + (f"; dev {dev:+.2f} dB" if dev is not None else "")
        )

    return report


def _conclude(progress: Progress, folder: Path, steps: int, *, as_json: bool) -> None:
    facts = {
        "step": progress.step,
        "done": round(progress.position / steps, 4),
        "audio_h": round(progress.audio_s / 3600, 3),
        "audio_per_s": round(progress.audio_per_s, 2),
        "dev": progress.scores,
        "folder": str(folder),
    }
    if as_json:
        say_json(facts)
        return
    ended = "done" if progress.position >= steps else "interrupted; the same command goes on"
    say(f"{folder}: step {progress.step}, {facts['audio_h']} h of audio at {facts['audio_per_s']} s/s, {ended}.")
