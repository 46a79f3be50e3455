"""What commands share: results on stdout, progress and notes on stderr, options of the same meaning."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer


class Runtime(StrEnum):
    """What computes: the option --runtime."""

    AUTO = "auto"
    NATIVE = "native"
    REFERENCE = "reference"


Computed = Annotated[Runtime, typer.Option(help="auto: native where it is installed.")]  # the type of a `runtime`
Threads = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=64, help="Processors to use; 2 where there are as many.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]


def say(text: str) -> None:
    """A line of the result, to stdout."""
    print(text)


def note(text: str) -> None:
    """A remark that is not the result, to stderr."""
    print(text, file=sys.stderr)


def say_json(value: Any) -> None:
    """The result for programs, to stdout; figures that are undefined (nan), which JSON does not have, as null."""
    print(json.dumps(_defined(value), indent=2, ensure_ascii=False, allow_nan=False))


def _defined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _defined(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def system_error(error: OSError) -> str:
    """What the system refused: a disk, a permission, a name."""
    where = f"'{error.filename}': " if error.filename else ""
    return f"{where}{error.strerror or error}. Check the disk, the path and its permissions."


@contextmanager
def progress_bar(text: str, *, quiet: bool = False) -> Iterator[Callable[[float], None]]:
    """A bar with the time left, on stderr, where somebody looks; yields a function that takes the part done, 0..1."""
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=1.0)
        yield lambda done: progress.update(task, completed=done)
