"""Whose voice? Options that commands share, and the voiceprint they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..runtime.extractor import Extractor
    from ..runtime.voiceprint import Voiceprint

Enroll = Annotated[
    list[Path] | None,
    typer.Option("--enroll", "--ref", "-e", metavar="A.wav", help="The voice alone: file, folder; repeatable."),
]


def check_one_voice(**options: object) -> None:
    """Refuse a command line that names no voice, or more than one; options by their names without dashes.

    Raises:
        BadParameter: not exactly one is given.
    """
    names = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    given = [name for name, value in names.items() if value]
    if len(given) != 1:
        got = " and ".join(given) if given else "none"
        raise typer.BadParameter(f"whose voice? Give one of {', '.join(names)}; got {got}.")


def voiceprint_from(extractor: Extractor, enroll: list[Path], voice: Path | None) -> Voiceprint:
    """Of a voiceprint's file, or of recordings; one `.voice` file may stand for the latter."""
    from ..runtime.voiceprint import Voiceprint

    kept = voice if voice is not None else enroll[0] if len(enroll) == 1 else None
    if kept is None or (voice is None and kept.suffix.lower() != ".voice"):
        return extractor.enroll(*enroll)
    voiceprint = Voiceprint.load(kept)
    voiceprint.vector_for(extractor.model)  # refuses another model's before anything is computed
    return voiceprint
