"""The native part compiled outside Python, and programs that work on it; what is not installed makes a test skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# The build's own cmake lies beside the interpreter, which need not be activated.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
JOBS = str(len(os.sched_getaffinity(0)))  # of a build


def needs(*programs: str) -> None:
    """Skip the test that lacks one of them."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: str | Path, **options: str) -> str:
    """What a program says that ends well; `options` are variables of its environment."""
    environment = dict(os.environ) | {"PATH": PATH} | options
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def built(folder: Path, *targets: str, **options: str) -> Path:
    """Configure and compile the native part alone."""
    needs("cmake", "c++")
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    run("cmake", "-S", REPOSITORY, "-B", folder, *definitions)
    run("cmake", "--build", folder, "--parallel", JOBS, "--target", *targets)
    return folder
