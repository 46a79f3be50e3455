"""`tinywase calibrate`: when a model may say that a voice is there, found on a development list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import note, progress_bar, say, say_json
from .list_options import Remap, Root, remap_rules


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Bundled model or .twase file.")],
    lists: Annotated[
        list[Path],
        typer.Option("--list", metavar="LIST", help="Trials that name their speakers; may be repeated. No test list."),
    ],
    output: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.twase", help="Write the model with its rule there.")
    ] = None,
    false_alarm_rate: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Largest share of absent voices that may be reported present.")
    ] = 0.01,
    root: Root = None,
    remap: Remap = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rule and its rates as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Find the rule by which `extract` tells whether the enrolled voice is in a recording.

    Every trial is tried with its own speaker enrolled and with strangers, in the mixture and alone; and recordings of
    one speaker and of two are enrolled together, to tell where an enrollment sounds like more than one voice. The rates
    are averages over rules found on one half of the trials and tried on the other, which share no speaker where the
    list names them.

    Example: tinywase calibrate small.twase --list dev.csv -o calibrated.twase
    """
    from ..data.lists import read_trials
    from ..evaluate.presence import calibrated_fields
    from ..files import refuse_output
    from ..runtime.extractor import Extractor

    if output is not None:
        refuse_output(output, force=force)
    extractor = Extractor.from_pretrained(model)
    rules = remap_rules(remap)
    trials = [trial for path in lists for trial in read_trials(path, root=root, remap=rules)]
    with progress_bar("who is there", quiet=as_json) as progress:
        presence = calibrated_fields(extractor, trials, false_alarm_rate=false_alarm_rate, progress=progress)
    if output is not None:
        _write(extractor.model.path, output, presence, force=force)
        note(f"{output}: the model, with its rule.")
    if as_json:
        say_json(presence)
    else:
        numbers = {key: value for key, value in presence.items() if not isinstance(value, list)}
        say("\n".join(f"{key:24}{value:>10}" for key, value in numbers.items()))


def _write(model: Path, output: Path, presence: dict[str, Any], *, force: bool) -> None:
    from ..evaluate.cards import with_card
    from ..format import read_model

    card = {**read_model(model).card, "presence": presence}
    with_card(model, output, card, force=force)
