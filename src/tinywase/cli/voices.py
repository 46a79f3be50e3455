"""`tinywase voices`: who speaks in a recording, for where no sample of a voice is at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import Computed, Quiet, Runtime, Threads, note, progress_bar, say, say_json
from .inputs import PIPE, SoundTrack, on_track, refuse_overwritten_inputs, track_notes

if TYPE_CHECKING:
    from ..audio import Source
    from ..runtime.extractor import Extractor
    from ..runtime.voices import FoundVoice

VOICE, SAMPLE, ALONE = ".voice", ".wav", "-alone.wav"  # after voice-1, voice-2, ...
OWN_NAME = re.compile(rf"voice-[1-9]\d*(?:{'|'.join(map(re.escape, (VOICE, SAMPLE, ALONE)))})")


def voices(
    recording: Annotated[Path, typer.Argument(metavar="MIX", help="The recording.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the voices.")],
    extract: Annotated[bool, typer.Option("--extract", help="Also extract every voice.")] = False,
    labels: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write who speaks when: .rttm, or .txt for Audacity.")
    ] = None,
    alike: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE", min=-1, max=1, help="From when on two stretches are one voice's (0.57); more finds more."
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="Bundled model or file.")] = "default",
    track: SoundTrack = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run's results, all of them.")] = False,
    runtime: Computed = Runtime.AUTO,
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Find the voices in a recording: a voiceprint of each, and a sample to know it by.

    Listen to DIR/voice-1.wav, voice-2.wav, ..., then `tinywase extract MIX --voice DIR/voice-1.voice`; or let --extract
    do it for all of them. Whoever speaks most comes first. Voices much alike may be taken for one, one voice for two,
    and music for a voice; who speaks for less than four seconds is not found, nor who never speaks alone: people who
    talk over each other all the time come out as one voice. Times are exact to half a second.

    Example: tinywase voices meeting.wav -o voices --extract
    """
    from ..files import make_folder, refuse_output, writing
    from ..runtime.extractor import Extractor
    from ..runtime.labels import check_labels_path
    from ..runtime.voices import ALIKE

    if str(recording) == PIPE:
        raise typer.BadParameter("voices reads the recording more than once: give a file instead of standard input.")
    earlier = _earlier(out)
    refuse_overwritten_inputs([*earlier, *([labels] if labels is not None else [])], [recording])
    for path in earlier:
        refuse_output(path, force=force)
    if labels is not None:
        check_labels_path(labels)
        make_folder(out)  # where they may go too
        refuse_output(labels, force=force)
    extractor = Extractor.from_pretrained(model, runtime=runtime.value, threads=threads)
    source = on_track(recording, track)
    for text in [] if quiet else track_notes([recording], track):
        note(text)
    with progress_bar(f"listening to {recording.name}", quiet=quiet) as progress:
        found = extractor.find_voices(source, alike=ALIKE if alike is None else alike, progress=progress)
    make_folder(out)
    for path in earlier:  # all of them, and before the first is written: none can be taken for one of this run's
        with writing(path):
            path.unlink(missing_ok=True)
    results = [
        _written(extractor, source, voice, out / f"voice-{number}", extract=extract, force=force, quiet=quiet)
        for number, voice in enumerate(found, 1)
    ]
    if labels is not None:
        _write_labels(labels, recording, found, force=force)
    if as_json:
        say_json(results)
    elif not quiet:
        _print(recording, results)


def _earlier(folder: Path) -> list[Path]:
    """What an earlier run left in the folder, whatever its options were."""
    return [path for path in sorted(folder.glob("voice-*")) if OWN_NAME.fullmatch(path.name)]


def _written(
    extractor: Extractor, recording: Source, voice: FoundVoice, stem: Path, *, extract: bool, force: bool, quiet: bool
) -> dict[str, Any]:
    """One voice's files, and what there is to say about it."""
    import numpy as np

    from ..audio import open_audio
    from ..audio_writer import output_format, write_recording
    from ..blocks import part_blocks
    from ..runtime.summary import voice_summary

    kept, heard, alone = (stem.with_name(stem.name + suffix) for suffix in (VOICE, SAMPLE, ALONE))
    voice.voiceprint.save(kept, force=force)
    with open_audio(recording) as reader:
        samples = np.concatenate(list(part_blocks(reader, voice.sample.start_s, voice.sample.stop_s)))
        form = output_format(
            heard,
            sample_rate_hz=reader.sample_rate_hz,
            channels=reader.channels,
            subtype=reader.subtype,
            frames=len(samples),
        )
    write_recording(heard, samples, form, force=force)
    result = {
        "voice": str(kept),
        "sample": str(heard),
        "estimate": str(alone) if extract else None,
        **voice_summary(extractor, voice),
    }
    if extract:
        with progress_bar(f"extracting {stem.name}", quiet=quiet) as progress:
            extractor.extract_file(recording, alone, voice.voiceprint, force=force, progress=progress)
    return result


def _write_labels(path: Path, recording: Path, found: list[FoundVoice], *, force: bool) -> None:
    from ..files import write_text
    from ..runtime.labels import labels_text

    text = "".join(
        labels_text(voice.segments, path.suffix.lower(), recording=recording.stem, speaker=f"voice-{number}")
        for number, voice in enumerate(found, 1)
    )
    write_text(path, text, force=force)


def _print(recording: Path, results: list[dict[str, Any]]) -> None:
    if not results:
        say(f"{recording}: no voice that speaks for four seconds or more")
        return
    say(f"{recording}: {len(results)} voice{'s' if len(results) > 1 else ''}")
    for result in results:
        start_s, stop_s = result["sample_s"]
        alone = f", alone: {result['estimate']}" if result["estimate"] else ""
        say(
            f"  {result['voice']}: speaks for about {result['spoken_s']:.0f} s; sample, from {start_s:.1f} to "
            f"{stop_s:.1f} s: {result['sample']}{alone}"
        )
        for text in result["notes"]:
            say(f"    note: {text}")
