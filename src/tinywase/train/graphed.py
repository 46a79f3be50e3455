"""An update of the weights as one recorded graph: a GPU that waits for its next kernel is idle most of a step.

A step of a network in blocks is some thousand kernels of microseconds, and Python takes longer to ask for them than the
GPU to run them. After a few ordinary steps one is recorded, and from then on replayed on new batches.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .objectives import Logs, Tensors

ORDINARY_STEPS = 3  # in which kernels are compiled and the optimizer makes its state


class GraphedUpdate:
    """`update(batch)`, recorded; every batch must have the shapes of the first, and what changes from step to step must
    be in tensors that stay where they are."""

    def __init__(self, update: Callable[[Tensors], Logs], form: bool) -> None:
        self.update = update
        self.form = form  # what the recording holds for
        self.ordinary = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: Tensors = {}
        self.logs: Logs = {}

    def __call__(self, batch: Tensors) -> Logs:
        """Update on a batch, wherever it is; returns numbers that stay as they are."""
        if self.ordinary < ORDINARY_STEPS:
            self.ordinary += 1
            return self._aside({name: value.to("cuda", non_blocking=True) for name, value in batch.items()})
        if self.graph is None:
            self.batch = {name: value.to("cuda", copy=True) for name, value in batch.items()}
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # the loader's thread pins memory
                self.logs = self.update(self.batch)
        for name, value in self.batch.items():
            value.copy_(batch[name], non_blocking=True)
        self.graph.replay()
        return {name: value.clone() for name, value in self.logs.items()}

    def _aside(self, batch: Tensors) -> Logs:
        """On a stream of its own, as recording asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            logs = self.update(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return logs


def changeable(rate: float) -> Tensor:
    """A learning rate as a recorded step wants it: where it can be changed."""
    return torch.tensor(rate, device="cuda")
