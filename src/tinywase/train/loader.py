"""Batches made ahead of time, reproducible by step number: by a thread, or by processes where a GPU eats faster.

One core mixes several hundred seconds of audio per second. The thread builds NumPy arrays only: a torch operation in it
would start a second OpenMP team and halve the speed of a training on the CPU.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable, Generator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

AHEAD = 3  # batches of the thread, or of each process

Arrays = dict[str, np.ndarray]
Draw = Callable[[np.random.Generator], Arrays]


def batches(
    draw: Draw, *, seed: int, rank: int, first_step: int, processes: int = 0, pinned: bool = False
) -> Generator[dict[str, Tensor], None, None]:
    """Endless batches; that of a step depends only on (seed, rank, step), so that a training resumes unnoticed.

    Args:
        processes: how many make them; 0 for a thread of this one. They are forked, so that all share one bank.
        pinned: leave them where a GPU fetches them without being waited for (processes only).
    """
    source = Drawn(draw, seed, rank)
    return _by_processes(source, first_step, processes, pinned) if processes else _by_thread(source, first_step)


class Drawn(Dataset):
    """The arrays of every step."""

    def __init__(self, draw: Draw, seed: int, rank: int) -> None:
        self.draw, self.seed, self.rank = draw, seed, rank

    def __getitem__(self, step: int) -> Arrays:
        return self.draw(np.random.default_rng((self.seed, self.rank, step)))


def _by_processes(
    source: Drawn, first_step: int, processes: int, pinned: bool
) -> Generator[dict[str, Tensor], None, None]:
    loader = DataLoader(
        source,
        batch_size=None,  # what is drawn is a batch already
        sampler=itertools.count(first_step),
        num_workers=processes,
        prefetch_factor=AHEAD,
        pin_memory=pinned,
        worker_init_fn=_leave_group,
        multiprocessing_context="fork",
    )
    yield from loader


def _leave_group(worker: int) -> None:
    """Ctrl-C and `timeout` signal a whole process group: the training saves its state and ends its loaders itself."""
    os.setpgid(0, 0)


def _by_thread(source: Drawn, first_step: int) -> Generator[dict[str, Tensor], None, None]:
    ready: queue.Queue[Arrays | BaseException] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def produce() -> None:
        for step in itertools.count(first_step):
            try:
                item: Arrays | BaseException = source[step]
            except BaseException as error:  # reaches the training, which stops with it
                item = error
            while not stopped.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            if stopped.is_set() or isinstance(item, BaseException):
                return

    threading.Thread(target=produce, daemon=True, name="tinywase-loader").start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield {key: torch.from_numpy(value) for key, value in item.items()}
    finally:
        stopped.set()
