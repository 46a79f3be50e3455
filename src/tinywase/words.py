"""Words for people."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """ "1 trial", "2 trials"; `noun` as one of them is called."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def told_apart(short: Sequence[str], full: Sequence[str]) -> list[str]:
    """The short names, but the full one where two would have one name."""
    return [long if short.count(name) > 1 else name for name, long in zip(short, full, strict=True)]
