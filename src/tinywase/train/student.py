"""The student before it learns: its teacher's weights, quantizers on them, ranges calibrated, ranges frozen.

Letters: S segments, T samples.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import ModelConfig
from ..models import Wase
from ..quant.activation import DynamicRange
from ..quant.adopt import adopt_ranges, adopt_steps
from ..quant.attach import activation_quantizers, attach, float_state, learn_ranges, recording, weight_quantizers
from .beginning import is_state
from .checkpoint import load_checkpoint, put_weights
from .compress_recipe import CompressRecipe
from .cues import with_cues_moved
from .objectives import Objective

log = logging.getLogger(__name__)
CALIBRATION_SEED = 0xCA11B


def quantized_student(recipe: CompressRecipe, teacher: Wase, objective: Objective) -> Wase:
    """The student of a recipe before its first step: weights of the teacher, over them those of `init`, quantizers.

    Quantizers that the last of `init` (without one, the teacher) has too, as a student and a model file do, come with
    what they have learned for its weights.

    Raises:
        FormatError: an `init` that is no checkpoint, or has tensors of other shapes.
    """
    student, fresh = begin_student(recipe.model, teacher)
    if fresh:
        log.info("%d tensors of the student begin at random, such as %s", len(fresh), fresh[0])
    other = teacher
    for path in recipe.init:
        if not is_state(path):
            other = load_checkpoint(path)
            go_on_from(student, other, path)
    attach(student, recipe.quant)
    stacks = recipe.model.stacks
    adopt_steps(student, with_cues_moved(weight_quantizers(other), other.config.stacks, stacks))
    if recipe.ranges == "learned":
        adopt_ranges(student, with_cues_moved(activation_quantizers(other), other.config.stacks, stacks))
        calibrate(student, calibration_batches(objective, recipe))
        learn_ranges(student)
    return student


def begin_student(config: ModelConfig, teacher: Wase) -> tuple[Wase, list[str]]:
    """A network of `config` with all weights of the teacher that fit; returns the names that begin at random.

    A shared stack begins as the teacher's first one, the cue on the summed skips as the teacher's.
    """
    student = Wase(config)
    own, theirs = student.state_dict(), with_cues_moved(float_state(teacher), teacher.config.stacks, config.stacks)
    known = {name: value for name, value in theirs.items() if name in own and own[name].shape == value.shape}
    student.load_state_dict(known, strict=False)
    return student, sorted(set(own) - set(known))


def go_on_from(student: Wase, other: Wase, path: Path | str) -> None:
    """Weights of another network, such as another student's of `path`, over those of the teacher.

    Raises:
        FormatError: a tensor of the same name has another shape.
    """
    weights = with_cues_moved(float_state(other), other.config.stacks, student.config.stacks)
    put_weights(student, weights, path, whose="the student", like="a student of the same widths")


def calibration_batches(objective: Objective, recipe: CompressRecipe) -> Iterator[dict[str, Tensor]]:
    """The same few batches on every process and at every call."""
    for index in range(recipe.calibration_batches):
        arrays = objective.draw(np.random.default_rng((recipe.seed, CALIBRATION_SEED, index)))
        yield {key: torch.from_numpy(value) for key, value in arrays.items()}


@torch.no_grad()
def calibrate(student: Wase, batches: Iterable[dict[str, Tensor]]) -> None:
    """Record the range of every dynamic activation point over some batches, as the packed student will compute."""
    if not any(isinstance(point, DynamicRange) for point in activation_quantizers(student).values()):
        return
    was_training = student.training
    student.eval()
    with recording(student):
        device = student.encoder.weight.device
        for batch in batches:
            student(batch["mixture"].to(device), student.enroll(batch["enrollment"].to(device)))
    student.train(was_training)


def random_network(config: ModelConfig, *, seed: int = 0) -> Wase:
    """A network with random weights of the bell shape that trained ones have, so that its packed size is realistic."""
    generator = torch.Generator().manual_seed(seed)
    model = Wase(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(std=weight[0].numel() ** -0.5, generator=generator)
    return model
