"""Sound tracks of films and of what phones record, through PyAV (extra `media`): decoded once, to a temporary WAV file.

Files are handed to FFmpeg open, never by name, and it may open no others: a playlist that calls itself a film would
make it read whatever the list names.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from .errors import AudioError
from .sniff import HEAD_BYTES, media_kind
from .truncation import truncated

MEDIA_SUFFIXES = (
    ".mp4", ".m4a", ".m4b", ".m4r", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".mka", ".webm", ".weba", ".avi", ".aac",
    ".ac3", ".eac3", ".dts", ".wma", ".wmv", ".asf", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".flv", ".wv", ".ape",
    ".tta", ".mpc", ".amr",
)  # fmt: skip
TOLERATED_S = 1.0  # between the length that a container promises and its last packet
ALONE = {"protocol_whitelist": "none"}  # no other file, no address


def decode_media(file: BinaryIO, name: str, *, kind: str, track: int = 1) -> BinaryIO:
    """A sound track of `file` as 16-bit WAV, in a file that vanishes when closed.

    Args:
        file: open and seekable; it stays open.
        name: of it, in messages.
        kind: what such files are called, in messages: "MP4".
        track: which of its sound tracks, counted from 1.

    Raises:
        AudioError: PyAV is not installed, the file has no such sound track that it can decode, or it ends too early.
    """
    try:
        import av
    except ImportError:
        raise AudioError(
            f"{name}: {kind} files need PyAV. Install it (pip install 'tinywase[media]'), or convert the file: "
            "ffmpeg -i INPUT output.wav"
        ) from None
    output: Any = tempfile.TemporaryFile()  # noqa: SIM115 (closed by its reader)
    try:
        with av.open(file, "r", options=ALONE) as container:
            stream = _sound_track(container, name, track)
            ended_s, promised_s = _decode(container, stream, output), (container.duration or 0) / av.time_base
            if ended_s < promised_s - TOLERATED_S:
                raise truncated(name, ended_s, promised_s)
    except (av.error.FFmpegError, ValueError) as error:  # the latter of tracks that change what they are midway
        why = getattr(error, "strerror", None) or error
        raise AudioError(f"{name}: cannot be decoded ({why}). Convert it: ffmpeg -i INPUT output.wav") from None
    output.seek(0)
    return output


def count_tracks(path: Path) -> int:
    """How many sound tracks a file has; 1 where that cannot be told, which reading it will explain."""
    try:
        with path.open("rb") as file:
            if not media_kind(file.read(HEAD_BYTES)):
                return 1
            import av

            file.seek(0)
            with av.open(file, options=ALONE) as container:
                return len(container.streams.audio)
    except (ImportError, OSError, ValueError):  # PyAV's own errors are among them
        return 1


def _sound_track(container: Any, name: str, track: int) -> Any:
    tracks = container.streams.audio
    if not tracks:
        raise AudioError(f"{name}: has no sound track, expected one. Choose a file with sound.")
    if not 1 <= track <= len(tracks):
        raise AudioError(f"{name}: sound track {track} was asked for, it has {len(tracks)}. Choose 1 to {len(tracks)}.")
    codec = tracks[track - 1].codec_context
    if codec is None:
        raise AudioError(
            f"{name}: its sound track is of a kind that is not known here, or damaged; expected one that FFmpeg "
            "decodes. Convert it: ffmpeg -i INPUT output.wav"
        )
    if not codec.channels or not codec.sample_rate:
        raise AudioError(
            f"{name}: its sound track has {codec.channels} channels at {codec.sample_rate} Hz, expected at least one "
            "of each. The file is damaged: copy it again."
        )
    return tracks[track - 1]


def _decode(container: Any, stream: Any, output: BinaryIO) -> float:
    """Returns when the last packet of any track ends: sound may be shorter than the picture, the file may not."""
    import av

    ended_s = 0.0
    channels, rate_hz = stream.codec_context.channels, stream.codec_context.sample_rate
    resampler = av.AudioResampler(format="s16", layout=stream.codec_context.layout.name, rate=rate_hz)
    with soundfile.SoundFile(
        output, "w", samplerate=rate_hz, channels=channels, format="RF64", subtype="PCM_16"
    ) as wav:
        for packet in container.demux():
            if packet.pts is not None:
                ended_s = max(ended_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            for frame in packet.decode() if packet.stream.index == stream.index else ():
                for piece in resampler.resample(frame):
                    wav.write(piece.to_ndarray().reshape(-1, channels))
        for piece in resampler.resample(None):
            wav.write(piece.to_ndarray().reshape(-1, channels))
    return ended_s
