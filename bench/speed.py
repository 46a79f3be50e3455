"""How fast a model file runs here: every runtime, and torch, on the same input and one thread; do their outputs agree?

`make bench`, or `python bench/speed.py [MODEL] [--seconds 10] [--repeats 5]`; prints Markdown. One warm-up, then the
runtimes take turns, so that a busy moment of the machine hits all; median and minimum are shown.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from tinywase import __version__
from tinywase.config import ModelConfig
from tinywase.format import ModelFile, read_model
from tinywase.metrics import si_sdr
from tinywase.runtime.model import RuntimeModel, open_model
from tinywase.runtime.registry import find_model


@dataclass
class Contestant:
    """A way to run the model, and what it took."""

    name: str
    enroll: Callable[[np.ndarray], np.ndarray]
    extract: Callable[[np.ndarray, np.ndarray], np.ndarray]
    extract_s: list[float] = field(default_factory=list)
    enroll_s: list[float] = field(default_factory=list)
    estimate: np.ndarray | None = None

    def run(self, mixture: np.ndarray, enrollment: np.ndarray) -> None:
        """One turn."""
        start = time.perf_counter()
        voiceprint = self.enroll(enrollment)
        enrolled = time.perf_counter()
        self.estimate = self.extract(mixture, voiceprint)
        self.enroll_s.append(enrolled - start)
        self.extract_s.append(time.perf_counter() - enrolled)


def contestants(path: Path) -> list[Contestant]:
    """The runtimes that are there, and torch if it is."""
    found = []
    for runtime in ("reference", "native"):
        model = open_model(path, runtime="auto" if runtime == "native" else runtime)
        if model.runtime_name == runtime:
            found.append(_of_runtime(runtime, model))
    try:
        found.append(_of_torch(read_model(path)))
    except ImportError:
        print("torch is not installed: measured without it.\n")
    return found


def _of_runtime(name: str, model: RuntimeModel) -> Contestant:
    return Contestant(name, model.enroll, lambda mixture, voiceprint: model.extract(mixture, voiceprint)[0])


def _of_torch(model_file: ModelFile) -> Contestant:
    """The float network with the file's weights; quantized activations stay float here."""
    import torch

    from tinywase.models import Wase

    torch.set_num_threads(1)
    network = Wase(model_file.config).eval()
    weights = {name: torch.from_numpy(tensor.dequantize()) for name, tensor in model_file.tensors.items()}
    network.load_state_dict({name: weights[name] for name in network.state_dict()})

    def enroll(enrollment: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network.enroll(torch.from_numpy(enrollment)[None])[0].numpy()

    def extract(mixture: np.ndarray, voiceprint: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]).estimate[0].numpy()

    return Contestant(f"torch {torch.__version__}, float", enroll, extract)


def signals(config: ModelConfig, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise with the loudness of speech; what a signal holds does not change how long it takes."""
    rng = np.random.default_rng(0)
    noise = 0.05 * rng.standard_normal(round((seconds + 5) * config.sample_rate_hz)).astype(np.float32)
    return noise[: round(seconds * config.sample_rate_hz)], noise[-5 * config.sample_rate_hz :]


def table(found: list[Contestant], seconds: float) -> str:
    """Markdown: real-time factor, enrollment, agreement with the first."""
    lines = ["| runtime | RTF median | RTF minimum | enrolling 5 s, ms | agreement with reference, dB |"]
    lines.append("|---|---:|---:|---:|---:|")
    first = found[0].estimate
    assert first is not None
    for one in found:
        assert one.estimate is not None
        agreement = "–" if one is found[0] else f"{si_sdr(reference=first, estimate=one.estimate):.0f}"
        median, minimum = statistics.median(one.extract_s) / seconds, min(one.extract_s) / seconds
        enroll_ms = 1000 * statistics.median(one.enroll_s)
        lines.append(f"| {one.name} | {median:.4f} | {minimum:.4f} | {enroll_ms:.0f} | {agreement} |")
    return "\n".join(lines)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="default", help="a bundled name or a .twase file")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the mixture")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    path = find_model(arguments.model)
    found = contestants(path)
    mixture, enrollment = signals(read_model(path).config, arguments.seconds)
    for turn in range(arguments.repeats + 1):
        for one in found:
            one.run(mixture, enrollment)
            if turn == 0:  # warm-up
                one.extract_s.clear()
                one.enroll_s.clear()
    print(f"{path.name}, {path.stat().st_size / 1e6:.2f} MB, tinywase {__version__}; {processor()}, one thread;")
    print(f"{arguments.seconds:g} s of audio, {arguments.repeats} turns. RTF: computing time over audio time.\n")
    print(table(found, arguments.seconds))


if __name__ == "__main__":
    main()
