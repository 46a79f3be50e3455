"""`tinywase live`: one voice while it is speaking, from a microphone to headphones or through a pipe."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Protocol

import typer

from ..errors import AudioError, TinyWaseError
from .console import Computed, Quiet, Runtime, note, say
from .inputs import PIPE, expanded
from .voice_options import Enroll, Highband, KeepOthers, Other, check_one_voice, voiceprint_from

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.stream import VoiceStream

SHOWN_EVERY_S = 0.5
BAR = 20


class Meter(Protocol):
    """Takes the samples of a chunk, the seconds it took, and whether it came too late."""

    def __call__(self, samples: int, took_s: float, late: bool = False) -> None: ...


class Pcm(StrEnum):
    """What a sample in a pipe is."""

    S16 = "s16"
    F32 = "f32"


def live(
    enroll: Enroll = None,
    voice: Annotated[
        Path | None, typer.Option(metavar="ME.voice", help="A voiceprint that `tinywase enroll` made.")
    ] = None,
    source: Annotated[
        str, typer.Option("--input", "-i", metavar="DEVICE", help="Microphone by number or name, or - for raw samples.")
    ] = "",
    sink: Annotated[
        str,
        typer.Option("--output", "-o", metavar="DEVICE", help="Headphones by number or name, or - for raw samples."),
    ] = "",
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="A model or file. [default: live; with --delay the offline default]"
        ),
    ] = "",
    delay: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Let an offline model wait so many seconds for what comes after, 0.1 to 5: decibels better, and more "
            "work.",
        ),
    ] = None,
    views: Annotated[
        int | None, typer.Option(metavar="N", help="Runs over what an offline model hears, averaged. Empty: two.")
    ] = None,
    other: Other = None,
    rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="Sampling rate; empty: the microphone's own. A pipe needs one.")
    ] = None,
    pcm: Annotated[Pcm, typer.Option("--format", help="Raw samples: one channel, little-endian.")] = Pcm.S16,
    chunk_ms: Annotated[float, typer.Option(metavar="MS", min=1, max=1000, help="Sound taken at once.")] = 16.0,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Stop after this long.")] = None,
    keep_others_db: KeepOthers = None,
    highband: Highband = True,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and headphones, and stop.")] = False,
    runtime: Computed = Runtime.AUTO,
    quiet: Quiet = False,
) -> None:
    """Extract one voice while it is speaking: microphone in, that voice out, a fixed fraction of a second later.

    With --delay 0.5 it comes so much later and better by decibels: an offline model waits for what follows.
    Wear headphones, or the microphone hears what comes out. Ctrl-C ends it. With - for both ends it stands in a pipe:
    raw samples of one channel in, as many out:

        ffmpeg -i talk.mp3 -f s16le -ac 1 -ar 16000 - |
        tinywase live -e me.wav -i - -o - --rate 16000 |
        ffmpeg -f s16le -ac 1 -ar 16000 -i - me-alone.wav

    Example: tinywase live --enroll me.wav
    """
    if devices:
        say(str(_sounddevice().query_devices()) or "there are no sound devices here")
        return
    check_one_voice(enroll=enroll, voice=voice)
    for end in (source, sink):
        if _is_file(end):
            raise typer.BadParameter(
                f"'{end}' is a file, and a file is no device: tinywase extract -m live does it, or pipe raw samples."
            )
    if (source == PIPE) != (sink == PIPE):
        raise typer.BadParameter("a pipe has two ends: give both --input - and --output -, or neither.")
    if source == PIPE and rate is None:
        raise typer.BadParameter("raw samples do not say their sampling rate: give --rate, for example 16000.")
    from ..runtime.enrollment import alike_notes, refuse_same_recording
    from ..runtime.extractor import Extractor
    from ..runtime.stream import check_streams

    recordings, others = (expanded(given or [], quiet=quiet) for given in (enroll, other))
    refuse_same_recording(recordings, as_mixture=None, as_other=others)
    model = model or ("live" if delay is None else "default")
    extractor = Extractor.from_pretrained(model, runtime=runtime.value)
    check_streams(extractor.model, delay)
    if others:
        extractor = extractor.with_others(voiceprint_from(extractor, others, None))
    voiceprint = voiceprint_from(extractor, recordings, voice)
    if not quiet:
        for text in alike_notes(extractor.model, voiceprint):
            note(f"enrollment: {text}")
    begin = partial(
        extractor.stream, voiceprint, delay_s=delay, views=views, keep_others_db=keep_others_db, highband=highband
    )
    limit_s = float("inf") if seconds is None else seconds
    remedy = "give a longer --chunk-ms" if delay is None else "give a longer --delay, --views 1 or -m nano"
    if source == PIPE:
        assert rate is not None
        stream = begin(sample_rate_hz=rate)
        with _meter(stream, remedy, quiet=quiet) as shown, _Source(sys.stdin.buffer) as pipe:
            _pipe(stream, pipe, sys.stdout.buffer, pcm, round(chunk_ms * rate / 1000), limit_s, shown)
        return
    sounds = _sounddevice()
    ends = _device(source), _device(sink)
    try:
        rate = rate or round(sounds.query_devices(ends[0], "input")["default_samplerate"])
        stream = begin(sample_rate_hz=rate)
        with _meter(stream, remedy, quiet=quiet) as shown:
            _play(sounds, stream, ends, max(1, round(chunk_ms * rate / 1000)), limit_s, shown)
    except (sounds.PortAudioError, ValueError) as error:  # the latter where no device has that name
        raise TinyWaseError(
            f"the sound device failed: {error}. `tinywase live --devices` lists them; choose with --input, --output "
            "and --rate."
        ) from error


def _is_file(end: str) -> bool:
    """Whether an end is a recording, there or to be made, instead of a device."""
    from ..audio_writer import CONTAINERS

    return end != PIPE and (Path(end).is_file() or Path(end).suffix.lower() in CONTAINERS)


class _Source:
    """A pipe that ends where it ends or where Ctrl-C does, which waits for a chunk that is being computed."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._reading = self._over = False

    def __enter__(self) -> _Source:
        self._before = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, *_: object) -> None:
        again, self._over = self._over, True
        if self._reading or again:  # the latter frees whoever waits for a reader that takes nothing
            raise KeyboardInterrupt

    def take(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end; a pipe gives what it has."""
        parts, missing = [], size
        try:
            self._reading = True
            while missing and not self._over and (part := self._pipe.read1(missing)):
                parts.append(part)
                missing -= len(part)
        except KeyboardInterrupt:
            pass
        finally:
            self._reading = False
        return b"".join(parts)


def _pipe(
    stream: VoiceStream,
    source: _Source,
    sink: BinaryIO,
    pcm: Pcm,
    chunk: int,
    limit_s: float,
    shown: Meter,
) -> None:
    """Raw samples to raw samples, until the source ends or is ended: as many out as in."""
    from ..pcm import decoded, encoded, sample_bytes
    from ..sniff import is_recording

    left = limit_s * stream.sample_rate_hz
    begun = False

    def write(voice: np.ndarray) -> None:
        sink.write(encoded(voice, pcm))
        sink.flush()

    while left >= 1 and (raw := source.take(max(1, int(min(chunk, left))) * sample_bytes(pcm))):
        if not begun and is_recording(raw):
            raise AudioError(
                "standard input is a recording with a header, expected raw samples: tinywase extract -m live takes "
                "files, or let ffmpeg decode it (tinywase live --help)."
            )
        begun = True
        samples = decoded(raw, pcm)
        left -= len(samples)
        began_s = time.perf_counter()
        write(stream.feed(samples))
        shown(len(samples), time.perf_counter() - began_s)
    write(stream.flush())


def _play(
    sounds: Any,
    stream: VoiceStream,
    ends: tuple[int | str | None, int | str | None],
    chunk: int,
    limit_s: float,
    shown: Meter,
) -> None:
    """From one device to the other. What is not finished yet is bridged by silence once, at the beginning.

    Once the time is over, the rest of the voice is played; Ctrl-C means silence now.
    """
    import numpy as np

    ready = np.zeros(stream.latency_samples, np.float32)
    left = limit_s * stream.sample_rate_hz
    options = {"samplerate": stream.sample_rate_hz, "blocksize": chunk, "device": ends, "channels": 1}
    bridged = stream.step_samples if stream.step_samples > chunk else 0
    if bridged:  # by what the devices hold, while so much is computed at once; with less than they like they starve
        kinds = zip(ends, ("input", "output"), strict=True)
        likes_s = [sounds.query_devices(end, kind)[f"default_high_{kind}_latency"] for end, kind in kinds]
        options["latency"] = [max(bridged / stream.sample_rate_hz, like_s) for like_s in likes_s]
    with sounds.Stream(dtype="float32", **options) as device:
        if bridged:
            device.write(np.zeros((bridged, 1), np.float32))
        while left >= chunk:
            heard, lost = device.read(chunk)
            began_s = time.perf_counter()
            ready = np.concatenate([ready, stream.feed(np.clip(np.nan_to_num(heard[:, 0]), -1, 1))])
            voice, ready = ready[:chunk], ready[chunk:]
            took_s = time.perf_counter() - began_s
            starved = device.write(np.clip(voice, -1, 1)[:, None])
            shown(chunk, took_s, late=bool(lost or starved))
            left -= chunk
        device.write(np.clip(np.concatenate([ready, stream.flush()]), -1, 1)[:, None])


@contextmanager
def _meter(stream: VoiceStream, remedy: str, *, quiet: bool) -> Iterator[Meter]:
    """A line on stderr while somebody looks, and a summary at the end."""
    heard = computed = spoken = 0.0
    too_late = 0
    next_s = SHOWN_EVERY_S
    watched = not quiet and sys.stderr.isatty()

    def shown(samples: int, took_s: float, late: bool = False) -> None:
        nonlocal heard, computed, spoken, next_s, too_late
        too_late += late
        heard += samples / stream.sample_rate_hz
        computed += took_s
        spoken += samples / stream.sample_rate_hz * (stream.activity >= 0.5)
        if watched and heard >= next_s:
            next_s = heard + SHOWN_EVERY_S
            level = "#" * round(BAR * stream.activity)
            print(f"\r{heard:7.1f} s  [{level:<{BAR}}]  {computed / heard:4.0%} busy ", end="", file=sys.stderr)

    if not quiet:
        note(f"{stream.sample_rate_hz} Hz, {1000 * stream.latency_s:.0f} ms behind; Ctrl-C ends it.")
    try:
        yield shown
    except KeyboardInterrupt:
        pass
    finally:
        if not quiet:
            end = "\n" if watched else ""
            busy = computed / heard if heard else 0.0
            note(
                f"{end}{heard:.1f} s heard, the voice in {spoken:.1f} s of them; {busy:.1%} of the time was computing."
            )
        if too_late:
            note(f"{too_late} times a chunk came too late: {remedy}.")


def _device(given: str) -> int | str | None:
    """A number, a name, or None for the system's own choice."""
    return int(given) if given.isdigit() else given or None


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:  # the package is there, the library that it wraps is not
        raise TinyWaseError(
            f"sounddevice found no PortAudio ({error}). Install it (Debian: libportaudio2), or use a pipe: --input - "
            "--output - --rate 16000."
        ) from error
    return sounddevice
