"""`tinywase bench`: what it measures is what it says, whatever the machine; no test fails on a time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in import Command, StandInModel

from tinywase.bench import device, quick, streams
from tinywase.bench.page import page, speed_line
from tinywase.bench.specimen import multiply_adds_per_second, write_specimen
from tinywase.bench.streams import find_most_streams, most_served, serve
from tinywase.bench.timing import Times, noise, ratio, take_turns
from tinywase.config import TINY, named_config
from tinywase.format import inspect
from tinywase.runtime.model import open_model

pytest.importorskip("tinywase._native", reason="the package was installed without its native part")


@pytest.mark.parametrize("bits", [1, 3, 8, 32])
def test_a_specimen_is_a_model_of_that_width_that_runs(bits: int, tmp_path: Path) -> None:
    path = write_specimen(tmp_path / "m.twase", TINY, bits)
    separator = {name: width for name, width in inspect(path).bits.items() if name.startswith("separator.")}
    assert {width for name, width in separator.items() if name.endswith("expand.weight")} == {bits}
    model = open_model(path)
    estimate, _ = model.extract(noise(0.2, 8000), np.ones(TINY.voiceprint.dimensions, np.float32))
    assert np.isfinite(estimate).all() and estimate.any()


def test_the_papers_core_costs_4_90_billion_products_a_second() -> None:
    assert round(multiply_adds_per_second(named_config("paper")) / 1e9, 2) == 4.90


def test_candidates_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    clock = iter(range(100)).__next__
    times = take_turns(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, clock=lambda: float(clock())
    )
    assert order == ["b", "a", "a", "b", "b", "a"], "the order alternates"
    assert times["a"].seconds == times["b"].seconds == [1.0, 1.0]
    assert ratio({"slow": Times([4.0, 9.0]), "fast": Times([2.0, 3.0])}, "slow", "fast") == 2.5


class ClockedModel(StandInModel):
    """Every chunk takes 1 ms of a clock that stands still otherwise."""

    now_s = 0.0

    def stream(self, voiceprint: np.ndarray) -> Any:
        inner = super().stream(voiceprint)
        feed = inner.feed

        def timed(chunk: np.ndarray) -> np.ndarray:
            self.now_s += 0.001
            return feed(chunk)

        inner.feed = timed  # type: ignore[method-assign]
        return inner


def test_the_largest_number_of_streams_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ClockedModel()
    monkeypatch.setattr(time, "thread_time", lambda: model.now_s)
    loads = find_most_streams(model, 64, seconds=0.5)
    assert most_served(loads) == 8, "chunks of 8 ms that take 1 ms"
    assert [load.streams for load in loads] == sorted({load.streams for load in loads})
    one = serve(model, 64, 1, seconds=0.5)
    assert (round(one.median_ms, 6), round(one.p99_ms, 6), round(one.busy, 6)) == (1, 1, 0.125)
    assert not serve(model, 64, 9, seconds=2).kept_up


def test_quick_gives_the_three_numbers(tinywase: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    content = quick.measure_quickly(rounds=1, with_torch=False)
    assert content["int8_floor_rtf"] > 0
    assert content["paper_core_rtf"] > 0
    assert "torch_eager_rtf" not in content
    with_torch = content | {"torch_eager_rtf": 1.0, "times_torch": 8.0}
    monkeypatch.setattr(quick, "measure_quickly", lambda: with_torch)
    assert json.loads(tinywase("bench", "--quick", "--json").out) == with_torch
    assert "PyTorch, eager, float32" in tinywase("bench", "--quick").out


@pytest.mark.slow
def test_the_peer_in_torch_runs_the_same_core() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from tinywase.bench import torch_peer
    from tinywase.models import Wase

    torch.manual_seed(0)
    mixture, voiceprint = noise(0.2, 8000), np.ones(TINY.voiceprint.dimensions, np.float32)
    network, vectors = Wase(TINY).eval(), (torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None])
    with torch.inference_mode():
        expected = network(*vectors).estimate
        with torch_peer.plain_operations():
            estimate = torch_peer.core(network, *vectors)
    torch.testing.assert_close(estimate, expected)
    assert expected.any()
    run = torch_peer.eager(TINY, mixture, voiceprint)()
    assert isinstance(run, torch.Tensor) and run.shape == expected.shape and run.any()


def test_one_screen_says_whether_the_device_keeps_up(
    tinywase: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "named_config", lambda name, **changes: named_config("tiny", **changes))
    monkeypatch.setattr(device, "STREAM_S", 0.5)
    result = tinywase("bench", "-o", tmp_path / "device.json")
    assert "Real time: " in result.out or "Not in real time" in result.out
    content = json.loads((tmp_path / "device.json").read_text())
    assert {stream["bits"] for stream in content["streams"]} == {3, 8, 32}
    assert {model["name"]: model["real_time"] is None for model in content["models"]} == {
        "live": False,
        "nano": True,
        "small": True,
    }
    assert all(0 < model["rtf"] < 10 for model in content["models"])
    assert "an hour takes" in result.out
    assert content["machine"]["isa"] in content["machine"]["instruction_sets"]
    again = tinywase("bench", "-o", tmp_path / "device.json")
    assert again.code == 1
    assert "exists already" in again.err


def test_streams_are_counted_and_drawn(tinywase: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots are not installed")
    model = write_specimen(tmp_path / "m.twase", named_config("tiny", causal=True), 3)
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    result = tinywase("bench", model, "--streams", "--chunk-ms", "100", "--plot", tmp_path / "p.png", "--json")
    content = json.loads(result.out)
    assert content["streams"] == max(trial["streams"] for trial in content["trials"] if trial["kept_up"])
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words", [["--quick", "--streams"], ["default"], ["--plot", "p.png"]])
def test_measurements_that_do_not_go_together_are_refused(tinywase: Command, words: list[str]) -> None:
    assert tinywase("bench", *words).code == 2


def test_an_offline_model_has_no_streams(tinywase: Command, tiny_model_path: Path) -> None:
    result = tinywase("bench", tiny_model_path, "--streams")
    assert result.code == 1
    assert "needs the whole recording" in result.err


def test_the_page_of_benchmarks_says_what_was_measured_and_what_was_missed() -> None:
    rows = [
        {"name": name, "rtf": rtf, "least_rtf": rtf, "most_rtf": rtf, "times_ours": rtf / 0.03, "agreement_db": None}
        for name, rtf in (
            ("tinywase avx512, 3 bits", 0.03),
            ("PyTorch 9 eager, float32", 0.27),
            ("OpenVINO, int8", 0.06),
        )
    ]
    heading = {"machine": {"processor": "P", "isa": "avx512", "instruction_sets": [], "processors": 1, "system": "S"}}
    heading["machine"] |= {"compiler": "C", "python": "3", "tinywase": "0"}
    limits = [{"isa": "avx512", "peak_per_s": 2e11, "floor_rtf": 0.02, "times_floor": 1.5}]
    clip = {"rounds": 1, "multiply_adds_per_s": 4.9e9, "ours": rows[0]["name"], "rows": rows, "limits": limits}
    results = {"clip": heading | {"commit": "abc", "date": "today"} | clip}
    text = page(results)
    assert "| times faster than PyTorch, eager, float32 | at least 8 | 9 | met |" in text
    assert (
        "| times faster than the fastest of int8 and bfloat16 (OpenVINO, int8) | at least 2.5 | 2 | **missed** |"
        in text
    )
    assert "9.0 times faster than PyTorch eager, float32, 2.0 times faster than OpenVINO, int8" in speed_line(results)
    assert "which is not bundled" in speed_line(results)
    assert "not measured yet" in speed_line({})
