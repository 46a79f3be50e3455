"""The service over WebSocket, and as a program: a voice sample for sample, and ends that are explained."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import soundfile
import uvicorn
from fastapi.testclient import TestClient
from service_client import ENROLLMENT, MIXTURE, RATE_HZ, catalogue, client, files, folder

from tinywase import Extractor
from tinywase.cli.main import main
from tinywase.server.app import build_app
from tinywase.server.catalogue import Catalogue
from tinywase.server.work import Workers

# Live


def hello(by: str = "live", **changes: Any) -> dict[str, Any]:
    voice = json.loads(Extractor.from_pretrained(by).enroll(ENROLLMENT).to_bytes())
    return {"sample_rate_hz": RATE_HZ, "voice": voice, **changes}


def received(socket: Any) -> tuple[bytes, list[float]]:
    """All sound and all activities until the conversation closes."""
    sound, activities = b"", []
    while (message := socket.receive())["type"] != "websocket.close":
        if message.get("bytes") is not None:
            sound += message["bytes"]
        else:
            activities.append(json.loads(message["text"])["activity"])
    assert message["code"] == 1000
    return sound, activities


def conversed(socket: Any, raw: np.ndarray) -> tuple[bytes, list[float]]:
    """What comes back for all of `raw`, piece by piece, and its end."""
    for start in range(0, len(raw), 4000):
        socket.send_bytes(raw[start : start + 4000].tobytes())
    socket.send_json({"end": True})
    return received(socket)


@pytest.mark.parametrize(("kind", "dtype", "scale"), [("f32", "<f4", 1.0), ("s16", "<i2", 32768.0)])
def test_a_conversation_gives_the_voice_sample_for_sample(
    client: TestClient, kind: str, dtype: str, scale: float
) -> None:
    raw = (soundfile.read(MIXTURE)[0] * scale).astype(dtype)
    with client.websocket_connect("/api/live") as socket:
        socket.send_json(hello(format=kind, keep_others_db=20))
        began = socket.receive_json()
        assert began["model"] == "live" and 0.064 < began["latency_s"] < 0.08
        sound, activities = conversed(socket, raw)
    extractor = Extractor.from_pretrained("live")
    stream = extractor.stream(extractor.enroll(ENROLLMENT), sample_rate_hz=RATE_HZ, keep_others_db=20)
    expected = np.concatenate([stream.feed((raw / scale).astype(np.float32)), stream.flush()])
    heard = np.frombuffer(sound, dtype) / scale
    assert len(heard) == len(raw)
    assert np.abs(heard - expected).max() < 1.1 / 32768
    assert len(activities) > 10 and max(activities) > 0.5


@pytest.mark.parametrize("informed", [False, True], ids=["alone", "views, and somebody else"])
def test_an_offline_model_waits_and_gives_the_voice_sample_for_sample(client: TestClient, informed: bool) -> None:
    other = Extractor.from_pretrained("nano").enroll(MIXTURE)
    asked = {"views": 3, "other": json.loads(other.to_bytes()), "highband": False} if informed else {}
    raw = soundfile.read(MIXTURE, dtype="float32")[0][: 3 * RATE_HZ]
    with client.websocket_connect("/api/live") as socket:
        socket.send_json(hello(by="nano", delay_s=0.6, **asked))
        began = socket.receive_json()
        assert (began["model"], began["step_s"]) == ("nano", 0.2) and 0.6 <= began["latency_s"] < 0.62
        sound, _ = conversed(socket, raw)
    extractor = Extractor.from_pretrained("nano")
    if informed:
        extractor = extractor.with_others(other)
    views = 3 if informed else None
    stream = extractor.stream(
        extractor.enroll(ENROLLMENT), sample_rate_hz=RATE_HZ, delay_s=0.6, views=views, highband=not informed
    )
    expected = np.concatenate([stream.feed(raw), stream.flush()])
    assert np.array_equal(np.frombuffer(sound, "<f4"), expected)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("hello", "expected a JSON object"),
        ("[]", "expected a JSON object"),
        ("{}", "a conversation begins with"),
        (b"\0\0\0\0", "expected a JSON object"),
        ({"sample_rate_hz": "fast"}, "a conversation begins with"),
        ({"sample_rate_hz": True}, "a conversation begins with"),
        ({"sample_rate_hz": 10}, "sampling rate 10 Hz"),
        ({"format": "mp3"}, "a conversation begins with"),
        ({"format": []}, "a conversation begins with"),
        ({"keep_others_db": "some"}, "a conversation begins with"),
        ({"highband": 1}, "a conversation begins with"),
        ({"delay_s": "long"}, "a conversation begins with"),
        ({"delay_s": 9}, "delay_s = 9: expected 0.1 to 5 s"),
        ({"model": "live", "delay_s": 0.5}, "the model 'live' is causal"),
        ({"delay_s": 10**400}, "expected 0.1 to 5 s"),
        ({"keep_others_db": -1}, "expected how many dB quieter"),
        ({"keep_others_db": 10**400}, "expected how many dB quieter"),
        ({"volume": 3}, "a conversation begins with"),
        ({"views": 9, "delay_s": 0.5}, '"views" (1 to 8)'),
        ({"views": True}, '"views" (1 to 8)'),
        ({"views": 2}, "views = 2: expected 1 to 1"),
        ({"other": "me"}, '"other" (a .voice file too)'),
        ({"other": {}}, "voiceprint 'other': it is not a voiceprint"),
        ({"voice": {}}, "not a voiceprint"),
        ({"model": "nano"}, "the model 'nano' is offline"),
        ({"model": "big"}, "no model 'big' here"),
        ({"model": "\ud800"}, "expected a JSON object, its text Unicode"),
        ({"voice": {"model": "\ud800"}}, "expected a JSON object, its text Unicode"),
    ],
)
def test_a_conversation_that_begins_wrongly_ends_with_an_explanation(
    client: TestClient, said: Any, answer: str
) -> None:
    with client.websocket_connect("/api/live") as socket:
        if isinstance(said, bytes):
            socket.send_bytes(said)
        else:
            socket.send_text(said if isinstance(said, str) else json.dumps(hello(**said)))
        assert answer in socket.receive_json()["error"]
        assert socket.receive()["code"] == 1008


def test_another_models_voice_is_refused(client: TestClient, tiny_model_path: Path) -> None:
    voice = json.loads(Extractor.from_pretrained(tiny_model_path).enroll(ENROLLMENT).to_bytes())
    with client.websocket_connect("/api/live") as socket:
        socket.send_json(hello(voice=voice))
        assert "made by the model 'tiny'" in socket.receive_json()["error"]
        assert socket.receive()["code"] == 1008


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"123", "no whole number of f32 samples"),
        (np.full(100, np.nan, "<f4").tobytes(), "not finite"),
        (bytes(4 * (2 * RATE_HZ + 1)), "32001 samples at once: expected at most 2 s"),
        ('{"stop": true}', 'expected samples or {"end": true}'),
    ],
)
def test_a_conversation_that_goes_wrong_ends_with_an_explanation(
    client: TestClient, said: bytes | str, answer: str
) -> None:
    with client.websocket_connect("/api/live") as socket:
        socket.send_json(hello())
        socket.receive_json()
        if isinstance(said, bytes):
            socket.send_bytes(said)
        else:
            socket.send_text(said)
        assert answer in socket.receive_json()["error"]


def test_as_many_conversations_as_may_go_on_and_no_more(client: TestClient) -> None:
    with client.websocket_connect("/api/live") as first:
        first.send_json(hello())
        first.receive_json()
        with client.websocket_connect("/api/live") as second:
            assert "1 conversations go on already" in second.receive_json()["error"]
            assert second.receive()["code"] == 1013
    with client.websocket_connect("/api/live") as third:
        third.send_json(hello())
        assert "latency_s" in third.receive_json()


# The whole program


def test_a_named_request_tells_how_far_it_is(catalogue: Catalogue, folder: Path) -> None:
    long = folder / "long.wav"
    samples, rate_hz = soundfile.read(MIXTURE)
    soundfile.write(long, np.tile(samples, 40), rate_hz)
    seen = []
    with Running(catalogue, Workers(1)) as url, ThreadPoolExecutor(1) as pool:
        sent = {"files": files(mixture=long, enroll=ENROLLMENT), "headers": {"Tinywase-Job": "mine"}, "timeout": 60}
        answer = pool.submit(lambda: httpx.post(f"{url}/api/extract", **sent))  # type: ignore[arg-type]
        while not answer.done():
            seen.append(httpx.get(f"{url}/api/progress/mine", timeout=60).json())
        assert answer.result().status_code == 200
        assert httpx.get(f"{url}/api/progress/mine").json() == 0.0
    assert max(seen) > 0.5 and any(0 < done < 0.9 for done in seen)


class Running:
    """The service in a thread of this process, at a port of its own."""

    def __init__(self, catalogue: Catalogue, workers: Workers) -> None:
        app = build_app(catalogue, max_bytes=10**9, most_streams=1, workers=workers)
        self._server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)


def test_work_is_given_up_when_nobody_waits_for_it(catalogue: Catalogue, folder: Path) -> None:
    """A recording that would take long; its sender hangs up, and the next one is served at once by the only worker."""
    long = folder / "long.wav"
    with soundfile.SoundFile(long, "w", samplerate=8000, channels=1) as file:
        noise = 0.1 * np.random.default_rng(0).standard_normal(8000 * 60)
        for _ in range(60):
            file.write(noise)
    with Running(catalogue, Workers(1)) as url:
        impatient = httpx.Timeout(60, read=1)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/api/extract", files=files(mixture=long, enroll=ENROLLMENT), timeout=impatient)
        end_s = time.monotonic() + 30
        while list(folder.glob("tinywase-*")) and time.monotonic() < end_s:
            time.sleep(0.05)
        assert not list(folder.glob("tinywase-*"))
        answer = httpx.post(f"{url}/api/extract", files=files(mixture=MIXTURE, enroll=ENROLLMENT), timeout=60)
        assert answer.status_code == 200


every_loopback = pytest.mark.skipif(sys.platform != "linux", reason="other systems have 127.0.0.1 alone")


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("127.0.0.2", marks=every_loopback)])
def test_the_command_says_where_it_listens_and_ends_quietly(host: str) -> None:
    command = [sys.executable, "-m", "tinywase", "serve", "--host", host, "--port", "0", "-m", "nano", "-m", "live"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        url = line.split()[0]
        answer = httpx.get(f"{url}api/models", timeout=30)
        assert host in url and [model["name"] for model in answer.json()] == ["nano", "live"]
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
    assert (program.returncode, out, err) == (0, "", "")
    assert line.endswith("(Ctrl-C ends it)\n")


def test_a_port_in_use_and_an_unknown_address_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("192.0.2.1", 0)):
            with pytest.raises(SystemExit) as stopped:
                main(["serve", "--host", host, "--port", str(port), "-m", "nano"])
            assert stopped.value.code == 1
            assert f"cannot listen at {host}, port {port}" in capsys.readouterr().err


def test_without_the_extra_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(SystemExit) as stopped:
        main(["serve"])
    assert stopped.value.code == 1
    assert "pip install 'tinywase[serve]'" in capsys.readouterr().err
