"""The service's page in a real browser: a user's way from a recording to a voice, and live."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Page, browser, find_browser
from demo import DEMO

import tinywase

ELSEWHERE = "elsewhere.test"  # what another machine calls the service's
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium: Debian and Ubuntu have it as `chromium`"),
]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    models = ["-m", "nano", "-m", "live"]
    command = [sys.executable, "-m", "tinywase", "serve", "--port", "0", "--allow-host", ELSEWHERE, *models]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        yield program.stdout.readline().split()[0]
        program.terminate()


@pytest.fixture
def page(tmp_path: Path, url: str) -> Iterator[Page]:
    """The page, in a browser whose microphone hears the bundled recording."""
    samples, rate_hz = soundfile.read(DEMO / "mixture.flac")
    soundfile.write(tmp_path / "microphone.wav", samples, rate_hz)
    with browser(tmp_path, microphone=tmp_path / "microphone.wav") as page:
        page.open(url)
        page.until("document.querySelector('#model').options.length === 2")
        yield page
        assert page.complaints == []


IDLE = "document.querySelector('#extract').textContent === 'Extract the voice'"


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector('{selector}').innerText"))


def extracted(page: Page) -> None:
    page.until("!document.querySelector('#extract').disabled")
    page.click("#extract")
    page.until(
        f"{IDLE} && document.querySelector('#status').textContent === '' && !document.querySelector('#result').hidden"
    )


def test_the_bundled_sample_can_be_tried_and_listened_to(page: Page) -> None:
    page.click("#sample")
    extracted(page)
    assert text(page, "#verdict").startswith("Found: the voice speaks for")
    assert text(page, "#advice") == ""
    page.click("#play")
    if picture := os.environ.get("TINYWASE_PAGE_PICTURE"):
        page.picture(Path(picture))
    page.until("/^0:0[1-9]/.test(document.querySelector('#time').textContent)")
    page.click('input[name="track"][value="residual"]')
    page.until("/^0:0[2-9]/.test(document.querySelector('#time').textContent)")  # goes on from where it was
    assert text(page, "#play") == "Pause"
    names = page.run("[...document.querySelectorAll('a[download]')].map((link) => link.download)")
    assert names == ["mixture-voice.wav", "mixture-others.wav", "enrollment.voice"]
    assert page.run("[...document.querySelectorAll('a[download]')].every((link) => link.href.startsWith('blob:'))")


def test_another_machine_may_use_it_without_https(tmp_path: Path, url: str) -> None:
    """Browsers keep some functions from pages that come over http from elsewhere."""
    with browser(tmp_path, options=(f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",)) as page:
        page.open(url.replace("127.0.0.1", ELSEWHERE))
        page.until("document.querySelector('#model').options.length === 2")
        assert page.run("isSecureContext") is False
        page.click("#sample")
        extracted(page)
        assert text(page, "#verdict").startswith("Found: the voice speaks for")
        assert page.complaints == []


def test_everybody_else_is_let_through_as_chosen(page: Page) -> None:
    page.run("""{
      const read = Response.prototype.formData;
      Response.prototype.formData = async function () {
        const parts = await read.call(this);
        window.sound = parts.get("estimate");
        return parts;
      };
    }""")
    loudness = """(async () => {
      const samples = new Int16Array((await window.sound.arrayBuffer()).slice(44));
      return samples.reduce((sum, sample) => sum + Math.abs(sample), 0) / samples.length;
    })()"""
    page.click("#sample")
    extracted(page)
    alone = page.run(loudness)
    page.run("document.querySelector('#others').value = '10'")
    extracted(page)
    assert 1.05 * alone < page.run(loudness) < 2 * alone


def test_files_of_ones_own_and_a_part_marked_by_dragging(page: Page, tmp_path: Path) -> None:
    page.choose("#mixture", DEMO / "mixture.flac")
    page.until("!document.querySelector('#mixture-wave').hidden")
    assert page.run("document.querySelector('#extract').disabled")  # nobody said whose voice
    page.drag("#mixture-wave", 0.2, 0.8)
    assert page.run("[document.querySelector('#start').value, document.querySelector('#stop').value]") == ["1.2", "4.6"]
    extracted(page)
    page.choose("#enroll", DEMO / "enrollment.flac")
    extracted(page)
    page.choose("#mixture", Path(__file__))
    page.until("!document.querySelector('#extract').disabled")
    page.click("#extract")
    page.until("document.querySelector('#status').classList.contains('wrong')")
    assert "test_service_page.py: not a recording that can be read" in text(page, "#status")
    page.complaints.clear()  # the browser logs the refusal too


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"presence": "uncertain", "enrollment_s": 2.0}, "The model cannot tell: listen to it, or give a longer"),
        ({"presence": "uncertain", "enrollment_s": 12.0}, "The model cannot tell: listen to it."),
        ({"presence": "absent"}, "What you hear is probably somebody else."),
        ({"presence": "uncertain", "confidence": None}, ""),
        ({"presence": "absent", "silent": True}, ""),
    ],
)
def test_a_voice_that_is_not_clearly_found_brings_advice(page: Page, told: dict[str, object], words: str) -> None:
    page.run(f"""{{
      const read = Response.prototype.formData;
      Response.prototype.formData = async function () {{
        const parts = await read.call(this);
        const report = JSON.parse(await new Response(parts.get("report")).text());
        parts.set("report", JSON.stringify({{ ...report, ...{json.dumps(told)} }}));
        return parts;
      }};
    }}""")
    page.click("#sample")
    extracted(page)
    assert text(page, "#advice").startswith(words) and bool(text(page, "#advice")) == bool(words)


def test_a_voice_is_chosen_among_those_found(page: Page) -> None:
    page.choose("#mixture", DEMO / "mixture.flac")
    page.until("!document.querySelector('#find').disabled")
    page.click("#find")
    page.until("document.querySelectorAll('#found li').length > 0")
    assert "Voice 1, speaks for" in text(page, "#found")
    page.click("#found button")
    page.until("!document.querySelector('#mixture-player').paused")
    extracted(page)
    assert page.run("document.querySelector('#save-voice').download") == "found.voice"
    page.choose("#mixture", DEMO / "enrollment.flac")
    page.until("document.querySelectorAll('#found li').length === 0")
    assert page.run("document.querySelector('#result').hidden")


def test_an_extraction_tells_how_far_it_is_and_can_be_stopped(page: Page, tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(DEMO / "mixture.flac")
    soundfile.write(tmp_path / "long.wav", np.tile(samples, 60), rate_hz)
    page.choose("#mixture", tmp_path / "long.wav")
    page.choose("#enroll", DEMO / "enrollment.flac")
    page.until("!document.querySelector('#extract').disabled")
    page.click("#extract")
    page.until("/[1-9]\\d? %/.test(document.querySelector('#status').textContent)")
    assert text(page, "#extract") == "Stop"
    page.click("#extract")
    page.until(f"{IDLE} && document.querySelector('#status').textContent === ''")
    assert page.run("document.querySelector('#result').hidden")
    page.click("#extract")
    page.choose("#mixture", DEMO / "mixture.flac")  # its result would stand beside another recording
    page.until(IDLE)
    assert page.run("document.querySelector('#result').hidden")
    extracted(page)


def test_a_refused_microphone_costs_the_service_nothing(page: Page) -> None:
    page.run("navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('not allowed'))")
    page.choose("#enroll", DEMO / "enrollment.flac")
    for _ in range(10):  # more than may go on at once
        page.click("#live-start")
        page.until("document.querySelector('#live-status').textContent === 'not allowed'")
        page.run("document.querySelector('#live-status').textContent = ''")
        page.until("!document.querySelector('#live-start').disabled")
    page.click("#record-enroll")
    page.until("document.querySelector('#status').textContent.includes('cannot be used: not allowed')")


def test_the_microphone_records_a_sample_and_is_extracted_from_live(page: Page) -> None:
    page.click("#record-enroll")
    page.until("document.querySelector('#record-enroll').textContent === 'Stop'")
    page.run("new Promise((done) => setTimeout(done, 3000))")
    page.click("#record-enroll")
    page.until("document.querySelector('#enroll-name').textContent === 'sample.wav'")
    page.choose("#enroll", DEMO / "enrollment.flac")
    assert page.run("[...document.querySelector('#live-how').options].map((option) => option.text).join()") == (
        "at once (live),0.5 s later, better (nano),1 s later, better (nano)"
    )
    for way, least_ms in enumerate((64, 500)):
        page.run(f"document.querySelector('#live-how').selectedIndex = {way}")
        page.click("#live-start")
        page.until("document.querySelector('#live-activity').value > 0.5")
        assert int(text(page, "#live-status").removesuffix(" ms behind, and what your devices add.")) > least_ms
        page.click("#live-start")
        page.until("document.querySelector('#live-start').textContent === 'Start'")
