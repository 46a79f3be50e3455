"""Arguments that have to be numbers, from whoever they come: Python, NumPy, JSON, a sound card's 48000.0."""

from __future__ import annotations

import math
import operator
from typing import Any

from .errors import ConfigError


def whole_number(name: str, value: Any, expected: str, allowed: range | None = None) -> int:
    """The value as a plain int.

    Args:
        name: of the argument, for the message.
        expected: in words, for the message.
        allowed: None: any.

    Raises:
        ConfigError: it is no whole number (a bool is none either), or not an allowed one.
    """
    number = _as_int(value)
    if number is None or (allowed is not None and number not in allowed):
        raise _refused(name, value, expected)
    return number


def real_number(name: str, value: Any, expected: str, low: float = -math.inf, high: float = math.inf) -> float:
    """The value as a plain float.

    Args:
        name: of the argument, for the message.
        expected: in words, for the message.
        low, high: the bounds, which are allowed.

    Raises:
        ConfigError: it is no number (neither are text, a bool and NaN), more than a float holds, or out of bounds.
    """
    number = _as_float(value)
    if number is None or not low <= number <= high:  # NaN neither
        raise _refused(name, value, expected)
    return number


def _refused(name: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"{name} = {value!r:.80}: expected {expected}.")


def _as_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _as_float(value: Any) -> float | None:
    if isinstance(value, bool) or not hasattr(value, "__float__"):  # text has none, though float() would read it
        return None
    try:
        return float(value)
    except (TypeError, OverflowError):  # an array of several, an integer of hundreds of digits
        return None
