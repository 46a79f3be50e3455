"""Whose voice? `tinywase enroll`, and how `tinywase extract` is told of the wanted voice and of others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from desk import Extract, noise
from stand_in import Command


def test_several_enrollments_without_quotes_are_explained(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", desk / "calls" / "a.wav", "-o", desk / "out.wav")
    assert result.code == 2 and "several enrollments: repeat --enroll" in " ".join(result.err.replace("│", " ").split())


def test_somebody_else_may_be_enrolled_too(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "other.wav", noise(2.0, seed=2), 8000)
    for name, words in {"plain": [], "told": ["--other", desk / "other.wav"]}.items():
        result = extract(desk / "meeting.wav", "-o", desk / f"{name}.wav", "--views", "2", *words)
        assert result.code == 0, result.err
    assert (desk / "plain.wav").read_bytes() != (desk / "told.wav").read_bytes()
    result = extract(desk / "meeting.wav", "-o", desk / "once.wav", "--other", desk / "other.wav")
    assert result.code == 1 and "takes one view of a recording and never listens for the others" in result.err


def test_a_recording_of_several_voices_does_not_say_which_is_wanted(
    desk: Path, extract: Extract, tinywase: Command, tiny_model_path: Path
) -> None:
    (desk / "copy.wav").write_bytes((desk / "meeting.wav").read_bytes())
    for enrolled in ("meeting.wav", "copy.wav"):
        words = ("-e", desk / enrolled, "-o", desk / "out.wav", "-m", tiny_model_path)
        result = tinywase("extract", desk / "meeting.wav", *words)
        assert result.code == 1 and f"{enrolled}' is both the recording and the sample of the voice, exp" in result.err
        assert "--enroll-from 1:02-1:08" in result.err and not (desk / "out.wav").exists()
    beside = extract(desk / "calls", desk / "me.wav", "-o", desk / "alone")
    assert beside.code == 0, beside.err


def test_the_wanted_voice_is_not_somebody_else(desk: Path, extract: Extract) -> None:
    words = (desk / "meeting.wav", "-o", desk / "out.wav", "--views", "2")
    same = extract(*words, "--other", desk / "me.wav")
    assert same.code == 1 and "is the sample of the wanted voice and of somebody else, expected two people" in same.err
    soundfile.write(desk / "again.wav", noise(2.5, seed=1), 8000)
    alike = extract(*words, "--other", desk / "again.wav")
    assert alike.code == 0 and "enrollment: the wanted voice and the other one sound like one (cosine" in alike.out


@pytest.mark.parametrize(
    ("words", "got"),
    [([], "none"), (["--voice", "me.voice", "--enroll-from", "0-1"], "--voice and --enroll-from")],
)
def test_exactly_one_voice_must_be_named(desk: Path, extract: Extract, words: list[str], got: str) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav", *words, enroll=False)
    assert result.code == 2
    assert f"got {got}" in " ".join(result.err.replace("│", " ").split())


@pytest.mark.parametrize("range_text", ["abc", "12", "1-x"])
def test_a_time_range_that_is_none_is_a_usage_error(desk: Path, extract: Extract, range_text: str) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav", "--enroll-from", range_text, enroll=False)
    assert result.code == 2
    assert "expected START-STOP, seconds or clock times" in " ".join(result.err.replace("│", " ").split())


def test_the_voice_may_be_taken_from_the_recording_itself(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav", "--enroll-from", "0.2-1.2", "--json", enroll=False)
    assert json.loads(result.out)["enrollment_s"] == pytest.approx(1.0, abs=0.1)
    late = extract(desk / "meeting.wav", "-o", desk / "late.wav", "--enroll-from", "7-9", enroll=False)
    assert late.code == 1
    assert "the recording lasts 1.50 s" in late.err


def test_enroll_makes_a_voice_that_extract_takes(
    desk: Path, extract: Extract, tiny_model_path: Path, tinywase: Command
) -> None:
    made = tinywase("enroll", desk / "me.wav", desk / "me.wav", "-o", desk / "me.voice", "-m", tiny_model_path)
    assert made.code == 0, made.err
    assert "4.0 s of speech" in made.out
    by_voice = extract(desk / "meeting.wav", "-o", desk / "a.wav", "--voice", desk / "me.voice", enroll=False)
    by_enroll = extract(desk / "meeting.wav", "-o", desk / "b.wav", "--ref", desk / "me.wav", enroll=False)
    as_enrollment = extract(desk / "meeting.wav", "-o", desk / "c.wav", "-e", desk / "me.voice", enroll=False)
    assert by_voice.code == by_enroll.code == as_enrollment.code == 0
    samples = [soundfile.read(desk / f"{name}.wav")[0] for name in "abc"]
    assert np.abs(samples[0] - samples[1]).max() < 1e-4
    assert np.array_equal(samples[0], samples[2])
    again = tinywase("enroll", desk / "me.wav", "-o", desk / "me.voice", "-m", tiny_model_path)
    assert again.code == 1
    assert "exists already" in again.err


@pytest.mark.parametrize(("option", "role"), [("--other", "other.wav"), ("--voice", "me.txt")])
def test_nothing_that_is_read_is_replaced(
    desk: Path, extract: Extract, tinywase: Command, tiny_model_path: Path, option: str, role: str
) -> None:
    soundfile.write(desk / "other.wav", noise(2.0, seed=2), 8000)
    assert tinywase("enroll", desk / "me.wav", "-o", desk / "me.txt", "-m", tiny_model_path).code == 0
    before = (desk / role).read_bytes()
    out, labels = desk / ("other.wav" if role == "other.wav" else "out.wav"), desk / "me.txt"
    words = [desk / "meeting.wav", "-o", out, option, desk / role, "--labels", labels, "--force"]
    result = extract(*words, enroll=option == "--other")
    assert result.code == 2 and "is what the result is made from" in " ".join(result.err.replace("│", " ").split())
    assert (desk / role).read_bytes() == before


@pytest.mark.parametrize("name", ["me2.wav", "me2.FLAC", "me2.m4a"])
def test_a_voiceprint_is_not_called_like_a_recording(
    desk: Path, tiny_model_path: Path, tinywase: Command, name: str
) -> None:
    result = tinywase("enroll", desk / "me.wav", "-o", desk / name, "-m", tiny_model_path)
    assert result.code == 1 and "is a recording's suffix, expected a voiceprint's. Call it" in result.err
    assert "me2.voice'" in result.err and not (desk / name).exists()


def test_enroll_never_replaces_its_own_recording(desk: Path, tiny_model_path: Path, tinywase: Command) -> None:
    before = (desk / "me.wav").read_bytes()
    for given in (desk / "me.wav", f"{desk}/m?.wav"):
        result = tinywase("enroll", given, "-o", desk / "me.wav", "-m", tiny_model_path, "--force")
        assert result.code == 2 and "is what the result is made from" in " ".join(result.err.replace("│", " ").split())
    assert (desk / "me.wav").read_bytes() == before


def test_a_voice_may_be_a_folder_or_a_glob(
    desk: Path, extract: Extract, tiny_model_path: Path, tinywase: Command
) -> None:
    (desk / "mine").mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(desk / "mine" / name, noise(1.0), 8000)
    for given in (desk / "mine", f"{desk}/mine/*.wav"):
        made = tinywase("enroll", given, "-o", desk / "me.voice", "-m", tiny_model_path, "--json", "--force")
        assert json.loads(made.out)["active_s"] == pytest.approx(2.0, abs=0.1)
        done = extract(
            desk / "meeting.wav", "-o", desk / "out.wav", "--enroll", given, "--json", "--force", enroll=False
        )
        assert json.loads(done.out)["enrollment_s"] == pytest.approx(2.0, abs=0.1)
    none = tinywase("enroll", desk / "mine" / "*.mp3", "-o", desk / "me.voice", "-m", tiny_model_path, "--force")
    assert none.code == 2


def test_enroll_tells_what_could_be_better(desk: Path, tiny_model_path: Path, tinywase: Command) -> None:
    soundfile.write(desk / "short.wav", noise(1.0), 8000)
    result = tinywase("enroll", desk / "short.wav", "-o", desk / "s.voice", "-m", tiny_model_path, "--json")
    content = json.loads(result.out)
    assert content["notes"] == ["only 1.0 s of speech; 2 s and more tell voices apart better"]
    assert content["bytes"] == (desk / "s.voice").stat().st_size


def test_clock_times_name_a_part_of_the_recording(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "long.wav", noise(65.0), 8000)
    for given in ("61.5-64", "1:01.5-1:04", "0:01:01.5-0:01:04"):
        result = extract(
            desk / "long.wav", "-o", desk / "out.wav", "--enroll-from", given, "--json", "--force", enroll=False
        )
        assert result.code == 0, result.err
        assert json.loads(result.out)["enrollment_s"] == pytest.approx(2.5, abs=0.1)


def test_a_kept_voice_is_for_the_default_model_whatever_it_is_called(desk: Path, tinywase: Command) -> None:
    assert tinywase("enroll", desk / "me.wav", "-o", desk / "me", "-m", "nano").code == 0
    result = tinywase("extract", desk / "meeting.wav", "--voice", desk / "me", "-o", desk / "out.wav", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["model"] == "small"
    told = tinywase("extract", desk / "meeting.wav", "--voice", desk / "me.wav", "-o", desk / "out.wav", "--force")
    assert told.code == 1 and f"'{desk / 'me.wav'}': this is a recording: give it as 'enroll'" in told.err
