"""What an extraction did and who was found, in plain values: JSON of the command line and of the service."""

from __future__ import annotations

from typing import Any

from .enrollment import alike_notes, quality_notes
from .extractor import Extractor
from .labels import Segment, segments
from .results import ExtractionReport
from .voiceprint import Voiceprint
from .voices import FoundVoice


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
        "silent": report.silent,
        "muted": report.muted,
        "attenuation_db": round(report.attenuation_db, 2),
        "residual_attenuation_db": round(report.residual_attenuation_db, 2),
        "model": extractor.model.name,
        "runtime": extractor.model.runtime_name,
        "took_s": round(took_s, 3),
        "rtf": round(took_s / report.duration_s, 4),
        "enrollment_s": round(voiceprint.active_s, 2),
        "enrollment_notes": quality_notes(voiceprint, extractor.rule) + alike_notes(extractor.model, voiceprint),
    }


def spoken(extractor: Extractor, report: ExtractionReport) -> list[Segment]:
    """When the voice speaks in what was written; never where it was not found: what is active then is somebody else."""
    activity = report.activity if report.presence else 0 * report.activity
    hop_s, threshold = report.activity_hop_s, extractor.rule.activity
    return segments(activity, hop_s, threshold=threshold, length_s=report.duration_s)


def spans(speech: list[Segment]) -> list[list[float]]:
    """Segments as pairs of seconds."""
    return [[round(segment.start_s, 3), round(segment.stop_s, 3)] for segment in speech]


def voice_summary(extractor: Extractor, voice: FoundVoice) -> dict[str, Any]:
    """One of the voices in a recording, all but its voiceprint."""
    return {
        "sample_s": [voice.sample.start_s, voice.sample.stop_s],
        "spoken_s": voice.spoken_s,
        "segments_s": [[segment.start_s, segment.stop_s] for segment in voice.segments],
        "notes": quality_notes(voice.voiceprint, extractor.rule),
    }
