"""Sound tracks of video and AAC files, through PyAV (extra `media`): decoded once into a temporary WAV file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from .errors import AudioError
from .truncation import truncated

MEDIA_SUFFIXES = (".mp4", ".m4a", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".aac", ".wma", ".3gp")
TOLERATED_S = 1.0  # between the length that a container promises and its last packet


def decode_media(path: Path) -> BinaryIO:
    """The first sound track of `path` as 16-bit WAV, in a file that vanishes when closed.

    Raises:
        AudioError: PyAV is not installed, the file has no sound track that it can decode, or it ends too early.
    """
    try:
        import av
    except ImportError:
        raise AudioError(
            f"{path}: {path.suffix} files need PyAV. Install it (pip install 'tinywase[media]'), or convert the file: "
            f"ffmpeg -i '{path}' '{path.with_suffix('.wav').name}'"
        ) from None
    output: Any = tempfile.TemporaryFile()  # noqa: SIM115 (closed by its reader)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise AudioError(f"{path}: has no sound track, expected one. Choose a file with sound.")
            codec = container.streams.audio[0].codec_context
            if codec is None:
                raise AudioError(
                    f"{path}: its sound track is of a kind that is not known here, or damaged; expected one that "
                    "FFmpeg decodes. Convert it: ffmpeg -i INPUT output.wav"
                )
            if not codec.channels or not codec.sample_rate:
                raise AudioError(
                    f"{path}: its sound track has {codec.channels} channels at {codec.sample_rate} Hz, expected at "
                    "least one of each. The file is damaged: copy it again."
                )
            ended_s, promised_s = _decode(container, output), (container.duration or 0) / av.time_base
            if ended_s < promised_s - TOLERATED_S:
                raise truncated(str(path), ended_s, promised_s)
    except (av.error.FFmpegError, ValueError) as error:  # the latter of tracks that change what they are midway
        why = getattr(error, "strerror", None) or error
        raise AudioError(f"{path}: cannot be decoded ({why}). Convert it: ffmpeg -i INPUT output.wav") from None
    output.seek(0)
    return output


def _decode(container: Any, output: BinaryIO) -> float:
    """Returns when the last packet of any track ends: sound may be shorter than the picture, the file may not."""
    import av

    ended_s = 0.0
    stream = container.streams.audio[0]
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
