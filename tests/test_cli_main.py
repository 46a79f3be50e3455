"""The table of commands, and what every command has in common: exit codes, and where words go."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
from stand_in import Command

from tinywase.cli import main as cli
from tinywase.cli.console import progress_bar
from tinywase.errors import AudioError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A command whose function each test chooses: `failing.command = ...`."""
    module = ModuleType("tinywase.cli.failing")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "find_spec", lambda name: object())
    monkeypatch.setattr(cli, "COMMANDS", {"failing": ("failing", "command", "Fails.")})
    return module


def test_help_lists_every_command_that_is_there(tinywase: Command) -> None:
    result = tinywase("--help")
    assert result.code == 0
    for name, (module, _, summary) in cli.COMMANDS.items():
        there = cli.find_spec(f"tinywase.cli.{module}") is not None
        assert (name in result.out) == there
        assert (summary[:30] in result.out) == there


@pytest.mark.parametrize("name", [n for n, (m, _, _) in cli.COMMANDS.items() if cli.find_spec(f"tinywase.cli.{m}")])
def test_every_help_has_a_real_example(name: str) -> None:
    module, attribute, _ = cli.COMMANDS[name]
    command = getattr(import_module(f"tinywase.cli.{module}"), attribute)
    functions = [inner.callback for inner in command.registered_commands] if hasattr(command, "info") else [command]
    for function in functions:
        assert f"Example: tinywase {name}" in (function.__doc__ or ""), function


def test_help_shows_commands_and_placeholders_whole(tinywase: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    live = [line.strip() for line in tinywase("live", "--help").out.splitlines()]
    assert "tinywase live -e me.wav -i - -o - --rate 16000 |" in live
    assert "runs/compress-NAME" in tinywase("compress", "--help").out
    assert "MIX..." in tinywase("extract", "--help").out and "A.wav..." in tinywase("enroll", "--help").out


def test_memory_that_is_not_there_is_no_traceback(tinywase: Command, failing: ModuleType) -> None:
    def command() -> NoReturn:
        raise MemoryError("Unable to allocate 4 EiB")

    failing.command = command  # type: ignore[attr-defined]
    result = tinywase("failing")
    assert result.code == 1
    assert "not enough memory (Unable to allocate 4 EiB). Use shorter pieces, or close other programs." in result.err


def test_an_unknown_command_is_a_usage_error(tinywase: Command) -> None:
    result = tinywase("extrct")
    assert result.code == 2
    assert "No such command 'extrct'" in result.err


def test_a_users_error_is_one_line_and_exit_code_1(failing: ModuleType, tinywase: Command) -> None:
    def command() -> NoReturn:
        raise AudioError("a.wav: is broken. Repair it.")

    failing.command = command  # type: ignore[attr-defined]
    result = tinywase("failing")
    assert (result.code, result.out, result.err) == (1, "", "Error: a.wav: is broken. Repair it.\n")


def test_what_the_system_refuses_is_one_line_too(failing: ModuleType, tinywase: Command) -> None:
    def command() -> None:
        Path("/nowhere/at/all").read_bytes()

    failing.command = command  # type: ignore[attr-defined]
    result = tinywase("failing")
    assert result.code == 1
    assert result.err == (
        "Error: '/nowhere/at/all': No such file or directory. Check the disk, the path and its permissions.\n"
    )


def test_a_missing_package_names_the_extra_that_brings_it(failing: ModuleType, tinywase: Command) -> None:
    def command() -> NoReturn:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    failing.command = command  # type: ignore[attr-defined]
    result = tinywase("failing")
    assert result.code == 1
    assert "this needs torch, which is not installed: pip install 'tinywase[train]'" in result.err


def test_an_interrupt_ends_with_130(failing: ModuleType, tinywase: Command) -> None:
    def command() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    failing.command = command  # type: ignore[attr-defined]
    result = tinywase("failing")
    assert (result.code, result.err) == (130, "Interrupted; unfinished files were removed.\n")


def test_what_a_terminal_cannot_show_is_replaced(tmp_path: Path) -> None:
    code = f"from tinywase.cli.main import main; main(['info', '{tmp_path}/音.twase'])"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert result.returncode == 1
    assert b"/?.twase', neither as a file nor by that name" in result.stderr


def test_a_progress_bar_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("[x] b.wav") as progress:
        progress(0.5)
    assert "[x] b.wav" in terminal.getvalue()


def test_the_program_runs_as_a_module_and_tells_its_version() -> None:
    from tinywase import __version__

    command = [sys.executable, "-m", "tinywase", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"tinywase {__version__}\n"
