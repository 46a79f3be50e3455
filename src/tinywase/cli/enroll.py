"""`tinywase enroll`: recordings of one speaker to a voiceprint file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import Computed, Runtime, progress_bar, say, say_json
from .inputs import SoundTrack, expanded, on_track, refuse_overwritten_inputs, track_notes


def enroll(
    recordings: Annotated[
        list[Path],
        typer.Argument(metavar="A.wav...", help="The speaker alone: files, folders, 'globs*.wav'."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="ME.voice", help="Where the voiceprint goes.")],
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Bundled model or file.")] = "default",
    track: SoundTrack = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the voiceprint if it exists.")] = False,
    runtime: Computed = Runtime.AUTO,
) -> None:
    """Make a voiceprint: a small file that stands for a voice, for all models of the package.

    A few seconds of speech are enough; several recordings are averaged. Nothing leaves this computer.

    Example: tinywase enroll monday.wav tuesday.wav -o me.voice
    """
    from ..files import refuse_output
    from ..runtime.enrollment import quality_notes
    from ..runtime.extractor import Extractor
    from ..runtime.voiceprint import check_voice_path

    enrollments = expanded(recordings)
    refuse_overwritten_inputs([out], enrollments)
    check_voice_path(out)
    refuse_output(out, force=force)
    extractor = Extractor.from_pretrained(model, runtime=runtime.value)
    several = f"{len(enrollments)} recordings" if len(enrollments) > 1 else enrollments[0].name
    with progress_bar(f"listening to {several}") as progress:
        voiceprint = extractor.enroll(*(on_track(path, track) for path in enrollments), progress=progress)
    voiceprint.save(out, force=force)
    notes = track_notes(enrollments, track) + quality_notes(voiceprint, extractor.rule)
    if as_json:
        say_json(
            {
                "output": str(out),
                "model": voiceprint.model,
                "fingerprint": voiceprint.fingerprint,
                "dimensions": len(voiceprint.vector),
                "active_s": round(voiceprint.active_s, 2),
                "level_db": round(voiceprint.level_db, 1),
                "clipped": round(voiceprint.clipped, 6),
                "consistency": round(voiceprint.consistency, 4),
                "notes": notes,
                "bytes": out.stat().st_size,
            }
        )
        return
    say(
        f"{out}: {voiceprint.active_s:.1f} s of speech at {voiceprint.level_db:.0f} dB, {len(voiceprint.vector)} "
        f"numbers by the {voiceprint.model} model, {out.stat().st_size} bytes"
    )
    for text in notes:
        say(f"  note: {text}")
