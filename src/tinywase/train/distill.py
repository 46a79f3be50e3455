"""Distillation: a student learns what its teacher hears, beside or instead of the true target [Huang22].

    loss = the teacher's own training loss + estimate * (-SI-SNR between the estimates of teacher and student)
         + features * (distance of the features at the end of each stack)
         + voiceprint * (1 - cosine of the voiceprints)

The teacher may be another network, so long as both work at one rate and on one voiceprint encoder: estimates are
compared sample by sample. Features need the same frames, and are compared per channel where the widths agree, else by
their energy per frame. Letters: S segments, C bottleneck channels, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import parametrize

from ..config import ModelConfig
from ..errors import ConfigError
from ..models import Wase
from ..quant.attach import match_ranges
from .losses import si_snr
from .objectives import Arrays, ExtractionObjective, Logs, Tensors, TrainedSystem, VoiceprintObjective


@dataclass(frozen=True)
class DistillConfig:
    """Weights of the losses, and when the teacher begins to speak."""

    estimate: float = 0.2  # the paper's
    features: float = 0.0
    voiceprint: float = 1.0  # cosine distance of the voiceprints, where the student's encoder is quantized
    begin: float = 0.0  # part of the steps before which the teacher is silent; 1: it never speaks

    def __post_init__(self) -> None:
        if not 0 <= self.begin <= 1:
            raise ConfigError(f"distill.begin = {self.begin}: expected a part of the steps between 0 and 1.")
        for name in ("estimate", "features", "voiceprint"):
            if getattr(self, name) < 0:
                raise ConfigError(f"distill.{name} = {getattr(self, name)}: expected a weight of 0 or more.")

    def check_pair(self, teacher: ModelConfig, student: ModelConfig) -> None:
        """Refuse a teacher that this student cannot learn from.

        Raises:
            ConfigError: another rate, another voiceprint encoder, or frames that cannot be compared.
        """
        framed = ["window", "overlap"] if self.features else []
        for name in ["sample_rate_hz", "voiceprint", *framed]:
            theirs, ours = getattr(teacher, name), getattr(student, name)
            if theirs != ours:
                raise ConfigError(
                    f"the teacher '{teacher.name}' has {name} = {theirs}, the student {ours}: expected the same. "
                    "Take a teacher of this configuration, or leave the student's [model] out of the recipe."
                )


class Student(TrainedSystem):
    """A network in training whose weights may be quantized, and whose voiceprint encoder may stay as it is."""

    def __init__(
        self, model: Wase, voices: Sequence[str], *, margin: float, frozen_voiceprint: bool, keep_features: bool
    ) -> None:
        super().__init__(model, voices, margin=margin, keep_features=keep_features)
        self.frozen_voiceprint = frozen_voiceprint
        if frozen_voiceprint:
            model.voiceprint_encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Student:
        super().train(mode)
        if self.frozen_voiceprint:
            self.model.voiceprint_encoder.eval()  # no dropout in what does not learn
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Also of a student whose ranges were frozen when it was saved."""
        match_ranges(self.model, {key.removeprefix("model."): value for key, value in state_dict.items()})
        return super().load_state_dict(state_dict, strict, assign)

    def forward(self, batch: Tensors) -> dict[str, Any]:
        with parametrize.cached():  # a shared weight is quantized once a pass, not once a use
            return super().forward(batch)


class DistilledVoiceprint:
    """The voiceprint encoder alone: of enrollments as recorded it says what the teacher says of them clean, so that a
    separator that reads the teacher's voiceprints reads these. `loss.speaker` has it tell voices apart as well.
    """

    def __init__(self, base: VoiceprintObjective, teacher: Wase, config: DistillConfig) -> None:
        config.check_pair(teacher.config, base.recipe.model)
        self.base, self.config = base, config
        self.teacher = teacher.eval().requires_grad_(False)

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Arrays for a step."""
        arrays = self.base.draw(rng)
        return arrays if self.base.recipe.loss.speaker else {k: v for k, v in arrays.items() if k != "speaker"}

    def loss(self, system: TrainedSystem, batch: Tensors, step: float) -> tuple[Tensor, Logs]:
        """Total and parts of the loss of a step."""
        result = system(batch)
        with torch.no_grad():
            theirs = self.teacher.enroll(batch["clean_enrollment"])
        distance = voiceprint_distance(result["voiceprints"], theirs)
        total, logs = self.config.voiceprint * distance, {"teacher_voiceprint": distance.detach()}
        if "speaker_loss" in result:
            total = total + self.base.recipe.loss.speaker * result["speaker_loss"]
            logs["speaker"] = result["speaker_loss"].detach()
        return total, logs

    def speaks(self, step: float) -> bool:
        """Whether the teacher is heard at a step."""
        return True


class DistilledExtraction:
    """The extraction objective with a teacher beside the truth. The teacher is enrolled by clean recordings."""

    def __init__(self, base: ExtractionObjective, teacher: Wase, config: DistillConfig) -> None:
        config.check_pair(teacher.config, base.recipe.model)
        self.base, self.config = base, config
        self.teacher = teacher.eval().requires_grad_(False)
        self.begin_step = round(config.begin * base.recipe.optimizer.steps)

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Arrays for a step."""
        return self.base.draw(rng)

    def loss(self, system: TrainedSystem, batch: Tensors, step: float) -> tuple[Tensor, Logs]:
        """Total and parts of the loss of a step."""
        result = system(batch)
        total, logs = self.base.losses(result, batch)
        if self.speaks(step):
            for name, weight, value in self._distances(result, batch):
                total = total + weight * value
                logs[f"teacher_{name}"] = value.detach()
        return total, logs

    def speaks(self, step: float) -> bool:
        """Whether the teacher is heard at a step."""
        return self.config.begin < 1 and step >= self.begin_step

    def _distances(self, result: dict[str, Any], batch: Tensors) -> Iterator[tuple[str, float, Tensor]]:
        """Name, weight and value of each distance from the teacher."""
        config, ours = self.config, result["extraction"]
        with torch.no_grad():
            voiceprint = self.teacher.enroll(batch["clean_enrollment"])
        if config.estimate or config.features:
            with torch.no_grad():
                theirs = self.teacher(batch["mixture"], voiceprint)
            if config.estimate:
                yield "estimate", config.estimate, -si_snr(ours.estimate.float(), theirs.estimate.float()).mean()
            if config.features:
                pairs = list(zip(reversed(ours.features), reversed(theirs.features), strict=False))
                yield "features", config.features, torch.stack([feature_distance(a, b) for a, b in pairs]).mean()
        if config.voiceprint and result["voiceprints"].requires_grad:
            ours_v = result["voiceprints"][: len(voiceprint)]
            yield "voiceprint", config.voiceprint, voiceprint_distance(ours_v, voiceprint)


def voiceprint_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus their cosine, on average. Shape: [S, D], [S, D] -> scalar."""
    return (1 - functional.cosine_similarity(student.float(), teacher.float())).mean()


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance over the teacher's power: of the features, or of their energies per frame where widths differ.

    Shape: [S, C, F], [S, C', F] -> scalar
    """
    student, teacher = student.float(), teacher.float()
    if student.shape[1] != teacher.shape[1]:
        student, teacher = (functional.normalize(x.square().mean(1), dim=-1) for x in (student, teacher))  # [S, F]
    return (student - teacher).square().sum() / teacher.square().sum().clamp_min(1e-12)
