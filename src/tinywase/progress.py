"""How far long work is, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None]  # the part that is done, 0..1; what it raises ends the work


def nobody(done: float) -> None:
    """Progress that nobody asked for."""
