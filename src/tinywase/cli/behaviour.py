"""`tinywase behaviour`: how a model stands more voices, noise, rooms, an absent target, long dialogues."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import progress_bar, say, say_json
from .list_options import Remap, Root, only, remap_rules

if TYPE_CHECKING:
    from ..data.trials import Trial
    from ..evaluate.behaviour import Measured


def behaviour(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Bundled model or .twase file.")],
    lists: Annotated[
        list[Path], typer.Option("--list", metavar="LIST", help="Ordinary trials, which the conditions are made from.")
    ],
    conditions: Annotated[
        str, typer.Option(help="Some of `--conditions help`, such as noise_10db,absent; all if empty.")
    ] = "",
    count: Annotated[int, typer.Option("--trials", min=2, help="Trials of each condition.")] = 40,
    root: Root = None,
    remap: Remap = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything measured as JSON.")] = False,
) -> None:
    """Measure what a model does beyond clean mixtures of two voices.

    heard: share of trials in which the target is said to be present; leak: level of the output below the mixture's
    where the target is silent or absent.

    Example: tinywase behaviour default --list test.csv --conditions clean,noise_10db,absent
    """
    from ..data.lists import read_trials
    from ..evaluate.behaviour_report import behaviour_fields, behaviour_table

    names = _chosen(conditions)
    if not names:
        return
    list_path = only(lists)
    trials = read_trials(list_path, root=root, remap=remap_rules(remap))
    measured = _measured(model, trials, names, count, seed)
    if as_json:
        command = shlex.join(["tinywase", *sys.argv[1:]])
        say_json({"model": model, "list": str(list_path), "command": command, "conditions": behaviour_fields(measured)})
    else:
        say(behaviour_table(measured))


def _chosen(text: str) -> list[str]:
    """Names of conditions; none where they are only to be listed.

    Raises:
        BadParameter: an unknown name.
    """
    from ..evaluate.behaviour import DIALOGUE
    from ..evaluate.conditions import CONDITIONS

    known = {condition.name: condition.title for condition in CONDITIONS} | {DIALOGUE: "a dialogue of 10 minutes"}
    asked = text.replace(",", " ").split()
    if asked == ["help"]:
        for name, title in known.items():
            say(f"{name:20} {title}")
        return []
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}': expected some of {', '.join(known)}.", param_hint="--conditions")
    return asked or list(known)


def _measured(model: str, trials: list[Trial], names: list[str], count: int, seed: int) -> list[Measured]:
    from ..evaluate.behaviour import measure
    from ..runtime.extractor import Extractor

    extractor = Extractor.from_pretrained(model)
    measured = []
    for name in names:
        with progress_bar(name) as progress:
            measured.append(measure(extractor, name, trials, count=count, seed=seed, progress=progress))
    return measured
