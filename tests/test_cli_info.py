"""`tinywase info` and `tinywase demo`."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in import Command

from tinywase.config import CONFIGS


@pytest.mark.parametrize(("share", "core"), [([], 5_050_674), (["--share"], 1_827_090)])
def test_the_papers_parameters_are_counted_exactly(tinywase: Command, share: list[str], core: int) -> None:
    content = json.loads(tinywase("info", "--config", "paper", *share, "--json").out)
    assert content["core_parameters"] == core
    assert content["voiceprint_parameters"] == 2_465_920
    assert content["paper_core_bytes"]["1 bit"] < content["paper_core_bytes"]["8 bit"] < content["float_core_bytes"]
    printed = tinywase("info", "--config", "paper", *share).out
    assert f"{core:,}" in printed and "2 bits" in printed
    assert "whole network" in printed and " bytes\n" not in printed.split("core bytes")[0]


def test_a_models_bytes_add_up_to_its_file(tinywase: Command, tiny_model_path: Path) -> None:
    content = json.loads(tinywase("info", tiny_model_path, "--json").out)
    assert content["core_bytes"] + content["voiceprint_bytes"] + content["overhead_bytes"] == content["file_bytes"]
    assert content["file_bytes"] == tiny_model_path.stat().st_size
    assert content["parameters"] == content["core_parameters"] + content["voiceprint_parameters"]
    assert content["card"]["data"] == "none: random weights"
    printed = tinywase("info", tiny_model_path).out
    assert f"{content['file_bytes']:,}" in printed
    assert "random weights" in printed
    assert re.search(r"tensors by bits: \d+ at 32", printed)


def test_a_models_network_is_not_taken_for_its_name(tinywase: Command) -> None:
    first, second, *_ = tinywase("info", "live").out.splitlines()
    assert first.endswith("live.twase") and second == "network: small, causal, 8000 Hz"


def test_a_card_is_printed_for_people(tinywase: Command) -> None:
    printed = tinywase("info", "default").out
    assert "{" not in printed
    assert re.search(r"\ndata\n +\d+\.\d\d h +\d+ speakers  .*: CC BY 4\.0\n", printed)
    assert re.search(r"\n\| test  .*\| -?\d+\.\d+ \[-?\d+\.\d+, \d+\.\d+\]", printed)
    assert "confidence weight" not in printed and "purpose: Offline" in printed
    assert json.loads(tinywase("info", "default", "--json").out)["card"]["presence"]["confidence_weight"] > 0


def test_a_hostile_file_gives_no_commands_to_the_terminal(
    tinywase: Command, tmp_path: Path, tiny_model_path: Path
) -> None:
    from tinywase import Extractor
    from tinywase.format import read_model, write_model

    file, path = read_model(tiny_model_path), tmp_path / "hostile.twase"
    evil = "\x1b]0;title\x07\x9b2J\r\x7fafter"
    licences = [{"name": evil, "speakers": 1, "hours": 1.0, "licence": evil}]
    card = {"purpose": evil, evil: {"a": {"b": evil}}, "authors": [evil], "data": licences}
    config = dataclasses.replace(file.config, name="\x1b[31mred")
    write_model(path, dataclasses.replace(file, config=config, card=card))
    printed = tinywase("info", path)
    assert printed.code == 0, printed.err
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", printed.out)
    assert r"network: \x1b[31mred" in printed.out
    assert printed.out.count(r"\x1b]0;title\x07\x9b2J\r\x7fafter") == 6
    assert json.loads(tinywase("info", path, "--json").out)["card"] == card

    noise = np.random.default_rng(0).standard_normal(16000) / 9
    voice = Extractor.from_pretrained(tiny_model_path).enroll(noise, sample_rate_hz=8000)
    dataclasses.replace(voice, model=evil).save(tmp_path / "me.voice")
    assert r"enrolled with \x1b]0;title" in tinywase("info", tmp_path / "me.voice").out


@pytest.mark.parametrize(
    "words", [[], ["default", "--config", "paper"], ["default", "--share"]], ids=["none", "both", "share"]
)
def test_a_model_or_a_configuration_must_be_named(tinywase: Command, words: list[str]) -> None:
    assert tinywase("info", *words).code == 2


def test_unknown_names_are_refused_with_the_known_ones(tinywase: Command) -> None:
    config, model = tinywase("info", "--config", "papre"), tinywase("info", "papre")
    assert config.code == model.code == 1
    assert f"expected one of {', '.join(CONFIGS)}" in config.err
    assert "there is no model 'papre'" in model.err


def test_a_recording_is_no_model(tinywase: Command, tmp_path: Path) -> None:
    for name in ("me.wav", "me.flac", "me.ogg"):
        soundfile.write(tmp_path / name, np.zeros(800), 8000)
        result = tinywase("info", tmp_path / name)
        assert result.code == 1 and "this is a recording; a model ends in .twase" in result.err


def test_the_demo_leaves_recordings_and_a_picture_and_says_how_well_it_went(
    tinywase: Command, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tinywase("demo", "-m", tiny_model_path, "-o", tmp_path / "demo", "--json")
    assert result.code == 0, result.err
    content = json.loads(result.out)
    assert soundfile.info(content["estimate"]).frames == soundfile.info(content["mixture"]).frames
    assert content["si_sdr_before_db"] == pytest.approx(-0.9, abs=1.0)
    assert content["rtf"] > 0
    if find_spec("matplotlib"):
        assert Path(content["picture"]).read_bytes().startswith(b"\x89PNG")
    again = tinywase("demo", "-m", tiny_model_path, "-o", tmp_path / "demo")
    assert again.code == 1
    assert "exists already" in again.err
    monkeypatch.setattr("tinywase.cli.demo.find_spec", lambda name: None)  # one picture is enough
    forced = tinywase("demo", "-m", tiny_model_path, "-o", tmp_path / "demo", "--force")
    assert re.search(r"SI-SDR +-?\d+\.\d dB before, -?\d+\.\d dB after: [+-]\d+\.\d dB", forced.out)


def test_the_demo_does_without_matplotlib(
    tinywase: Command, tiny_model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinywase.cli.demo.find_spec", lambda name: None)
    result = tinywase("demo", "-m", tiny_model_path, "-o", tmp_path / "demo")
    assert result.code == 0
    assert "no picture: that needs matplotlib (pip install 'tinywase[plots]')" in result.err
    assert not (tmp_path / "demo" / "picture.png").exists()


def test_a_voice_says_which_models_it_is_for(tmp_path: Path, tiny_model_path: Path, tinywase: Command) -> None:
    from tinywase import Extractor

    noise = np.random.default_rng(0).standard_normal(16000) / 9
    for model in ("nano", tiny_model_path):
        Extractor.from_pretrained(model).enroll(noise, sample_rate_hz=8000).save(tmp_path / "me.voice", force=True)
        result = tinywase("info", tmp_path / "me.voice")
        told = json.loads(tinywase("info", tmp_path / "me.voice", "--json").out)
        assert told["models"] == (["small", "live", "nano"] if told["model"] == "nano" else [])  # the default first
        known = f"for {', '.join(told['models'])} (" if told["models"] else "for no model of this package ("
        assert result.code == 0 and known in result.out and "from 2.0 s of speech" in result.out
