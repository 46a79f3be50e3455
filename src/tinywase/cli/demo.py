"""`tinywase demo`: the bundled sample through the bundled model, and how well it went."""

from __future__ import annotations

import time
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import note, progress_bar, say, say_json
from .extract_report import FOUND

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.extractor import Extractor
    from ..runtime.results import ExtractionReport

SAMPLE = Path(__file__).resolve().parent.parent / "assets" / "demo"


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is made.")] = Path(
        "tinywase-demo"
    ),
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Bundled model or file.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an earlier demo.")] = False,
) -> None:
    """Extract a voice from the bundled sample: two synthetic speakers at once, one of them enrolled.

    Leaves mixture, estimate and (with matplotlib) a picture of both in a folder, and prints the SI-SDR before and
    after, within the model's band.

    Example: tinywase demo -o tinywase-demo
    """
    from ..files import make_folder, refuse_output, write_whole
    from ..runtime.extractor import Extractor

    made = {name: out / name for name in ("mixture.flac", "enrollment.flac", "estimate.flac", "picture.png")}
    make_folder(out)
    for path in made.values():
        refuse_output(path, force=force)
    extractor = Extractor.from_pretrained(model)
    began_s = time.perf_counter()
    voiceprint = extractor.enroll(SAMPLE / "enrollment.flac")
    with progress_bar("extracting") as progress:
        report = extractor.extract_file(
            SAMPLE / "mixture.flac", made["estimate.flac"], voiceprint, force=force, progress=progress
        )
    took_s = time.perf_counter() - began_s
    for name in ("mixture.flac", "enrollment.flac"):
        write_whole(made[name], (SAMPLE / name).read_bytes(), force=force)
    picture = _picture(extractor, report)
    if picture is not None:
        write_whole(made["picture.png"], picture, force=force)
    result = _described(extractor, report, took_s) | {
        "enrollment_s": round(voiceprint.active_s, 2),
        **{path.stem: str(path) for path in made.values() if path.suffix != ".png" or picture is not None},
    }
    if as_json:
        say_json(result)
    else:
        _print(result)


def _described(extractor: Extractor, report: ExtractionReport, took_s: float) -> dict[str, Any]:
    """Levels are compared at the model's rate, because the model hears nothing above its band."""
    from ..metrics import si_sdr

    rate_hz = extractor.sample_rate_hz
    target, mixture, estimate = (
        _mono(path, rate_hz)[0] for path in (SAMPLE / "target.flac", SAMPLE / "mixture.flac", report.output)
    )
    return {
        "model": str(extractor.model.path),
        "runtime": extractor.model.runtime_name,
        "duration_s": report.duration_s,
        "si_sdr_before_db": round(si_sdr(reference=target, estimate=mixture), 2),
        "si_sdr_after_db": round(si_sdr(reference=target, estimate=estimate), 2),
        "presence": report.presence.value,
        "confidence": None if report.confidence is None else round(report.confidence, 4),
        "active_s": round(report.active_s, 2),
        "took_s": round(took_s, 3),
        "rtf": round(took_s / report.duration_s, 4),
    }


def _picture(extractor: Extractor, report: ExtractionReport) -> bytes | None:
    if find_spec("matplotlib") is None:
        note("no picture: that needs matplotlib (pip install 'tinywase[plots]')")
        return None
    from ..evaluate.picture import extraction_picture

    path = extractor.model.path
    titles = {
        "mixture": SAMPLE / "mixture.flac",
        "estimate: the enrolled voice": Path(report.output),
        "that voice as it was before mixing": SAMPLE / "target.flac",
    }
    return extraction_picture(
        {title: _mono(path)[0] for title, path in titles.items()},
        sample_rate_hz=report.sample_rate_hz,
        band_hz=report.band_hz,
        activity=report.activity,
        activity_hop_s=report.activity_hop_s,
        made_by=f"{path.name} {sha256(path.read_bytes()).hexdigest()}",
    )


def _mono(path: str | Path, rate_hz: int | None = None) -> tuple[np.ndarray, int]:
    """Samples and their rate, the file's own if none is given. Shape: [T]."""
    from ..audio import open_audio
    from ..blocks import mono_at

    with open_audio(path) as reader:
        rate_hz = rate_hz or reader.sample_rate_hz
        return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=rate_hz), rate_hz


def _print(result: dict[str, Any]) -> None:
    found = FOUND[result["presence"]]
    confidence = "" if result["confidence"] is None else f", confidence {result['confidence']:.2f}"
    before_db, after_db = result["si_sdr_before_db"], result["si_sdr_after_db"]
    seconds = f"{result['duration_s']:.1f} s"
    say(f"sample    two synthetic speakers at once, {seconds}; enrolled: {result['enrollment_s']:.1f} s of one of them")
    say(f"model     {result['model']} ({result['runtime']} runtime)")
    say(f"voice     {found}: active {result['active_s']:.1f} s{confidence}")
    say(f"SI-SDR    {before_db:.1f} dB before, {after_db:.1f} dB after: {after_db - before_db:+.1f} dB")
    say(f"time      {result['took_s']:.2f} s for {seconds} of sound: real-time factor {result['rtf']:.3f}")
    for name in ("mixture", "estimate", "picture"):
        if name in result:
            say(f"{name:9} {result[name]}")
    say(f"again     tinywase extract {result['mixture']} --enroll {result['enrollment']} -o again.flac")
