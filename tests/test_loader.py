"""Batches made ahead: the same by thread and processes, errors arrive, nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tinywase.errors import DataError  # noqa: E402
from tinywase.train.loader import batches  # noqa: E402

PROCESSES = pytest.mark.parametrize("processes", [0, 2], ids=["thread", "processes"])

INTERRUPTED = """
import os, signal, sys, time
from tinywase.train.loader import batches

heard = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: heard.append(1))
data = batches(lambda rng: {"x": rng.random(3)}, seed=0, rank=0, first_step=0, processes=2)
for step, _ in enumerate(data):
    if step == 2:
        os.killpg(os.getpgid(0), signal.SIGINT)
        os.killpg(os.getpgid(0), signal.SIGTERM)
        time.sleep(0.3)
    if step == 30:
        break
data.close()
print(len(heard), step)
"""


def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {"mixture": rng.standard_normal((2, 50)).astype(np.float32), "speaker": rng.integers(9, size=2)}


def failing(rng: np.random.Generator) -> dict[str, np.ndarray]:
    raise DataError("the bank has run dry")


def children() -> set[str]:
    """Processes of this one."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@PROCESSES
def test_a_batch_depends_on_seed_rank_and_step_alone(processes: int) -> None:
    for first_step in (0, 5):
        data = batches(draw, seed=3, rank=1, first_step=first_step, processes=processes)
        for step, batch in enumerate(islice(data, 7), first_step):
            expected = draw(np.random.default_rng((3, 1, step)))
            assert batch.keys() == expected.keys()
            assert all(torch.equal(batch[key], torch.from_numpy(value)) for key, value in expected.items())
        data.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts processes in /proc")
def test_closing_leaves_no_process_behind() -> None:
    before = children()
    data = batches(draw, seed=0, rank=0, first_step=0, processes=2)
    next(data)
    started = children() - before
    assert len(started) == 2
    data.close()
    deadline = time.monotonic() + 20
    while started & children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not started & children()


@PROCESSES
def test_an_error_reaches_the_training(processes: int) -> None:
    with pytest.raises(DataError, match="the bank has run dry"):
        next(batches(failing, seed=0, rank=0, first_step=0, processes=processes))


@pytest.mark.skipif(not hasattr(os, "killpg") or not hasattr(signal, "SIGTERM"), reason="needs process groups")
def test_signals_to_the_group_are_left_to_the_training() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120, start_new_session=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "30"]
