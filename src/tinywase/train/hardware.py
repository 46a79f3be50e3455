"""What a training runs on, and the settings that make it fast there (docs/speed-log.md)."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import distributed

from ..errors import ConfigError
from ..models.fused import kernels, stacks_in_bfloat16
from .recipe import Recipe


@dataclass(frozen=True)
class Hardware:
    """Device, number format, and this process's place among those that torchrun started."""

    device: torch.device
    precision: Literal["float32", "stacks", "bfloat16"]  # stacks: native kernels alone round to bfloat16
    rank: int
    world: int

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU, which works on while Python goes ahead."""
        return self.device.type == "cuda"

    @property
    def graphed(self) -> bool:
        """Whether updates are recorded and replayed (graphed.py): on one GPU, unless TINYWASE_GRAPH is 0."""
        return self.cuda and self.world == 1 and os.environ.get("TINYWASE_GRAPH") != "0"

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Around a forward pass: computes it in `precision`."""
        if self.precision == "stacks":
            return stacks_in_bfloat16()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    @property
    def leads(self) -> bool:
        """Whether this process saves, reports and evaluates."""
        return self.rank == 0


def prepare_hardware(recipe: Recipe) -> Hardware:
    """Choose the device, and join the other processes if torchrun started several."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available() if recipe.device == "auto" else recipe.device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise ConfigError("device = 'cuda', but torch finds no GPU. Use device = 'auto' or 'cpu'.")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    else:
        torch.set_num_threads(recipe.threads)
        torch.set_flush_denormal(True)
        _keep_freed_memory()
    if world > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if cuda else "gloo")
    return Hardware(device, _precision(recipe, cuda), rank, world)


def _precision(recipe: Recipe, cuda: bool) -> Literal["float32", "stacks", "bfloat16"]:
    """`auto`: bfloat16 where it is computed in and not emulated."""
    if recipe.precision != "auto":
        return "bfloat16" if recipe.precision == "bfloat16" else "float32"
    if cuda or torch.cpu._is_avx512_bf16_supported():
        return "bfloat16"
    return "stacks" if kernels() is not None else "float32"


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks: handing megabytes back after every operation costs 8 % in page faults."""
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library: nothing to tune
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 256 * 2**20)
