"""`tinywase extract` and `tinywase enroll`: files, folders, globs, pipes, and what is never overwritten."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in import Command, Result

from tinywase import Presence
from tinywase.audio import AudioReader, open_audio
from tinywase.cli.extract_report import print_many, report_lines

Extract = Callable[..., Result]


def noise(seconds: float, rate_hz: int = 8000, channels: int = 1, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a stereo recording, an enrollment, and a folder of calls; the tests' working place."""
    soundfile.write(tmp_path / "meeting.wav", noise(1.5, 44100, 2), 44100)
    soundfile.write(tmp_path / "me.wav", noise(2.0, seed=1), 8000)
    (tmp_path / "calls" / "june").mkdir(parents=True)
    soundfile.write(tmp_path / "calls" / "a.wav", noise(0.5), 8000)
    soundfile.write(tmp_path / "calls" / "june" / "b.flac", noise(0.25, 16000), 16000)
    (tmp_path / "calls" / "notes.md").write_text("no recording")
    return tmp_path


@pytest.fixture
def extract(desk: Path, tiny_model_path: Path, tinywase: Command) -> Extract:
    """`extract(words...)` with model and, unless told otherwise, enrollment filled in."""

    def run(*words: str | Path, enroll: bool = True) -> Result:
        voice: list[str | Path] = ["--enroll", desk / "me.wav"] if enroll else []
        return tinywase("extract", *words, *voice, "-m", tiny_model_path)

    return run


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


def test_one_recording_into_a_folder_is_reported_like_one(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", f"{desk}/alone/")
    assert "voice NOT found" in result.out and "band: up to 22.05 kHz" in result.out


def test_a_silent_recording_is_called_silent(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "silence.wav", np.zeros(8000), 8000)
    result = extract(desk / "silence.wav", "-o", desk / "out.wav")
    assert "the recording is silent" in result.out and "somebody else" not in result.out


def test_several_enrollments_without_quotes_are_explained(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", desk / "calls" / "a.wav", "-o", desk / "out.wav")
    assert result.code == 2 and "several enrollments: repeat --enroll" in " ".join(result.err.replace("│", " ").split())


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


def test_quiet_prints_nothing(desk: Path, extract: Extract) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / "out.wav", "-q")
    assert (result.code, result.out, result.err) == (0, "", "")


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


def test_pipes_in_and_out(desk: Path, tiny_model_path: Path) -> None:
    command = [sys.executable, "-m", "tinywase", "extract", "-", "-e", str(desk / "me.wav"), "-o", "-"]
    with (desk / "meeting.wav").open("rb") as pipe:
        result = subprocess.run([*command, "-m", str(tiny_model_path)], stdin=pipe, capture_output=True, check=True)
    samples, rate_hz = soundfile.read(io.BytesIO(result.stdout))
    assert (samples.shape, rate_hz) == ((66150, 2), 44100)
    assert b"standard output" in result.stderr


def test_clock_times_name_a_part_of_the_recording(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "long.wav", noise(65.0), 8000)
    for given in ("61.5-64", "1:01.5-1:04", "0:01:01.5-0:01:04"):
        result = extract(
            desk / "long.wav", "-o", desk / "out.wav", "--enroll-from", given, "--json", "--force", enroll=False
        )
        assert result.code == 0, result.err
        assert json.loads(result.out)["enrollment_s"] == pytest.approx(2.5, abs=0.1)


def test_a_folder_with_a_slash_is_made_and_hidden_files_are_no_recordings(desk: Path, extract: Extract) -> None:
    (desk / "calls" / "._a.wav").write_bytes(b"resource fork")
    assert extract(desk / "meeting.wav", "-o", f"{desk}/new/").code == 0
    assert (desk / "new" / "meeting.wav").is_file()
    assert extract(desk / "calls", "-o", desk / "done").code == 0


def test_standard_output_takes_one_recording(desk: Path, extract: Extract) -> None:
    for given in (desk / "calls", desk / "*.wav"):
        result = extract(given, "-o", "-")
        assert result.code == 2 and "give one MIX" in result.err
    both = extract("-", "-o", desk / "out.wav", "-e", "-", enroll=False)
    assert both.code == 2 and "standard input can be read once" in " ".join(both.err.split())


def test_labels_of_several_may_be_audacitys(desk: Path, extract: Extract) -> None:
    words = (desk / "calls", "-o", desk / "done", "--labels", desk / "labels", "--label-format", "txt")
    assert extract(*words).code == 0
    assert sorted(path.suffix for path in (desk / "labels").rglob("*.*")) == [".txt", ".txt"]


def test_what_is_said_of_an_enrollment_is_said_once_for_many(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "me.wav", noise(0.9, seed=1), 8000)
    result = extract(desk / "calls", "-o", desk / "done")
    assert result.out.count("enrollment: only 0.9 s of speech") == 1


def test_a_kept_voice_is_for_the_default_model_whatever_it_is_called(desk: Path, tinywase: Command) -> None:
    assert tinywase("enroll", desk / "me.wav", "-o", desk / "me", "-m", "nano").code == 0
    result = tinywase("extract", desk / "meeting.wav", "--voice", desk / "me", "-o", desk / "out.wav", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["model"] == "small"
    told = tinywase("extract", desk / "meeting.wav", "--voice", desk / "me.wav", "-o", desk / "out.wav", "--force")
    assert told.code == 1 and f"'{desk / 'me.wav'}': this is a recording: give it as 'enroll'" in told.err


@pytest.mark.parametrize("option", ["--residual", "--labels"])
def test_what_exists_beside_a_pipe_is_named_and_kept(desk: Path, extract: Extract, option: str) -> None:
    there = desk / ("rest.wav" if option == "--residual" else "who.rttm")
    there.write_bytes(b"earlier")
    result = extract(desk / "meeting.wav", "-o", "-", option, there)
    assert result.code == 1 and f"'{there}' exists already. Choose another name" in result.err
    assert "interrupted" not in result.err and there.read_bytes() == b"earlier"
