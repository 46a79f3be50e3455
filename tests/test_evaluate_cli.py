"""`tinywase evaluate` as a user runs it: tables or JSON on stdout, everything else on stderr, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from list_layouts import LAYOUTS
from typer.testing import CliRunner, Result

from tinywase.cli.main import build_app
from tinywase.errors import OutputError
from tinywase.evaluate import systems

RATE_HZ = 8000
HEADER = (
    "mixture_id,target_path,target_gain_db,interference_path,interference_gain_db,enrollment_path,"
    "target_speaker,interference_speaker,sexes"
)


@pytest.fixture
def list_path(tmp_path: Path) -> Path:
    """A list of the project's own layout over two synthetic voices, paths relative to speech/."""
    (tmp_path / "speech").mkdir()
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        times_s = np.arange(2 * RATE_HZ) / RATE_HZ
        syllables = np.maximum(0.0, np.sin(2 * np.pi * 3.0 * times_s + seed))
        samples = 0.1 * syllables * np.random.default_rng(seed).standard_normal(len(times_s))
        soundfile.write(tmp_path / "speech" / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    rows = ["0000,a.wav,1.0,b.wav,-1.0,c.wav,1,2,FM", "0001,b.wav,-1.0,a.wav,1.0,c.wav,2,1,MF"]
    path = tmp_path / "list.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app("evaluate"), ["evaluate", *map(str, arguments)])


def test_json_on_stdout_holds_the_promised_figures(list_path: Path) -> None:
    done = run("oracle", "mixture", "--list", list_path, "--root", list_path.parent / "speech", "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    for name in ("si_sdr_improvement_mean", "si_sdr_improvement_ci", "below_1db_rate", "confusion_rate", "rtf"):
        assert summary[name] is not None, name
    assert summary["trials"] == 2
    assert [system["system"] for system in summary["systems"]] == ["oracle", "mixture"]
    assert summary["si_sdr_improvement_mean"] > 3
    assert summary["systems"][1]["si_sdr_improvement_mean"] == 0


@pytest.mark.parametrize("command", [("evaluate", "mixture"), ("behaviour", "default")])
def test_of_two_lists_none_is_forgotten_without_a_word(list_path: Path, command: tuple[str, str]) -> None:
    lists = ["--list", str(list_path), "--list", str(list_path.parent / "other.csv")]
    done = CliRunner().invoke(build_app(command[0]), [*command, *lists])
    assert done.exit_code == 2
    assert "one list at a time" in done.output


def test_a_packed_model_is_run_and_compared(list_path: Path, tiny_model_path: Path) -> None:
    options = ["--list", list_path, "--root", list_path.parent / "speech", "--metrics", "si_sdr,activity_f1"]
    done = run(tiny_model_path, *options, "--against", "mixture", "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["system"] == "tiny"
    assert 0 <= summary["activity_f1_mean"] <= 1
    assert summary["rtf"] > 0
    (comparison,) = summary["comparisons"]
    assert (comparison["system"], comparison["against"]) == ("tiny", "mixture")
    assert comparison["difference_mean"] == pytest.approx(summary["si_sdr_improvement_mean"])


def test_a_model_is_opened_once(list_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_one = systems._open_model

    def noted(name: str, views: int | None) -> systems.System:
        opened.append(name)
        return open_one(name, views)

    monkeypatch.setattr(systems, "_open_model", noted)
    done = run(tiny_model_path, "--list", list_path, "--root", list_path.parent / "speech", "--metrics", "si_sdr")
    assert done.exit_code == 0, done.output
    assert opened == [str(tiny_model_path)]


def test_tables_go_to_stdout_and_to_files(list_path: Path, tmp_path: Path) -> None:
    options = ["--list", list_path, "--root", list_path.parent / "speech", "--limit", "1", "--metrics", "si_sdr"]
    done = run("mixture", *options, "--out", tmp_path / "results", "--markdown", tmp_path / "table.md")
    assert done.exit_code == 0, done.output
    assert done.stdout == (tmp_path / "table.md").read_text() == (tmp_path / "results" / "table.md").read_text()
    assert "| mixture |      1 |" in done.stdout
    again = run("mixture", *options, "--markdown", tmp_path / "table.md")
    assert again.exit_code == 1
    assert "table.md' exists already: nothing was evaluated" in again.stderr


@pytest.mark.parametrize("option", ["--out", "--markdown"])
def test_a_place_that_refuses_is_told_before_the_work(
    list_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr("tinywase.evaluate.outputs.os.access", lambda path, mode: path != tmp_path)
    done = run(
        "mixture", "--list", list_path, "--root", list_path.parent / "speech", option, tmp_path / "new" / "table"
    )
    assert done.exit_code == 1
    assert f"'{tmp_path}' may not be written to: nothing was evaluated" in done.stderr


def test_a_disk_that_is_full_in_the_end_takes_nothing_from_the_reader(
    list_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OutputError("cannot write: no space left")

    monkeypatch.setattr("tinywase.files.write_whole", full)
    words = ["--list", list_path, "--root", list_path.parent / "speech", "--markdown", tmp_path / "table.md"]
    done = run("mixture", *words, "--metrics", "si_sdr")
    assert done.exit_code == 1
    assert "| mixture |" in done.stdout


def test_a_remapped_list_needs_no_root(list_path: Path) -> None:
    text = list_path.read_text().replace("a.wav", "/far/away/a.wav").replace("b.wav", "/far/away/b.wav")
    list_path.write_text(text.replace("c.wav", "/far/away/c.wav"))
    done = run("mixture", "--list", list_path, "--remap", f"/far/away={list_path.parent / 'speech'}", "--json")
    assert done.exit_code == 0, done.output
    for nonsense in ("nonsense", "=nothing"):
        wrong = run("mixture", "--list", list_path, "--remap", nonsense)
        assert wrong.exit_code == 2
        assert f"'{nonsense}': expected OLD=NEW" in " ".join(wrong.stderr.split())


def test_options_of_the_layouts_are_those_of_the_data_commands(tmp_path: Path) -> None:
    listing = LAYOUTS["wase"](tmp_path).path
    done = run("mixture", "--list", listing, "--format", "wase", "--seed", "1", "--metrics", "si_sdr", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["trials"] > 0
    wrong = run("mixture", "--list", listing, "--format", "scp")
    assert wrong.exit_code == 1


def test_where_every_trial_fails_there_is_no_table_but_the_way_out(list_path: Path) -> None:
    with list_path.open("a") as stream:
        stream.writelines(f"{number:04d},a.wav,1.0,b.wav,-1.0,c.wav,1,3,FF\n" for number in range(2, 8))
    done = run("mixture", "--list", list_path, "--root", list_path.parent, "--metrics", "si_sdr")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("Failed: line") == 3
    assert "Failed: 5 more like that: AudioError: ...: there is no such file" in done.stderr
    assert "Error: 8 of 8 trials failed; there are no figures. 3 of 3 recordings are not there" in done.stderr
    assert f"Relative paths start from {list_path.parent}; give --root DIR" in done.stderr


def test_a_broken_trial_fails_the_run_after_the_others_are_done(list_path: Path) -> None:
    (list_path.parent / "speech" / "b.wav").write_bytes(b"not audio")
    with list_path.open("a") as stream:
        stream.write("0002,a.wav,1.0,c.wav,-1.0,c.wav,1,3,FF\n")
    done = run("mixture", "--list", list_path, "--root", list_path.parent / "speech", "--metrics", "si_sdr", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["trials"] == 1
    assert "Failed: line 2 (0000): AudioError: " in done.stderr
    assert "Failed: line 3 (0001): AudioError: " in done.stderr
    assert "Error: 2 of 3 trials failed; the figures cover the others." in done.stderr


def test_ctrl_c_keeps_the_trials_done_so_far(list_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinywase.evaluate import run as run_module

    score_trial = run_module.score_trial

    def interrupted_at_second(position, trial, **options):  # type: ignore[no-untyped-def]
        if position == 1:
            raise KeyboardInterrupt
        return score_trial(position, trial, **options)

    monkeypatch.setattr(run_module, "score_trial", interrupted_at_second)
    done = run("mixture", "--list", list_path, "--root", list_path.parent / "speech", "--json")
    assert done.exit_code == 130
    assert json.loads(done.stdout)["trials"] == 1
    assert "Interrupted after 1 of 2 trials: the figures cover those." in done.stderr


def test_unknown_models_and_metrics_are_refused_before_any_work(list_path: Path) -> None:
    missing = run("no-such-model.twase", "--list", list_path)
    assert missing.exit_code == 1
    assert "no-such-model.twase" in missing.stderr
    wrong = run("mixture", "--list", list_path, "--metrics", "sisdr")
    assert wrong.exit_code == 1
    assert "metric 'sisdr' is unknown" in wrong.stderr


def test_the_shared_test_list_is_read_as_it_is(speech_root: Path) -> None:
    done = run(
        "mixture",
        "oracle",
        "--list",
        speech_root / "lists" / "test.csv",
        "--limit",
        "2",
        "--metrics",
        "si_sdr",
        "--json",
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["trials"] == 2
    assert summary["systems"][1]["si_sdr_improvement_mean"] > 8
