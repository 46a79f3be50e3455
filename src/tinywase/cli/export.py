"""`tinywase export`: a float checkpoint, or a configuration with random weights, to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .compress import FloatKind
from .console import say

if TYPE_CHECKING:
    from ..models import Wase


def export(
    output: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.twase", help="The model file.")],
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="[CHECKPOINT]", help="Weights of `tinywase train` (.safetensors).")
    ] = None,
    config: Annotated[str | None, typer.Option(metavar="NAME", help="With --random: such as paper or small.")] = None,
    random: Annotated[bool, typer.Option("--random", help="Random weights, to measure sizes and speed.")] = False,
    share: Annotated[bool, typer.Option("--share", help="With --random: one stack used several times.")] = False,
    causal: Annotated[bool, typer.Option("--causal", help="With --random: a network that streams.")] = False,
    bits: Annotated[int, typer.Option(help="Of the separator's weights, without training; 32 is float.")] = 32,
    codec_bits: Annotated[int, typer.Option(help="Of speech encoder and decoder, where learned.")] = 32,
    voiceprint_bits: Annotated[int, typer.Option(help="Of the voiceprint encoder.")] = 32,
    float_kind: Annotated[
        FloatKind, typer.Option(metavar="KIND", help="Store what is not quantized as float32, float16 or ramp8.")
    ] = FloatKind.FLOAT32,
    compact: Annotated[bool, typer.Option("--compact", help="Entropy coding: smaller, loads slower.")] = False,
    card: Annotated[
        Path | None, typer.Option(metavar="CARD.json", help="Data, licences, results: told to whoever asks.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Pack weights into a model file. Fewer bits than 32 are rounded as they are: `compress` trains for them.

    Example: tinywase export runs/small/best.safetensors -o small.twase

    Sizes of the paper's network: tinywase export --config paper --random --bits 3 -o paper.twase
    """
    from ..files import refuse_output
    from ..quant.attach import attach
    from ..quant.rules import FLOAT_BITS, QuantConfig
    from ..train.export import export as write

    if (checkpoint is None) == (not random) or (random and config is None) or (config is not None and not random):
        raise typer.BadParameter("give a CHECKPOINT, or --random with --config NAME, one of the two.")
    quant = QuantConfig(
        bits=bits,
        method="lsq",
        codec_bits=codec_bits,
        voiceprint_bits=voiceprint_bits,
        activation_bits=FLOAT_BITS,
    )
    refuse_output(output, force=force)
    facts = _read_card(card) if card else {}
    if checkpoint is not None:
        from ..train.checkpoint import load_checkpoint

        model = load_checkpoint(checkpoint)
    else:
        model = _random_model(config or "", share=share, causal=causal)
        facts = {"weights": "random: for sizes and speed, not for use"} | facts
    attach(model, quant)
    write(model, output, card=facts, float_kind=float_kind, compact=compact, force=force)
    say(f"{output}: {output.stat().st_size:,} bytes. `tinywase info {output}` says what is in it.")


def _random_model(name: str, *, share: bool, causal: bool) -> Wase:
    from ..config import named_config
    from ..train.student import random_network

    return random_network(named_config(name, distinct_stacks=int(share), causal=causal))


def _read_card(path: Path) -> dict[str, object]:
    """The card's JSON object."""
    import json

    from ..errors import ConfigError

    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot read the card ({error}). Expected a JSON object.") from error
    if not isinstance(card, dict):
        raise ConfigError(f"{path}: the card is a JSON {type(card).__name__}, expected an object.")
    return card
