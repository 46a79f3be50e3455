"""What comes back from an extraction: the voice as a file, or several answers in one.

One file carries its report in the header `Tinywase-Report`. Several are multipart/form-data, which browsers read by
`await response.formData()`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi.responses import FileResponse, StreamingResponse

SEVERAL = "multipart/form-data"
REPORT = "Tinywase-Report"
BLOCK_BYTES = 1 << 18
MEDIA_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".voice": "application/json"}


@dataclass(frozen=True)
class Part:
    """A named piece of an answer: a file, which is read while it is sent, or plain values."""

    name: str
    content: Path | dict[str, Any]

    def head(self) -> str:
        """Its headers."""
        if isinstance(self.content, dict):
            return f'Content-Disposition: form-data; name="{self.name}"\r\nContent-Type: application/json'
        filename = quote(self.content.name)  # headers are ASCII
        media_type = MEDIA_TYPES[self.content.suffix]
        return (
            f'Content-Disposition: form-data; name="{self.name}"; filename="{filename}"\r\nContent-Type: {media_type}'
        )

    def size(self) -> int:
        """In bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(json.dumps(self.content))

    def blocks(self) -> Iterator[bytes]:
        """The content."""
        if isinstance(self.content, dict):
            yield json.dumps(self.content).encode()
            return
        with self.content.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block


def one_file(path: Path, report: dict[str, Any]) -> FileResponse:
    """The voice alone."""
    return FileResponse(
        path, media_type=MEDIA_TYPES[path.suffix], filename=path.name, headers={REPORT: json.dumps(report)}
    )


def several(parts: Sequence[Part]) -> StreamingResponse:
    """All parts, with the length of it all said beforehand."""
    boundary = secrets.token_hex(16)
    heads = [f"--{boundary}\r\n{part.head()}\r\n\r\n".encode() for part in parts]
    end = f"--{boundary}--\r\n".encode()

    def body() -> Iterator[bytes]:
        for head, part in zip(heads, parts, strict=True):
            yield head
            yield from part.blocks()
            yield b"\r\n"
        yield end

    length = sum(len(head) + part.size() + 2 for head, part in zip(heads, parts, strict=True)) + len(end)
    headers = {"Content-Length": str(length)}
    return StreamingResponse(body(), media_type=f"{SEVERAL}; boundary={boundary}", headers=headers)
