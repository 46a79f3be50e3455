"""Batches from a background thread, reproducible by step number.

The thread builds NumPy arrays only: a torch operation in it would start a second OpenMP team and halve the speed.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator

import numpy as np
import torch
from torch import Tensor

AHEAD = 3  # batches


def batches(
    draw: Callable[[np.random.Generator], dict[str, np.ndarray]], *, seed: int, rank: int, first_step: int
) -> Generator[dict[str, Tensor], None, None]:
    """Endless batches; that of a step depends only on (seed, rank, step), so that a training resumes unnoticed."""
    ready: queue.Queue[dict[str, np.ndarray] | BaseException] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def produce() -> None:
        step = first_step
        while not stopped.is_set():
            try:
                item: dict[str, np.ndarray] | BaseException = draw(np.random.default_rng((seed, rank, step)))
            except BaseException as error:  # reaches the training, which stops with it
                item = error
            while not stopped.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return
            step += 1

    threading.Thread(target=produce, daemon=True, name="tinywase-loader").start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield {key: torch.from_numpy(value) for key, value in item.items()}
    finally:
        stopped.set()
