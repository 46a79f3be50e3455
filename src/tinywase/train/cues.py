"""Where the cues of a network with other stacks belong: the last one is that on the summed skips."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
CUE = re.compile(r"(separator\.(?:cue_projections|activity_inputs))\.(\d+)(\..*)?")


def at_place(cue: re.Match[str], place: int) -> str:
    """The name of the tensor that a cue of another place matched by `CUE` has there."""
    return f"{cue[1]}.{place}{cue[3] or ''}"


def with_cues_moved(state: Mapping[str, T], before: int, after: int) -> dict[str, T]:
    """The state of a network of `before` stacks under the names of one of `after`: the last cue is on the summed skips.

    Cues of stacks that are no longer there are left out, those of stacks that are new are missing.
    """
    moved: dict[str, T] = {}
    for name, value in state.items():
        cue = CUE.fullmatch(name)
        place = int(cue[2]) if cue else 0
        if cue and place == before:
            name = at_place(cue, after)
        elif cue and place >= after:
            continue
        moved[name] = value
    return moved
