"""`tinywase extract` of many recordings: folders, globs, what is skipped, what one bad recording does to the others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import soundfile
from desk import Extract, noise

from tinywase.audio import AudioReader, open_audio
from tinywase.cli.inputs import recordings_of


def test_one_recording_into_a_folder_is_reported_like_one(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", f"{desk}/alone/")
    assert "voice NOT found" in result.out and "band: up to 22.05 kHz" in result.out


def test_folders_keep_their_structure_and_what_exists_is_skipped(desk: Path, extract: Extract) -> None:
    first = extract(desk / "calls", "-o", desk / "alone", "--labels", desk / "labels", "--residual", desk / "rest")
    assert first.code == 0, first.err
    made = sorted(str(path.relative_to(desk)) for path in desk.rglob("*") if "alone" in str(path) and path.is_file())
    assert made == ["alone/a.wav", "alone/june/b.flac"]
    assert (desk / "labels" / "june" / "b.rttm").exists()
    assert (desk / "rest" / "june" / "b.flac").exists()
    (desk / "alone" / "a.wav").unlink()
    before = (desk / "alone" / "june" / "b.flac").stat().st_mtime_ns
    for path in (*(desk / "labels").rglob("*.rttm"), *(desk / "rest").rglob("*.*")):
        path.unlink()
    second = extract(desk / "calls", "-o", desk / "alone")
    assert "1 skipped" in second.out
    assert (desk / "alone" / "a.wav").exists()
    assert (desk / "alone" / "june" / "b.flac").stat().st_mtime_ns == before


def test_what_exists_in_part_is_told_not_skipped(desk: Path, extract: Extract) -> None:
    assert extract(desk / "calls", "-o", desk / "alone").code == 0
    more = extract(desk / "calls", "-o", desk / "alone", "--residual", desk / "rest")
    assert more.code == 1
    assert "a.wav' exists already" in more.err
    assert "skipped" not in more.out


def test_a_batch_that_was_interrupted_says_what_is_missing_and_how_to_go_on(desk: Path, extract: Extract) -> None:
    words = (desk / "calls", "-o", desk / "alone", "--labels", desk / "who")
    assert extract(*words).code == 0
    (desk / "who" / "a.rttm").unlink()
    again = extract(*words)
    assert again.code == 1 and "1 skipped" in again.out
    assert f"'{desk}/alone/a.wav' exists already and '{desk}/who/a.rttm' does not" in again.err
    assert f"Remove '{desk}/alone/a.wav' and run again" in again.err
    (desk / "alone" / "a.wav").unlink()
    assert extract(*words).code == 0
    assert (desk / "who" / "a.rttm").exists()


def test_globs_and_several_files_go_to_a_folder(desk: Path, extract: Extract) -> None:
    result = extract(f"{desk}/calls/**/*.flac", desk / "meeting.wav", "-o", desk / "alone", "--json")
    assert [Path(row["output"]).name for row in json.loads(result.out)] == ["b.flac", "meeting.wav"]


def test_one_bad_recording_does_not_stop_the_others(desk: Path, extract: Extract) -> None:
    (desk / "calls" / "a.wav").write_text("not a recording")
    result = extract(desk / "calls", "-o", desk / "alone", "--json")
    assert result.code == 1
    assert "not a recording" in result.err
    rows = json.loads(result.out)
    assert ["error" in row for row in rows] == [True, False]
    assert (desk / "alone" / "june" / "b.flac").exists()


def test_what_the_system_refuses_of_one_does_not_stop_the_others(
    desk: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(source: object, **options: object) -> AudioReader:
        if str(source).endswith("a.wav"):
            raise PermissionError(13, "Permission denied", str(source))
        return open_audio(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("tinywase.runtime.extractor.open_audio", refusing)
    result = extract(desk / "calls", "-o", desk / "alone", "--json")
    assert result.code == 1 and "a.wav': Permission denied. Check" in result.err
    assert ["error" in row for row in json.loads(result.out)] == [True, False]


def test_an_interrupted_folder_says_how_much_is_done(
    desk: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: object, **options: object) -> AudioReader:
        if str(source).endswith("b.flac"):
            raise KeyboardInterrupt
        return open_audio(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("tinywase.runtime.extractor.open_audio", interrupted)
    result = extract(desk / "calls", "-o", desk / "alone")
    assert result.code == 130 and "1 of 2 recordings are done; the same command goes on." in result.err
    assert (desk / "alone" / "a.wav").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names must be text here")
def test_names_that_are_no_text_are_written_and_told(desk: Path, extract: Extract) -> None:
    strange = os.fsdecode(b"caf\xe9")
    (desk / strange).mkdir()
    (desk / "calls" / "a.wav").rename(desk / strange / f"{strange}.wav")
    (desk / "calls" / "june" / "b.flac").rename(desk / strange / "z.flac")
    result = extract(desk / strange, "-o", desk / f"{strange}-alone", "--labels", desk / strange, "--json")
    assert result.code == 0, result.err
    assert [Path(row["output"]).name for row in json.loads(result.out)] == ["caf?.wav", "z.flac"]
    assert (desk / f"{strange}-alone" / f"{strange}.wav").exists() and (desk / strange / f"{strange}.rttm").exists()


def test_results_in_a_subfolder_are_not_taken_for_recordings(desk: Path, extract: Extract) -> None:
    for _ in range(2):
        extract(desk / "calls", "-o", desk / "calls" / "alone")
    made = sorted(path.name for path in (desk / "calls" / "alone").rglob("*.*"))
    assert made == ["a.wav", "b.flac"]


def test_a_folder_with_a_slash_is_made_and_hidden_files_are_no_recordings(desk: Path, extract: Extract) -> None:
    (desk / "calls" / "._a.wav").write_bytes(b"resource fork")
    assert extract(desk / "meeting.wav", "-o", f"{desk}/new/").code == 0
    assert (desk / "new" / "meeting.wav").is_file()
    assert extract(desk / "calls", "-o", desk / "done").code == 0


def test_what_a_folder_holds_besides_recordings_is_told(desk: Path, extract: Extract) -> None:
    assert "calls: 1 file was not taken: .md" in extract(desk / "calls", "-o", desk / "done").err
    (desk / "calls" / "june" / "c.XYZ").write_bytes(b"unknown")
    (desk / "calls" / "june" / "d").write_bytes(b"unknown")
    told = extract(desk / "calls", "-o", desk / "done", "--force")
    assert told.code == 0 and "calls: 3 files were not taken: .md, .xyz, without suffix\n" in told.err
    assert not extract(desk / "calls", "-o", desk / "done", "--force", "--quiet").err


@pytest.mark.parametrize("suffix", [".m4b", ".mts", ".m2ts", ".mka", ".ac3", ".wv", ".3gp", ".aifc"])
def test_a_folder_gives_its_films_too(desk: Path, suffix: str) -> None:
    (desk / "calls" / f"film{suffix.upper()}").write_bytes(b"sound")
    assert f"film{suffix.upper()}" in [path.name for path in recordings_of(str(desk / "calls"))]


def test_labels_of_several_may_be_audacitys(desk: Path, extract: Extract) -> None:
    words = (desk / "calls", "-o", desk / "done", "--labels", desk / "labels", "--label-format", "txt")
    assert extract(*words).code == 0
    assert sorted(path.suffix for path in (desk / "labels").rglob("*.*")) == [".txt", ".txt"]


def test_what_is_said_of_an_enrollment_is_said_once_for_many(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "me.wav", noise(0.9, seed=1), 8000)
    result = extract(desk / "calls", "-o", desk / "done")
    assert result.out.count("enrollment: only 0.9 s of speech") == 1
