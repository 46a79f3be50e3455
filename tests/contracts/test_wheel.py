"""The wheel in an empty environment: the five core dependencies, no torch, and a real extraction from the shell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = {"numpy", "soundfile", "soxr", "typer", "rich"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Output of a command that must succeed, free of the environment that runs the tests."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=clean, timeout=600)
    assert result.returncode == 0, f"{' '.join(words)}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", folder, REPOSITORY)  # reuses what build/ has compiled
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def empty_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel and what it asks for, nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "--python", python)
    run(*pip, "install", "-c", REPOSITORY / "constraints.txt", wheel)
    return python


def test_wheel_holds_the_package_its_model_and_its_licence_and_no_sources_of_the_native_part(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("tinywase/assets/models/") and name.endswith(".twase") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {"tinywase/py.typed", "tinywase/server/page/index.html", "tinywase/server/page/page.js"} <= set(names)
    native = (".cpp", ".h", ".a", ".cmake")
    assert not [name for name in names if name.endswith(native) or name.startswith(("tests", "native"))]


def test_core_dependencies_are_five(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    required = [line.split(":", 1)[1].strip() for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert {re.split(r"[<>=!~ ]", line)[0] for line in required if "extra ==" not in line} == CORE


def test_extraction_by_the_command_line_without_torch(empty_python: Path, tmp_path: Path) -> None:
    assert run(empty_python, "-c", "import importlib.util as u; print(u.find_spec('torch'))").strip() == "None"
    assets = Path(run(empty_python, "-c", "import tinywase; print(tinywase.__path__[0])").strip()) / "assets" / "demo"
    assert assets.is_relative_to(empty_python.parent.parent), "the package of the empty environment is what runs"
    tinywase = empty_python.parent / "tinywase"
    run(tinywase, "demo", "-o", tmp_path / "demo", cwd=tmp_path)
    mixture = next((tmp_path / "demo").glob("mixture.*"))
    enrollment = next(path for path in assets.iterdir() if path.stem.startswith("enrollment"))
    run(tinywase, "enroll", enrollment, "-o", tmp_path / "me.voice")
    run(tinywase, "extract", mixture, "--enroll", tmp_path / "me.voice", "-o", tmp_path / "out.wav")
    heard, rate_hz = soundfile.read(mixture, dtype="float32")
    estimate, estimate_rate_hz = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (estimate.shape, estimate_rate_hz) == (heard.shape, rate_hz)
    assert 0 < np.sqrt(np.mean(estimate**2)) <= np.sqrt(np.mean(heard**2))


def test_info_of_the_bundled_model(empty_python: Path) -> None:
    report = json.loads(run(empty_python.parent / "tinywase", "info", "default", "--json"))
    assert report["core_parameters"] > 0
