"""`tinywase info`: what is in a model file, or how large a configuration is. Sizes are always told together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..words import counted
from .console import say, say_json

if TYPE_CHECKING:
    from ..config import ModelConfig

FOR_PROGRAMS = ("presence",)  # parts of a card
TABLE_WIDTH = 140
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def info(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Bundled model, .twase or .voice file.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(metavar="NAME", help="A configuration instead, such as paper or small.")
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="With --config: one stack used several times.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show sizes, bit widths and card of a model, whose voice is in a .voice file, or the sizes of a configuration.

    Parameters of the core (encoder, separator, decoder) are counted apart from those of the voiceprint encoder, as in
    the paper; bytes are those of the file, and those that the paper's way of counting gives.

    Example: tinywase info default
    """
    if (model is None) == (config is None) or (share and config is None):
        raise typer.BadParameter("give a MODEL or --config NAME (with --share if you like), one of the two.")
    if model is not None and model.lower().endswith(".voice"):
        _of_voice(model, as_json=as_json)
        return
    content = _of_config(config, share=share) if config is not None else _of_file(model or "")
    if as_json:
        say_json(content)
    else:
        _print(_escaped(content))


def _of_voice(path: str, *, as_json: bool) -> None:
    from ..runtime.model import models_for
    from ..runtime.voiceprint import Voiceprint

    voice = Voiceprint.load(path)
    models = models_for(voice)
    if as_json:
        facts = {"model": voice.model, "fingerprint": voice.fingerprint, "models": models}
        say_json({**facts, **voice.notes(), "dimensions": len(voice.vector)})
        return
    known = f"for {', '.join(models)}" if models else "for no model of this package"
    say(f"{path}: a voice enrolled with {_escaped(voice.model)}, {known} ({voice.fingerprint})")
    say(
        f"  from {voice.active_s:.1f} s of speech at {voice.level_db:.0f} dB re full scale, {voice.clipped:.1%} clipped"
    )


def _of_config(name: str, *, share: bool) -> dict[str, Any]:
    """Counted from the shapes of the tensors; nothing is built."""
    from ..config import named_config, to_dict
    from ..sizes import count_sizes

    config = named_config(name, **({"distinct_stacks": 1} if share else {}))
    sizes = count_sizes(config, bits={}, stored_bytes={})
    return {
        "config": to_dict(config),
        "core_parameters": sizes.core_parameters,
        "voiceprint_parameters": sizes.parameters - sizes.core_parameters,
        "parameters": sizes.parameters,
        "float_core_bytes": 4 * sizes.core_parameters,
        "paper_core_bytes": _paper_bytes(config),
        "latency_samples": config.latency_samples,
    }


def _paper_bytes(config: ModelConfig) -> dict[str, int]:
    """Core bytes by the paper's accounting, for every width of its quantized weights."""
    from ..layout import expected_tensors
    from ..sizes import count_sizes, paper_quantizes

    quantized = [name for name, shape in expected_tensors(config).items() if paper_quantizes(name, shape)]
    return {
        f"{bits} bit": count_sizes(config, bits=dict.fromkeys(quantized, bits), stored_bytes={}).paper_core_bytes
        for bits in (1, 2, 3, 4, 8)
    }


def _of_file(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from ..config import to_dict
    from ..format import inspect
    from ..runtime.registry import find_model

    path = find_model(name)
    report = inspect(path)
    sizes = asdict(report.sizes)
    return {
        "path": str(path),
        "config": to_dict(report.config),
        "core_parameters": sizes.pop("core_parameters"),
        "voiceprint_parameters": report.voiceprint_parameters,
        **sizes,
        "voiceprint_bytes": report.voiceprint_bytes,
        "overhead_bytes": report.overhead_bytes,
        "file_bytes": report.file_bytes,
        "bits": report.bits,
        "activation_bits": report.activation_bits,
        "latency_samples": report.latency_samples,
        "latency_ms": report.latency_ms,
        "card": report.card,
    }


def _print(content: dict[str, Any]) -> None:
    config = content["config"]
    kind = "causal" if config["causal"] else "offline"
    distinct, stacks = config["distinct_stacks"], config["stacks"]
    shared = f", {counted(distinct, 'stack')} used in turn for {stacks}" if distinct else ""
    what = "configuration"
    if "path" in content:
        say(content["path"])
        what = "network"  # a model's own name is that of its file
    say(f"{what}: {config['name']}, {kind}{shared}, {config['sample_rate_hz']} Hz")
    if content["latency_samples"] is not None:
        say(f"latency {1000 * content['latency_samples'] / config['sample_rate_hz']:.1f} ms")
    rows = [
        ("core", "core_parameters", "core_bytes"),
        ("voiceprint encoder", "voiceprint_parameters", "voiceprint_bytes"),
    ]
    in_file = "file_bytes" in content
    rows += [("header, padding, card", "", "overhead_bytes")]
    rows += [("whole file" if in_file else "whole network", "parameters", "file_bytes")]
    say(f"\n{'':24}{'parameters':>14}{'bytes' if in_file else '':>14}".rstrip())
    for title, parameters, size in rows:
        if parameters in content or size in content:
            numbers = [f"{content[key]:>14,}" if key in content else f"{'':>14}" for key in (parameters, size)]
            say(f"{title:24}{''.join(numbers)}".rstrip())
    _print_paper(content)
    if content.get("bits"):
        _print_widths(content)
    if content.get("card"):
        _print_card(content["card"])


def _print_paper(content: dict[str, Any]) -> None:
    """The paper counts the core alone: packed codes, two numbers per quantized tensor, float32 for the rest."""
    paper = content["paper_core_bytes"]
    if isinstance(paper, dict):
        say("\ncore bytes as the paper counts, by bits of the separator's weights")
        for bits, size in paper.items():
            say(f"{bits if bits == '1 bit' else f'{bits}s':24}{size:>28,}")
        say(f"{'float32':24}{content['float_core_bytes']:>28,}")
    else:
        say(f"{'core, as the paper counts':26}{paper:>26,}  (1/{content['paper_ratio']:.1f} of the float32 core)")


def _print_widths(content: dict[str, Any]) -> None:
    from collections import Counter

    say(
        "\ntensors by bits: "
        + ", ".join(f"{n} at {bits}" for bits, n in sorted(Counter(content["bits"].values()).items()))
    )
    if content["activation_bits"]:
        widths = sorted(Counter(content["activation_bits"].values()).items())
        say("activations by bits: " + ", ".join(f"{n} at {bits}" for bits, n in widths))


def _print_card(card: dict[str, Any]) -> None:
    """Sentences, then tables; whatever else a card holds in a line for every entry, but for what programs read."""
    say("\ncard")
    for key, value in card.items():
        if key in FOR_PROGRAMS:
            continue
        if table := _table(key, value):
            say(f"\n{key}\n{table.rstrip()}\n")
        elif isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()):
            say("\n".join([f"  {key}:", *(f"    - {name}: {_shown(entry)}" for name, entry in value.items())]))
        elif isinstance(value, list) and any(isinstance(entry, (dict, str)) for entry in value):
            say("\n".join([f"  {key}:", *(f"    - {_shown(entry)}" for entry in value)]))
        else:
            say(f"  {key}: {_shown(value)}")
    say("  (--json prints every figure, and what programs read)")


def _table(key: str, value: Any) -> str:
    """The parts of a card that are tables; "" for others, and where a card of one's own holds something else there."""
    from ..evaluate.cards import behaviour_table, data_table, results_table
    from ..evaluate.tables import text_tables

    try:
        if key == "data":  # their names are long, and come last
            rows = data_table(value)[1]
            return "\n".join(
                f"{hours:>8} h {many:>5} speakers  {name}: {licence}" for name, many, hours, licence in rows
            )
        if key == "results":
            return text_tables(*results_table(value), width=TABLE_WIDTH)
        if key == "behaviour":
            return text_tables(*behaviour_table(value), width=TABLE_WIDTH)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        pass
    return ""


def _escaped(value: Any) -> Any:
    """`value`, the control characters of its texts escaped: somebody else's file gives no commands to a terminal."""
    if isinstance(value, dict):
        return {_escaped(key): _escaped(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(entry) for entry in value]
    if isinstance(value, str):
        return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return value


def _shown(value: Any) -> str:
    """A value for people; three numbers are a mean and its interval."""
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, list):
        numbers = len(value) == 3 and all(isinstance(entry, (int, float)) for entry in value)
        return f"{value[0]} [{value[1]}, {value[2]}]" if numbers else ", ".join(_shown(entry) for entry in value)
    return str(value)
