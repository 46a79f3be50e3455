"""Model cards: what a model file says about itself, put together from facts, results and behaviour; and as a page.

    card = {"name", "purpose", "licence", "sample_rate_hz",
            "data": [{"name", "speakers", "hours", "licence", "note"}, ...], "training": {...},
            "presence": the rule (runtime/presence.py), its rates, what voiceprints have in common (likeness.py),
            "results": {list: {"trials", "si_sdr_improvement_db": [mean, low, high], ...}},
            "behaviour": {condition: {"title", "trials", ...}}, "speed": {"rtf", "cpu", "runtime"}, "limits": [...]}

Intervals are 95 %, bootstrap over speakers (statistics.py). Every part may be missing: cards of one's own models may
hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..format import ModelFile, read_model, to_bytes, write_model
from .report import Report
from .tables import number, percent, text_table

IN_CARD = {  # value of an evaluation: its name in a card, decimals
    "si_sdr_improvement": ("si_sdr_improvement_db", 3),
    "si_sdr": ("si_sdr_db", 3),
    "pesq": ("pesq", 4),
    "pesq_improvement": ("pesq_improvement", 4),
    "estoi": ("estoi", 4),
    "estoi_improvement": ("estoi_improvement", 4),
    "activity_f1": ("activity_f1", 4),
    "below_1db": ("below_1db_rate", 4),
    "confused": ("confusion_rate", 4),
}
RESULT_LISTS = {"test": "SI-SDRi dB, unseen readers", "test_ocean": "other rooms, accents", "test_children": "children"}
MUCH_BELOW_1DB = 0.1
LITTLE_GAIN_DB = 1.0
QUIET_LEAK_DB = -20.0
UNHARMED_DB = 20.0
RELIABLE_RATE = 0.9


def with_card(path: str | Path, output: str | Path, card: Mapping[str, Any], *, force: bool = False) -> None:
    """Write the model of `path` to `output` with another card; the tensors stay as they are stored."""
    model_file = read_model(path)
    compact = Path(path).read_bytes() != to_bytes(model_file)  # equal models have equal bytes: it was the other way
    write_model(output, ModelFile(model_file.config, model_file.tensors, dict(card)), compact=compact, force=force)


def result_fields(report: Report) -> dict[str, Any]:
    """What a card keeps of the evaluation of one model: `[mean, low, high]` of every value."""
    summary = report.summaries[0]
    fields: dict[str, Any] = {"trials": summary.overall.trials}
    for value, (name, decimals) in IN_CARD.items():
        mean = summary.overall.means.get(value)
        if mean is not None and not math.isnan(mean.value):
            fields[name] = [round(x, decimals) for x in (mean.value, mean.low, mean.high) if not math.isnan(x)]
    for pair in ("same", "different"):
        group = summary.groups.get(pair)
        if group is not None:
            fields[f"{pair}_sex_si_sdr_improvement_db"] = round(group.means["si_sdr_improvement"].value, 3)
    return fields


def weaknesses(results: Mapping[str, Any], behaviour: Mapping[str, Any], presence: Mapping[str, Any]) -> list[str]:
    """Where the model fails, in words, by its own figures."""
    found = []
    for name, result in results.items():
        rate, confused = (result.get(key, [0.0])[0] for key in ("below_1db_rate", "confusion_rate"))
        if rate > MUCH_BELOW_1DB:
            found.append(
                f"{name}: {percent(rate)} of the trials improve by less than 1 dB; in {percent(confused)} the result "
                "is nearer to the other voice."
            )
    for condition in behaviour.values():
        gain, leak = condition.get("si_sdr_improvement_db"), condition.get("leak_db")
        if gain is not None and gain[0] < LITTLE_GAIN_DB:
            found.append(f"{condition['title']}: {number(gain[0], 1, sign=True)} dB, hardly any improvement.")
        if leak is not None and leak[0] > QUIET_LEAK_DB:
            found.append(
                f"{condition['title']}: what should be silence is only {number(-leak[0], 1)} dB below the mixture."
            )
    lone = behaviour.get("lone_target", {}).get("si_sdr_db")
    if lone is not None and lone[0] < UNHARMED_DB:
        found.append(f"the target alone comes out at {number(lone[0], 1)} dB SI-SDR: audibly changed.")
    heard = presence.get("clean_heard_rate", 1.0)
    if heard < RELIABLE_RATE:
        found.append(f"only {percent(heard)} of the targets in mixtures are reported present, most as uncertain.")
    denied = presence.get("absent_denied_rate", 1.0)
    if denied < RELIABLE_RATE:
        found.append(f"only {percent(denied)} of the absent targets among two others are reported absent.")
    return found


def page(cards: Mapping[str, tuple[Mapping[str, Any], int]]) -> str:
    """Markdown: a table of all models, then every card. `cards`: name -> (card, bytes of the file)."""
    parts = [_overview(cards)]
    for name, (card, _) in cards.items():
        parts += [f"## {name}", *_sections(card)]
    return "\n\n".join(parts)


def _overview(cards: Mapping[str, tuple[Mapping[str, Any], int]]) -> str:
    rows = []
    for name, (card, file_bytes) in cards.items():
        results = card.get("results", {})
        gains = [_interval(results.get(key, {}).get("si_sdr_improvement_db"), 2) for key in RESULT_LISTS]
        rtf = card.get("speed", {}).get("rtf", math.nan)
        rows.append([name, f"{file_bytes / 1e6:.2f} MB", *gains, number(rtf, 4)])
    return text_table(["model", "file", *RESULT_LISTS.values(), "RTF"], rows)


def _sections(card: Mapping[str, Any]) -> list[str]:
    """The card in words and tables, what it has of them."""
    parts = [str(card[key]) for key in ("purpose",) if key in card]
    if "data" in card:
        parts += ["Trained on:", text_table(*data_table(card["data"]))]
    if "training" in card:
        parts.append(f"Training: {_listed(card['training'])}.")
    if "results" in card:
        parts.append(text_table(*results_table(card["results"])))
    if "behaviour" in card:
        parts.append(text_table(*behaviour_table(card["behaviour"])))
    if "presence" in card:
        parts.append(f"Presence: {_listed(card['presence'])}.")
    if card.get("limits"):
        parts += ["Where it fails:", "\n".join(f"- {text}" for text in card["limits"])]
    return parts


def _listed(values: Mapping[str, Any]) -> str:
    """Names and plain values in a row."""
    return ", ".join(f"{key} {value}" for key, value in values.items() if not isinstance(value, (Mapping, list)))


def data_table(data: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what a model was trained on."""
    rows = [[row["name"], str(row["speakers"]), f"{row['hours']:.2f}", row["licence"]] for row in data]
    return ["speech", "speakers", "hours", "licence"], rows


def results_table(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the results by list."""
    names = ("si_sdr_improvement_db", "pesq", "estoi", "activity_f1")
    rows = [
        [name, str(result["trials"]), *(_interval(result.get(key), 2) for key in names),
         *(percent(result.get(key, [math.nan])[0]) for key in ("below_1db_rate", "confusion_rate"))]
        for name, result in results.items()
    ]  # fmt: skip
    header = ["list", "trials", "SI-SDRi dB", "PESQ", "ESTOI", "activity F1", "below 1 dB", "confused"]
    return header, rows


def behaviour_table(behaviour: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the behaviour by condition."""
    rows = []
    for condition in behaviour.values():
        values = [_interval(condition.get(key), 1) for key in ("si_sdr_improvement_db", "si_sdr_db", "leak_db")]
        heard = percent(condition.get("heard_rate", [math.nan])[0])
        rows.append([condition["title"], str(condition["trials"]), *values, heard])
    return ["condition", "trials", "SI-SDRi dB", "SI-SDR dB", "leak dB", "heard"], rows


def _interval(values: Sequence[float] | None, decimals: int) -> str:
    if not values:
        return number(math.nan, decimals)
    mean, *limits = (number(value, decimals) for value in values)
    return f"{mean} [{', '.join(limits)}]" if limits else mean
