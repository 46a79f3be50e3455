"""tools/ship.py: from weights to a model file with its card, in parts that are never done twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from scripts import script
from voices import trials_of_voices

from tinywase.data.convert import to_csv
from tinywase.format import read_model

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "ship.py"
LISTS = ("dev", "dev_ocean", "test", "test_ocean", "test_children")


@pytest.fixture
def ship(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`ship("--only", "test")` for a tiny model and lists of four short trials; returns where the model goes."""
    module = script("tools/ship.py")
    monkeypatch.setattr(module.behaviour, "DIALOGUE_S", 20.0)
    (tmp_path / "lists").mkdir()
    for name in LISTS:
        (tmp_path / "lists" / f"{name}.csv").write_text(to_csv(trials_of_voices(tmp_path, seconds=3.0)))
    output = tmp_path / "shipped.twase"
    options = ["--speech", tmp_path, "--work", tmp_path / "work", "--output", output, "--trials", "2"]

    def run(*more: str) -> Path:
        words = [SCRIPT, "small", tiny_model_path, *options, *more]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        module.main()
        return output

    return run


@pytest.mark.slow
def test_a_model_is_shipped_in_parts(
    ship: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not ship("--only", "presence,test,dev").exists()
    assert "not shipped yet, missing behaviour-clean" in capsys.readouterr().out
    (done,) = (tmp_path / "work").glob("*/test.json")
    done.write_text(done.read_text().replace('"trials": 4', '"trials": 5'))  # a mark, to see that it stays
    card = read_model(ship()).card
    assert card["results"]["test"]["trials"] == 5
    assert card["results"]["test_children"]["trials"] == 4
    assert set(card["behaviour"]) >= {"clean", "noise_0db", "absent", "dialogue"}
    assert card["presence"]["trials"] == 8
    assert 0 < card["speed"]["rtf"] < 10
    assert any(row["licence"] == "CC BY 4.0" for row in card["data"])
    assert len(card["limits"]) > 4  # a random network has more to confess than the standing limits
    json.dumps(card, allow_nan=False)


def test_behaviour_waits_for_the_rule_of_presence(ship: Callable[..., Path]) -> None:
    with pytest.raises(Exception, match=r"presence\.json is missing: .* Begin with --only presence"):
        ship("--only", "behaviour-clean")
