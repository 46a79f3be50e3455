"""From a teacher to a student of few bits: `loop.Trainer` with a student in it.

Whatever the strategy (compress_recipe.py), activation ranges end up frozen: calibrated over some batches and then
trained on with, so that the packed student computes what was trained. A stopped compression goes on by the same
command.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..config import saved_model_config, to_dict
from ..data.mixing import MixConfig, Mixer
from ..errors import ConfigError, TinyWaseError
from ..files import write_whole
from ..models import Wase
from ..quant.activation import FrozenRange
from ..quant.attach import activation_quantizers, float_state, freeze, set_temperature
from ..quant.base import positive
from ..quant.soft_sigmoid import TEMPERATURE_CAP, TEMPERATURE_STEP
from .beginning import is_state, know_voices, read_state
from .checkpoint import save_weights
from .compress_recipe import CompressRecipe
from .distill import DistillConfig, DistilledExtraction, DistilledVoiceprint, Student
from .loop import Progress, Trainer
from .objectives import ExtractionObjective, Logs, Objective, TrainedSystem, VoiceprintObjective
from .recipe import LossConfig
from .student import calibrate, calibration_batches, quantized_student

log = logging.getLogger(__name__)
SETTINGS = "compression.json"
TABLES = {"mix": MixConfig, "loss": LossConfig, "distill": DistillConfig}  # of the recipe, kept in the settings too
NOBODY = ("nobody",)  # a student that is not asked who speaks


class Compressor(Trainer):
    """A compression that can be stopped at any moment and goes on from its last state."""

    recipe: CompressRecipe
    system: Student

    def __init__(
        self,
        recipe: CompressRecipe,
        teacher: Wase,
        *,
        on_step: Callable[[Progress, Logs], None] | None = None,
    ) -> None:
        recipe.distill.check_pair(teacher.config, recipe.model)
        self.teacher = teacher
        self.guard = DivergenceGuard()
        super().__init__(recipe, on_step=on_step)

    def _build(self, mixer: Mixer) -> tuple[TrainedSystem, Objective]:
        recipe = self.recipe
        self.extraction = ExtractionObjective(mixer, recipe)
        student = quantized_student(recipe, self.teacher, self.extraction)
        self.teacher.to(self.hardware.device)
        system = Student(
            student,
            mixer.voices if recipe.loss.speaker else NOBODY,
            margin=recipe.loss.speaker_margin,
            frozen_voiceprint=recipe.voiceprint_rests,
            keep_features=recipe.distill.features > 0,
        )
        for path in filter(is_state, recipe.init):
            know_voices(system, read_state(path))
        if recipe.objective == "voiceprint":
            return system, DistilledVoiceprint(VoiceprintObjective(mixer, recipe), self.teacher, recipe.distill)
        return system, DistilledExtraction(self.extraction, self.teacher, recipe.distill)

    def _run(self) -> Progress:
        """See `finished` for the student. The settings are written by who holds the folder: those of a compression that
        is refused would take the place of those that the running one goes on by."""
        if self.hardware.leads:
            self._keep_settings()
        return super()._run() if self.recipe.optimizer.steps else self.progress

    def finished(self) -> Wase:
        """The student as it will be packed: averaged, every range frozen."""
        self._freeze()
        return self.averaged_model()

    def averaged_model(self) -> Wase:
        """A copy of the student with averaged weights, which find their levels anew, steps and learned ranges."""
        model = copy.deepcopy(self.system.model)
        model.load_state_dict(self.averaged, strict=False)
        return model.eval()

    def _trained(self) -> dict[str, Tensor]:
        """The parameters: levels, thresholds and constant ranges are as they are."""
        return {name: parameter.detach() for name, parameter in self.system.model.named_parameters()}

    def _step(self, wrapped: Any, batch: dict[str, Tensor]) -> Logs:
        recipe, step = self.recipe, self.progress.position
        steps = max(1, recipe.optimizer.steps)
        sharp = max(1.0, recipe.sharp_from * steps)
        set_temperature(self.system.model, 1 + step / sharp * TEMPERATURE_CAP / TEMPERATURE_STEP)
        if step >= recipe.freeze_from * steps:
            self._freeze()
        logs = super()._step(wrapped, batch)
        if self._looks and "signal" in logs:
            self.guard.see(float(logs["signal"]), self.progress.step, str(recipe.folder))
        return logs

    def _form(self) -> bool:
        assert isinstance(self.objective, DistilledExtraction | DistilledVoiceprint)
        return self.objective.speaks(self.progress.position)

    def _freeze(self) -> None:
        """Calibrate and freeze whatever is not frozen yet."""
        student = self.system.model
        if all(isinstance(point, FrozenRange) for point in activation_quantizers(student).values()):
            return
        calibrate(student, calibration_batches(self.extraction, self.recipe))
        learned = set(self._trained())
        freeze(student)
        self._averaging = self._graphed = None  # they know the points that were there
        ranges = {name: positive(self.averaged.pop(name)) for name in learned - set(self._trained())}
        student.load_state_dict(ranges, strict=False)  # constants from now on, as they were on average

    def _save_weights(self, name: str) -> None:
        facts = {"step": self.progress.step, "dev": self.progress.scores}
        save_weights(self.averaged_model(), self.recipe.folder / name, {"training": json.dumps(facts)})

    def _keep_settings(self) -> None:
        """Write down what is compressed how, and refuse to go on with something else.

        Raises:
            ConfigError: the folder holds another compression, or a training.
        """
        recipe, path = self.recipe, self.recipe.folder / SETTINGS
        data = to_dict(recipe.data)
        settings = {
            "objective": recipe.objective,
            "strategy": recipe.strategy,
            "ranges": recipe.ranges,
            "budget": [recipe.max_size_bytes, recipe.max_drop_db],
            "quant": to_dict(recipe.quant),
            "teacher": to_dict(self.teacher.config),
            "teacher_weights": checksum(self.teacher),
            "student": to_dict(recipe.model),
            "init": list(recipe.init),
            "data": {key: value for key, value in data.items() if not key.startswith("dev")},  # they only judge
            **{name: to_dict(getattr(recipe, name)) for name in TABLES},
        }
        text = json.dumps(settings, indent=2)
        begun = (recipe.folder / "state.pt").exists()
        if begun and not path.exists():
            raise ConfigError(
                f"{recipe.folder} holds a training, not a compression: its state.pt has no {SETTINGS} beside it. "
                "Give this compression another folder with --work."
            )
        if begun:
            now = json.loads(text)
            kept = _kept_settings(read_settings(recipe.folder), now)
            differing = [name for name in now if kept[name] != now[name]]
            if differing:
                raise ConfigError(
                    f"{recipe.folder} holds a compression with other settings ({', '.join(differing)}; see {SETTINGS} "
                    "there). Give this one another folder with --work, or remove that one."
                )
        write_whole(path, text.encode(), force=True)


def checksum(model: Wase) -> str:
    """Of a network's float weights."""
    digest = hashlib.sha256()
    for name, value in sorted(float_state(model).items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_settings(folder: Path) -> dict[str, Any]:
    """What a compression wrote down of itself.

    Raises:
        ConfigError: it is damaged.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text())
        return {**settings, "budget": list(settings["budget"]), "quant": dict(settings["quant"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged ({error!r}), and without it nobody knows what was compressed how. Give this "
            "compression another folder with --work; init = [the old last.safetensors] goes on from what was learned."
        ) from error


def _kept_settings(settings: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What was written down. What an older tinywase did not write is as it is now, fields that it did not know have
    their defaults, and fields that are no longer known are left out."""
    kept: dict[str, Any] = {**now, **settings}
    for name in ("teacher", "student"):
        kept[name] = to_dict(saved_model_config(kept[name]))
    for name, kind in TABLES.items():
        defaults = json.loads(json.dumps(to_dict(kind())))
        kept[name] = {key: kept[name].get(key, default) for key, default in defaults.items()}
    return kept


class DivergenceGuard:
    """Stops a student that only gets worse: its mean loss over some steps far above the best so far."""

    def __init__(self, *, steps: int = 50, margin_db: float = 6.0) -> None:
        self.margin_db = margin_db
        self._best: float | None = None
        self._recent: deque[float] = deque(maxlen=steps)

    def see(self, signal_db: float, step: int, folder: str) -> None:
        """Take note of the signal loss (minus dB) of a step.

        Raises:
            TinyWaseError: the student has diverged.
        """
        self._recent.append(signal_db)
        if len(self._recent) < (self._recent.maxlen or 1):
            return
        mean = float(np.mean(self._recent))
        self._best = mean if self._best is None else min(self._best, mean)
        if mean > self._best + self.margin_db:
            raise TinyWaseError(
                f"the student has diverged at step {step}: its signal loss is {mean:.1f} dB, "
                f"it was {self._best:.1f} dB. "
                f"Lower optimizer.learning_rate or take more bits, remove {folder} and run the same command."
            )
