"""The two objectives of training: extract the enrolled voice, or know voices apart [Hao21].

Letters: S segments, T samples, E samples of an enrollment, F frames, R stacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..activity import activity_label
from ..data.mixing import Mixer
from ..models import Wase
from .losses import SpeakerClassifier, activity_loss, is_lone, signal_loss
from .pairs import partners, together
from .recipe import Recipe

Arrays = dict[str, np.ndarray]
Tensors = dict[str, Tensor]
Logs = dict[str, Tensor]  # numbers to report; reading them would make a GPU wait, so that is left to who reports


def mean_logs(of_steps: Sequence[Logs]) -> Logs:
    """Every number's mean over the steps that have it."""
    names = dict.fromkeys(name for logs in of_steps for name in logs)
    return {name: torch.stack([logs[name].float() for logs in of_steps if name in logs]).mean() for name in names}


class Objective(Protocol):
    """What the loop needs: arrays for a step (made by a loader thread, so no torch), and their loss."""

    def draw(self, rng: np.random.Generator) -> Arrays: ...

    def loss(self, system: TrainedSystem, batch: Tensors, step: float) -> tuple[Tensor, Logs]: ...


class TrainedSystem(nn.Module):
    """Everything with weights to learn: the network and, in training only, the speaker classifier."""

    def __init__(self, model: Wase, voices: Sequence[str], *, margin: float, keep_features: bool = False) -> None:
        super().__init__()
        self.model = model
        self.voices = tuple(voices)  # names of the classifier's classes
        self.keep_features = keep_features  # DistributedDataParallel refuses outputs that enter no loss
        self.classifier = SpeakerClassifier(model.config.voiceprint.dimensions, len(self.voices), margin=margin)

    def forward(self, batch: Tensors) -> dict[str, Any]:
        """One pass, so that DistributedDataParallel sees all of it."""
        enrollments = [batch[key] for key in ("enrollment", "extra_enrollment") if key in batch]
        voiceprints = self.model.enroll(torch.cat(enrollments))
        result: dict[str, Any] = {"voiceprints": voiceprints}
        if "mixture" in batch:
            extraction = self.model(batch["mixture"], voiceprints[: len(batch["mixture"])])
            result["extraction"] = extraction if self.keep_features else replace(extraction, features=())
        if "speaker" in batch:
            result["speaker_loss"] = self.classifier(voiceprints, batch["speaker"])
        return result


@dataclass(frozen=True)
class VoiceprintObjective:
    """The voiceprint encoder alone, by speaker classification; brings it up before the separator depends on it."""

    mixer: Mixer
    recipe: Recipe

    def draw(self, rng: np.random.Generator) -> Arrays:
        recorded, clean, speaker = self.mixer.enrollments(self.recipe.loss.speaker_extra, rng)
        return {"extra_enrollment": recorded, "clean_enrollment": clean, "speaker": speaker}

    def loss(self, system: TrainedSystem, batch: Tensors, step: float) -> tuple[Tensor, Logs]:
        loss = system(batch)["speaker_loss"]
        return loss, {"speaker": loss.detach()}


@dataclass(frozen=True)
class ExtractionObjective:
    """The whole network: signal, activity and speaker losses."""

    mixer: Mixer
    recipe: Recipe

    def draw(self, rng: np.random.Generator) -> Arrays:
        loss, model = self.recipe.loss, self.recipe.model
        batch = self.mixer.batch(self.recipe.optimizer.batch, rng)
        frames = batch.target.shape[1] // model.hop
        label = [activity_label(target, model.sample_rate_hz, model.hop, frames) for target in batch.target]
        arrays = {
            "mixture": batch.mixture,
            "target": batch.target,
            "enrollment": batch.enrollment,
            "clean_enrollment": batch.clean_enrollment,
            "activity": np.stack(label),
        }
        if loss.views:
            arrays["partner"] = partners(batch.mixture)
        if loss.speaker:
            arrays["speaker"] = batch.speaker
            if loss.speaker_extra:
                arrays["extra_enrollment"], _, speaker = self.mixer.enrollments(loss.speaker_extra, rng)
                arrays["speaker"] = np.concatenate([batch.speaker, speaker])
        return arrays

    def loss(self, system: TrainedSystem, batch: Tensors, step: float) -> tuple[Tensor, Logs]:
        return self.losses(system(batch), batch)

    def losses(self, result: dict[str, Any], batch: Tensors) -> tuple[Tensor, Logs]:
        """Total and parts of the loss of one pass."""
        config = self.recipe.loss
        extraction = result["extraction"]
        lone = is_lone(batch["target"], batch["mixture"] - batch["target"])
        signal = (torch.where(lone, config.lone, 1.0) * self._signal_loss(extraction, batch)).mean()
        total = signal
        logs = {"signal": signal.detach()}
        if extraction.activity is not None and config.activity:
            frames = batch["activity"].shape[-1]
            activity = activity_loss(extraction.activity[..., :frames], batch["activity"])
            total = total + config.activity * activity
            logs["activity"] = activity.detach()
        if "speaker_loss" in result:
            total = total + config.speaker * result["speaker_loss"]
            logs["speaker"] = result["speaker_loss"].detach()
        return total, logs

    def _signal_loss(self, extraction: Any, batch: Tensors) -> Tensor:
        """Of every segment, target and everything else together. Shape: -> [S]."""
        config, mixture = self.recipe.loss, batch["mixture"]
        estimate, residual = extraction.estimate.float(), extraction.residual.float()
        loss = self._distance(estimate, residual, batch)
        if config.views:
            both = together(estimate, mixture, batch["partner"], self.recipe.model.sample_rate_hz)
            loss = (1 - config.views) * loss + config.views * self._distance(both, mixture - both, batch)
        return loss

    def _distance(self, estimate: Tensor, residual: Tensor, batch: Tensors) -> Tensor:
        """Of target and everything else from the truth. Shape: -> [S]."""
        config, mixture = self.recipe.loss, batch["mixture"]
        truth = batch["target"], mixture - batch["target"]
        target, rest = (
            signal_loss(config.signal, output, wanted, mixture, ceiling_db=config.ceiling_db)
            for output, wanted in zip((estimate, residual), truth, strict=True)
        )
        return (1 - config.residual) * target + config.residual * rest


def build_objective(recipe: Recipe, mixer: Mixer) -> Objective:
    """The objective that `recipe.objective` names."""
    kind = VoiceprintObjective if recipe.objective == "voiceprint" else ExtractionObjective
    return kind(mixer, recipe)
