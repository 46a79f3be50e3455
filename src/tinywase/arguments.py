"""Arguments that have to be whole numbers, from whoever they come: Python, NumPy, a sound card's 48000.0."""

from __future__ import annotations

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
        raise ConfigError(f"{name} = {value!r}: expected {expected}.")
    return number


def _as_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None
