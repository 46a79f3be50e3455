"""The compiled part of the package, `tinywase._native`, where it was built."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def find_compiled() -> tuple[Any | None, str]:
    """The compiled module and "", or None and why it cannot be used."""
    try:
        module = import_module("tinywase._native")
    except ImportError as error:
        return None, str(error)
    return (module, "") if hasattr(module, "decode_codes") else (None, "its compiled module is of another version")
