"""`tinywase`: the table of commands. A command's module is imported only when that command is asked for.

Exit codes: 0 done, 1 failed (with a message that says what to do), 2 usage, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup

from ..errors import TinyWaseError
from .console import note, say, system_error

COMMANDS = {  # name: (module, function or sub-application, help)
    "extract": ("extract", "extract", "One voice out of recordings, by a sample of that voice."),
    "enroll": ("enroll", "enroll", "Recordings of one speaker to a voiceprint file."),
    "voices": ("voices", "voices", "Who speaks in a recording: a voiceprint and a sample of each."),
    "demo": ("demo", "demo", "Extract a voice from the bundled sample and say how well it went."),
    "live": ("live", "live", "Microphone in, one voice out."),
    "serve": ("serve", "serve", "Extraction over HTTP and WebSocket, with a page in the browser."),
    "evaluate": ("evaluate", "evaluate", "Measure models on a list of trials."),
    "behaviour": ("behaviour", "behaviour", "How a model stands noise, rooms, more voices, nobody there."),
    "calibrate": ("calibrate", "calibrate", "When a model may say that a voice is there."),
    "train": ("train", "train", "Train a model, or go on training it."),
    "compress": ("compress", "compress", "Fewer bits and shared weights, by distillation."),
    "convert-checkpoint": ("convert_checkpoint", "convert_checkpoint", "A published WASE checkpoint to ours."),
    "export": ("export", "export", "A checkpoint to a model file."),
    "info": ("info", "info", "What is in a model file, or how large a configuration is."),
    "models": ("models", "models", "The models in the package."),
    "bench": ("bench", "bench", "Speed and memory on this machine."),
    "data": ("data", "app", "Check lists and build data."),
}
EXTRAS = {  # packages that are not part of the core install, and the extra that brings them
    "torch": "train", "safetensors": "train", "tensorboard": "train", "fast_bss_eval": "eval", "pystoi": "eval",
    "pesq": "eval", "scipy": "eval", "matplotlib": "plots", "av": "media", "fastapi": "serve", "uvicorn": "serve",
    "sounddevice": "live",
}  # fmt: skip


class _Group(TyperGroup):
    """Turns what went wrong into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TinyWaseError as error:
            note(f"Error: {error}")
            raise typer.Exit(1) from None
        except MemoryError as error:  # of numpy, wherever it is
            why = str(error) or "no more is said"
            note(f"Error: not enough memory ({why}). Use shorter pieces, or close other programs.")
            raise typer.Exit(1) from None
        except OSError as error:  # a closed pipe is the reader's own wish
            if error.errno == errno.EPIPE:
                raise
            note(f"Error: {system_error(error)}")
            raise typer.Exit(1) from None
        except ModuleNotFoundError as error:
            package = (error.name or "").split(".")[0]
            if package not in EXTRAS:
                raise
            note(f"Error: this needs {package}, which is not installed: pip install 'tinywase[{EXTRAS[package]}]'")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            note("Interrupted; unfinished files were removed.")
            raise typer.Exit(130) from None


def build_app(wanted: str | None) -> typer.Typer:
    """The application, with the real command `wanted` and only the names of the others."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback(help="One voice out of a crowd: name a recording and a few seconds of the voice you want.")(_options)
    for name, (module, attribute, summary) in COMMANDS.items():
        if find_spec(f"{__package__}.{module}") is None:
            continue
        command = getattr(import_module(f".{module}", __package__), attribute) if name == wanted else _listed
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=summary)
        else:
            app.command(name, help=None if name == wanted else summary, short_help=summary)(command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends with SystemExit."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks must not end the program
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no hang-ups; nohup ignores them
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminated)
    build_app(wanted)(words, prog_name="tinywase")


def _terminated(number: int, frame: object) -> None:
    """Ends like an exception, so that unfinished files are removed."""
    sys.exit(128 + number)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        say(f"tinywase {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the program itself."""


def _listed() -> None:
    """Stands for a command that was not asked for: only its name and summary are needed."""
