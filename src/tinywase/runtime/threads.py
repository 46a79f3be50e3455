"""How many threads the native runtime takes for a recording."""

from __future__ import annotations

import os

from ..errors import ConfigError

MOST = 64  # as the C interface has it
DEFAULT = 2  # docs/benchmarks.md: much faster where both processors are free, within 1 % of one where one is not


def chosen_threads(asked: int | None) -> int:
    """What was asked for, or for None what suits most: two, where there are as many processors.

    Raises:
        ConfigError: fewer than one, or more than there may be.
    """
    if asked is None:
        return min(DEFAULT, len(allowed_processors()))
    if not 1 <= asked <= MOST:
        raise ConfigError(f"threads = {asked}: expected 1 to {MOST}.")
    return asked


def allowed_processors() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
