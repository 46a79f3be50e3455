"""What clients send, as files of a temporary folder that lasts until the answer is sent."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastapi import HTTPException, Request, UploadFile

from ..audio import open_audio
from ..errors import TinyWaseError
from .work import Progress

LONGEST_NAME_BYTES = 120  # file systems take 255, and what is made from it is called longer


class TooLongError(TinyWaseError):
    """A recording plays longer than the service takes."""


class Folder:
    """A temporary folder; every upload lies in a folder of its own there, so that it keeps its name."""

    def __init__(self, path: Path, longest_s: float) -> None:
        self.path, self._longest_s = path, longest_s

    def keep(self, name: str, upload: UploadFile) -> Path:
        """Write an upload down, under its own name, in the folder `name`."""
        place = self.path / name / plain_name(upload.filename or "recording")
        place.parent.mkdir()
        with place.open("wb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
        return place

    def keep_recording(self, name: str, upload: UploadFile) -> Path:
        """`keep`, for what has to be sound.

        Raises:
            AudioError: it is none.
            TooLongError: it plays longer than recordings may.
        """
        place = self.keep(name, upload)
        with open_audio(place) as reader:
            lasts_s = reader.frames / reader.sample_rate_hz
        if lasts_s > self._longest_s:
            raise TooLongError(
                f"'{place.name}' plays for {lasts_s / 60:.1f} min, expected at most {self._longest_s / 60:g}. Send a "
                "part of it, or start the service with a larger --max-minutes."
            )
        return place

    def keep_all(self, name: str, uploads: Sequence[UploadFile], progress: Progress) -> list[Path]:
        """`keep_recording` for several, ended by what `progress` raises."""
        kept = []
        for number, upload in enumerate(uploads):
            progress(0.0)
            kept.append(self.keep_recording(f"{name}-{number}", upload))
        return kept


def temporary_folder(request: Request) -> Iterator[Folder]:
    """A folder for one request; errors name its files as the client does. `app.state.longest_s` bounds recordings."""
    path = Path(tempfile.mkdtemp(prefix="tinywase-"))
    try:
        yield Folder(path, request.app.state.longest_s)
    except TinyWaseError as error:
        raise type(error)(re.sub(re.escape(str(path)) + r"[/\\][^/\\]+[/\\]", "", str(error))) from None
    finally:
        shutil.rmtree(path, ignore_errors=True)  # a thread that was given up may still write there


async def refuse_unknown_fields(request: Request) -> None:
    """A misspelt field would be a wish that passes unseen.

    Raises:
        HTTPException: a field of the form is not one of the route's.
    """
    known = [field.alias for field in request.scope["route"].dependant.body_params]
    unknown = sorted((await request.form()).keys() - known)
    if unknown:
        raise HTTPException(422, f"unknown fields: {', '.join(unknown)}. Known are: {', '.join(known)}")


def plain_name(name: str) -> str:
    """The last part of a path, without what file systems or headers take for something else."""
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[^\w .()+-]", "_", last).strip(". ").encode()
    return clean[-LONGEST_NAME_BYTES:].decode(errors="ignore") or "recording"
