"""Level tables, the thresholds between them, and the scale that fits a table to given weights.

A quantized weight is `levels[code] * scale`. Levels are small integers, ascending, so that an integer runtime can use
them as they stand; code i is the i-th level. Two tables:

    symmetric   -(2^(b-1)-1) .. 2^(b-1)-1, 2^b - 1 levels with a zero among them; the paper's (1 bit: -1, 1)
    even        the 2^b odd integers -(2^b-1) .. 2^b-1: no zero, but no code wasted; up to 7 bits, to stay within int8

Shapes: K levels, K - 1 thresholds, O output channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..config import one_of
from ..errors import ConfigError
from .rules import MAX_BITS, TABLES

GRID = [0.025 * i for i in range(1, 49)]  # of the scale that reaches the largest weight
GRID_WEIGHTS = 8192
REFINEMENTS = 4


def level_table(bits: int, kind: str = "symmetric") -> np.ndarray:
    """The ascending levels of a width.

    >>> level_table(3).tolist()
    [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    >>> level_table(2, "even").tolist()
    [-3.0, -1.0, 1.0, 3.0]

    Raises:
        ConfigError: a width or a table that does not exist.
    """
    check_bits(bits)
    one_of("levels", kind, TABLES)
    if kind == "even" and bits == MAX_BITS:
        raise ConfigError("levels = 'even' at 8 bits reaches 255, beyond int8: use 'symmetric', or 7 bits at most.")
    if kind == "even" or bits == 1:
        return np.arange(1 - 2**bits, 2**bits, 2, dtype=np.float32)
    top = 2 ** (bits - 1) - 1
    return np.arange(-top, top + 1, dtype=np.float32)


def table_of(levels: np.ndarray, bits: int) -> str | None:
    """The table that levels of a width are; None if they are of none.

    >>> table_of(level_table(3, "even"), 3)
    'even'
    """
    kinds = TABLES if bits < MAX_BITS else ("symmetric",)
    return next((kind for kind in kinds if np.array_equal(level_table(bits, kind), levels)), None)


def check_bits(bits: int, label: str = "bits") -> None:
    """Refuse a width outside 1..8."""
    if not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"{label} = {bits}: expected 1 to {MAX_BITS} bits (32 leaves a tensor in float).")


def kmeans_centres(values: np.ndarray, count: int, *, iterations: int = 300) -> np.ndarray:
    """Centres of a one-dimensional k-means, ascending, deterministic.

    Clusters on a line are intervals, so Lloyd's step is two look-ups in the sorted values' running sum. It starts from
    quantiles; for the bell shapes that weights have, the optimum is the only fixed point. A cluster that loses all its
    members keeps its centre.

    Shape: [any] -> [count]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.quantile(ordered, (np.arange(count) + 0.5) / count)
    for _ in range(iterations):
        edges = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        first, last = np.concatenate([[0], edges]), np.concatenate([edges, [len(ordered)]])
        members = last - first
        moved = np.where(members > 0, (sums[last] - sums[first]) / np.maximum(members, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.sort(centres)


def kmeans_thresholds(values: np.ndarray, count: int) -> np.ndarray:
    """Midpoints between neighbouring k-means centres [Huang22]. Shape: [any] -> [count - 1]."""
    centres = kmeans_centres(values, count)
    return ((centres[1:] + centres[:-1]) / 2).astype(np.float32)


def midpoints(levels: Tensor) -> Tensor:
    """Thresholds that send a value to the nearest level. Shape: [K] -> [K - 1]."""
    return (levels[1:] + levels[:-1]) / 2


def nearest(values: Tensor, levels: Tensor) -> Tensor:
    """Code of the nearest of evenly spaced levels, the upper one half-way. Shape: any, [K] -> int64, the same."""
    place = (values - levels[0]) / (levels[1] - levels[0])
    return (place + 0.5).floor_().clamp_(0, len(levels) - 1).long()


def spread(scale: Tensor, weight: Tensor) -> Tensor:
    """A scale per tensor or per output channel, shaped to multiply `weight`. Shape: [1] or [O] -> [O or 1, 1, ...]."""
    return scale.view(-1, *[1] * (weight.dim() - 1))


def one_scale(weight: Tensor, per_channel: bool) -> Tensor:
    """A scale of 1 for the tensor, or for each of its output channels. Shape: [O, ...] -> [1] or [O]"""
    return torch.ones(len(weight) if per_channel else 1, device=weight.device)


def magnitude(weight: Tensor, *, per_channel: bool) -> Tensor:
    """The largest absolute value, per tensor [1] or per output channel [O]; 1 where all are zero."""
    rows = weight.detach().abs().flatten(1) if per_channel else weight.detach().abs().reshape(1, -1)
    top = rows.amax(1).float()
    return torch.where(top > 0, top, torch.ones_like(top))


def fit_scale(weight: Tensor, levels: Tensor, *, per_channel: bool) -> Tensor:
    """The scale with the least squared error of `levels * scale` against `weight`, codes being the nearest levels.

    A grid over (0, 1.2] times the scale that just reaches the largest weight, tried on some thousands of the weights;
    then, on all of them, codes for the scale and the best scale for the codes (least squares) in turn.

    Shape: weight [O, ...], levels [K] -> [1] or [O]
    """
    rows = weight.detach().float().flatten(1) if per_channel else weight.detach().float().reshape(1, -1)
    reach = magnitude(weight, per_channel=per_channel) / levels[-1]  # [O or 1]
    some = rows[:, :: max(1, rows.shape[1] // GRID_WEIGHTS)]
    errors = torch.stack([_squared_error(some, reach * fraction, levels)[0] for fraction in GRID])  # [grid, O or 1]
    best = reach * torch.tensor(GRID, device=reach.device)[errors.argmin(0)]
    least, chosen = _squared_error(rows, best, levels)
    for _ in range(REFINEMENTS):
        fitted = (chosen * rows).sum(1) / chosen.square().sum(1).clamp_min(1e-12)
        scale = torch.where(fitted > 0, fitted, best)
        error, chosen = _squared_error(rows, scale, levels)
        best, least = torch.where(error < least, scale, best), torch.minimum(error, least)
    return best


def _squared_error(rows: Tensor, scale: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Error of the nearest levels, and these. Shape: [O, any], [O], [K] -> [O], [O, any]."""
    chosen = levels[nearest(rows / scale[:, None], levels)]
    return (chosen * scale[:, None] - rows).square().sum(1), chosen
