"""What an extraction gives back: in memory, or of a file that was written (extractor.py). T samples, C channels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..audio import AudioReader
from .passes import Heard, Separated
from .presence import Evidence, Presence


@dataclass(frozen=True, eq=False)
class Extraction:
    """One voice out of a recording; equal to itself alone, as arrays are compared sample by sample."""

    estimate: np.ndarray = field(repr=False)  # the target. float32 [T], or [T, C] like the mixture
    residual: np.ndarray = field(repr=False)  # mixture - the target: everybody else
    sample_rate_hz: int
    activity: np.ndarray = field(repr=False)  # 0..1, is the target speaking. float32 [cells]
    activity_hop_s: float
    presence: Presence  # is the target there at all; true unless it is absent
    confidence: float | None  # cosine of the estimate's voiceprint with the enrolled one; None: too little speech
    evidence: Evidence  # what `presence` was judged by


@dataclass(frozen=True, eq=False)
class ExtractionReport:
    """What `extract_file` did."""

    output: str
    residual: str | None
    duration_s: float
    sample_rate_hz: int
    channels: int
    band_hz: float  # the estimate ends here
    presence: Presence
    confidence: float | None
    active_s: float
    silent: bool  # the recording is: nobody's voice is in it
    muted: bool  # the target was absent and `absent` was "mute"
    attenuation_db: float  # how much quieter than in the mixture, only to avoid clipping
    residual_attenuation_db: float
    activity: np.ndarray = field(repr=False)  # 0..1. float32 [cells]
    activity_hop_s: float


def report_of(
    reader: AudioReader, heard: Heard, separated: Separated, evidence: Evidence, **written: Any
) -> ExtractionReport:
    """What was heard, found and `written`."""
    return ExtractionReport(
        duration_s=heard.frames / reader.sample_rate_hz,
        sample_rate_hz=reader.sample_rate_hz,
        channels=reader.channels,
        confidence=evidence.confidence,
        active_s=evidence.active_s,
        silent=heard.rms == 0,
        activity=separated.activity,
        activity_hop_s=separated.activity_hop_s,
        **written,
    )
