"""`tinywase data`: what the commands print, write and return."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import soundfile
from list_layouts import LAYOUTS, lines, write_noise

from tinywase.cli.main import main
from tinywase.data.bank import SpeechBank
from tinywase.data.lists import read_trials, render_trial

RATE_HZ = 8000


def run(*words: object) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_check_says_order_and_returns_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "check", LAYOUTS["csv"](tmp_path).path) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "plain.csv (csv): 2 rows" in said.err
    assert "everything in order" in said.err


def test_check_names_file_and_line_and_returns_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = LAYOUTS["wase"](tmp_path)
    lines(layout.path, [*layout.path.read_text().splitlines(), layout.broken_row])
    next(tmp_path.rglob("052c010r.wav")).unlink()
    assert run("data", "check", layout.path) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in out] == [f"{layout.path}:{number}" for number in (1, 3)]
    assert "no file" in out[0]
    assert "4 fields; expected 5" in out[1]


def test_many_missing_recordings_are_one_problem_to_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"m{number}.wav,t{number}.wav,e.wav,{number}" for number in range(5)]
    listing = lines(tmp_path / "list.csv", ["mixture,target,enrollment,id", *rows, "a,b"])
    assert run("data", "check", listing) == 1
    said = capsys.readouterr()
    first, *named, way, other = said.out.splitlines()[1:] + said.out.splitlines()[:1]
    assert first == f"{listing}: 11 of 11 recordings are not there, such as"
    assert named == [f"  line 2: {tmp_path / name}" for name in ("m0.wav", "t0.wav")] + [
        f"  line 2: {tmp_path / 'e.wav'}"
    ]
    assert f"Relative paths start from {tmp_path}; give --root DIR" in way
    assert "2 fields; expected 4" in other
    assert "5 rows, speakers not named, 11 recordings" in said.err and "16 problems" in said.err


def test_one_is_said_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = lines(tmp_path / "list.csv", ["mixture,target,enrollment,id", "m.wav,t.wav,e.wav,1", "a,b"])
    for name in "mte":
        write_noise(tmp_path / f"{name}.wav", ord(name))
    assert run("data", "check", listing) == 1
    assert "1 row, speakers not named, 3 recordings" in (said := capsys.readouterr().err) and "1 problem." in said
    assert run("data", "convert", listing, tmp_path / "out.csv") == 1
    assert "1 broken row;" in capsys.readouterr().err


def test_convert_tells_of_recordings_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = lines(tmp_path / "list.csv", ["mixture,target,enrollment,id", "m.wav,t.wav,e.wav,1"])
    write_noise(tmp_path / "m.wav", 1)
    assert run("data", "convert", listing, tmp_path / "out.csv") == 0
    assert (
        "out.csv: 1 trial.\nNote: 2 of 3 recordings are not there; see tinywase data check" in capsys.readouterr().err
    )


def test_check_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = LAYOUTS["gains"](tmp_path)
    next(tmp_path.rglob("052c010r.wav")).unlink()
    assert run("data", "check", layout.path, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["layout"] == "gains"
    assert [problem["line"] for problem in report["problems"]] == [2, 3]
    assert set(report["problems"][0]) == {"file", "line", "message"}


def test_check_remaps_foreign_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout = LAYOUTS["wase"](tmp_path)
    lines(layout.path, [layout.path.read_text().replace(str(tmp_path), "/home/aa/WSJ").rstrip("\n")])
    assert run("data", "check", layout.path) == 1
    assert run("data", "check", layout.path, "--remap", f"/home/aa/WSJ={tmp_path}") == 0
    assert run("data", "check", layout.path, "--remap", "nonsense") == 2
    assert "expected OLD=NEW" in capsys.readouterr().err


def test_missing_list_is_an_error_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "check", "nowhere.csv") == 1
    assert capsys.readouterr().err.startswith("Error: 'nowhere.csv' does not exist; expected a list")


def test_formats_lists_every_reader(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "formats") == 0
    assert run("data", "formats", "--json") == 0
    out = capsys.readouterr().out
    assert {row["name"] for row in json.loads(out[out.index("[\n") :]) if row["for"] == "trials"} == set(LAYOUTS)


@pytest.mark.parametrize("name", ["scp", "wsj0-mix", "librimix", "asteroid", "gains"])
def test_convert_writes_a_csv_with_the_same_trials(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name](tmp_path)
    out = tmp_path / "out" / "list.csv"
    out.parent.mkdir()
    assert run("data", "convert", layout.path, out) == 0
    before, after = read_trials(layout.path), read_trials(out)
    for one, other in zip(before, after, strict=True):
        assert (one.mixture_id, one.recipe, one.sexes) == (other.mixture_id, other.recipe, other.sexes)
        assert (one.mixture, one.target, one.enrollment) == (other.mixture, other.target, other.enrollment)
        assert one.interference == other.interference
        assert one.target_gain_db == other.target_gain_db


def test_convert_refuses_recipes_and_existing_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert run("data", "convert", LAYOUTS["wase"](tmp_path / "w").path, out) == 1
    assert "trials of the recipe equal-peak" in capsys.readouterr().err
    plain = LAYOUTS["csv"](tmp_path / "p").path
    assert run("data", "convert", plain, out) == 0
    assert run("data", "convert", plain, out) == 1
    assert "exists already" in capsys.readouterr().err
    assert run("data", "convert", plain, out, "--force") == 0


def test_names_that_are_no_text_are_told_of_by_convert_and_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = LAYOUTS["wsj0-mix"](tmp_path / "list")
    named = os.fsdecode(b"sp\xe9ech")
    try:
        shutil.copytree(tmp_path / "list", tmp_path / named)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    path = tmp_path / named / layout.path.relative_to(tmp_path / "list")
    assert run("data", "convert", path, tmp_path / "out.csv") == 1
    assert "is no text in UTF-8" in capsys.readouterr().err and not (tmp_path / "out.csv").exists()
    voices = tmp_path / "voices"
    for speaker in ("ann", "bob"):
        (voices / speaker).mkdir(parents=True)
        for seed in range(2):
            write_noise(voices / speaker / f"{seed}.wav", seed, rate_hz=RATE_HZ)
    (voices / "bob").rename(voices / named)
    assert run("data", "pack", voices, "-o", tmp_path / "bank") == 0
    speakers = SpeechBank.load(tmp_path / "bank").target_speakers
    assert [speaker.rpartition("/")[2] for speaker in speakers] == ["ann", named]


def test_render_writes_a_folder_that_reads_as_the_same_audio_and_can_be_moved(tmp_path: Path) -> None:
    layout = LAYOUTS["wase"](tmp_path / "wase")  # peaks above 1: the parts are scaled alike
    assert run("data", "render", layout.path, tmp_path / "there", "--rate", RATE_HZ) == 0
    moved = (tmp_path / "there").rename(tmp_path / "here")
    before = render_trial(read_trials(layout.path)[0], RATE_HZ)
    after = render_trial(read_trials(moved / "list.csv")[0], RATE_HZ)
    assert after.interference is not None
    assert before.interference is not None
    scale = 0.99 / abs(before.mixture).max()
    for part in ("mixture", "target", "interference"):
        assert abs(getattr(after, part) - scale * getattr(before, part)).max() < 1e-5
    assert abs(after.enrollment - before.enrollment).max() < 1e-5


@pytest.mark.parametrize(
    ("names", "message"),
    [(("a", "a"), "'a' stands in lines 2 and 3"), (("../a", "b"), r"'../a': expected a name that a file may have")],
    ids=["twice", "outside"],
)
def test_render_refuses_names_that_cannot_be_files_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, str], message: str
) -> None:
    rows = "".join(f"m.wav,t.wav,e.wav,{name}\n" for name in names)
    (tmp_path / "list.csv").write_text(f"mixture,target,enrollment,id\n{rows}")
    for seed, name in enumerate("mte"):
        write_noise(tmp_path / f"{name}.wav", seed)
    assert run("data", "render", tmp_path / "list.csv", tmp_path / "r") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", ["render", "synth"])
def test_a_full_disk_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    layout, whole = LAYOUTS["gains"](tmp_path), soundfile.SoundFile
    monkeypatch.setattr(
        "tinywase.audio_writer.soundfile.SoundFile",
        lambda file, *mode, **options: whole("/dev/full" if "w" in mode else file, *mode, **options),
    )
    words = {"render": (layout.path, tmp_path / "r"), "synth": (tmp_path / "s", "--speakers", 1)}
    assert run("data", command, *words[command]) == 1
    assert "could not be written whole" in capsys.readouterr().err


def test_render_takes_the_first_trials_and_refuses_an_existing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = LAYOUTS["gains"](tmp_path)
    assert run("data", "render", layout.path, tmp_path / "r", "--limit", 1) == 0
    assert len(read_trials(tmp_path / "r" / "list.csv")) == 1
    assert run("data", "render", layout.path, tmp_path / "r") == 1
    assert "exists already: nothing was written" in capsys.readouterr().err


def test_synth_check_pack_is_the_road_to_a_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, bank = tmp_path / "corpus", tmp_path / "bank"
    words = ("--speakers", 2, "--utterances", 2, "--seconds", 0.5, 0.6, "--rate", RATE_HZ)
    assert run("data", "synth", corpus, *words) == 0
    assert run("data", "synth", corpus, *words) == 1  # nothing is replaced without --force
    assert run("data", "check", corpus) == 0
    assert run("data", "pack", corpus, "-o", bank) == 0
    assert "4 utterances" in capsys.readouterr().err
    assert run("data", "pack", corpus, "-o", bank) == 1
    assert "is a bank already" in capsys.readouterr().err
    assert run("data", "pack", corpus, "-o", bank, "--force") == 0


def test_synth_says_what_is_wrong_with_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "synth", tmp_path, "--seconds", 3, 2) == 2
    assert "expected 0.2 or more" in capsys.readouterr().err
    assert run("data", "synth", tmp_path, "--engine", "robot") == 1
    assert "engine 'robot' is unknown" in capsys.readouterr().err


def test_pack_refuses_two_sources_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("first", "other"):
        (tmp_path / place / "wav" / "x").mkdir(parents=True)
        soundfile.write(tmp_path / place / "wav" / "x" / "1.wav", [0.1] * 8000, 8000)
    assert run("data", "pack", tmp_path / "first" / "wav", tmp_path / "other" / "wav", "-o", tmp_path / "bank") == 1
    assert "both sources are called 'wav'" in " ".join(capsys.readouterr().err.split())


def test_pack_takes_splits_of_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        write_noise(tmp_path / f"{seed}.wav", seed, rate_hz=RATE_HZ)
    manifest = lines(tmp_path / "m.csv", ["path,speaker,split", "0.wav,a,train", "1.wav,a,train", "2.wav,b,dev"])
    assert run("data", "pack", manifest, "--split", "train", "-o", tmp_path / "bank") == 0
    assert "2 utterances" in capsys.readouterr().err


def test_rendered_files_have_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    layout = LAYOUTS["librimix-recipe"](tmp_path)
    assert run("data", "render", layout.path, tmp_path / "r", "--rate", 16_000, "--limit", 1) == 0
    assert {soundfile.info(file).samplerate for file in (tmp_path / "r").rglob("*.flac")} == {16_000}


def test_render_never_replaces_what_it_reads_and_other_files_only_by_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "r"
    assert run("data", "render", LAYOUTS["gains"](tmp_path).path, folder, "--rate", 16_000) == 0
    mine = (folder / "list.csv").rename(folder / "mine.csv")
    before = {path: path.read_bytes() for path in folder.rglob("*.flac")}
    for words in ([], ["--force"]):
        assert run("data", "render", mine, folder, "--rate", 8000, *words) == 1
        assert "is a recording of the list itself" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*.flac")} == before
    other = tmp_path / "other"
    assert run("data", "render", mine, other) == 0
    (other / "list.csv").unlink()
    assert run("data", "render", mine, other) == 1
    assert "exists already" in capsys.readouterr().err
    assert run("data", "render", mine, other, "--force") == 0
