"""Cards say what was measured and where a model fails; `tinywase models` reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stand_in import Command

from tinywase.evaluate.cards import page, weaknesses, with_card
from tinywase.runtime import registry

CARD = {
    "purpose": "A model for tests.",
    "data": [{"name": "nobody", "speakers": 0, "hours": 0.0, "licence": "none"}],
    "training": {"steps": 10, "audio_h": 0.1},
    "results": {
        "test": {"trials": 300, "si_sdr_improvement_db": [9.5, 9.1, 9.9], "below_1db_rate": [0.05, 0.03, 0.08]}
    },
    "behaviour": {"lone_target": {"title": "the target alone", "trials": 40, "si_sdr_db": [25.0, 24.0, 26.0]}},
    "speed": {"rtf": 0.012},
    "limits": ["Nothing above 4 kHz."],
}


@pytest.fixture
def bundled(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose models are `carded`, with a card, and `bare`, with hardly any."""
    with_card(tiny_model_path, tmp_path / "carded.twase", CARD)
    with_card(tiny_model_path, tmp_path / "bare.twase", {})
    monkeypatch.setattr(registry, "MODELS", tmp_path)
    monkeypatch.setitem(registry.ALIASES, "default", "carded")
    return tmp_path


def test_models_are_listed_for_programs(bundled: Path, tinywase: Command) -> None:
    done = tinywase("models", "--json")
    assert done.code == 0, done.err
    bare, carded = json.loads(done.out)
    assert carded["path"] == str(bundled / "carded.twase")
    assert carded["file_bytes"] == (bundled / "carded.twase").stat().st_size
    expected = {"name": "carded", "si_sdr_improvement": 9.5, "rtf": 0.012, "latency_ms": None, "sample_rate_hz": 8000}
    assert {key: carded[key] for key in expected} == expected
    assert (carded["default"], bare["default"]) == (True, False)
    assert (bare["si_sdr_improvement"], bare["rtf"]) == (None, None)


def test_models_are_listed_for_people(bundled: Path, tinywase: Command) -> None:
    lines = tinywase("models").out.splitlines()
    assert lines[2].startswith("carded *") and "9.50 dB" in lines[2] and "offline" in lines[2]
    assert len({len(line) for line in lines[:3]}) == 1  # columns


def test_a_card_tells_where_the_model_fails_by_its_own_figures() -> None:
    results = {"test": {"below_1db_rate": [0.25], "confusion_rate": [0.12]}, "dev": {"below_1db_rate": [0.02]}}
    behaviour = {
        "noise_0db": {"title": "noise 0 dB below the target", "si_sdr_improvement_db": [0.4, 0.1, 0.7]},
        "absent": {"title": "the target absent, two others", "leak_db": [-3.0, -4.0, -2.0]},
        "lone_target": {"title": "the target alone", "si_sdr_db": [11.0, 10.0, 12.0]},
    }
    presence = {"clean_heard_rate": 0.3, "absent_heard_rate": 0.01}
    text = "\n".join(weaknesses(results, behaviour, presence))
    for words in (
        "test: 25.0 % of the trials improve by less than 1 dB",
        "noise 0 dB below the target: +0.4 dB",
        "the target absent, two others: what should be silence is only 3.0 dB below the mixture",
        "the target alone comes out at 11.0 dB SI-SDR",
        "30.0 % of the targets",
    ):
        assert words in text
    assert "dev" not in text


def test_a_good_model_has_nothing_to_confess() -> None:
    behaviour = {"absent": {"title": "absent", "leak_db": [-40.0]}, "lone_target": {"title": "", "si_sdr_db": [30.0]}}
    assert weaknesses({"test": {"below_1db_rate": [0.01]}}, behaviour, {"clean_heard_rate": 0.99}) == []


def test_the_page_shows_every_part_of_a_card() -> None:
    text = page({"carded": (CARD, 1_500_000), "bare": ({}, 2_000)})
    in_table = ("1.50 MB", "| nobody |", "9.50 [9.10, 9.90]", "5.0 %", "the target alone")
    for words in (*in_table, "A model for tests.", "steps 10", "- Nothing above 4 kHz.", "## bare"):
        assert words in text
