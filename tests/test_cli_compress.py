"""`tinywase compress` and `tinywase export`: from a teacher to a packed student, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from stand_in import Command

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
pytest.importorskip("tensorboard", reason="tensorboard is not installed")

from tinywase.config import TINY  # noqa: E402
from tinywase.data.speakers import make_speakers, write_corpus  # noqa: E402
from tinywase.format import inspect, read_model  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.checkpoint import save_weights  # noqa: E402

MIB = 2**20


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few synthetic speakers, a teacher and a recipe."""
    folder = tmp_path_factory.mktemp("compress")
    voices = make_speakers("source-filter", 3, 1)
    write_corpus(folder / "speech", voices, utterances=2, seconds=(1.5, 2.0), seed=1, sample_rate_hz=8000)
    torch.manual_seed(0)
    save_weights(Wase(TINY), folder / "teacher.safetensors")
    (folder / "toy.toml").write_text(
        f"""
        calibration_batches = 2
        [data]
        bank = "{folder}/bank"
        sources = ["{folder}/speech"]
        [mix]
        segment_s = 0.5
        enrollment_s = 0.8
        [optimizer]
        batch = 2
        warmup = 1
        decay = 1
        """
    )
    return folder


def words(workplace: Path, name: str, *more: str) -> list[str]:
    """A compression of the toy teacher to `name`."""
    paths = ["--recipe", str(workplace / "toy.toml"), "--work", str(workplace / name)]
    return ["compress", str(workplace / "teacher.safetensors"), "-o", f"{workplace / name}.twase", *paths, *more]


def test_one_command_trains_packs_and_judges(tinywase: Command, workplace: Path) -> None:
    result = tinywase(*words(workplace, "daq", "--bits", "3", "--steps", "3", "--share"))
    assert result.code == 0, result.err
    file = read_model(workplace / "daq.twase")
    assert file.config.distinct_stacks == 1
    assert file.tensors["separator.mask.weight"].bits == 3
    assert file.tensors["separator.mask_input.bits"].dequantize() == 8
    assert file.card["compression"] == "daq"
    assert file.card["data"] == [f"{workplace}/speech"]
    for title in ("core as the paper counts", "whole file", "SI-SDR improvement, dB", "(95 %)"):
        assert title in result.out


def test_the_verdict_as_json_has_sizes_and_the_difference(tinywase: Command, workplace: Path) -> None:
    result = tinywase(*words(workplace, "ptq", "--strategy", "ptq", "--method", "lsq", "--json"))
    verdict = json.loads(result.out)
    assert verdict["file_bytes"] == (workplace / "ptq.twase").stat().st_size
    assert verdict["quantized_tensors"] == 4 * 6 + 3 + 3
    difference = verdict["student_improvement_db"]["value"] - verdict["teacher_improvement_db"]["value"]
    assert verdict["difference_db"]["value"] == pytest.approx(difference)
    assert "mixtures of the training voices" in verdict["measured_on"]


def test_the_folder_of_a_compression_is_not_that_of_a_training_of_the_same_name(
    tinywase: Command, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    words = ["teacher.safetensors", "--recipe", "toy.toml", "-o", "small.twase", "--steps", "1"]
    assert tinywase("compress", *words).code == 0
    assert {path.name for path in (workplace / "runs").iterdir()} == {"compress-small"}


def test_steps_take_the_place_of_the_minutes_of_a_recipe(tinywase: Command, workplace: Path) -> None:
    (workplace / "minutes.toml").write_text("minutes = 0.05\n" + (workplace / "toy.toml").read_text())
    recipe = ["--recipe", str(workplace / "minutes.toml")]
    assert tinywase(*words(workplace, "steps", *recipe, "--steps", "2")).code == 0
    assert read_model(workplace / "steps.twase").card["steps"] == 2
    assert tinywase(*words(workplace, "both", *recipe, "--steps", "2", "--set", "minutes=0.02")).code == 0
    assert read_model(workplace / "both.twase").card["steps"] > 2  # asked for: two steps' schedule over so long


def test_a_largest_size_chooses_the_widths(tinywase: Command, workplace: Path) -> None:
    more = (
        "--strategy",
        "ptq",
        "--method",
        "lsq",
        "--float-kind",
        "float32",
        "--plain",
        "--json",
        "--set",
        "calibration_batches=1",
        "--max-size",
    )
    size = json.loads(tinywase(*words(workplace, "size", *more, "80KB")).out)["file_bytes"]
    assert size <= 80_000
    widths = {t.bits for t in read_model(workplace / "size.twase").tensors.values() if t.kind == "codes"}
    assert len(widths) > 1
    refused = tinywase(*words(workplace, "none", *more, "1KB"))
    assert refused.code == 1
    assert "--max-size 1000 bytes cannot be met: the smallest file takes" in refused.err


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--bits", "0"], 1, "bits = 0: expected 1 to 8 bits, or 32"),
        (["--bits", "9"], 1, "bits = 9: expected 1 to 8 bits"),
        (["--max-size", "large"], 2, "expected a size such as 500KB"),
        (["--max-drop", "much"], 2, "expected decibels such as 0.3dB"),
        (["--max-size", "1MB", "--max-drop", "1dB"], 1, "give one of the two"),
        (["--max-size", "0KB"], 2, "'0KB': expected more than 0. Leave it out for no budget."),
        (["--max-size", "0.4B"], 2, "'0.4B': expected more than 0"),
        (["--max-drop", "0dB"], 2, "'0dB': expected more than 0. Leave it out for no budget."),
        (["--set", "model.sample_rate_hz=16000"], 1, "expected the same. Take a teacher of this configuration"),
        (["--set", "quant.bitz=3"], 1, "Did you mean 'bits'?"),
        (["--data", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(
    tinywase: Command, workplace: Path, more: list[str], code: int, message: str
) -> None:
    result = tinywase(*words(workplace, "bad", *more))
    assert result.code == code
    assert message in " ".join(result.err.replace("│", "").split())
    assert not (workplace / "bad.twase").exists()


def test_a_teacher_that_is_none_is_refused(tinywase: Command, workplace: Path) -> None:
    result = tinywase("compress", workplace / "toy.toml", "-o", workplace / "x.twase")
    assert result.code == 1
    assert "not a safetensors checkpoint" in result.err


def test_existing_files_are_kept_before_anything_is_trained(tinywase: Command, workplace: Path) -> None:
    (workplace / "kept.twase").write_text("mine")
    result = tinywase(*words(workplace, "kept"))
    assert result.code == 1
    assert "--force" in result.err
    assert (workplace / "kept.twase").read_text() == "mine"
    assert not (workplace / "kept").exists()


# tinywase export


def test_a_checkpoint_becomes_a_model_file(tinywase: Command, workplace: Path) -> None:
    (workplace / "card.json").write_text('{"data": "none"}')
    path = workplace / "float.twase"
    result = tinywase("export", workplace / "teacher.safetensors", "-o", path, "--card", workplace / "card.json")
    assert result.code == 0, result.err
    assert inspect(path).card == {"data": "none"}
    assert set(inspect(path).bits.values()) == {32}
    assert f"{path.stat().st_size:,} bytes" in result.out


@pytest.mark.parametrize("share", [False, True])
def test_random_weights_of_a_configuration_show_its_sizes(tinywase: Command, tmp_path: Path, share: bool) -> None:
    path = tmp_path / "random.twase"
    more = ["--share"] if share else []
    assert tinywase("export", "--config", "tiny", "--random", "--bits", "3", *more, "-o", path).code == 0
    content = json.loads(tinywase("info", path, "--json").out)
    assert content["config"]["distinct_stacks"] == int(share)
    assert {"paper_core_bytes", "paper_ratio", "core_bytes", "core_ratio", "file_bytes"} <= set(content)
    assert content["paper_core_bytes"] < content["float_core_bytes"] / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("share", "paper_mib", "paper_ratio", "least_ratio", "most_mib"),
    [([], "2.15", "8.97", 11.0, 2.9), (["--share"], "0.81", "23.79", 28.0, 1.8)],
)
def test_the_papers_network_meets_its_table_and_goes_below(
    tinywase: Command,
    tmp_path: Path,
    share: list[str],
    paper_mib: str,
    paper_ratio: str,
    least_ratio: float,
    most_mib: float,
) -> None:
    path = tmp_path / "paper.twase"
    smaller = ["--codec-bits", "8", "--voiceprint-bits", "4", "--float-kind", "ramp8", "--compact"]
    assert tinywase("export", "--config", "paper", "--random", "--bits", "3", *share, *smaller, "-o", path).code == 0
    content = json.loads(tinywase("info", path, "--json").out)
    assert f"{content['paper_core_bytes'] / MIB:.2f}" == paper_mib
    assert f"{content['paper_ratio']:.2f}" == paper_ratio
    assert content["core_ratio"] >= least_ratio
    assert content["file_bytes"] <= most_mib * MIB


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ([], 2, "give a CHECKPOINT, or --random with --config NAME"),
        (["--random"], 2, "give a CHECKPOINT, or --random with --config NAME"),
        (["--config", "tiny"], 2, "give a CHECKPOINT, or --random with --config NAME"),
        (["--config", "huge", "--random"], 1, "'huge': expected one of"),
        (["--config", "tiny", "--random", "--bits", "9"], 1, "bits = 9: expected 1 to 8"),
        (["--config", "tiny", "--random", "--card", "missing.json"], 1, "cannot read the card"),
        (["missing.safetensors"], 1, "not a safetensors checkpoint"),
    ],
)
def test_exports_that_make_no_sense_are_refused(
    tinywase: Command, tmp_path: Path, more: list[str], code: int, message: str
) -> None:
    result = tinywase("export", *more, "-o", tmp_path / "x.twase")
    assert result.code == code
    assert message in " ".join(result.err.replace("│", "").split())
    assert not (tmp_path / "x.twase").exists()
