"""How the learning rate and the losses change over a training."""

from __future__ import annotations

from .recipe import LossConfig, OptimizerConfig, Recipe


def schedule_position(step: int, train_s: float, recipe: Recipe) -> float:
    """Where the schedules stand, in steps; a training of so many minutes stretches its steps over them."""
    steps = recipe.optimizer.steps
    return min(steps, steps * train_s / (60 * recipe.minutes)) if recipe.minutes else step


def learning_rate_factor(step: float, config: OptimizerConfig) -> float:
    """Warm-up, plateau, linear decay to zero: the plateau lets a training be resumed and prolonged."""
    warmup = (step + 1) / max(1, config.warmup)
    decay = (config.steps - step) / max(1, config.decay)
    return max(0.0, min(1.0, warmup, decay))


def ordered_share(step: float, config: LossConfig) -> float:
    """Share of the ordered loss; the permutation-free one has the rest.

    A network that cannot separate yet learns nothing from the ordered loss (docs/experiments.md), one that may choose
    the order itself never learns whose voice is wanted; so the one hands over to the other.
    """
    if step >= config.ordered_until:
        return 1.0
    progress = (step - config.ordered_from) / max(1, config.ordered_until - config.ordered_from)
    return config.ordered_least + (1.0 - config.ordered_least) * max(0.0, progress)
