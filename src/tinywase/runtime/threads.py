"""How many threads the native runtime takes for a recording."""

from __future__ import annotations

import os

from ..arguments import whole_number

MOST = 64  # as the C interface has it
DEFAULT = 2  # docs/benchmarks.md: much faster where both processors are free, within 1 % of one where one is not


def chosen_threads(asked: int | None) -> int:
    """What was asked for, or for None what suits most: two, where there are as many processors.

    Raises:
        ConfigError: fewer than one, or more than there may be.
    """
    if asked is None:
        return min(DEFAULT, len(allowed_processors()))
    return whole_number("threads", asked, f"1 to {MOST}", range(1, MOST + 1))


def allowed_processors() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
