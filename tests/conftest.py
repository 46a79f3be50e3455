"""What all tests share: a header that says what is tested, the speech folder beside the project, a tiny model file."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from desk import Extract, lay_out
from hypothesis import settings
from stand_in import Command, Result

from tinywase.config import TINY, ModelConfig

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile("no deadline", deadline=None)  # no test fails on a time
settings.load_profile("no deadline")


def pytest_report_header() -> list[str]:
    """Version, native part, threads, torch: the four things to know of a failure seen elsewhere."""
    torch = f"torch {version('torch')}" if importlib.util.find_spec("torch") else "no torch"
    threads = os.environ.get("OMP_NUM_THREADS") or f"{len(os.sched_getaffinity(0))} (processors)"
    return [f"tinywase {version('tinywase')}, runtime {_runtime()}, threads {threads}, {torch}"]


def _runtime() -> str:
    try:
        native = importlib.import_module("tinywase._native")
    except ImportError as error:
        return f"reference (no native part: {error})"
    isa = getattr(native, "isa", None)
    return f"native ({isa() if callable(isa) else 'instruction set not reported'})"


@pytest.fixture(autouse=True)
def processor_as_it_was() -> Iterator[None]:
    """Training lets the processor round tiny numbers to zero; what comes after it in this process must not."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Ctrl-C is ignored by what a shell starts in its background, and by what that starts in turn."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def speech_root() -> Path:
    """Real speech beside the project (TINYWASE_SPEECH, else ../shared/speech); tests that need it skip without it."""
    root = Path(os.environ.get("TINYWASE_SPEECH", REPOSITORY.parent / "shared" / "speech"))
    if not (root / "manifest.csv").is_file():
        pytest.skip(f"no speech folder at {root}: set TINYWASE_SPEECH")
    return root


def random_tensors(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights as a fresh network would have them: small, gains 1, slopes 0.25. No torch needed."""
    from tinywase.layout import expected_tensors

    tensors = {}
    for name, shape in expected_tensors(config).items():
        if "norm" in name and name.endswith(".weight"):
            values = np.ones(shape)
        elif name.endswith("slope.weight"):
            values = np.full(shape, 0.25)
        else:
            values = rng.normal(0, 1 / np.sqrt(max(1, int(np.prod(shape[1:])))), shape)
        tensors[name] = values.astype(np.float32)
    return tensors


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of the `tiny` configuration with random float32 weights: it runs, it extracts nothing useful."""
    from tinywase.format import ModelFile, PackedTensor, write_model

    tensors = {
        name: PackedTensor(
            name=name, shape=values.shape, kind="float32", bits=32, codes=None, levels=None, scales=None, values=values
        )
        for name, values in random_tensors(TINY, np.random.default_rng(0)).items()
    }
    path = tmp_path_factory.mktemp("model") / "tiny.twase"
    write_model(path, ModelFile(config=TINY, tensors=tensors, card={"name": "tiny", "data": "none: random weights"}))
    return path


@pytest.fixture
def tinywase(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: `tinywase("info", "--config", "tiny")` -> exit code, stdout, stderr."""
    return Command(capsys)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with recordings, an enrollment and a folder of calls; the working place of a test of `extract`."""
    return lay_out(tmp_path)


@pytest.fixture
def extract(desk: Path, tiny_model_path: Path, tinywase: Command) -> Extract:
    """`extract(words...)` with model and, unless told otherwise, enrollment filled in."""

    def run(*words: str | Path, enroll: bool = True) -> Result:
        voice: list[str | Path] = ["--enroll", desk / "me.wav"] if enroll else []
        return tinywase("extract", *words, *voice, "-m", tiny_model_path)

    return run
