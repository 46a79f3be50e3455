"""The source distribution: a C++17 compiler is all that its native part needs, and it installs where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOST_BYTES = 6_500_000
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, path: str | None = None, native: str = "") -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "CXX", "CC")}
    environment |= {"TINYWASE_NATIVE": native} | ({"PATH": path} if path is not None else {})
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environment, timeout=900, check=False)
    assert result.returncode == 0, f"{' '.join(words)}\n{result.stdout}{result.stderr}"
    return result


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build")
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "-o", folder, REPOSITORY, cwd=folder)
    return next(folder.glob("*.tar.gz"))


def wheel_of(sdist: Path, folder: Path, *, path: str | None = None, native: str = "") -> Path:
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "wheel", "--no-cache-dir", "--no-deps")
    run(*pip, "--no-build-isolation", "-w", folder, sdist, cwd=folder, path=path, native=native)
    return next(folder.glob("*.whl"))


def test_it_holds_what_is_built_and_tested_and_is_small(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"native/src/api.cpp", "native/include/tinywase.h", "CMakeLists.txt", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith((".ci", ".venv", "build/", "weights/"))]
    assert sdist.stat().st_size < MOST_BYTES


def test_a_compiler_is_all_it_needs(sdist: Path, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no compiler here")
    names = zipfile.ZipFile(wheel_of(sdist, tmp_path, native="require")).namelist()
    assert [name for name in names if name.startswith("tinywase/_native.")]


def test_without_a_compiler_it_installs_and_says_so(sdist: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "env", "uname"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tools)])
    if any(shutil.which(name, path=path) for name in ("c++", "g++", "clang++", "cc")):
        pytest.skip("a compiler lies beside the interpreter")
    wheel = wheel_of(sdist, tmp_path, path=path)
    assert wheel.name.endswith("py3-none-any.whl")
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", wheel, cwd=tmp_path)
    packages = next((tmp_path / "environment").glob("lib/python*/site-packages"))
    # What the package needs, from where the tests have it; not the package itself, which is there by a hook.
    (packages / "dependencies.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    done = run(python, "-m", "tinywase", "demo", "-o", tmp_path / "demo", cwd=tmp_path)
    assert "the native runtime is not there" in done.stderr
    assert "C++17 compiler" in done.stderr
    assert "reference runtime" in done.stdout
