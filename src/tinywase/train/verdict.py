"""What a compression gave: the packed student, run by the package's own runtime, beside its teacher.

Letters: T samples, D voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..activity import prepare_enrollment
from ..data.trials import RenderedTrial
from ..evaluate.statistics import SEED, Mean, bootstrap_mean
from ..format import Report, inspect
from ..models import Wase
from ..runtime.model import PackedModel
from .compress import Compressor
from .dev import improvement_db

DRAWN_TRIALS, DRAWN_SEED = 24, 0xE7A1


@dataclass(frozen=True)
class Verdict:
    """Sizes and SI-SDR improvements; the difference is student minus teacher, trial by trial."""

    report: Report
    teacher_bytes: int  # all of its parameters in float32
    teacher_db: Mean
    student_db: Mean
    difference_db: Mean
    measured_on: str


def judge(compressor: Compressor, path: Path, *, progress: Callable[[float], None] = lambda done: None) -> Verdict:
    """Evaluate the packed student at `path` and its teacher on the dev lists, or on mixtures drawn where there are
    none. Targets that are absent or alone have no improvement and do not count."""
    teacher, student = compressor.teacher.cpu().eval(), PackedModel.load(path)
    trials, measured_on = _trials(compressor)
    gains = np.zeros((len(trials), 2))
    for done, trial in enumerate(trials, 1):
        for column, extract in enumerate((_float_estimate(teacher, trial), _packed_estimate(student, trial))):
            gains[done - 1, column] = improvement_db(trial, extract)
        progress(done / len(trials))
    return Verdict(
        report=inspect(path),
        teacher_bytes=4 * sum(parameter.numel() for parameter in teacher.parameters()),
        teacher_db=_mean(gains[:, 0]),
        student_db=_mean(gains[:, 1]),
        difference_db=_mean(gains[:, 1] - gains[:, 0]),
        measured_on=f"{np.isfinite(gains[:, 0]).sum()} {measured_on}",
    )


def _mean(values: np.ndarray) -> Mean:
    return bootstrap_mean(values, np.random.default_rng(SEED))


def _trials(compressor: Compressor) -> tuple[Sequence[RenderedTrial], str]:
    if compressor.dev:
        trials = [one.audio for trials in compressor.dev.values() for one in trials]
        return trials, f"trials of {', '.join(compressor.dev)}"
    rate_hz = compressor.recipe.model.sample_rate_hz
    batch = compressor.extraction.mixer.batch(DRAWN_TRIALS, np.random.default_rng(DRAWN_SEED))
    parts = zip(batch.mixture, batch.target, batch.interference, batch.enrollment, strict=True)
    drawn = [RenderedTrial(*sounds, rate_hz) for sounds in parts]
    return drawn, "mixtures of the training voices (no dev lists given)"


@torch.inference_mode()
def _float_estimate(model: Wase, trial: RenderedTrial) -> np.ndarray:
    """Shape: -> [T]."""
    enrollment = prepare_enrollment(trial.enrollment, model.config.sample_rate_hz)
    voiceprint = model.enroll(torch.from_numpy(enrollment)[None])
    return model(torch.from_numpy(trial.mixture)[None], voiceprint).estimate[0].numpy()


def _packed_estimate(model: PackedModel, trial: RenderedTrial) -> np.ndarray:
    """Shape: -> [T]."""
    voiceprint = model.enroll(prepare_enrollment(trial.enrollment, model.config.sample_rate_hz))
    return model.extract(trial.mixture, voiceprint)[0]
