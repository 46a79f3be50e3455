"""What `tinywase extract` says it did: plain values for programs, lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .console import say, say_json
from .inputs import Job

if TYPE_CHECKING:
    from ..runtime.extractor import Extractor
    from ..runtime.results import ExtractionReport
    from ..runtime.voiceprint import Voiceprint


FOUND = {"present": "found", "uncertain": "perhaps found", "absent": "NOT found"}  # by Presence
ENROLLED_S = 10.0  # of speech: enrollments of that length are recognized more often than of 2 s (docs/models.md)


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
    lines = [_files(result), f"  {_verdict(result)}"]
    if advice := _advice(result):
        lines.append(f"  {advice}")
    lines.append(
        f"  band: up to {result['band_hz'] / 1000:g} kHz; {result['model']} model, {result['runtime']} runtime, "
        f"{result['took_s']:.1f} s ({result['rtf']:.3f} of the recording's length)"
    )
    if quieter := _quieter(result):
        lines.append(f"  {quieter} than in the recording, so that nothing is clipped")
    lines += [f"  residual: {result['residual']}"] if result["residual"] else []
    lines += [f"  labels: {result['labels']}"] if result["labels"] else []
    lines += [f"  {unlabelled}"] if (unlabelled := _unlabelled(result)) else []
    return lines + [f"  enrollment: {text}" for text in result["enrollment_notes"]]


def _files(result: dict[str, Any]) -> str:
    channels = {1: "mono", 2: "stereo"}.get(result["channels"], f"{result['channels']} channels")
    what = f"{result['duration_s']:.1f} s, {result['sample_rate_hz']} Hz, {channels}"
    return f"{result['mixture']} ({what}) -> {result['output']}"


def _verdict(result: dict[str, Any]) -> str:
    """Whether the voice was found, and by what."""
    if result["silent"]:
        return "the recording is silent: nobody speaks in it"
    found = FOUND[result["presence"]] + (", written as silence" if result["muted"] else "")
    if result["confidence"] is None:
        active = f"active {result['active_s']:.1f} s of {result['duration_s']:.1f} s"
        return f"voice {found}: {active}, too short to compare"
    heard = "" if result["presence"] == "absent" else f": active {result['active_s']:.1f} s"
    return f"voice {found}{heard}, confidence {result['confidence']:.2f}"


def _advice(result: dict[str, Any]) -> str:
    """What to do where the voice was compared and not clearly found; "" otherwise."""
    if result["silent"] or result["confidence"] is None or result["presence"] == "present":
        return ""
    if result["presence"] == "uncertain":
        enough = result["enrollment_s"] >= ENROLLED_S
        more = "" if enough else f", or enroll more: {ENROLLED_S:g} s are recognized more often than 2 s"
        return f"cannot tell: listen to it{more}"
    if result["muted"]:
        return ""
    return "what was written is probably somebody else; --absent mute writes silence, fail nothing"


def _quieter(result: dict[str, Any]) -> str:
    return f"{result['attenuation_db']:.1f} dB quieter" if result["attenuation_db"] >= 0.05 else ""


def _unlabelled(result: dict[str, Any]) -> str:
    return "labels are empty: the voice was not found" if result["labels"] and result["presence"] == "absent" else ""


def print_many(results: list[dict[str, Any]]) -> None:
    """What is to be said about the enrollment, once, and a line for every recording (of one all), to stdout."""
    done = [result for result in results if "error" not in result and "skipped" not in result]
    if len(results) == len(done) == 1:
        print_one(done[0], as_json=False, quiet=False)
        return
    for text in {text: None for result in done for text in result["enrollment_notes"]}:  # in order, each once
        say(f"enrollment: {text}")
    for result in done:
        say("; ".join(filter(None, (f"{_files(result)}: {_verdict(result)}", _unlabelled(result), _quieter(result)))))
    skipped = sum("skipped" in result for result in results)
    if skipped:
        say(f"{skipped} skipped: their results exist already, of whatever voice (--force makes them again)")
