"""Whose voice, and what of the others? Options that commands share, and the voiceprint they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..runtime.extractor import Extractor
    from ..runtime.voiceprint import Voiceprint

Enroll = Annotated[
    list[Path] | None,
    typer.Option(
        "--enroll",
        "--ref",
        "-e",
        metavar="A.wav",
        help="The voice alone: a file, folder or quoted 'glob*.wav'; for several repeat --enroll.",
    ),
]
Other = Annotated[
    list[Path] | None,
    typer.Option(
        "--other",
        metavar="B.wav",
        help="Somebody else in it, alone, which helps a little: a recording or .voice file; repeatable.",
    ),
]
KeepOthers = Annotated[
    float | None,
    typer.Option(
        "--keep-others",
        metavar="DB",
        min=0,
        help="Let everybody else through, so many dB quieter: 0 as they are, 20 hardly. Empty: not at all.",
    ),
]

Highband = Annotated[
    bool, typer.Option("--highband/--no-highband", help="Above the model's band too, by what was found below.")
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


def kept_voice(enroll: list[Path], voice: Path | None) -> Path | None:
    """The voiceprint's file that is meant; one `.voice` file may stand for recordings."""
    if voice is None and len(enroll) == 1 and enroll[0].suffix.lower() == ".voice":
        return enroll[0]
    return voice


def voiceprint_from(extractor: Extractor, enroll: list[Path], voice: Path | None) -> Voiceprint:
    """Of a voiceprint's file, or of recordings."""
    from ..runtime.voiceprint import Voiceprint

    kept = kept_voice(enroll, voice)
    if kept is None:
        return extractor.enroll(*enroll)
    voiceprint = Voiceprint.load(kept)
    voiceprint.vector_for(extractor.model)  # refuses another model's before anything is computed
    return voiceprint
