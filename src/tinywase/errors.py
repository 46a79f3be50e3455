"""What can go wrong, by name. Every message says what was got, what was expected and what to do about it."""

from __future__ import annotations


class TinyWaseError(Exception):
    """Base of every error a user can cause; the command line prints it without a traceback and exits with 1."""


class AudioError(TinyWaseError):
    """A recording that cannot be used: unreadable, empty, too short, silent, not finite."""


class FormatError(TinyWaseError):
    """A model, voiceprint or checkpoint file that is damaged, foreign or of another version."""


class ConfigError(TinyWaseError):
    """A configuration that names an unknown key or asks for the impossible."""


class DataError(TinyWaseError):
    """A list or folder of recordings with broken rows."""


class StreamError(TinyWaseError):
    """A stream that is asked for what its model cannot do."""


class OutOfMemoryError(TinyWaseError, MemoryError):
    """More memory than this machine has to give: a recording that is too long, or a model that is too large."""


class OutputError(TinyWaseError):
    """A result that cannot be written: it exists already, or its folder refuses."""
