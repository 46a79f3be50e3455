"""What a file is that was taken for another, by its first bytes."""

from __future__ import annotations

RECORDINGS = (b"RIFF", b"fLaC", b"OggS", b"ID3")  # WAV, FLAC, Ogg (Vorbis and Opus), MP3 with a title


def is_recording(head: bytes) -> bool:
    """Whether a file that begins so is a recording, of the most common kinds."""
    return bytes(head[:4]).startswith(RECORDINGS)
