"""Mixed widths for a compression: measure the student's sensitivity once, choose, and remember the choice with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..models import Wase
from .compress import SETTINGS, read_settings
from .compress_recipe import CompressRecipe
from .objectives import ExtractionObjective
from .sensitivity import Budget, choose_widths, measure, other_bytes
from .source import open_mixer
from .student import begin_student, calibration_batches


def meet_budget(
    recipe: CompressRecipe, teacher: Wase, *, float_kind: str, progress: Callable[[float], None] = lambda done: None
) -> CompressRecipe:
    """The recipe with bits for every tensor, if it names a budget; those chosen before where a compression goes on.

    Raises:
        ConfigError: a budget that cannot be met; says the smallest that can.
    """
    if not (recipe.max_size_bytes or recipe.max_drop_db):
        return recipe
    overrides = _chosen_before(recipe) or _choose(recipe, teacher, float_kind, progress)
    return replace(recipe, quant=replace(recipe.quant, overrides=overrides))


def _chosen_before(recipe: CompressRecipe) -> tuple[tuple[str, int], ...]:
    """The widths of a compression with the same budget that was stopped."""
    if not (recipe.folder / "state.pt").exists() or not (recipe.folder / SETTINGS).exists():
        return ()
    settings = read_settings(recipe.folder)
    if settings["budget"] != [recipe.max_size_bytes, recipe.max_drop_db]:
        return ()
    return tuple((name, bits) for name, bits in settings["quant"]["overrides"])


def _choose(
    recipe: CompressRecipe, teacher: Wase, float_kind: str, progress: Callable[[float], None]
) -> tuple[tuple[str, int], ...]:
    student, _ = begin_student(recipe.model, teacher)
    mixer = open_mixer(recipe.data, recipe.mix, recipe.model.sample_rate_hz)
    batches = list(calibration_batches(ExtractionObjective(mixer, recipe), recipe))
    widths = choose_widths(
        measure(student, batches, recipe.quant, progress=progress),
        {name: tuple(value.shape) for name, value in student.named_parameters()},
        Budget(recipe.max_size_bytes or None, recipe.max_drop_db or None),
        other_bytes=other_bytes(student, recipe.quant, float_kind=float_kind),
        per_channel=recipe.quant.per_channel,
    )
    return widths.overrides
