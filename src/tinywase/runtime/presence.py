"""Is the target there at all, and is it the right one? Two numbers decide, both shown to the user.

- active_s: seconds in which the model hears the target speak (activity at or above a threshold);
- confidence: cosine of the estimate's voiceprint with the enrolled one, taken where the target is active.

The target is present if both reach the rule's values. A model's card may carry its own, found on a development list
(`card["presence"] = {"activity": ..., "active_s": ..., "confidence": ...}`); these here are only a fallback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..data.activity import prepare_enrollment
from ..errors import AudioError
from .model import RuntimeModel
from .spool import Spool

JUDGED_S = 20.0  # this much active estimate is enough for a confidence
JUDGED_PIECE_S = 1.0
QUIET_CELL_DB = 20.0  # models without an activity cue: cells this far below the loudest are pauses


@dataclass(frozen=True)
class PresenceRule:
    """When a target counts as present."""

    activity: float = 0.5
    active_s: float = 0.2
    confidence: float = 0.3

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> PresenceRule:
        """The rule of a model card, the defaults filling what it leaves out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: float(value) for key, value in card.get("presence", {}).items() if key in known})

    def present(self, active_s: float, confidence: float | None) -> bool:
        """The verdict; a target too short for a confidence is judged by its activity alone."""
        return active_s >= self.active_s and (confidence is None or confidence >= self.confidence)


def activity_from_power(power: np.ndarray) -> np.ndarray:
    """0 or 1 by the level of the estimate, for models that have no activity cue. Shape: [cells] -> [cells]."""
    loudest = power.max(initial=0.0)
    return ((power > 0) & (power > loudest * 10 ** (-QUIET_CELL_DB / 10))).astype(np.float32)


def confidence_of(
    model: RuntimeModel, estimate: Spool, active: np.ndarray, *, cell_samples: int, voiceprint: np.ndarray
) -> float | None:
    """Cosine of the estimate's voiceprint with `voiceprint`; None where there is too little speech to tell.

    Args:
        active: which cells of `cell_samples` to listen to. Shape: bool [cells]
    """
    rate_hz = model.config.sample_rate_hz
    parts = [estimate.read(a, b).mean(axis=1) for a, b in _judged_ranges(active, cell_samples, rate_hz)]
    try:
        prepared = prepare_enrollment(np.concatenate([np.zeros(0, np.float32), *parts]), rate_hz)
    except AudioError:
        return None
    return cosine(model.enroll(prepared), voiceprint)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between two voiceprints; 0 where one of them is zero."""
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(np.dot(a, b) / norms, -1.0, 1.0)) if norms > 0 else 0.0


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
