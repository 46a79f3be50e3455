"""The README's blocks run, every `sh` block in a shell and every `python` block, beside two recordings; those of
docs/python.md as one program, those of docs/service.md beside a service.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import tinywase

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
NAMES = [f"{language}-{i}" for i, (language, _) in enumerate(BLOCKS)]
SERVICE = (REPOSITORY / "docs" / "service.md").read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with the recordings that the README speaks of."""
    demo = Path(tinywase.__path__[-1]) / "assets" / "demo"
    for name, stem in {"meeting": "mixture", "me": "enrollment"}.items():
        samples, rate_hz = soundfile.read(next(demo.glob(f"{stem}*")))
        soundfile.write(tmp_path / f"{name}.wav", samples, rate_hz)
    return tmp_path


def run_block(desk: Path, language: str, code: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euc", code]
    result = subprocess.run(
        command, cwd=desk, capture_output=True, text=True, timeout=300, env={**os.environ, "PATH": path}
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(("language", "code"), BLOCKS, ids=NAMES)
def test_block_runs(desk: Path, language: str, code: str) -> None:
    run_block(desk, language, code)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page speaks of curl, which is not installed")
def test_the_services_page_runs_beside_a_service(desk: Path) -> None:
    """Its blocks in their order, at another port, since that of the page may be taken."""
    command = [sys.executable, "-m", "tinywase", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        port = service.stdout.readline().split("/")[2].split(":")[1]
        try:
            for language, code in re.findall(r"^```(sh|python)\n(.*?)^```", SERVICE, re.MULTILINE | re.DOTALL):
                run_block(desk, language, code.replace(":8765", f":{port}"))
        finally:
            service.terminate()
    made = ("me-alone.wav", "me.voice", "me-alone.flac", "other.wav", "me-live.wav")
    assert all((desk / name).stat().st_size for name in made)
    assert soundfile.info(desk / "me-live.wav").frames == soundfile.info(desk / "meeting.wav").frames


def test_the_python_page_runs_and_names_everything_public(desk: Path) -> None:
    page = (REPOSITORY / "docs" / "python.md").read_text()
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    result = subprocess.run([sys.executable, "-c", code], cwd=desk, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert "expected at least 0.5 s" in result.stdout
    for field in dataclasses.fields(tinywase.Extraction):
        assert f"`{field.name}`" in page, field.name


def test_both_kinds_of_block_are_there() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "python"}


def test_first_screen_has_the_sentence_the_picture_the_table_and_the_two_commands() -> None:
    screen = "\n".join(README.splitlines()[:45])
    parts = ["It returns that voice", "![", "results: begin", "make demo", "make test"]
    places = [screen.lower().find(part.lower()) for part in parts]
    assert places == sorted(places)
    assert -1 not in places
