"""What a training begins with: the weights of a checkpoint, or another training's state.pt with its speaker classifier.

Letters: D voiceprint dimensions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError, FormatError
from .checkpoint import load_torch, load_weights
from .cues import with_cues_moved
from .objectives import TrainedSystem

REMEDY = "Give init the state.pt of 'tinywase train'."
PARTS = ("system", "averaged", "optimizer", "progress", "model")  # of a state; those of its voices may be left out


def is_state(path: str) -> bool:
    """Whether an entry of `init` is a training's state.pt, which also knows the speaker classifier."""
    return path.endswith(".pt")


def read_state(path: str | Path, device: str | torch.device = "cpu", *, remedy: str = REMEDY) -> dict[str, Any]:
    """What `state.pt` holds.

    Raises:
        FormatError: no such file, or not a state; `remedy` says what to do.
    """
    state = load_torch(path, device, remedy=remedy)
    missing = [part for part in PARTS if not isinstance(state, dict) or not isinstance(state.get(part), dict)]
    if missing:
        raise FormatError(f"{path}: not the state of a training, it has no {', '.join(missing)}. {remedy}")
    return state


def voices_of(state: dict[str, Any], system: TrainedSystem) -> tuple[str, ...]:
    """The voices a state's classifier knows; states without their names are of as many as this system knows."""
    return tuple(state.get("voices", system.voices))


def begin_with(system: TrainedSystem, path: str) -> list[str]:
    """Weights of a checkpoint, or of another training's state with its speaker classifier; returns the names of the
    network's tensors that it has nothing for.

    Raises:
        FormatError: not a state or a checkpoint.
        ConfigError: a state without weights for this network.
    """
    if not is_state(path):
        return load_weights(system.model, path)
    state = read_state(path)
    own, stacks = system.model.state_dict(), system.model.config.stacks
    averaged = with_cues_moved(state["averaged"], state.get("model", {}).get("stacks", stacks), stacks)
    known = {key: value for key, value in averaged.items() if key in own and own[key].shape == value.shape}
    if not known or any("parametrizations." in key for key in state["averaged"]):  # those of a compression
        raise ConfigError(f"{path}: no weights for this network. {REMEDY}")
    system.model.load_state_dict(known, strict=False)
    know_voices(system, state)
    return sorted(set(own) - set(known))


@torch.no_grad()
def know_voices(system: TrainedSystem, state: dict[str, Any]) -> None:
    """Give the speaker classifier the classes of those voices that another training knew, found by their names."""
    theirs, ours = state["system"].get("classifier.weight"), system.classifier.weight  # [voices, D]
    voices = voices_of(state, system)
    if theirs is None or theirs.shape[1] != ours.shape[1] or len(theirs) != len(voices):
        return
    place = {voice: row for row, voice in enumerate(voices)}
    known = [row for row, voice in enumerate(system.voices) if voice in place]
    ours[known] = theirs[[place[system.voices[row]] for row in known]].to(ours)
