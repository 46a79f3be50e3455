"""Means over trials with bootstrap confidence intervals, split by sex pair, and the paired comparison of two systems.

The intervals are percentiles of the mean over resampled trials [Efron79]. Where a list names both speakers of every
trial, people are drawn instead of trials: a person who is drawn twice is there twice, in all trials in which they
speak [Owen07]. So the interval says how far another set of speakers could move the mean, which for lists of ten readers
is more than other trials of the same ten would. Of two people every draw is the list itself, of three the list or one
of three pairs: an interval of nothing. From four on, drawn people hold the truth more often than drawn trials do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .score import Row

LEVEL = 0.95
RESAMPLES = 2000
SEED = 20211  # fixed: the same rows give the same interval
FEWEST = 3  # values: fewer have no interval
FEWEST_PEOPLE = 4  # trials are drawn where there are fewer
BLOCK_VALUES = 1_000_000  # drawn at once: 6000 trials times 2000 resamples would take 100 MB


@dataclass(frozen=True)
class Mean:
    """A mean over `count` trials with its interval; nan where they are too few."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Group:
    """The figures of one system over some trials: all of them, or those of a sex pair."""

    trials: int
    means: dict[str, Mean]  # by name of value, see score.py


@dataclass(frozen=True)
class SystemSummary:
    """The figures of one system."""

    name: str
    groups: dict[str, Group]  # "all"; then "same", "different" and each pair ("FF", "FM", ...) the list tells apart
    rtf: float  # median over trials, which the first one's warm-up does not move
    failures: int

    @property
    def overall(self) -> Group:
        """All trials."""
        return self.groups["all"]


@dataclass(frozen=True)
class PairedDifference:
    """`system` minus `against` in one value, trial by trial."""

    system: str
    against: str
    value: str
    difference: Mean
    better_rate: float  # share of the trials in which `system` is ahead


def bootstrap_mean(
    values: Sequence[float] | np.ndarray,
    rng: np.random.Generator,
    *,
    speakers: Sequence[tuple[str, str]] = (),
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Mean:
    """Mean of the defined values and the percentiles of resampled means.

    Args:
        speakers: of every value; trials are drawn where they are missing or a name is, and where they are fewer than
            FEWEST_PEOPLE.

    >>> bootstrap_mean([3.0] * 5 + [math.nan], np.random.default_rng(0))
    Mean(value=3.0, low=3.0, high=3.0, count=5)
    """
    numbers = np.asarray(values, np.float64)
    kept = ~np.isnan(numbers)
    defined, count = numbers[kept], int(kept.sum())
    if count < FEWEST:
        return Mean(float(defined.mean()) if count else math.nan, math.nan, math.nan, count)
    pairs = [pair for pair, keep in zip(speakers, kept, strict=True) if keep] if speakers else []
    people = {name for pair in pairs for name in pair}
    draw = _people(pairs) if len(people) >= FEWEST_PEOPLE and "" not in people else _trials(count)
    block = max(1, BLOCK_VALUES // count)
    sizes = [min(block, resamples - start) for start in range(0, resamples, block)]
    means = np.concatenate([_weighted_means(defined, draw(rng, size)) for size in sizes])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Mean(float(defined.mean()), float(low), float(high), count)


Draw = Callable[
    [np.random.Generator, int], np.ndarray
]  # (rng, resamples) -> how often each value counts [resamples, n]


def _trials(count: int) -> Draw:
    return lambda rng, size: rng.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)


def _people(pairs: Sequence[tuple[str, str]]) -> Draw:
    names = sorted({name for pair in pairs for name in pair})
    first, second = (np.array([names.index(pair[side]) for pair in pairs]) for side in (0, 1))

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size).astype(np.float64)
        return times[:, first] * times[:, second]

    return draw


def _weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the resamples in which there is anything. Shape: [n], [resamples, n] -> [<= resamples]."""
    totals = weights.sum(1)
    return (weights @ values)[totals > 0] / totals[totals > 0]


def summarize(rows: Sequence[Row], *, system: str, failures: int = 0) -> SystemSummary:
    """The figures of `system`, whose rows are among `rows`."""
    own = [row for row in rows if row.system == system]
    groups = {name: group_of(members) for name, members in _by_sexes(own).items()}
    rtf = float(np.median([row.values["rtf"] for row in own])) if own else math.nan
    return SystemSummary(system, groups, rtf, failures)


def compare(rows: Sequence[Row], *, system: str, against: str, value: str) -> PairedDifference:
    """`system` minus `against` in `value`, over the trials that both have."""
    first, second = (
        {row.position: row.values.get(value, math.nan) for row in rows if row.system == name}
        for name in (system, against)
    )
    both = [position for position in first if position in second]
    speakers = {row.position: row.speakers for row in rows}
    differences = np.array([first[position] - second[position] for position in both])
    defined = differences[~np.isnan(differences)]
    better_rate = float(np.mean(defined > 0)) if len(defined) else math.nan
    mean = bootstrap_mean(differences, np.random.default_rng(SEED), speakers=[speakers[position] for position in both])
    return PairedDifference(system, against, value, mean, better_rate)


def group_of(rows: Sequence[Row]) -> Group:
    """The means of every value of `rows`, without their speed."""
    names = rows[0].values if rows else {}
    means = {
        name: bootstrap_mean(
            [row.values[name] for row in rows],
            np.random.default_rng(SEED),
            speakers=[row.speakers for row in rows],
        )
        for name in names
        if name != "rtf"
    }
    return Group(len(rows), means)


def _by_sexes(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """All rows, and those whose sexes the list tells, by same/different and by pair (the target's first)."""
    known = [row for row in rows if len(row.sexes) > 1]
    split = {
        "same": [row for row in known if len(set(row.sexes)) == 1],
        "different": [row for row in known if len(set(row.sexes)) > 1],
    }
    split |= {pair: [row for row in known if row.sexes == pair] for pair in sorted({row.sexes for row in known})}
    return {"all": list(rows)} | {name: members for name, members in split.items() if members}
