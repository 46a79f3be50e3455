"""A drawn batch for several steps: from the second on, its voices meet others of the batch.

A GPU learns faster than processors draw, send and copy mixtures. Letters: S segments, T samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from .objectives import Tensors


def reused(
    data: Iterator[Tensors], times: int, *, first_step: int, seed: int, device: torch.device
) -> Iterator[Tensors]:
    """Batches for the steps from `first_step` on, `times` steps of each, on the device.

    Args:
        data: from the batch of `first_step` on. Which voices meet in a step depends only on (seed, step).
    """
    for number, batch in enumerate(data, first_step // times):
        there = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        for step in range(max(first_step, number * times), (number + 1) * times):
            yield there if step % times == 0 else remixed(there, np.random.default_rng((seed, step)))


def remixed(batch: Tensors, rng: np.random.Generator) -> Tensors:
    """The batch with other mixtures: of two targets each, both of which are extracted. Nobody meets whom they met."""
    target = batch["target"]  # [S, T]
    segments = len(target)  # an even number from 4 on (recipe.py)
    shift = int(rng.integers(1, segments // 2)) * 2 + 1  # odd: even places meet odd ones
    place = torch.arange(segments, device=target.device)
    other = torch.where(place % 2 == 0, place + shift, place - shift) % segments
    changed = {"mixture": target + target[other]}
    return {**batch, **changed, **({"partner": other} if "partner" in batch else {})}
