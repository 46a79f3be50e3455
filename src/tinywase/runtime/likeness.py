"""How alike two voices are: the cosine of their voiceprints, less what the voiceprints of all voices have in common.

A network may tell voices apart by a small part of their voiceprints, the rest being the same whoever speaks: cosines
then lie between 0.8 and 1. `tinywase calibrate` finds the rest, and the card brings it along (`card["presence"]
["common"]`), so that a cosine means about the same for every model. Letters: D voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

Array = NDArray[np.float32]
LARGEST = 0.999  # cosine that is told from 1


def direction(vector: Array, common: Array) -> Array:
    """The part of a voiceprint that is its own, of length 1; zeros where there is none. Shape: [D], [D] -> [D]."""
    unit = _unit(vector)
    own = _unit(unit - common) if unit.any() else unit
    return own.astype(np.float32, copy=False)


def cosine(a: Array, b: Array, common: Array) -> float:
    """Of two voiceprints; 0 where one of them is nobody's. Shape: [D], [D], [D] -> scalar."""
    return float(np.clip(np.dot(direction(a, common), direction(b, common)), -1.0, 1.0))


def fisher_z(cosine: float) -> float:
    """Fisher's transform: on its scale, what cosines near 1 scatter by is no less than what others do.

    >>> [round(fisher_z(cosine), 2) for cosine in (0.0, 0.5, 0.9, 1.0)]
    [0.0, 0.55, 1.47, 3.8]
    """
    return float(np.arctanh(np.clip(cosine, -LARGEST, LARGEST)))


def common_of(card: Mapping[str, Any], dimensions: int) -> Array:
    """What a model card says that unit voiceprints have in common, zeros if nothing. Shape: -> [D].

    Raises:
        FormatError: it says something else than D finite numbers.
    """
    rule = card.get("presence", {})
    told = rule.get("common") if isinstance(rule, Mapping) else None
    if told is None:
        return np.zeros(dimensions, np.float32)
    numbers = told if isinstance(told, list) else []
    if len(numbers) != dimensions or not all(map(_is_number, numbers)):
        raise FormatError(
            f"the model card's presence rule has common = {str(told)[:60]}: expected a list of {dimensions} numbers. "
            "`tinywase calibrate` makes it."
        )
    return np.array(numbers, np.float32)


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else np.zeros_like(vector)


def _is_number(value: Any) -> bool:
    """Of a part of a unit vector."""
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= 1
