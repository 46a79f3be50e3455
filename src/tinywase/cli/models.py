"""`tinywase models`: the models in the package, by their cards."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .console import say, say_json

LIST = "test"  # whose figures are shown: unseen readers


def models(as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False) -> None:
    """List the bundled models: size, quality on unseen readers, latency, speed.

    latency: algorithmic delay of models that stream; the others need the whole recording. rtf: computing time over
    audio time on the machine that the card names; `tinywase bench` measures yours.

    Example: tinywase models
    """
    from ..runtime.registry import DEFAULT, find_model, model_names

    default = find_model(DEFAULT).stem if model_names() else ""
    rows = [_row(name) | {"default": name == default} for name in model_names()]
    if as_json:
        say_json(rows)
        return
    say(f"{'model':16}{'bytes':>12}{'SI-SDRi':>10}{'latency':>12}{'rtf':>9}{'rate':>10}")
    for row in rows:
        gain, latency, rtf = row["si_sdr_improvement"], row["latency_ms"], row["rtf"]
        cells = [
            "-" if gain is None else f"{gain:.2f} dB",
            "offline" if latency is None else f"{latency:.0f} ms",
            "-" if rtf is None else f"{rtf:.4f}",
        ]
        name = f"{row['name']} *" if row["default"] else row["name"]
        say(f"{name:16}{row['file_bytes']:>12,}{cells[0]:>10}{cells[1]:>12}{cells[2]:>9}{row['sample_rate_hz']:>7} Hz")
    say("* the default; `tinywase info NAME` shows a card")


def _row(name: str) -> dict[str, Any]:
    from ..format import inspect
    from ..runtime.registry import find_model

    path = find_model(name)
    report = inspect(path)
    results = report.card.get("results", {}).get(LIST, {})
    return {
        "name": name,
        "path": str(path),
        "file_bytes": report.file_bytes,
        "si_sdr_improvement": results.get("si_sdr_improvement_db", [None])[0],
        "si_sdr_improvement_ci": results.get("si_sdr_improvement_db", [None, None, None])[1:],
        "trials": results.get("trials"),
        "latency_ms": report.latency_ms,
        "rtf": report.card.get("speed", {}).get("rtf"),
        "sample_rate_hz": report.config.sample_rate_hz,
        "parameters": report.sizes.parameters,
        "purpose": report.card.get("purpose"),
    }
