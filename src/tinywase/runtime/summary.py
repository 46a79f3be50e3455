"""What an extraction did, in plain values: for the command line's JSON and for clients of the service."""

from __future__ import annotations

from typing import Any

from .enrollment import quality_notes
from .extractor import ExtractionReport, Extractor
from .voiceprint import Voiceprint


def summary(extractor: Extractor, voiceprint: Voiceprint, report: ExtractionReport, took_s: float) -> dict[str, Any]:
    """All but the names of files."""
    return {
        "duration_s": round(report.duration_s, 6),
        "sample_rate_hz": report.sample_rate_hz,
        "channels": report.channels,
        "band_hz": report.band_hz,
        "presence": report.presence.value,
        "confidence": None if report.confidence is None else round(report.confidence, 4),
        "active_s": round(report.active_s, 3),
        "muted": report.muted,
        "attenuation_db": round(report.attenuation_db, 2),
        "residual_attenuation_db": round(report.residual_attenuation_db, 2),
        "model": extractor.model.name,
        "runtime": extractor.model.runtime_name,
        "took_s": round(took_s, 3),
        "rtf": round(took_s / report.duration_s, 4),
        "enrollment_s": round(voiceprint.active_s, 2),
        "enrollment_notes": quality_notes(voiceprint, extractor.rule),
    }
