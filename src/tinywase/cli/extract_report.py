"""What `tinywase extract` says it did: plain values for programs, lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .console import say, say_json
from .inputs import Job

if TYPE_CHECKING:
    from ..runtime.extractor import ExtractionReport, Extractor
    from ..runtime.voiceprint import Voiceprint


FOUND = {"present": "found", "uncertain": "perhaps found", "absent": "NOT found"}  # by Presence


def described(
    extractor: Extractor, job: Job, voiceprint: Voiceprint, report: ExtractionReport, took_s: float
) -> dict[str, Any]:
    """What was done, in plain values."""
    from ..runtime.summary import summary

    return {
        "mixture": job.mixture,
        "output": report.output,
        "residual": report.residual,
        "labels": None if job.labels is None else str(job.labels),
        **summary(extractor, voiceprint, report, took_s),
    }


def print_one(result: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """One recording's result, on stdout."""
    if as_json:
        say_json(result)
    elif not quiet:
        for line in report_lines(result):
            say(line)


def report_lines(result: dict[str, Any]) -> list[str]:
    """What was done, for people."""
    channels = {1: "mono", 2: "stereo"}.get(result["channels"], f"{result['channels']} channels")
    confidence = "too short to compare" if result["confidence"] is None else f"confidence {result['confidence']:.2f}"
    found = FOUND[result["presence"]] + (", written as silence" if result["muted"] else "")
    what = f"{result['duration_s']:.1f} s, {result['sample_rate_hz']} Hz, {channels}"
    heard = "" if result["presence"] == "absent" else f": active {result['active_s']:.1f} s"
    more = " (--keep-highband: more)" if 2 * result["band_hz"] < result["sample_rate_hz"] else ""
    lines = [
        f"{result['mixture']} ({what}) -> {result['output']}",
        f"  voice {found}{heard}, {confidence}",
        f"  band: up to {result['band_hz'] / 1000:g} kHz{more}; {result['model']} model, {result['runtime']} runtime, "
        f"{result['took_s']:.1f} s ({result['rtf']:.3f} of the recording's length)",
    ]
    if result["presence"] == "absent" and not result["muted"]:
        lines.insert(2, "  what was written is probably somebody else; --absent mute writes silence, fail nothing")
    if result["attenuation_db"] >= 0.05:
        lines.append(f"  {result['attenuation_db']:.1f} dB quieter than in the recording, so that nothing is clipped")
    lines += [f"  {kind}: {result[kind]}" for kind in ("residual", "labels") if result[kind]]
    return lines + [f"  enrollment: {text}" for text in result["enrollment_notes"]]


def print_many(results: list[dict[str, Any]]) -> None:
    """What is to be said about the enrollment, once, and a line for every recording, on stdout."""
    notes = {note: None for result in results for note in result.get("enrollment_notes", [])}  # in order, each once
    for note in notes:
        say(f"enrollment: {note}")
    skipped = sum("skipped" in result for result in results)
    for result in results:
        if "output" in result and "error" not in result and "skipped" not in result:
            found = "" if result["presence"] == "present" else f"  (voice {FOUND[result['presence']]})"
            say(report_lines(result)[0] + found)
    if skipped:
        say(f"{skipped} skipped: their results exist already, of whatever voice (--force makes them again)")
