"""What clients send, as files of a temporary folder that lasts until the answer is sent."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi import UploadFile

from ..errors import TinyWaseError
from .work import Progress

LONGEST_NAME_BYTES = 120  # file systems take 255, and what is made from it is called longer


class Folder:
    """A temporary folder; every upload lies in a folder of its own there, so that it keeps its name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, name: str, upload: UploadFile) -> Path:
        """Write an upload down, under its own name, in the folder `name`."""
        place = self.path / name / plain_name(upload.filename or "recording")
        place.parent.mkdir()
        with place.open("wb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
        return place

    def keep_all(self, name: str, uploads: Sequence[UploadFile], progress: Progress) -> list[Path]:
        """`keep` for several, ended by what `progress` raises."""
        kept = []
        for number, upload in enumerate(uploads):
            progress(0.0)
            kept.append(self.keep(f"{name}-{number}", upload))
        return kept


def temporary_folder() -> Iterator[Folder]:
    """A folder for one request; errors name its files as the client does."""
    path = Path(tempfile.mkdtemp(prefix="tinywase-"))
    try:
        yield Folder(path)
    except TinyWaseError as error:
        raise type(error)(re.sub(re.escape(str(path)) + r"[/\\][^/\\]+[/\\]", "", str(error))) from None
    finally:
        shutil.rmtree(path, ignore_errors=True)  # a thread that was given up may still write there


def plain_name(name: str) -> str:
    """The last part of a path, without what file systems or headers take for something else."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^\w .()+-]", "_", last).strip(". ").encode()
    return clean[-LONGEST_NAME_BYTES:].decode(errors="ignore") or "recording"
