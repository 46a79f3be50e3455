"""The behaviour of a model as a table for people and as JSON for programs and cards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .behaviour import Measured
from .report import group_fields
from .statistics import Mean
from .tables import percent, text_tables, with_interval

UNDEFINED = Mean(math.nan, math.nan, math.nan, 0)
IN_CARD = {  # value: its name in a card, decimals
    "si_sdr_improvement": ("si_sdr_improvement_db", 2),
    "si_sdr": ("si_sdr_db", 2),
    "below_1db": ("below_1db_rate", 4),
    "confused": ("confusion_rate", 4),
    "heard": ("heard_rate", 4),
    "leak_db": ("leak_db", 2),
    "lone_si_sdr": ("lone_si_sdr_db", 2),
    "activity_f1": ("activity_f1", 3),
}


def behaviour_table(measured: Sequence[Measured]) -> str:
    """Markdown, 80 characters wide: one row per condition, means with 95 % bootstrap intervals."""
    header = ["condition", "trials", "SI-SDRi dB", "SI-SDR dB", "below 1 dB", "confused", "heard", "leak dB"]
    return text_tables(header, [_line(one) for one in measured])


def behaviour_fields(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Everything measured, for programs."""
    return [{"condition": one.name, "title": one.title, **group_fields(one.group)} for one in measured]


def card_fields(measured: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """What a card keeps: by condition the trials and `[mean, low, high]` of every value that has a meaning."""
    fields: dict[str, dict[str, Any]] = {}
    for one in measured:
        means = {name: one.group.means.get(name, UNDEFINED) for name in IN_CARD}
        kept = {
            key: [round(x, decimals) for x in (means[name].value, means[name].low, means[name].high) if x == x]
            for name, (key, decimals) in IN_CARD.items()
        }
        fields[one.name] = {"title": one.title, "trials": len(one.rows)} | {k: v for k, v in kept.items() if v}
    return fields


def _line(one: Measured) -> list[str]:
    means = {name: one.group.means.get(name, UNDEFINED) for name in IN_CARD}
    decibels = [with_interval(means[name], 1) for name in ("si_sdr_improvement", "si_sdr")]
    rates = [percent(means[name].value) for name in ("below_1db", "confused", "heard")]
    return [one.title, str(len(one.rows)), *decibels, *rates, with_interval(means["leak_db"], 1)]
