"""`tinywase extract` of one recording: what it says, to people and to programs, and pipes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from desk import Extract

from tinywase import Presence
from tinywase.cli.extract_report import print_many, report_lines


def test_a_file_is_extracted_and_the_report_says_what_was_done(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav")
    assert result.code == 0, result.err
    info = soundfile.info(desk / "out.wav")
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (66150, 44100, 2, "PCM_16")
    assert "(1.5 s, 44100 Hz, stereo)" in result.out
    assert "up to 22.05 kHz" in result.out
    assert "voice NOT found" in result.out


REPORTED: dict[str, object] = {
    "mixture": "a.wav", "output": "b.wav", "residual": None, "labels": None, "duration_s": 3.0, "sample_rate_hz": 8000,
    "channels": 1, "band_hz": 4000, "presence": "present", "confidence": 0.8, "active_s": 2.0, "silent": False,
    "muted": False, "attenuation_db": 0.0, "model": "small", "runtime": "native", "took_s": 0.1, "rtf": 0.03,
    "enrollment_s": 2.0, "enrollment_notes": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        ({}, "voice found: active 2.0 s, confidence 0.80", "listen"),
        ({"presence": "absent"}, "voice NOT found, confidence 0.80\n  what was written is probably somebody", "listen"),
        ({"presence": "absent", "muted": True}, "NOT found, written as silence, confidence", "somebody else"),
        (
            {"presence": "absent", "confidence": None, "active_s": 0.1},
            "voice NOT found: active 0.1 s of 3.0 s, too short to compare",
            "somebody else",
        ),
        ({"presence": "absent", "confidence": None, "silent": True}, "the recording is silent", "NOT found"),
        ({"presence": "uncertain"}, "cannot tell: listen to it, or enroll more: 10 s are recognized more", "somebody"),
        ({"presence": "uncertain", "enrollment_s": 12.0}, "cannot tell: listen to it\n", "enroll more"),
        ({"presence": "absent", "labels": "w.rttm"}, "labels: w.rttm\n  labels are empty: the voice was not", "listen"),
        ({"labels": "w.rttm"}, "labels: w.rttm", "empty"),
        ({"attenuation_db": 1.2}, "1.2 dB quieter than in the recording", "listen"),
    ],
)
def test_the_report_says_what_can_be_known_and_what_to_do(changed: dict[str, object], said: str, unsaid: str) -> None:
    text = "\n".join(report_lines(REPORTED | changed))
    assert said in text
    assert unsaid not in text


def test_of_many_every_line_has_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    muted = REPORTED | {"presence": "absent", "muted": True, "attenuation_db": 1.2, "mixture": "c.wav"}
    print_many([REPORTED, muted])
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("-> b.wav: voice found: active 2.0 s, confidence 0.80")
    assert second.endswith("-> b.wav: voice NOT found, written as silence, confidence 0.80; 1.2 dB quieter")
    print_many([REPORTED, REPORTED | {"presence": "absent", "labels": "who.rttm"}])
    assert capsys.readouterr().out.endswith("confidence 0.80; labels are empty: the voice was not found\n")


def test_a_silent_recording_is_called_silent(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "silence.wav", np.zeros(8000), 8000)
    result = extract(desk / "silence.wav", "-o", desk / "out.wav")
    assert "the recording is silent" in result.out and "somebody else" not in result.out


def test_json_says_it_to_programs(desk: Path, extract: Extract) -> None:
    rest, labels = desk / "rest.flac", desk / "who.txt"
    result = extract(
        desk / "meeting.wav",
        "-o",
        desk / "out.wav",
        "--json",
        "--residual",
        rest,
        "--labels",
        labels,
        "--no-highband",
    )
    content = json.loads(result.out)
    assert (content["duration_s"], content["sample_rate_hz"], content["channels"]) == (1.5, 44100, 2)
    assert (content["presence"], content["confidence"], content["muted"]) == ("absent", None, False)
    assert content["band_hz"] == 4000
    assert (content["residual"], content["labels"]) == (str(rest), str(labels))
    assert rest.exists()
    assert labels.exists()


def test_quiet_prints_nothing(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav", "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize(
    ("presence", "absent", "labelled"),
    [(Presence.UNCERTAIN, "pass", True), (Presence.ABSENT, "pass", False), (Presence.ABSENT, "mute", False)],
)
def test_a_voice_that_is_not_found_has_no_labels(
    desk: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch, presence: Presence, absent: str, labelled: bool
) -> None:
    monkeypatch.setattr("tinywase.runtime.presence.PresenceRule.verdict", lambda rule, evidence: presence)
    monkeypatch.setattr("tinywase.runtime.passes.audible_activity", lambda activity, power: np.ones_like(activity))
    words = ("-o", desk / "out.wav", "--labels", desk / "who.rttm", "--absent", absent, "--json")
    result = extract(desk / "meeting.wav", *words)
    assert bool((desk / "who.rttm").read_text()) == bool(json.loads(result.out)["segments_s"]) == labelled


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["calls", "-o", "out.wav"], "need a folder: --out got the file 'out.wav'"),
        (["calls", "-o", "alone", "--residual", "rest.wav"], "--residual got the file 'rest.wav'"),
        (["calls", "-o", "alone", "--labels", "who.rttm"], "--labels got the file 'who.rttm'"),
        (["calls", "-o", "calls"], "is the folder of the recordings"),
        (["calls/*.mp3", "-o", "alone"], "no recording matches"),
        (["meeting.wav", "-o", "meeting.wav", "--force"], "is what the result is made from"),
        (["meeting.wav", "-o", "me.wav", "--force"], "is what the result is made from"),
        (["meeting.wav", "calls/../meeting.wav", "-o", "alone"], "would both become"),
        (
            ["meeting.wav", "calls/meeting.flac", "-o", "alone", "--labels", "who"],
            "would both become 'who/meeting.rttm'",
        ),
        (["meeting.wav", "-o", "-", "--json"], "no --json"),
        (["meeting.wav", "-o", "out.wav", "--absent", "never"], "never"),
        (["meeting.wav"], "for example -o me-alone.wav"),
    ],
)
def test_requests_that_make_no_sense_are_usage_errors(
    desk: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(desk)
    result = extract(*words)
    assert result.code == 2
    assert message in " ".join(result.err.replace("│", " ").split())


def test_pipes_in_and_out(desk: Path, tiny_model_path: Path) -> None:
    command = [sys.executable, "-m", "tinywase", "extract", "-", "-e", str(desk / "me.wav"), "-o", "-"]
    with (desk / "meeting.wav").open("rb") as pipe:
        result = subprocess.run([*command, "-m", str(tiny_model_path)], stdin=pipe, capture_output=True, check=True)
    samples, rate_hz = soundfile.read(io.BytesIO(result.stdout))
    assert (samples.shape, rate_hz) == ((66150, 2), 44100)
    assert b"standard output" in result.stderr


def test_standard_output_takes_one_recording(desk: Path, extract: Extract) -> None:
    for given in (desk / "calls", desk / "*.wav"):
        result = extract(given, "-o", "-")
        assert result.code == 2 and "give one MIX" in result.err
    both = extract("-", "-o", desk / "out.wav", "-e", "-", enroll=False)
    assert both.code == 2 and "standard input can be read once" in " ".join(both.err.split())


@pytest.mark.parametrize("option", ["--residual", "--labels"])
def test_what_exists_beside_a_pipe_is_named_and_kept(desk: Path, extract: Extract, option: str) -> None:
    there = desk / ("rest.wav" if option == "--residual" else "who.rttm")
    there.write_bytes(b"earlier")
    result = extract(desk / "meeting.wav", "-o", "-", option, there)
    assert result.code == 1 and f"'{there}' exists already. Choose another name" in result.err
    assert "interrupted" not in result.err and there.read_bytes() == b"earlier"
