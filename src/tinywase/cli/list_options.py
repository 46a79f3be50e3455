"""Options of all commands that read lists."""

from __future__ import annotations

import typer


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
