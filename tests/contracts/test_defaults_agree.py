"""One default, wherever it can be given: command line, Python, configuration, recipe."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import tomllib
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from tinywase.cli.main import COMMANDS
from tinywase.evaluate.run import evaluate as evaluate_run
from tinywase.runtime.extractor import ABSENT, Extractor
from tinywase.runtime.model import RUNTIMES, open_model

RECIPES = sorted((Path(__file__).resolve().parents[2] / "recipes").glob("*.toml"))


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
        ("extract", "keep_highband", Extractor.extract_file, "keep_highband"),
        ("extract", "keep_highband", Extractor.extract, "keep_highband"),
        ("extract", "residual", Extractor.extract_file, "residual"),
        ("extract", "model", Extractor.from_pretrained, "name_or_path"),
        ("extract", "runtime", Extractor.from_pretrained, "runtime"),
        ("extract", "model", open_model, "path_or_name"),
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


def differences(values: dict[str, Any], defaults: dict[str, Any], where: str = "") -> Iterator[str]:
    """Keys of `values` that say what is the default anyway."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from differences(value, defaults[key], f"{where}{key}.")
        elif value == defaults[key] or (isinstance(value, list) and tuple(value) == defaults[key]):
            yield f"{where}{key}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_load_and_name_only_what_differs(path: Path) -> None:
    pytest.importorskip("torch")
    from tinywase.config import CONFIGS
    from tinywase.train.recipe import Recipe, load_recipe

    recipe = load_recipe(path)
    values = tomllib.loads(path.read_text())
    model = values.pop("model", {})
    repeated = list(differences(values, dataclasses.asdict(Recipe())))
    repeated += list(differences({**model, "name": ""}, dataclasses.asdict(CONFIGS[recipe.model.name]), "model."))
    repeated.remove("data.bank") if "data.bank" in repeated else None  # said because every recipe shares it
    assert not repeated, f"{path.name} repeats defaults: {', '.join(repeated)}"
