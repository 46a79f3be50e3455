"""Recordings over HTTP: what comes back is what the library gives, and what is refused says why."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from films import film
from service_client import BOTH, ENROLLMENT, MIXTURE, RATE_HZ, catalogue, client, error, files, folder, parts
from starlette.websockets import WebSocketDisconnect

from tinywase import Extractor, Voiceprint
from tinywase.errors import ConfigError
from tinywase.server.app import build_app
from tinywase.server.catalogue import Catalogue
from tinywase.server.uploads import plain_name
from tinywase.server.work import GivenUp


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


def test_everybody_else_is_let_through_on_request(client: TestClient) -> None:
    data = {"model": "live", "keep_others_db": "0"}
    answer = client.post("/api/extract", files=files(mixture=MIXTURE, enroll=[ENROLLMENT]), data=data)
    found = soundfile.read(io.BytesIO(answer.content))[0]
    assert np.abs(found - soundfile.read(MIXTURE)[0]).max() < 2 / 32768


@pytest.mark.parametrize(("data", "expected"), [({}, True), ({"turns": "false"}, False)])
def test_turns_are_left_as_they_are_on_request(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, data: dict[str, str], expected: bool
) -> None:
    asked, extract_file = [], Extractor.extract_file

    def noted(self: Extractor, *given: Any, **options: Any) -> Any:
        asked.append(options["turns"])
        return extract_file(self, *given, **options)

    monkeypatch.setattr(Extractor, "extract_file", noted)
    answer = client.post("/api/extract", files=files(mixture=MIXTURE, enroll=ENROLLMENT), data=data)
    assert answer.status_code == 200 and asked == [expected]


def test_every_channel_is_taken_by_itself_on_request(client: TestClient, tmp_path: Path) -> None:
    samples = soundfile.read(MIXTURE)[0]
    soundfile.write(tmp_path / "two.wav", np.stack([samples, np.roll(samples, 3)], axis=1), RATE_HZ)
    sent = files(mixture=tmp_path / "two.wav", enroll=ENROLLMENT)
    answer = client.post("/api/extract", files=sent, data={"spatial": "false", "views": "1"})
    extractor = Extractor.from_pretrained("nano", views=1)
    expected, told = (
        extractor.extract(tmp_path / "two.wav", extractor.enroll(ENROLLMENT), spatial=used).estimate
        for used in (False, True)
    )
    found = soundfile.read(io.BytesIO(answer.content))[0]
    assert np.abs(found - expected).max() < 2 / 32768 < np.abs(found - told).max()


def test_somebody_else_may_be_enrolled_too(client: TestClient, tmp_path: Path) -> None:
    kept, somebody = tmp_path / "else.voice", tmp_path / "else.wav"
    soundfile.write(somebody, soundfile.read(MIXTURE)[0][: RATE_HZ * 4], RATE_HZ)
    Extractor.from_pretrained("nano").enroll(somebody).save(kept)
    plain, told, by_file = (
        client.post("/api/extract", files=sent, data={"model": "nano", "views": "2"})
        for sent in (
            files(mixture=MIXTURE, enroll=[ENROLLMENT]),
            files(mixture=MIXTURE, enroll=[ENROLLMENT], other=[somebody]),
            files(mixture=MIXTURE, enroll=[ENROLLMENT], other=[kept]),
        )
    )
    assert (plain.status_code, told.status_code) == (200, 200), told.text
    assert plain.content != told.content
    assert by_file.content == told.content


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


def test_enrolling_ends_when_nobody_waits_for_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, progress: Callable[[float], None], **__: object) -> None:
        progress(0.5)  # a client that waits
        raise GivenUp

    monkeypatch.setattr("tinywase.runtime.extractor.enroll", gone)
    assert client.post("/api/enroll", files=files(audio=ENROLLMENT)).status_code == 499
    assert client.post("/api/extract", files=files(mixture=MIXTURE, enroll=ENROLLMENT)).status_code == 499
    part = client.post("/api/extract", files=files(mixture=MIXTURE), data={"stop_s": "3"})
    assert part.status_code == 499


def test_the_voices_in_a_recording_are_the_librarys(client: TestClient) -> None:
    answer = client.post("/api/voices", files=files(mixture=ENROLLMENT), data={"alike": "0.5"})
    found = answer.json()
    expected = Extractor.from_pretrained("nano").find_voices(ENROLLMENT, alike=0.5)
    assert [voice["spoken_s"] for voice in found] == [voice.spoken_s for voice in expected] == [found[0]["spoken_s"]]
    assert found[0]["voice"] == json.loads(expected[0].voiceprint.to_bytes())
    assert found[0]["sample_s"][1] > found[0]["sample_s"][0]
    wrong = client.post("/api/voices", files=files(mixture=ENROLLMENT), data={"alike": "7"})
    assert (wrong.status_code, error(wrong)) == (400, "alike = 7.0: expected a cosine, -1 to 1, for example 0.57.")


def test_one_view_is_asked_for_and_given(client: TestClient, tmp_path: Path) -> None:
    sent = files(mixture=MIXTURE, enroll=ENROLLMENT)
    extractor = Extractor.from_pretrained("nano", views=1)
    extractor.extract_file(MIXTURE, tmp_path / "one.wav", extractor.enroll(ENROLLMENT))
    for views, same in (("1", True), ("", False), ("4", False)):  # its card advises 4; requests share nothing
        answer = client.post("/api/extract", files=sent, data={"views": views})
        assert answer.status_code == 200, answer.text
        assert (answer.content == (tmp_path / "one.wav").read_bytes()) == same, views


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
            assert error(answer).endswith("absent='pass', absent='mute').")


@pytest.mark.parametrize(
    ("sent", "data", "status", "said"),
    [
        (files(mixture=MIXTURE), {}, 400, "whose voice? Send one of"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"stop_s": "3"}, 400, "whose voice? Send one of"),
        (files(enroll=ENROLLMENT), {}, 422, "mixture: Field required"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"model": "big"}, 400, "no model 'big' here. Known names: nano"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"model": "/etc/passwd"}, 400, "no model '/etc/passwd' here"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"views": "0"}, 422, "views: Input should be greater"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"views": "9"}, 422, "views: Input should be less"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"keep_others_db": "-3"}, 422, "keep_others_db: Input should be"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"views": "some"}, 422, "views: Input should be a valid integer"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"views": "2", "model": "live"}, 400, "a causal model is a stream"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"absent": "hum"}, 422, "absent: Input should be"),
        (files(mixture=Path(__file__), enroll=ENROLLMENT), {}, 400, "test_service.py: not a recording"),
        (files(mixture=MIXTURE, voice=Path(__file__)), {}, 400, "voiceprint 'test_service.py': it is not JSON"),
        (files(mixture=MIXTURE), {"start_s": "nan", "stop_s": "nan"}, 400, ""),
        (files(mixture=MIXTURE), {"start_s": "5", "stop_s": "4"}, 400, "mixture.flac"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"start_s": "2"}, 400, "start_s says from where on"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT), {"abcent": "mute"}, 422, "unknown fields: abcent. Known are: mix"),
        (files(mixture=MIXTURE, enroll=MIXTURE), {}, 400, "'mixture.flac' is both the recording and the sample"),
        (files(mixture=MIXTURE, enroll=ENROLLMENT, other=ENROLLMENT), {"views": "2"}, 400, "expected two people"),
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


def test_a_damaged_film_is_the_clients_and_not_a_disk_that_fails(client: TestClient, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[:300])  # within its header: FFmpeg speaks of input and output
    answer = client.post("/api/extract", files=files(mixture=path, enroll=ENROLLMENT))
    assert answer.status_code == 400
    assert error(answer).startswith("film.mkv: cannot be decoded")


def test_a_film_without_a_name_is_a_recording(client: TestClient, tmp_path: Path) -> None:
    film(tmp_path / "blob", "m4a")
    answer = client.post("/api/enroll", files=files(audio=tmp_path / "blob"))
    assert answer.status_code == 200, answer.text


def test_words_that_are_no_text_are_refused_like_others(client: TestClient, tmp_path: Path) -> None:
    form = b'--X\r\nContent-Disposition: form-data; name="model"\r\n\r\n+2AA-\r\n--X\r\n'
    form += b'Content-Disposition: form-data; name="mixture"; filename="a.wav"\r\n\r\nabc\r\n--X--\r\n'
    kind = "multipart/form-data; boundary=X; charset=utf-7"  # in which +2AA- is half a surrogate pair
    answer = client.post("/api/voices", content=form, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert error(answer).startswith("there is no model '?' here")
    voice = json.loads(Extractor.from_pretrained("nano").enroll(ENROLLMENT).to_bytes())
    (tmp_path / "me.voice").write_text(json.dumps(voice | {"model": "\ud800"}))
    answer = client.post("/api/extract", headers=BOTH, files=files(mixture=MIXTURE, voice=tmp_path / "me.voice"))
    assert answer.status_code == 400
    assert error(answer).startswith("voiceprint 'me.voice': its model or fingerprint is not text")


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


@pytest.mark.parametrize("field", ["mixture", "enroll"])
def test_recordings_that_play_too_long_are_refused(catalogue: Catalogue, folder: Path, field: str) -> None:
    long = folder / "long.flac"
    soundfile.write(long, np.zeros(RATE_HZ * 30, np.int16), RATE_HZ)
    app = build_app(catalogue, max_bytes=1_000_000, most_streams=1, longest_s=24.0)
    sent = {"mixture": MIXTURE, "enroll": ENROLLMENT} | {field: long}
    with TestClient(app) as client:
        answer = client.post("/api/extract", files=files(**sent))
    assert (answer.status_code, error(answer)) == (
        413,
        "'long.flac' plays for 0.5 min, expected at most 0.4. Send a part of it, or start the service with a larger "
        "--max-minutes.",
    )
    assert not list(folder.glob("tinywase-*"))


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
