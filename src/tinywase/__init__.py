"""tinywase: one voice out of a crowd, from a model of a few megabytes.

    from tinywase import Extractor
    extractor = Extractor.from_pretrained("default")
    voiceprint = extractor.enroll("me.wav")
    extraction = extractor.extract("meeting.wav", voiceprint)

Public names are loaded when first used, so that `import tinywase` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audio import Track
    from .errors import (
        AudioError,
        ConfigError,
        DataError,
        FormatError,
        OutOfMemoryError,
        OutputError,
        StreamError,
        TinyWaseError,
    )
    from .runtime.extractor import Extractor
    from .runtime.labels import Segment
    from .runtime.presence import Evidence, Presence
    from .runtime.results import Extraction, ExtractionReport
    from .runtime.stream import VoiceStream
    from .runtime.voiceprint import Voiceprint
    from .runtime.voices import FoundVoice

_HOMES = {
    "Extractor": "runtime.extractor",
    "Extraction": "runtime.results",
    "ExtractionReport": "runtime.results",
    "Presence": "runtime.presence",
    "Evidence": "runtime.presence",
    "Segment": "runtime.labels",
    "Track": "audio",
    "VoiceStream": "runtime.stream",
    "Voiceprint": "runtime.voiceprint",
    "FoundVoice": "runtime.voices",
    "AudioError": "errors",
    "ConfigError": "errors",
    "DataError": "errors",
    "FormatError": "errors",
    "OutOfMemoryError": "errors",
    "OutputError": "errors",
    "StreamError": "errors",
    "TinyWaseError": "errors",
}
__all__ = [
    "AudioError",
    "ConfigError",
    "DataError",
    "Evidence",
    "Extraction",
    "ExtractionReport",
    "Extractor",
    "FormatError",
    "FoundVoice",
    "OutOfMemoryError",
    "OutputError",
    "Presence",
    "Segment",
    "StreamError",
    "TinyWaseError",
    "Track",
    "VoiceStream",
    "Voiceprint",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("tinywase")
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module 'tinywase' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
