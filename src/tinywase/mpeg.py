"""MP3 files that do not say how long they are: most do, in their first frame, streams that were kept do not.

libsndfile guesses the length from the bits of the beginning and reads no further than that: of a recording that becomes
quieter, and so takes fewer bits, the rest would be lost without a word.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

SUFFIXES = (".mp3", ".mp2", ".mp1", ".m1a")  # by which libsndfile takes a file for MPEG, whatever it is
LENGTH_TAGS = (b"Xing", b"Info")  # those that libsndfile reads
FIRST_FRAME_BYTES = 2048  # no frame is longer
LONGER = 64  # than it is: bit rates are 8 to 320 kbit/s


def tells_its_length(file: BinaryIO) -> bool:
    """Whether the first frame of an MPEG file counts the others. The file is left where it was."""
    position = file.tell()
    file.seek(0)
    head = file.read(10)
    tag_bytes = 0
    if head[:3] == b"ID3":
        for byte in head[6:10]:
            tag_bytes = tag_bytes << 7 | byte
    file.seek(10 + tag_bytes if tag_bytes else 0)
    first = file.read(FIRST_FRAME_BYTES)
    file.seek(position)
    return any(tag in first for tag in LENGTH_TAGS)


class Lengthened(io.RawIOBase):
    """A file that seems LONGER times as long, so that no guess falls short of it; read from its start it ends in time.

    What lies beyond the end is zeros: there a tag is looked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = file.seek(0, io.SEEK_END)
        file.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        beyond = self._file.tell() > self._bytes
        data = bytes(len(buffer)) if beyond else self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            return self._file.seek(LONGER * self._bytes + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
