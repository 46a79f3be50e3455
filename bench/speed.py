"""Speed of the paper's core beside its peers, its limit, streaming, memory and start: everything in docs/benchmarks.md.

    make bench                                  # or: taskset -c 0 python bench/speed.py [--rounds 7]
    python bench/speed.py --only clip           # one part of: clip, threads, stream, process

Writes docs/results/speed.json, from which it and `make docs` make docs/benchmarks.md. All candidates for a clip run in
one process on one pinned thread and take turns; see tinywase/bench/timing.py for what is measured how.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import peers as others
import processes
import threads

from tinywase.bench.machine import describe, pinned
from tinywase.bench.specimen import FLOAT_BITS, multiply_adds_per_second, write_specimen
from tinywase.bench.streams import find_most_streams, most_served
from tinywase.bench.timing import Times, any_voiceprint, noise, ratio, take_turns, time_chunks
from tinywase.config import ModelConfig, named_config
from tinywase.metrics import si_sdr
from tinywase.runtime.native import NativeModel
from tinywase.runtime.threads import allowed_processors

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results" / "speed.json"
CLIP_S, STREAM_S, CHUNKS_MS = 4.0, 8.0, (8.0, 16.0, 32.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    choices = ["clip", "threads", "stream", "process"]
    parser.add_argument("--only", choices=choices, help="one part; the others stay as they are")
    parser.add_argument("--work", type=Path, help="folder for exported models; made anew without it")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "clip": lambda folder: clip(folder, arguments.rounds),
        "threads": lambda folder: threads.measure(folder, 3 * arguments.rounds),
        "stream": stream,
        "process": processes.measure,
    }
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, measure in parts.items():
            if arguments.only is None and name == "threads" and len(allowed_processors()) < 2:
                print("two threads need two processors: left as they were measured", file=sys.stderr)
            elif arguments.only in (None, name):
                found[name] = heading() | measure(folder)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    sys.path.insert(0, str(REPOSITORY / "docs"))
    generate = import_module("generate")
    page = REPOSITORY / "docs" / "benchmarks.md"
    page.write_text(generate.documents()[page])
    print(page.read_text())


def heading() -> dict[str, Any]:
    """When, on what, of which commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)
    return {"machine": asdict(describe()), "commit": commit.stdout.strip() or None, "date": date.today().isoformat()}


@contextmanager
def kernels(isa: str) -> Any:
    """Models that are opened inside use these kernels."""
    before = os.environ.get("TINYWASE_ISA")
    os.environ["TINYWASE_ISA"] = isa
    try:
        yield
    finally:
        os.environ.pop("TINYWASE_ISA")
        if before:
            os.environ["TINYWASE_ISA"] = before


def clip(folder: Path, rounds: int) -> dict[str, Any]:
    """A clip of 4 s, offline: ours at several widths and instruction sets, the probe, the peers."""
    native, config = import_module("tinywase._native"), named_config("paper")
    mixture = noise(CLIP_S, config.sample_rate_hz)
    runs: dict[str, Callable[[], Any]] = {}
    outputs: dict[str, np.ndarray] = {}
    references: dict[str, np.ndarray | None] = {}
    peaks: dict[str, list[float]] = {}

    def keep(name: str, run: Callable[[], np.ndarray]) -> None:
        def once() -> None:
            outputs[name] = run()

        runs[name] = once

    def probe(isa: str) -> Callable[[], None]:
        def once() -> None:
            with kernels(isa):
                peaks[isa].append(native.int8_peak())

        return once

    def extraction(model: NativeModel) -> Callable[[], np.ndarray]:
        return lambda: model.extract(mixture, voiceprint)[0]

    voiceprint = np.full(config.voiceprint.dimensions, 0.5, np.float32)
    with pinned():
        paths = {bits: folder / f"paper-{bits}.twase" for bits in (3, 8, FLOAT_BITS)}
        expected = {bits: specimen(path, config, bits, mixture, voiceprint) for bits, path in paths.items()}
        for isa in [name for name in native.instruction_sets() if name != "scalar"]:
            for bits, path in paths.items():
                with kernels(isa):
                    keep(ours(isa, bits), extraction(NativeModel(path)))
                references[ours(isa, bits)] = expected[bits]
            peaks[isa] = []
            runs[f"probe, {isa}"] = probe(isa)
        with others.quiet_torch():
            for peer in others.peers(paths[FLOAT_BITS], mixture, voiceprint, folder):
                keep(peer.name, peer.run)
        times = take_turns(runs, rounds)
    first = ours(native.instruction_sets()[0], 3)
    rows = [
        {
            "name": name,
            "rtf": times[name].median_s / CLIP_S,
            "least_rtf": times[name].least_s / CLIP_S,
            "most_rtf": max(times[name].seconds) / CLIP_S,
            "times_ours": ratio(times, name, first),
            "agreement_db": agreement(references.get(name, expected[FLOAT_BITS]), outputs[name]),
        }
        for name in outputs
    ]
    work = multiply_adds_per_second(config)
    limits = [floor(isa, values, times, work) for isa, values in peaks.items()]
    return {
        "rounds": rounds,
        "clip_s": CLIP_S,
        "multiply_adds_per_s": work,
        "ours": first,
        "rows": rows,
        "limits": limits,
    }


def specimen(
    path: Path, config: ModelConfig, bits: int, mixture: np.ndarray, voiceprint: np.ndarray
) -> np.ndarray | None:
    """Write the same random network at any width, ranges those of the mixture; returns what torch makes of it.

    Without torch the ranges are fixed and there is nothing to compare with.
    """
    if find_spec("torch") is None:
        write_specimen(path, config, bits)
        return None
    import torch

    from tinywase.quant.attach import attach, freeze, recording
    from tinywase.quant.rules import QuantConfig
    from tinywase.train.export import export
    from tinywase.train.student import random_network

    network, inputs = random_network(config), (torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None])
    with torch.no_grad():
        if bits < FLOAT_BITS:
            attach(network, QuantConfig(bits=bits, method="lsq", activation_bits=8))
            with recording(network):
                network(*inputs)
            freeze(network)
        estimate: np.ndarray = network(*inputs).estimate[0].numpy()
    export(network, path, card={"data": "none: random weights, to measure speed with"}, force=True)
    return estimate


def ours(isa: str, bits: int) -> str:
    return f"tinywase {isa}, " + ("float32" if bits == FLOAT_BITS else f"{bits} bits")


def agreement(reference: np.ndarray | None, estimate: np.ndarray) -> float | None:
    """SI-SDR against the same weights and quantizers in PyTorch; None without it."""
    return None if reference is None else float(si_sdr(reference=reference, estimate=estimate))


def floor(isa: str, peaks: list[float], times: dict[str, Times], work: int) -> dict[str, Any]:
    """The time that the products alone would take at the peak that was probed."""
    rtf = work / statistics.median(peaks)
    return {
        "isa": isa,
        "peak_per_s": statistics.median(peaks),
        "floor_rtf": rtf,
        "times_floor": times[ours(isa, 3)].median_s / CLIP_S / rtf,
    }


def stream(folder: Path) -> dict[str, Any]:
    """The causal core in chunks, and how many streams a core serves."""
    native, config = import_module("tinywase._native"), named_config("paper", causal=True)
    mixture, rows = noise(STREAM_S, config.sample_rate_hz), []
    with pinned():
        for isa in [name for name in native.instruction_sets() if name != "scalar"]:
            for bits in (3, 8, FLOAT_BITS):
                with kernels(isa):
                    model = NativeModel(write_specimen(folder / "causal.twase", config, bits))
                for chunk_ms in CHUNKS_MS:
                    one = model.stream(any_voiceprint(model))
                    times = time_chunks(one, round(chunk_ms * config.sample_rate_hz / 1000), mixture)
                    rows.append(
                        {
                            "name": ours(isa, bits),
                            "chunk_ms": chunk_ms,
                            "median_ms": 1e3 * times.median_s,
                            "p99_ms": 1e3 * times.percentile_s(99),
                            "taken_by_others": times.taken_by_others,
                            "state_bytes": one.state_bytes,
                            "weight_bytes": model.weight_bytes,
                            "latency_samples": one.latency_samples,
                        }
                    )
        model = NativeModel(write_specimen(folder / "causal.twase", config, 3))
        loads = find_most_streams(model, round(8 * config.sample_rate_hz / 1000))
    best = next((load for load in loads if load.streams == most_served(loads)), loads[0])
    return {"rows": rows, "streams": asdict(best), "trials": [asdict(load) for load in loads]}


if __name__ == "__main__":
    main()
