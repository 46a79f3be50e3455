"""The runtime as WebAssembly: its kernels and every kind of model by Node, examples/browser in a real browser."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Page, browser, find_browser
from demo import DEMO
from native_builds import JOBS, REPOSITORY, needs, run
from native_models import CONFIGS, float_model, integer_model, noise, without_running_offset

from tinywase.activity import prepare_enrollment
from tinywase.config import ModelConfig
from tinywase.format import write_model
from tinywase.runtime.reference import ReferenceModel
from tinywase.runtime.registry import find_model
from tinywase.runtime.stream import GAIN
from tinywase.runtime.windows import WORKING_RMS

PROGRAM, MEMORY_PROGRAM = (REPOSITORY / "tests" / f"wasm_{name}.mjs" for name in ("extract", "memory"))
# Debian's Emscripten looks for its scripts there, whichever Node runs them.
NODE = {"NODE_PATH": "/usr/share/nodejs"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wasm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder, with the module and the kernels' test."""
    needs("cmake", "emcmake", "em++", "node")
    folder = tmp_path_factory.mktemp("wasm")
    run("emcmake", "cmake", "-S", REPOSITORY, "-B", folder, **NODE)
    run("cmake", "--build", folder, "--parallel", JOBS, "--target", "module", "test_kernels", **NODE)
    return folder


def test_the_kernels_of_wasm_equal_their_formulas(wasm: Path) -> None:
    said = run("node", wasm / "test_kernels.js")
    assert "wasm: passed" in said
    assert "scalar: passed" in said


def estimate_of(
    wasm: Path, model: Path, voice: np.ndarray, mixture: np.ndarray, folder: Path
) -> tuple[np.ndarray, dict[str, object]]:
    """By the module, of a causal model a stream in chunks, and what it says of itself. Shape: [any], [T] -> [T]."""
    paths = [folder / f"{name}.f32" for name in ("voice", "mixture", "estimate")]
    voice.astype(np.float32).tofile(paths[0])
    mixture.astype(np.float32).tofile(paths[1])
    told = json.loads(run("node", PROGRAM, wasm / "tinywase.wasm", model, *paths))
    return np.fromfile(paths[2], np.float32), told


def without_offset(mixture: np.ndarray, config: ModelConfig) -> np.ndarray:
    """As models get to hear it, causal ones hop by hop. Shape: [T] -> [T]."""
    if not config.causal:
        return mixture - mixture.mean()
    return without_running_offset(mixture, config.hop, config.sample_rate_hz)


FLOATS = [(name, 0) for name in CONFIGS]
INTEGERS = [("tiny", 3), ("shared causal", 3), ("log power", 8), ("kernel 5", 1)]


@pytest.mark.parametrize(("name", "bits"), FLOATS + INTEGERS)
def test_every_model_extracts_what_the_reference_does(name: str, bits: int, wasm: Path, tmp_path: Path) -> None:
    model_file = integer_model(CONFIGS[name], bits) if bits else float_model(CONFIGS[name])
    write_model(tmp_path / "model.twase", model_file)
    voice, mixture = noise(9000, seed=1), noise(4001, seed=2) + np.float32(0.1)  # a sound card's offset
    voice[2000:3500] *= 0.01  # a pause
    mixture[1000] = np.nan
    estimate, told = estimate_of(wasm, tmp_path / "model.twase", voice, mixture, tmp_path)
    reference = ReferenceModel(model_file)
    config: ModelConfig = reference.config
    assert (told["isa"], told["rate"]) == ("wasm", config.sample_rate_hz)
    heard = without_offset(np.nan_to_num(mixture), config)
    gain = GAIN if config.causal else WORKING_RMS / np.sqrt(np.mean(heard**2))
    voiceprint = reference.enroll(prepare_enrollment(voice, config.sample_rate_hz))
    expected = reference.extract(heard * np.float32(gain), voiceprint)[0] / gain
    assert estimate.shape == expected.shape
    assert np.sum((estimate - expected) ** 2) < 1e-3 * np.sum(expected**2)


@pytest.mark.parametrize(
    ("model", "voice", "words"),
    [
        (REPOSITORY / "README.md", noise(9000), 'does not begin with "TWSE"'),
        (find_model("live"), np.zeros(9000), "got 0.00 s of speech"),
    ],
)
def test_what_goes_wrong_is_said_in_words(
    model: Path, voice: np.ndarray, words: str, wasm: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError) as refusal:
        estimate_of(wasm, model, voice, noise(4001), tmp_path)
    assert words in str(refusal.value)


def test_what_does_not_fit_into_memory_is_told_and_leaves_nothing_behind(wasm: Path, tmp_path: Path) -> None:
    wide = dataclasses.replace(
        CONFIGS["tiny"], window=2, filters=2, bottleneck=32, hidden=4096, blocks=1, stacks=1, sample_rate_hz=4000
    )
    write_model(tmp_path / "wide.twase", float_model(wide, kind="float16"))
    run("node", MEMORY_PROGRAM, wasm / "tinywase.wasm", find_model("live"), tmp_path / "wide.twase")


@pytest.fixture
def address(wasm: Path, tmp_path: Path) -> Iterator[str]:
    """Of the page with what `make browser` puts beside it."""
    folder = tmp_path / "page"
    shutil.copytree(REPOSITORY / "examples" / "browser", folder)
    sound = REPOSITORY / "src" / "tinywase" / "server" / "page" / "sound.js"
    for path in (sound, wasm / "tinywase.wasm", find_model("small"), find_model("live")):
        shutil.copy(path, folder)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


LOADED = "!document.querySelector('#controls').disabled"
# `microphones` become the tracks that the page was given.
WATCHED = """{
  window.microphones = [];
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    const sound = await ask(wishes);
    microphones.push(...sound.getTracks());
    return sound;
  };
}"""
STATES = "microphones.map((track) => track.readyState)"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """Of a browser whose microphone hears the bundled recording."""
    if find_browser() is None:
        pytest.skip("no Chromium: Debian and Ubuntu have it as `chromium`")
    for name in ("mixture", "enrollment"):
        samples, rate_hz = soundfile.read(DEMO / f"{name}.flac")
        soundfile.write(tmp_path / f"{name}.wav", samples, rate_hz)
    with browser(tmp_path, microphone=tmp_path / "mixture.wav") as page:
        yield page
        assert page.complaints == []


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector('{selector}').textContent"))


def wrong(page: Page, selector: str) -> str:
    """What the page says there of what went wrong, once it does."""
    page.until(f"document.querySelector('{selector}').className === 'wrong'")
    return text(page, selector)


def test_the_page_extracts_and_listens(page: Page, address: str, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(800), 8000)
    page.open(address)
    page.until(LOADED)
    page.run(WATCHED)
    page.choose("#voice", short)
    assert "of speech" in wrong(page, "#enrolled")
    page.choose("#voice", tmp_path / "enrollment.wav")
    page.until("document.querySelector('#live').matches(':enabled')")
    page.choose("#mixture", tmp_path / "mixture.wav")
    page.until("document.querySelector('#after').duration > 5")
    page.until(LOADED)
    for _ in range(2):  # a double click
        page.click("#live")
    page.until("document.querySelector('#activity').value > 0.3")
    assert "64 ms behind" in text(page, "#listening")
    assert page.run(STATES) == ["live"]
    page.click("#live")
    page.until("document.querySelector('#live').textContent === 'Listen'")
    assert page.run(STATES) == ["ended"]


def test_a_recording_that_fails_is_reported_and_lets_the_microphone_go(page: Page, address: str) -> None:
    page.open(address)
    page.until(LOADED)
    page.run(WATCHED)
    page.click("#record")
    page.until("microphones.length")
    page.run("microphones[0].stop()")  # unplugged
    assert "The microphone went away" in wrong(page, "#enrolled")
    page.run("window.MediaRecorder = class { constructor() { throw new Error('no recorder'); } }")
    page.until(LOADED)
    page.click("#record")
    page.until("microphones.length === 2")
    assert wrong(page, "#enrolled") == "no recorder"
    assert page.run(STATES) == ["ended", "ended"]


@pytest.mark.parametrize("lost", ["small.twase", "tinywase.wasm"])
def test_a_page_that_cannot_load_everything_says_so(lost: str, page: Page, address: str, tmp_path: Path) -> None:
    (tmp_path / "page" / lost).unlink()
    page.open(address)
    assert wrong(page, "#loading") == f"Load this page again. {lost}: 404 File not found"
    assert not page.run(LOADED)
    refusal = page.complaints.pop()  # the browser's own, of the file
    assert "404" in refusal
