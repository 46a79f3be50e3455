"""The service over HTTP and WebSocket: what comes back is what the library gives, and what is refused says why."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import soundfile
import uvicorn
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import tinywase
from tinywase import Extractor, Voiceprint
from tinywase.cli.main import main
from tinywase.errors import ConfigError
from tinywase.server.app import build_app
from tinywase.server.catalogue import Catalogue
from tinywase.server.uploads import plain_name
from tinywase.server.work import Workers

DEMO = Path(tinywase.__file__).parent / "assets" / "demo"
MIXTURE, ENROLLMENT = DEMO / "mixture.flac", DEMO / "enrollment.flac"
BOTH = {"Accept": "multipart/form-data"}
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(["nano", "live"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service puts what it is sent."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(catalogue: Catalogue, folder: Path) -> Iterator[TestClient]:
    with TestClient(build_app(catalogue, max_bytes=1_000_000, most_streams=1)) as client:
        yield client
    assert not list(folder.glob("tinywase-*"))  # nothing is kept


def files(**paths: Path | list[Path]) -> list[tuple[str, tuple[str, bytes]]]:
    pairs = [(name, path) for name, given in paths.items() for path in (given if isinstance(given, list) else [given])]
    return [(name, (path.name, path.read_bytes())) for name, path in pairs]


def parts(answer: httpx.Response) -> dict[str, Any]:
    """The parts of a multipart answer: name -> (file's name, content)."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + answer.content).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        found[name] = (part.get_filename(), part.get_payload(decode=True))
    return found


def error(answer: httpx.Response) -> str:
    return str(answer.json()["error"])


# Recordings


def test_the_models_are_listed_with_what_a_client_chooses_by(client: TestClient) -> None:
    nano, live = client.get("/api/models").json()
    assert (nano["name"], nano["causal"], nano["latency_ms"]) == ("nano", False, None)
    assert (live["name"], live["causal"], live["latency_ms"]) == ("live", True, 64.0)


def test_a_voice_comes_back_as_the_library_writes_it(client: TestClient, tmp_path: Path) -> None:
    answer = client.post("/api/extract", files=files(mixture=MIXTURE, enroll=ENROLLMENT))
    assert answer.status_code == 200, answer.text
    extractor = Extractor.from_pretrained("nano")
    report = extractor.extract_file(MIXTURE, tmp_path / "expected.wav", extractor.enroll(ENROLLMENT))
    assert answer.content == (tmp_path / "expected.wav").read_bytes()
    told = json.loads(answer.headers["tinywase-report"])
    assert told["presence"] == report.presence.value
    assert told["confidence"] == pytest.approx(report.confidence, abs=1e-4)
    assert 'filename="mixture-voice.wav"' in answer.headers["content-disposition"]


def test_with_everybody_else_the_parts_sum_to_the_recording(client: TestClient) -> None:
    answer = client.post(
        "/api/extract",
        headers=BOTH,
        files=files(mixture=MIXTURE, enroll=[ENROLLMENT, ENROLLMENT]),
        data={"model": "live", "format": "flac"},
    )
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    found = parts(answer)
    assert {name: part[0] for name, part in found.items()} == {
        "report": None,
        "voice": "enrollment.voice",
        "estimate": "mixture-voice.flac",
        "residual": "mixture-others.flac",
    }
    estimate, residual = (soundfile.read(io.BytesIO(found[name][1]))[0] for name in ("estimate", "residual"))
    mixture = soundfile.read(MIXTURE)[0]
    assert np.abs(estimate + residual - mixture).max() < 2 / 32768
    report = json.loads(found["report"][1])
    assert report["model"] == "live" and report["segments_s"]
    assert sum(stop - start for start, stop in report["segments_s"]) == pytest.approx(report["active_s"], rel=0.2)


def test_the_three_ways_to_say_whose_voice_agree_with_the_library(client: TestClient, tmp_path: Path) -> None:
    extractor = Extractor.from_pretrained("nano")
    part = extractor.enroll(MIXTURE, start_s=1.0, stop_s=4.0)
    by_time = client.post(
        "/api/extract", headers=BOTH, files=files(mixture=MIXTURE), data={"start_s": "1", "stop_s": "4"}
    )
    voice = tmp_path / "x.voice"
    voice.write_bytes(parts(by_time)["voice"][1])
    assert np.array_equal(Voiceprint.load(voice).vector, part.vector)
    by_file = client.post("/api/extract", headers=BOTH, files=files(mixture=MIXTURE, voice=voice))
    assert parts(by_file)["estimate"][1] == parts(by_time)["estimate"][1]
    alone = client.post("/api/enroll", files=files(audio=MIXTURE), data={"start_s": "1", "stop_s": "4"})
    assert alone.content == voice.read_bytes()


def test_the_voices_in_a_recording_are_the_librarys(client: TestClient) -> None:
    answer = client.post("/api/voices", files=files(mixture=ENROLLMENT), data={"alike": "0.5"})
    found = answer.json()
    expected = Extractor.from_pretrained("nano").find_voices(ENROLLMENT, alike=0.5)
    assert [voice["spoken_s"] for voice in found] == [voice.spoken_s for voice in expected] == [found[0]["spoken_s"]]
    assert found[0]["voice"] == json.loads(expected[0].voiceprint.to_bytes())
    assert found[0]["sample_s"][1] > found[0]["sample_s"][0]
    wrong = client.post("/api/voices", files=files(mixture=ENROLLMENT), data={"alike": "7"})
    assert (wrong.status_code, error(wrong)) == (400, "alike = 7: expected a cosine, -1 to 1, for example 0.57.")


def test_names_from_elsewhere_stay_names(client: TestClient) -> None:
    sent = [
        ("mixture", ("../../Sitzung März \r\n.flac", MIXTURE.read_bytes())),
        ("enroll", ("C:\\me.flac", ENROLLMENT.read_bytes())),
    ]
    found = parts(client.post("/api/extract", headers=BOTH, files=sent))
    assert "Sitzung%20M%C3%A4rz" in found["estimate"][0] and "/" not in found["estimate"][0]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a/b\\c.wav", "c.wav"),
        ("..", "recording"),
        ("", "recording"),
        ('x";\n.wav', "x___.wav"),
        ("y" * 200, "y" * 120),
        ("語" * 99, "語" * 40),
    ],
)
def test_a_plain_name_is_one_for_every_file_system(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_absent_voices_are_muted_or_refused_on_request(client: TestClient, tmp_path: Path) -> None:
    silence = tmp_path / "quiet.wav"
    soundfile.write(silence, np.zeros(RATE_HZ), RATE_HZ)
    for absent, status in (("mute", 200), ("fail", 400)):
        answer = client.post(
            "/api/extract", files=files(mixture=silence, enroll=ENROLLMENT), data={"absent": absent}, headers=BOTH
        )
        assert answer.status_code == status
        if status == 200:
            report = json.loads(parts(answer)["report"][1])
            assert report["muted"] and report["segments_s"] == []
        else:
            assert error(answer).startswith("quiet.wav: the enrolled voice was not found")


@pytest.mark.parametrize(
    ("sent", "data", "status", "said"),
    [
        (files(mixture=MIXTURE), {}, 400, "whose voice? Send one of"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"stop_s": "3"}, 400, "whose voice? Send one of"),
        (files(enroll=ENROLLMENT), {}, 422, "mixture: Field required"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"model": "big"}, 400, "no model 'big' here. Known names: nano"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"model": "/etc/passwd"}, 400, "no model '/etc/passwd' here"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"absent": "hum"}, 422, "absent: Input should be"),
        (files(mixture=Path(__file__), enroll=ENROLLMENT), {}, 400, "test_service.py: not a recording"),
        (files(mixture=MIXTURE, voice=Path(__file__)), {}, 400, "voiceprint 'test_service.py': it is not JSON"),
        (files(mixture=MIXTURE), {"start_s": "nan", "stop_s": "nan"}, 400, ""),
        (files(mixture=MIXTURE), {"start_s": "5", "stop_s": "4"}, 400, "mixture.flac"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"start_s": "2"}, 400, "start_s says from where on"),
    ],
)
def test_what_cannot_be_is_explained_in_the_clients_words(
    client: TestClient, folder: Path, sent: Any, data: dict[str, str], status: int, said: str
) -> None:
    answer = client.post("/api/extract", files=sent, data=data)
    assert answer.status_code == status, answer.text
    assert said in error(answer)
    assert str(folder) not in error(answer)


@pytest.mark.parametrize("where", ["server.uploads.shutil.copyfileobj", "runtime.spool.tempfile.TemporaryFile"])
def test_a_full_disk_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    sent = files(mixture=MIXTURE, enroll=ENROLLMENT)
    monkeypatch.setattr(f"tinywase.{where}", full)
    answer = client.post("/api/extract", files=sent)
    assert (answer.status_code, error(answer)) == (507, "the service could not write: No space left on device.")


def test_too_much_and_other_sites_are_refused_before_anything_is_read(client: TestClient) -> None:
    assert client.post("/api/enroll", content=bytes(1_000_001)).status_code == 413
    chunked = client.post("/api/enroll", content=iter([b"x"]))
    assert (chunked.status_code, error(chunked)) == (
        411,
        "the request does not say how long it is. Send Content-Length, and no chunks.",
    )
    evil = {"Origin": "https://evil.example"}
    assert client.post("/api/enroll", files=files(audio=ENROLLMENT), headers=evil).status_code == 403
    own = {"Origin": "http://testserver"}
    assert client.post("/api/enroll", files=files(audio=ENROLLMENT), headers=own).status_code == 200
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/live", headers=evil):
        pass


def test_a_length_that_is_no_length_is_refused(client: TestClient) -> None:
    both = {"Content-Length": "10", "Transfer-Encoding": "chunked"}
    assert client.post("/api/enroll", content=b"x" * 10, headers=both).status_code == 411


def test_a_service_of_this_machine_answers_to_its_own_names_alone(catalogue: Catalogue) -> None:
    app = build_app(catalogue, max_bytes=1_000_000, most_streams=1, hosts=("127.0.0.1", "voice.example"))
    for host, status in (("127.0.0.1:8765", 200), ("voice.example", 200), ("evil.example:8765", 403)):
        with TestClient(app, base_url=f"http://{host}") as client:
            answer = client.get("/api/models", headers={"Origin": f"http://{host}"})
            assert answer.status_code == status, host
    assert "answers to 127.0.0.1, voice.example, not to 'evil.example:8765'" in error(answer)


def test_whatever_is_refused_is_refused_in_one_form(client: TestClient) -> None:
    assert client.get("/nowhere").json() == {"error": "Not Found. See /openapi.json."}
    odd = {"Content-Type": "multipart/form-data"}
    assert "Missing boundary" in error(client.post("/api/extract", content=b"x", headers=odd))
    assert client.get("/docs").status_code == 404  # a page that would load from elsewhere
    assert "/api/voices" in client.get("/openapi.json").json()["paths"]


def test_two_models_of_one_name_cannot_be_served() -> None:
    with pytest.raises(ConfigError, match="two models are called 'nano'"):
        Catalogue(["nano", "nano"])
    with pytest.raises(ConfigError, match="no model to serve"):
        Catalogue([])


def test_the_page_and_all_it_loads_come_from_here(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "https://" not in page.text and "http://" not in page.text
    for name in ("page.js", "page.css", "worklet.js", "icon.svg"):
        assert client.get(f"/{name}").status_code == 200
    assert client.get("/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/demo/mixture.flac").content == MIXTURE.read_bytes()
    assert client.get("/../app.py").status_code == 404


# Live


def hello(**changes: Any) -> dict[str, Any]:
    voice = json.loads(Extractor.from_pretrained("live").enroll(ENROLLMENT).to_bytes())
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


@pytest.mark.parametrize(("kind", "dtype", "scale"), [("f32", "<f4", 1.0), ("s16", "<i2", 32768.0)])
def test_a_conversation_gives_the_voice_sample_for_sample(
    client: TestClient, kind: str, dtype: str, scale: float
) -> None:
    raw = (soundfile.read(MIXTURE)[0] * scale).astype(dtype)
    with client.websocket_connect("/api/live") as socket:
        socket.send_json(hello(format=kind))
        began = socket.receive_json()
        assert began["model"] == "live" and 0.064 < began["latency_s"] < 0.08
        for start in range(0, len(raw), 4000):
            socket.send_bytes(raw[start : start + 4000].tobytes())
        socket.send_json({"end": True})
        sound, activities = received(socket)
    extractor = Extractor.from_pretrained("live")
    stream = extractor.stream(extractor.enroll(ENROLLMENT), sample_rate_hz=RATE_HZ)
    expected = np.concatenate([stream.feed((raw / scale).astype(np.float32)), stream.flush()])
    heard = np.frombuffer(sound, dtype) / scale
    assert len(heard) == len(raw)
    assert np.abs(heard - expected).max() < 1.1 / 32768
    assert len(activities) > 10 and max(activities) > 0.5


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
        ({"volume": 3}, "a conversation begins with"),
        ({"voice": {}}, "not a voiceprint"),
        ({"model": "nano"}, "made by the model"),
        ({"model": "big"}, "no model 'big' here"),
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


def test_the_command_says_where_it_listens_and_ends_quietly() -> None:
    command = [sys.executable, "-m", "tinywase", "serve", "--port", "0", "-m", "nano", "-m", "live"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        line = program.stdout.readline()
        url = line.split()[0]
        answer = httpx.get(f"{url}api/models", timeout=30)
        assert [model["name"] for model in answer.json()] == ["nano", "live"]
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
