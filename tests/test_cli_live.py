"""`tinywase live`: through a pipe as a user would run it, and with devices that a stand-in for sounddevice plays."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo import DEMO

from tinywase import Extractor
from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.cli.main import main
from tinywase.metrics import si_sdr
from tinywase.runtime.model import models_for
from tinywase.runtime.registry import ALIASES, DEFAULT, model_names

RATE_HZ = 16_000
ENROLLMENT = DEMO / "enrollment.flac"
RAW = ["-e", str(ENROLLMENT), "-i", "-", "-o", "-", "--rate", "8000"]


def recording(name: str, rate_hz: int = RATE_HZ) -> np.ndarray:
    with open_audio(DEMO / name) as reader:
        return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=rate_hz)


def streamed(
    samples: np.ndarray, rate_hz: int = RATE_HZ, model: str = "live", delay_s: float | None = None
) -> np.ndarray:
    extractor = Extractor.from_pretrained(model)
    stream = extractor.stream(extractor.enroll(ENROLLMENT), sample_rate_hz=rate_hz, delay_s=delay_s)
    return np.concatenate([stream.feed(samples), stream.flush()])


def piped(raw: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = [
        sys.executable,
        "-m",
        "tinywase",
        "live",
        "-e",
        str(ENROLLMENT),
        "--input",
        "-",
        "--output",
        "-",
        *options,
    ]
    return subprocess.run(command, input=raw, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(("kind", "dtype", "scale"), [("s16", "<i2", 32768), ("f32", "<f4", 1)])
def test_a_pipe_gives_the_voice_sample_for_sample(kind: str, dtype: str, scale: int) -> None:
    mixture, target = recording("mixture.flac"), recording("target.flac")
    raw = (mixture * scale).astype(dtype)
    done = piped(raw.tobytes(), "--rate", str(RATE_HZ), "--format", kind)
    assert done.returncode == 0, done.stderr
    voice = np.frombuffer(done.stdout, dtype).astype(np.float32) / scale
    assert len(voice) == len(mixture)
    assert np.abs(voice - streamed(raw.astype(np.float32) / scale)).max() < 1.1 / 32768
    before, after = (si_sdr(reference=target, estimate=signal) for signal in (mixture, voice))
    assert after > before + 5
    assert b"16000 Hz, 70 ms behind" in done.stderr and b"5.8 s heard" in done.stderr


def test_others_are_let_through_on_request() -> None:
    raw = (recording("mixture.flac") * 32768).astype("<i2")
    done = piped(raw.tobytes(), "--rate", str(RATE_HZ), "--keep-others", "0")
    assert done.returncode == 0, done.stderr
    assert np.abs(np.frombuffer(done.stdout, "<i2").astype(int) - raw).max() <= 1


def test_the_upper_band_may_be_left_empty() -> None:
    mixture = recording("mixture.flac")
    done = piped((mixture * 32768).astype("<i2").tobytes(), "--rate", str(RATE_HZ), "--no-highband")
    assert done.returncode == 0, done.stderr
    full, empty = np.abs(np.fft.rfft(streamed(mixture))), np.abs(np.fft.rfft(np.frombuffer(done.stdout, "<i2") / 32768))
    above = len(mixture) * 4200 // RATE_HZ
    assert np.sum(empty[above:] ** 2) < 0.02 * np.sum(full[above:] ** 2)


def test_an_offline_model_in_a_pipe_may_be_told_of_the_others() -> None:
    mixture, target = recording("mixture.flac")[: 3 * RATE_HZ], recording("target.flac")[: 3 * RATE_HZ]
    with_other = [*("-m", "nano", "--delay", "0.6", "--views", "2"), "--other", str(DEMO / "mixture.flac")]
    done = piped(mixture.astype("<f4").tobytes(), "--rate", str(RATE_HZ), "--format", "f32", *with_other)
    assert done.returncode == 0, done.stderr
    voice = np.frombuffer(done.stdout, "<f4")
    nano = Extractor.from_pretrained("nano", views=2).with_others(
        Extractor.from_pretrained("nano").enroll(DEMO / "mixture.flac")
    )
    stream = nano.stream(nano.enroll(ENROLLMENT), sample_rate_hz=RATE_HZ, delay_s=0.6)
    assert np.abs(voice - np.concatenate([stream.feed(mixture), stream.flush()])).max() < 1e-6
    assert not np.allclose(voice, streamed(mixture, model="nano", delay_s=0.6), atol=1e-4)
    before, after = (si_sdr(reference=target, estimate=estimate) for estimate in (mixture, voice))
    assert after > before + 1 and b"606 ms behind" in done.stderr


def test_a_pipe_may_end_within_a_sample_or_at_once_and_stops_after_the_time_asked_for() -> None:
    raw = (recording("mixture.flac") * 32768).astype("<i2").tobytes()
    assert len(piped(raw[:2001], "--rate", "16000", "-q").stdout) == 2000
    done = piped(b"", "--rate", "16000", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(piped(raw, "--rate", "16000", "--seconds", "0.5").stdout) == 16_000


class PressesCtrlC(io.BytesIO):
    """A pipe that presses Ctrl-C when its samples are out, or, if it is the other end, when it gets the first."""

    def press(self) -> None:
        signal.raise_signal(signal.SIGINT)

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(size) or self.press() or b""  # type: ignore[func-returns-value]

    def write(self, data: Any, /) -> int:
        if data and not self.tell():
            self.press()
        return super().write(data)


@pytest.mark.parametrize("heard", [40_000, 32_256], ids=["while it listens", "while it computes"])
def test_what_is_waited_for_comes_after_ctrl_c_too(monkeypatch: pytest.MonkeyPatch, heard: int) -> None:
    raw = (recording("mixture.flac")[:40_000] * 32768).astype("<i2")
    listens = heard == len(raw)
    source = PressesCtrlC(raw.tobytes()) if listens else io.BytesIO(raw.tobytes())
    sink = io.BytesIO() if listens else PressesCtrlC()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=source))
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(buffer=sink))
    before = signal.getsignal(signal.SIGINT)
    ran(*RAW[:-1], str(RATE_HZ), "-m", "nano", "--delay", "2", "-q")
    assert signal.getsignal(signal.SIGINT) is before
    voice = np.frombuffer(sink.getvalue(), "<i2") / np.float32(32768)
    expected = streamed(raw[:heard] / np.float32(32768), model="nano", delay_s=2.0)
    assert len(voice) == heard
    assert np.abs(voice - expected).max() < 1.1 / 32768


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([], 2, "whose voice"),
        (["-e", str(ENROLLMENT), "--voice", "me.voice"], 2, "whose voice"),
        (["-e", str(ENROLLMENT), "--input", "-"], 2, "two ends"),
        (["-e", str(ENROLLMENT), "--input", "-", "--output", "-"], 2, "--rate"),
        (["-e", str(ENROLLMENT), "--input", "-", "--output", "-", "--rate", "10"], 1, "sampling rate 10 Hz"),
        ([*RAW, "-m", "nano"], 1, "'nano' is offline: it"),
        ([*RAW, "-m", "small"], 1, "'live' is bundled"),
        ([*RAW, "--delay", "9"], 1, "delay_s = 9.0: expected 0.1 to 5 s"),
        ([*RAW, "-m", "live", "--delay", "0.5"], 1, "'live' is causal"),
        ([*RAW, "--views", "2"], 1, "views = 2"),
        ([*RAW, "--other", str(DEMO / "mixture.flac")], 1, "never listens for the others"),
        ([*RAW, "-m", "nano", "--delay", "1", "--other", str(ENROLLMENT)], 1, "wanted voice and of somebody else"),
        (["-e", str(ENROLLMENT), "-i", str(ENROLLMENT), "-o", "-"], 2, "a file is no device: tinywase extract -m live"),
        (["-e", str(ENROLLMENT), "-i", "-", "-o", "me-alone.wav"], 2, "a file is no device"),
    ],
)
def test_what_cannot_be_is_explained(
    arguments: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["live", *arguments])
    assert stopped.value.code == code
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_a_recording_with_a_header_is_no_raw_sound() -> None:
    done = piped(ENROLLMENT.read_bytes(), "--rate", "16000")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"expected raw samples: tinywase extract -m live takes files" in done.stderr


def test_one_voice_is_for_all_bundled_models() -> None:
    extractors = [Extractor.from_pretrained(name) for name in model_names()]
    voices = [extractor.enroll(ENROLLMENT) for extractor in extractors]
    for voice in voices:
        assert all(np.array_equal(voice.vector_for(extractor.model), voices[0].vector) for extractor in extractors)
        found = models_for(voice)
        assert found[0] == ALIASES[DEFAULT] and sorted(found) == model_names()


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        ("live", "Enroll again with 'live', or extract a recording with 'tiny'."),
        (
            "small",
            "the model 'small' is offline: it has to wait for what comes after. Say how long (delay_s, or --delay 0.5)",
        ),
    ],
)
def test_another_models_voice_is_refused_with_what_helps(
    tmp_path: Path, tiny_model_path: Path, capsys: pytest.CaptureFixture[str], model: str, advice: str
) -> None:
    Extractor.from_pretrained(tiny_model_path).enroll(ENROLLMENT).save(tmp_path / "me.voice")
    with pytest.raises(SystemExit) as stopped:
        main(["live", "--voice", str(tmp_path / "me.voice"), "-m", model, "-i", "-", "-o", "-", "--rate", "16000"])
    assert stopped.value.code == 1 and advice in " ".join(capsys.readouterr().err.split())


# Devices


LIKES_S = {"input": 0.03, "output": 0.25}  # latencies of its own choice


class Device:
    """A sound card that plays `heard` to the program and keeps what it gets."""

    def __init__(self, heard: np.ndarray, starved_at: int = -1) -> None:
        self.heard, self.starved_at = heard, starved_at
        self.played: list[np.ndarray] = []
        self.options: dict[str, Any] = {}

    def __call__(self, **options: Any) -> Device:
        self.options = options
        return self

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, frames: int) -> tuple[np.ndarray, bool]:
        if len(self.heard) < frames:
            raise KeyboardInterrupt  # somebody presses Ctrl-C
        part, self.heard = self.heard[:frames], self.heard[frames:]
        return part[:, None], False

    def write(self, samples: np.ndarray) -> bool:
        self.played.append(samples[:, 0])
        return len(self.played) == self.starved_at


def with_device(monkeypatch: pytest.MonkeyPatch, device: Device) -> None:
    sounds = types.ModuleType("sounddevice")

    def query_devices(device: object = None, kind: str | None = None) -> Any:
        if device == "none":
            raise ValueError("No input device matching 'none'")
        known = {"default_samplerate": float(RATE_HZ), f"default_high_{kind}_latency": LIKES_S[kind]} if kind else {}
        return known or "0 a microphone"

    vars(sounds).update(
        Stream=device, PortAudioError=type("PortAudioError", (Exception,), {}), query_devices=query_devices
    )
    monkeypatch.setitem(sys.modules, "sounddevice", sounds)


def ran(*arguments: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["live", *arguments])
    assert not stopped.value.code


def test_headphones_get_what_a_pipe_gets_one_latency_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture = recording("mixture.flac")
    device = Device(mixture, starved_at=3)
    with_device(monkeypatch, device)
    ran("-e", str(ENROLLMENT), "--input", "1", "--output", "cans")
    played = np.concatenate(device.played)
    assert len(played) == len(mixture) // 256 * 256  # chunks of 16 ms
    assert (device.options["device"], device.options["samplerate"]) == ((1, "cans"), RATE_HZ)
    expected = streamed(mixture)
    late = round(0.0702 * RATE_HZ)
    assert np.abs(played[late:] - expected[: len(played) - late]).max() < 1e-6
    assert "1 times a chunk came too late" in capsys.readouterr().err


def test_an_offline_model_waits_and_the_devices_bridge_its_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture = recording("mixture.flac")[: 3 * RATE_HZ]
    device = Device(mixture, starved_at=3)
    with_device(monkeypatch, device)
    ran("-e", str(ENROLLMENT), "-m", "nano", "--delay", "0.6")
    assert "1 times a chunk came too late: give a longer --delay" in capsys.readouterr().err
    assert device.options["latency"] == [0.2, 0.25]  # a third of the delay, or what a device likes better
    assert len(device.played[0]) == 0.2 * RATE_HZ and not device.played[0].any()
    played, expected = np.concatenate(device.played[1:]), streamed(mixture, model="nano", delay_s=0.6)
    nano = Extractor.from_pretrained("nano")
    late = nano.stream(nano.enroll(ENROLLMENT), sample_rate_hz=RATE_HZ, delay_s=0.6).latency_samples
    assert np.abs(played[late:] - expected[: len(played) - late]).max() < 1e-6


def test_short_chunks_ask_for_no_less_than_the_devices_like(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(recording("mixture.flac")[:RATE_HZ])
    with_device(monkeypatch, device)
    ran("-e", str(ENROLLMENT), "--chunk-ms", "4", "--quiet")
    assert device.options["latency"] == [0.03, 0.25]


def test_after_the_time_asked_for_the_rest_of_the_voice_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = recording("mixture.flac")
    device = Device(mixture)
    with_device(monkeypatch, device)
    ran("-e", str(ENROLLMENT), "--seconds", "1.6", "--quiet")
    played, expected = np.concatenate(device.played), streamed(mixture[: round(1.6 * RATE_HZ)])
    late = len(played) - len(expected)
    assert late == pytest.approx(0.0702 * RATE_HZ, abs=1)
    assert np.abs(played[late:] - expected).max() < 1e-6


def test_a_microphone_may_give_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = np.full(RATE_HZ, np.nan, np.float32)
    heard[::3], heard[1::3] = np.inf, 1e30
    device = Device(heard)
    with_device(monkeypatch, device)
    ran("-e", str(ENROLLMENT), "--quiet")
    played = np.concatenate(device.played)
    assert np.isfinite(played).all() and np.abs(played).max() <= 1


def test_devices_are_listed_and_wrong_ones_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_device(monkeypatch, Device(np.zeros(0, np.float32)))
    ran("--devices")
    assert "a microphone" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["live", "-e", str(ENROLLMENT), "--input", "none"])
    assert stopped.value.code == 1
    assert "No input device matching 'none'" in capsys.readouterr().err


def test_without_the_package_or_its_library_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SystemExit) as stopped:
        main(["live", "-e", str(ENROLLMENT)])
    assert stopped.value.code == 1
    assert "pip install 'tinywase[live]'" in capsys.readouterr().err
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.delitem(sys.modules, "sounddevice")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        main(["live", "-e", str(ENROLLMENT)])
    assert stopped.value.code == 1
    assert "libportaudio2" in capsys.readouterr().err
