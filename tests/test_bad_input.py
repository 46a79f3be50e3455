"""What users do wrong, at the command line: the exit code, the message, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in import Command, Result

Extract = Callable[..., Result]


def speech(seconds: float, rate_hz: int = 8000, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate_hz), channels))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a good recording and a good enrollment."""
    soundfile.write(tmp_path / "good.wav", speech(1.0), 8000)
    soundfile.write(tmp_path / "me.wav", speech(2.0), 8000)
    return tmp_path


@pytest.fixture
def extract(desk: Path, tiny_model_path: Path, tinywase: Command) -> Extract:
    """`extract(mixture, enroll=...)` to out.wav; afterwards, unless it went well, nothing new lies on the desk."""

    def run(mixture: Path, *words: str, enroll: Path | None = None, out: Path | None = None) -> Result:
        out = out or desk / "out.wav"
        before = sorted(desk.rglob("*"))
        result = tinywase("extract", mixture, "-e", enroll or desk / "me.wav", "-o", out, "-m", tiny_model_path, *words)
        if result.code:
            assert sorted(desk.rglob("*")) == before, "something was left behind"
            assert not result.out, "results go to stdout, errors do not"
        return result

    return run


def refused(result: Result, message: str) -> None:
    """Exit code 1, one message, no traceback."""
    assert result.code == 1
    assert re.search(message, result.err), result.err
    assert "Traceback" not in result.err


def test_not_audio(desk: Path, extract: Extract) -> None:
    (desk / "letter.wav").write_text("Dear reader, " * 50)
    refused(extract(desk / "letter.wav"), r"letter\.wav: not a recording that can be read .*Expected WAV.*convert it")


def test_empty_file(desk: Path, extract: Extract) -> None:
    (desk / "empty.wav").touch()
    refused(extract(desk / "empty.wav"), r"empty\.wav: is empty \(0 bytes\), expected a recording")


def test_recording_without_samples(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "none.wav", speech(0), 8000)
    refused(extract(desk / "none.wav"), r"none\.wav: holds no samples, expected at least one")


def test_missing_file(desk: Path, extract: Extract) -> None:
    refused(extract(desk / "nowhere.wav"), r"nowhere\.wav: there is no such file")


def test_one_sample_is_a_recording_but_no_enrollment(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "one.wav", speech(1 / 8000), 8000)
    refused(extract(desk / "good.wav", enroll=desk / "one.wav"), r"one\.wav: enrollment holds 0\.00 s of speech")
    assert extract(desk / "one.wav").code == 0
    assert soundfile.info(desk / "out.wav").frames == 1


def test_silence_is_a_recording_without_the_voice(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "silence.wav", np.zeros(8000), 8000)
    told = r"the enrolled voice was not found: it is active for 0\.0 s, expected 0\.2 s or more.* --absent mute"
    refused(extract(desk / "silence.wav", "--absent", "fail"), told)
    assert extract(desk / "silence.wav").code == 0
    assert not soundfile.read(desk / "out.wav")[0].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite(desk: Path, extract: Extract, bad: float) -> None:
    samples = speech(2.0)
    samples[6000] = bad
    soundfile.write(desk / "bad.wav", samples, 8000, subtype="FLOAT")
    message = r"bad\.wav: the sample at 0\.750 s is NaN or infinite, expected finite samples"
    refused(extract(desk / "bad.wav"), message)
    refused(extract(desk / "good.wav", enroll=desk / "bad.wav"), message)


def test_three_channels_come_out_as_three(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "three.wav", speech(1.0, channels=3), 8000)
    soundfile.write(desk / "me.wav", speech(1.5, channels=3), 8000)
    result = extract(desk / "three.wav", enroll=desk / "me.wav")
    assert result.code == 0
    assert "3 channels" in result.out
    assert soundfile.info(desk / "out.wav").channels == 3


def test_more_channels_than_a_mixing_desk_has(desk: Path, extract: Extract) -> None:
    soundfile.write(desk / "many.wav", speech(1.0, channels=33), 8000, subtype="PCM_U8")
    message = r"many\.wav: has 33 channels, expected at most 32\. Keep those that are nearest to the voice"
    refused(extract(desk / "many.wav"), message)
    refused(extract(desk / "good.wav", enroll=desk / "many.wav"), message)


@pytest.mark.parametrize("rate_hz", [4, 400_000])
def test_rates_that_cannot_be_meant(desk: Path, extract: Extract, rate_hz: int) -> None:
    soundfile.write(desk / "odd.wav", speech(1.0), rate_hz)
    message = rf"odd\.wav: the sample rate is {rate_hz} Hz, expected 4000 to 192000 Hz"
    refused(extract(desk / "odd.wav"), message)
    refused(extract(desk / "good.wav", enroll=desk / "odd.wav"), message)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_truncated_file(desk: Path, extract: Extract, suffix: str) -> None:
    path = desk / f"cut{suffix}"
    soundfile.write(path, speech(10.0), 8000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(extract(path), r"is truncated or damaged: \d\.\d\d s can be read, expected the 10\.00 s .*Copy it again")


@pytest.mark.parametrize(
    ("samples", "held"), [(speech(0.2), r"0\.2\d?"), (np.zeros((16000, 1)), r"0\.00")], ids=["0.2 s", "silence"]
)
def test_an_enrollment_that_says_nothing(desk: Path, extract: Extract, samples: np.ndarray, held: str) -> None:
    soundfile.write(desk / "short.wav", samples, 8000)
    message = rf"short\.wav: enrollment holds {held} s of speech .*expected at least 0\.5 s\. Record a few seconds"
    refused(extract(desk / "good.wav", enroll=desk / "short.wav"), message)


def test_a_voice_file_that_is_none(desk: Path, extract: Extract) -> None:
    (desk / "me.voice").write_text("{}")
    refused(extract(desk / "good.wav", enroll=desk / "me.voice"), r"me\.voice': it is not a voiceprint")


def test_output_that_exists(desk: Path, extract: Extract) -> None:
    (desk / "out.wav").write_bytes(b"precious")
    refused(
        extract(desk / "good.wav"), r"out\.wav' exists already\. Choose another name or allow replacing it: --force"
    )
    assert (desk / "out.wav").read_bytes() == b"precious"
    assert extract(desk / "good.wav", "--force").code == 0


@pytest.mark.parametrize("option", ["--residual", "--labels"])
def test_other_outputs_that_exist(desk: Path, extract: Extract, option: str) -> None:
    path = desk / ("rest.wav" if option == "--residual" else "who.rttm")
    path.write_bytes(b"precious")
    refused(extract(desk / "good.wav", option, str(path)), rf"{path.name}' exists already")
    assert path.read_bytes() == b"precious"


def test_output_folder_that_is_missing(desk: Path, extract: Extract) -> None:
    refused(extract(desk / "good.wav", out=desk / "no" / "out.wav"), r"folder '.*no' does not exist: create it")


def test_output_of_an_unknown_kind(desk: Path, extract: Extract) -> None:
    refused(extract(desk / "good.wav", out=desk / "out.xyz"), r"'\.xyz' is no sound file that can be written.*\.wav")
    refused(extract(desk / "good.wav", "--labels", str(desk / "who.srt")), r"labels are \.rttm .* or \.txt")


def test_read_only_folder(desk: Path, extract: Extract) -> None:
    folder = desk / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere, but not here
        folder = Path("/proc")
        if not folder.is_dir():
            pytest.skip("no folder that refuses root")
    message = rf"'{folder}': a temporary file could not be written|'{folder}' may not be written to"
    refused(extract(desk / "good.wav", out=folder / "out.wav"), message)


def test_a_read_only_folder_of_labels_is_told_before_the_work(
    desk: Path, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "locked").mkdir()
    monkeypatch.setattr("tinywase.files.os.access", lambda path, mode: Path(path).name != "locked")
    refused(
        extract(desk / "good.wav", "--labels", str(desk / "locked" / "who.rttm")),
        r"folder '.*locked' may not be written to: put 'who\.rttm' elsewhere",
    )


def test_a_model_that_is_none(desk: Path, tinywase: Command) -> None:
    words = ("extract", desk / "good.wav", "-e", desk / "me.wav", "-o", desk / "out.wav", "-m")
    refused(tinywase(*words, "defualt"), r"there is no model 'defualt'.*Did you mean 'default'\?")
    refused(tinywase(*words, desk / "good.wav"), r"good\.wav")


# What can only be done to a process of its own

LONG_S = 20.0
SETUP = """
import os, resource, signal, sys
from tinywase.cli.main import main
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
"""
INTERRUPTED_WHILE_WRITING = """
from tinywase.audio_writer import AudioWriter
write = AudioWriter.write
def interrupted(self, block):
    write(self, block)
    if self.frames > 100_000:
        os.kill(os.getpid(), signal.{name})
AudioWriter.write = interrupted
"""
INTERRUPTED_WHILE_SEPARATING = """
from tinywase.runtime.spool import Spool
append = Spool.append
def interrupted(self, block):
    append(self, block)
    if self.frames > 100_000:
        os.kill(os.getpid(), signal.{name})
Spool.append = interrupted
"""
NO_ROOM = "resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))\n"


def extract_apart(desk: Path, model: Path, code: str) -> Result:
    """Extract a long recording at 44.1 kHz in a process that runs `code` first."""
    soundfile.write(desk / "long.wav", speech(LONG_S, 44100), 44100)
    words = ["extract", desk / "long.wav", "-e", desk / "me.wav", "-o", desk / "out.wav", "-m", model]
    words += ["--residual", desk / "rest.wav", "--runtime", "reference"]
    script = f"{SETUP}{code}main({[str(word) for word in words]})\n"
    before = sorted(desk.iterdir())
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert sorted(desk.iterdir()) == before, "something was left behind"
    return Result(result.returncode, result.stdout, result.stderr)


@pytest.mark.parametrize("place", [INTERRUPTED_WHILE_SEPARATING, INTERRUPTED_WHILE_WRITING], ids=["passes", "writing"])
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_interrupted_half_way(desk: Path, tiny_model_path: Path, place: str, name: str, code: int) -> None:
    result = extract_apart(desk, tiny_model_path, place.format(name=name))
    assert result.code == code
    assert "Traceback" not in result.err
    if name == "SIGINT":
        assert "Interrupted" in result.err


@pytest.mark.parametrize(
    ("limit_bytes", "message"),
    [(100_000, "a temporary file could not be written there"), (1_000_000, "could not be written whole .*disk may be")],
    ids=["passes", "writing"],
)
def test_full_disk(desk: Path, tiny_model_path: Path, limit_bytes: int, message: str) -> None:
    result = extract_apart(desk, tiny_model_path, NO_ROOM.format(limit_bytes=limit_bytes))
    refused(result, message)
    assert "Free some space" in result.err
