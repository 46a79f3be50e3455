"""The compiled part of the package, `tinywase._native`, where it was built."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

INTERFACE = 2  # that of native/bindings/, whose module may have been compiled before these files came


@cache
def find_compiled() -> tuple[Any | None, str]:
    """The compiled module and "", or None and why it cannot be used."""
    try:
        module = import_module("tinywase._native")
    except ImportError as error:
        return None, str(error)
    same = getattr(module, "interface", None) == INTERFACE
    return (module, "") if same else (None, "its compiled module is of another version")
