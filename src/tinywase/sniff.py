"""What a file is, by its first bytes: whatever it is called."""

from __future__ import annotations

RECORDINGS = (b"RIFF", b"fLaC", b"OggS", b"ID3")  # WAV, FLAC, Ogg (Vorbis and Opus), MP3 with a title

HEAD_BYTES = 4096  # all that is looked at
MEDIA = (  # what libsndfile does not read: from which byte on, which bytes, what it is called
    (4, b"ftyp", "MP4"),
    (4, b"moov", "QuickTime"),
    (4, b"mdat", "QuickTime"),
    (4, b"wide", "QuickTime"),
    (0, b"\x1aE\xdf\xa3", "Matroska and WebM"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media"),
    (8, b"AVI ", "AVI"),
    (0, b"FLV\x01", "Flash video"),
    (0, b"\0\0\1\xba", "MPEG video"),
    (0, b".RMF", "RealMedia"),
    (0, b"\x0bw", "AC-3"),
    (0, b"\x7f\xfe\x80\x01", "DTS"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "True Audio"),
    (0, b"MPCK", "Musepack"),
    (0, b"#!AMR", "AMR"),
)
TRANSPORT_SYNC, TRANSPORT_BYTES, TRANSPORT_STAMP = 0x47, 188, 4  # of every packet, which cameras put a time before


def is_recording(head: bytes) -> bool:
    """Whether a file that begins so is a recording, of the most common kinds."""
    return bytes(head[:4]).startswith(RECORDINGS)


def media_kind(head: bytes) -> str:
    """What a file is that begins so and that FFmpeg knows but not libsndfile; "" for everything else."""
    for start, magic, kind in MEDIA:
        if head[start : start + len(magic)] == magic:
            return kind
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # as of MP3, but of layer 0, which MP3 has not
        return "AAC"
    for before in (0, TRANSPORT_STAMP):
        syncs = head[before :: before + TRANSPORT_BYTES]
        if len(syncs) > 1 and set(syncs) == {TRANSPORT_SYNC}:
            return "MPEG transport stream"
    return ""


def may_be_mpeg(head: bytes) -> bool:
    """Whether MP3 may begin so: with a title, or with a frame, somewhere among the first bytes."""
    return head[:3] == b"ID3" or b"\xff" in head
