"""One default, wherever it can be given: on the command line or in Python."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest

from tinywase.cli.main import COMMANDS
from tinywase.evaluate.run import evaluate as evaluate_run
from tinywase.evaluate.systems import open_systems
from tinywase.runtime.extractor import ABSENT, Extractor
from tinywase.runtime.model import RUNTIMES, open_model


def command(name: str) -> Callable[..., Any]:
    module, attribute, _ = COMMANDS[name]
    return getattr(importlib.import_module(f"tinywase.cli.{module}"), attribute)


def default(function: Callable[..., Any], parameter: str) -> Any:
    value = inspect.signature(function).parameters[parameter].default
    return value.value if isinstance(value, Enum) else value


@pytest.mark.parametrize(
    ("name", "option", "function", "parameter"),
    [
        ("extract", "absent", Extractor.extract_file, "absent"),
        ("extract", "force", Extractor.extract_file, "force"),
        ("extract", "highband", Extractor.extract_file, "highband"),
        ("extract", "highband", Extractor.extract, "highband"),
        ("extract", "keep_others_db", Extractor.extract_file, "keep_others_db"),
        ("extract", "keep_others_db", Extractor.extract, "keep_others_db"),
        ("extract", "spatial", Extractor.extract_file, "spatial"),
        ("extract", "spatial", Extractor.extract, "spatial"),
        ("live", "keep_others_db", Extractor.stream, "keep_others_db"),
        ("live", "highband", Extractor.stream, "highband"),
        ("live", "views", Extractor.stream, "views"),
        ("live", "delay", Extractor.stream, "delay_s"),
        ("live", "runtime", Extractor.from_pretrained, "runtime"),
        ("extract", "turns", Extractor.extract_file, "turns"),
        ("extract", "turns", Extractor.extract, "turns"),
        ("extract", "residual", Extractor.extract_file, "residual"),
        ("voices", "model", Extractor.from_pretrained, "name_or_path"),
        ("extract", "runtime", Extractor.from_pretrained, "runtime"),
        ("extract", "views", Extractor.from_pretrained, "views"),
        ("voices", "model", open_model, "path_or_name"),
        ("evaluate", "views", open_systems, "views"),
        ("enroll", "model", Extractor.from_pretrained, "name_or_path"),
        ("demo", "model", Extractor.from_pretrained, "name_or_path"),
        ("evaluate", "jobs", evaluate_run, "jobs"),
    ],
)
def test_command_line_and_python_agree(name: str, option: str, function: Callable[..., Any], parameter: str) -> None:
    assert default(command(name), option) == default(function, parameter)


def test_choices_of_the_command_line_are_those_of_python() -> None:
    from tinywase.cli.extract import Absent, Runtime

    assert {choice.value for choice in Absent} == set(ABSENT)
    assert {choice.value for choice in Runtime} == set(RUNTIMES)
