"""Words for people."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """ "1 trial", "2 trials"; `noun` as one of them is called."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
