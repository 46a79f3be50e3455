"""How the learning rate changes over a training."""

from __future__ import annotations

from .recipe import OptimizerConfig, Recipe


def schedule_position(step: int, train_s: float, recipe: Recipe) -> float:
    """Where the schedule stands, in steps; a training of so many minutes stretches its steps over them."""
    steps = recipe.optimizer.steps
    return min(steps, steps * train_s / (60 * recipe.minutes)) if recipe.minutes else step


def learning_rate_factor(step: float, config: OptimizerConfig) -> float:
    """Warm-up, plateau, linear decay to zero: the plateau lets a training be resumed and prolonged."""
    warmup = (step + 1) / max(1, config.warmup)
    decay = (config.steps - step) / max(1, config.decay)
    return max(0.0, min(1.0, warmup, decay))
