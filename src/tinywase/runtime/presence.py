"""Is the target there at all? Two pieces of evidence, taken where the model hears the target speak, make one score.

- confidence: cosine (likeness.py) of the estimate's voiceprint with the enrolled one. It is what people are shown; but
  a network pulls any voice towards the one it is asked for, so that strangers come out with much of it too;
- likeness: the same cosine for the mixture there, untouched by the network: low where many speak, but honest.

    score = confidence weight * z(confidence) + likeness weight * z(likeness) + bias

z is Fisher's transform: between cosines of 0.8 and 0.95 lies more than between 0.1 and 0.25 (docs/experiments.md 45).
The target is present if the score reaches 0 and its activity some seconds, absent if the score stays far below, and
uncertain between. Weights, bias and the width of doubt belong to a model: its card carries what `tinywase calibrate`
found on a development list (`card["presence"]`); those here are only a fallback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import numpy as np

from ..activity import prepare_enrollment
from ..errors import AudioError, FormatError
from .likeness import cosine, fisher_z
from .mixdown import mono
from .model import PackedModel, RuntimeModel
from .spool import Spool

JUDGED_S = 20.0  # this much active estimate is enough for a confidence
JUDGED_PIECE_S = 1.0
QUIET_CELL_DB = 20.0  # models without an activity cue: cells this far below the loudest are pauses
INAUDIBLE_DB = 20.0  # with one: what stays this far below the loud ones of the active cells is nobody speaking
LOUD_QUANTILE = 0.95  # a click is not what speech is measured by
SMOOTHED_CELLS = 5
INAUDIBLE_CELLS = 5  # on both sides: shorter pauses belong to the speech around them
SCORE = ("confidence_weight", "likeness_weight", "bias", "doubt")
OLDER = "level_weight"  # in rules that weighed plain cosines: their score is another
UNSCORED_SHARE = 0.5  # of a recording; half a second of a long one is rather a stranger's


class Presence(Enum):
    """Is the target there? Counts as true unless it is absent."""

    PRESENT = "present"  # few strangers come out like this
    UNCERTAIN = "uncertain"
    ABSENT = "absent"  # few targets come out like this

    def __bool__(self) -> bool:
        return self is not Presence.ABSENT


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against the target's presence."""

    active_s: float  # seconds in which the model hears the target
    confidence: float | None  # None: too little speech to tell
    likeness: float | None
    recording_s: float = 0.0  # all of it


@dataclass(frozen=True)
class PresenceRule:
    """When a target counts as present."""

    activity: float = 0.5  # a cell is active from here on
    active_s: float = 0.2
    confidence_weight: float = 6.5
    likeness_weight: float = 3.0
    bias: float = -4.5  # lenient, where nothing was calibrated
    doubt: float = 0.0  # a score down to this far below 0 is uncertain
    one_voice: float = -1.0  # an enrollment whose stretches are less alike sounds like more than one voice

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> PresenceRule:
        """The rule of a model card, the defaults filling what it leaves out.

        Raises:
            FormatError: the card's rule is no table, or holds something else than numbers.
        """
        rule = card.get("presence", {})
        if not isinstance(rule, Mapping):
            raise FormatError(
                f"the model card's presence rule is {rule!r}: expected a table. `tinywase calibrate` makes it."
            )
        known = [field.name for field in fields(cls) if field.name not in (SCORE if OLDER in rule else ())]
        chosen = {name: rule[name] for name in known if name in rule}
        for name, value in chosen.items():
            if isinstance(value, bool) or not isinstance(value, int | float):  # JSON of a card holds finite ones alone
                raise FormatError(
                    f"the model card's presence rule has {name} = {value!r}: expected a number. `tinywase calibrate` "
                    "makes it."
                )
        return cls(**{name: float(value) for name, value in chosen.items()})

    def score(self, evidence: Evidence) -> float | None:
        """0 and above speaks for presence; None where there is too little speech."""
        if evidence.confidence is None or evidence.likeness is None:
            return None
        return (
            self.confidence_weight * fisher_z(evidence.confidence)
            + self.likeness_weight * fisher_z(evidence.likeness)
            + self.bias
        )

    def verdict(self, evidence: Evidence) -> Presence:
        """Speech too short for a score counts where it is most of the recording."""
        score = self.score(evidence)
        if evidence.active_s < self.active_s:
            return Presence.ABSENT
        if score is None:
            most = evidence.active_s >= UNSCORED_SHARE * evidence.recording_s
            return Presence.PRESENT if most else Presence.UNCERTAIN
        if score >= 0.0:
            return Presence.PRESENT
        return Presence.UNCERTAIN if score >= -self.doubt else Presence.ABSENT


def gather(
    model: PackedModel,
    voiceprint: np.ndarray,
    *,
    mixture: Spool,
    estimate: Spool,
    active: np.ndarray,
    cell_samples: int,
) -> Evidence:
    """The evidence in the cells of `cell_samples` that are `active`. Shape: voiceprint [D], active bool [cells]."""
    ranges = _judged_ranges(active, cell_samples, model.config.sample_rate_hz)
    cosines = []
    for spool in (estimate, mixture):
        vector = _voiceprint_of(model, spool, ranges)
        cosines.append(None if vector is None else cosine(vector, voiceprint, model.common))
    cell_s = cell_samples / model.config.sample_rate_hz
    confidence, likeness = cosines
    return Evidence(float(active.sum()) * cell_s, confidence, likeness, recording_s=len(active) * cell_s)


def activity_from_power(power: np.ndarray) -> np.ndarray:
    """0 or 1 by the level of the estimate, for models that have no activity cue. Shape: [cells] -> [cells]."""
    loudest = power.max(initial=0.0)
    return ((power > 0) & (power > loudest * 10 ** (-QUIET_CELL_DB / 10))).astype(np.float32)


def audible_activity(activity: np.ndarray, power: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    """The activity, 0 where the estimate is quiet for a while: a network hears voices in the floor of a recording,
    in noise and in others' turns, of which little comes out. Shape: [cells], the estimate's [cells] -> [cells].
    """
    active = power[activity >= threshold]
    if not len(active):
        return activity
    share = np.full(SMOOTHED_CELLS, 1 / SMOOTHED_CELLS, np.float32)
    smooth = np.convolve(power, share)[SMOOTHED_CELLS // 2 :][: len(power)]
    audible = smooth >= np.quantile(active, LOUD_QUANTILE) * 10 ** (-INAUDIBLE_DB / 10)
    near = np.convolve(audible, np.ones(2 * INAUDIBLE_CELLS + 1, np.float32))[INAUDIBLE_CELLS:][: len(power)] > 0.5
    return activity * near


def _voiceprint_of(model: RuntimeModel, spool: Spool, ranges: list[tuple[int, int]]) -> np.ndarray | None:
    """The voiceprint of what is heard in `ranges`; None where that is too little speech."""
    parts = [spool.read(start, stop) for start, stop in ranges]
    heard = np.concatenate([np.zeros((0, spool.channels), np.float32), *parts])
    try:
        return model.enroll(prepare_enrollment(mono(heard), model.config.sample_rate_hz))
    except AudioError:
        return None


def _judged_ranges(active: np.ndarray, cell_samples: int, rate_hz: int) -> list[tuple[int, int]]:
    """Sample ranges of active cells: all of them, or where that is too much, evenly spread pieces of a second."""
    cells = np.flatnonzero(active)
    per_piece = max(1, round(JUDGED_PIECE_S * rate_hz / cell_samples))
    pieces = [cells[i : i + per_piece] for i in range(0, len(cells), per_piece)]
    most = round(JUDGED_S / JUDGED_PIECE_S)
    if len(pieces) > most:
        pieces = [pieces[i] for i in np.linspace(0, len(pieces) - 1, most).astype(int)]
    runs = [run for piece in pieces for run in np.split(piece, np.flatnonzero(np.diff(piece) != 1) + 1)]
    return [(int(run[0]) * cell_samples, (int(run[-1]) + 1) * cell_samples) for run in runs]
