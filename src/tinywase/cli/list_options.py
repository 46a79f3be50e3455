"""Options of all commands that read lists, and the trials that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..data.readers import ReadOptions
    from ..data.trials import Trial

Root = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder that relative paths start from.")]
Remap = Annotated[
    list[str] | None, typer.Option(metavar="OLD=NEW", help="Replace the beginning of paths; may be repeated.")
]
Format = Annotated[str | None, typer.Option("--format", help="Name of the layout, instead of recognizing it.")]
Split = Annotated[str, typer.Option(help="The set of a folder that holds several, or splits of a manifest: train,dev.")]
Mix = Annotated[str, typer.Option(help="LibriMix: clean, both or single.")]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]
Enrollments = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Map of mixtures to enrollments (SpeakerBeam's, for LibriMix).")
]


def remap_rules(rules: list[str] | None) -> tuple[tuple[str, str], ...]:
    """The pairs of `--remap OLD=NEW`.

    Raises:
        BadParameter: a rule without '=' or without OLD.
    """
    pairs = []
    for rule in rules or []:
        old, equals, new = rule.partition("=")
        if not equals or not old:
            raise typer.BadParameter(
                f"'{rule}': expected OLD=NEW, such as /home/them/WSJ=/data/wsj.", param_hint="--remap"
            )
        pairs.append((old, new))
    return tuple(pairs)


def read_options(
    root: Path | None, remap: list[str] | None, *, split: str, mix: str, enrollments: Path | None, seed: int
) -> ReadOptions:
    """What the options say, for the readers."""
    from ..data.readers import ReadOptions

    return ReadOptions(root=root, remap=remap_rules(remap), seed=seed, split=split, mix=mix, enrollments=enrollments)


def only(lists: list[Path]) -> Path:
    """The one list that may be given; of two, the first would be forgotten without a word.

    Raises:
        BadParameter: there are more.
    """
    if len(lists) > 1:
        named = ", ".join(f"'{path}'" for path in lists)
        raise typer.BadParameter(f"{named}: one list at a time, whose figures stand alone.", param_hint="--list")
    return lists[0]


def listed_trials(path: Path, options: ReadOptions, *, format: str | None) -> list[Trial]:
    """The trials of a list or folder; see `read_trials`."""
    from ..data.lists import read_trials

    return read_trials(path, format=format, **vars(options))
