"""`tinywase convert-checkpoint`: a published WASE or TinyWASE checkpoint to ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import note, say

SUFFIXES = (".safetensors", ".twase")


def convert_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT.pt", help="torch.save of {'model': state_dict}.")],
    output: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FILE", help="A checkpoint to train on (.safetensors), or a .twase file."),
    ],
    blocks: Annotated[int, typer.Option(min=1, help="Per stack; the shapes do not tell.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Read a checkpoint with the published key layout; nothing in it is executed.

    A TinyWASE checkpoint gives the float weights behind its quantizers, not the quantized ones: `tinywase compress`
    makes those anew.

    Example: tinywase convert-checkpoint onset_offset_voiceprint.pt -o wase.twase
    """
    if output.suffix not in SUFFIXES:
        raise typer.BadParameter(f"'{output}': expected {' or '.join(SUFFIXES)}.", param_hint="--out")
    from ..files import refuse_output
    from ..train.checkpoint import save_weights
    from ..train.export import export
    from ..train.published import load_published

    refuse_output(output, force=force)
    model = load_published(checkpoint, blocks=blocks)
    if output.suffix == ".twase":
        export(
            model,
            output,
            card={"description": f"Converted from the published checkpoint {checkpoint.name}."},
            force=force,
        )
    else:
        import torch

        save_weights(model, output, dtype=torch.float32)
    config = model.config
    note("Its licence is that of whoever published it.")
    form, stacks = "causal" if config.causal else "offline", "shared" if config.distinct_stacks else "separate"
    say(f"{output}: {form}, {stacks} stacks.")
