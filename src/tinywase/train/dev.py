"""What a training is chosen by: improvement on the dev lists, and whether voiceprints tell unseen speakers apart.

Letters: T samples, D voiceprint dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..activity import prepare_enrollment
from ..data.lists import RenderedTrial, Trial, read_trials, render_trial
from ..errors import AudioError
from ..metrics import LIMIT_DB, limited, si_sdr
from ..models import Wase
from ..words import told_apart
from .recipe import DataConfig


@dataclass(frozen=True)
class DevTrial:
    """A trial of a dev list and its samples."""

    trial: Trial
    audio: RenderedTrial


def render_dev(config: DataConfig, sample_rate_hz: int) -> dict[str, list[DevTrial]]:
    """Every dev list by its name; the first `dev_trials` of each.

    Raises:
        AudioError: an enrollment with too little speech, found here and not hours into the training.
    """
    rendered = {}
    names = told_apart([Path(path).stem for path in config.dev], config.dev)
    for path, name in zip(config.dev, names, strict=True):
        trials = read_trials(path, root=config.dev_root or None)[: config.dev_trials]
        rendered[name] = [_rendered(path, trial, sample_rate_hz) for trial in trials]
    return rendered


def _rendered(path: str, trial: Trial, sample_rate_hz: int) -> DevTrial:
    audio = render_trial(trial, sample_rate_hz)
    try:
        prepare_enrollment(audio.enrollment, sample_rate_hz)
    except AudioError as error:
        raise AudioError(f"{path}, line {trial.line}, '{trial.enrollment}': {error}") from error
    return DevTrial(trial, audio)


@torch.no_grad()
def dev_scores(model: Wase, lists: Mapping[str, Sequence[DevTrial]], *, extraction: bool = True) -> dict[str, float]:
    """`<list>/improvement_db`, `<list>/below_1db_rate`, `<list>/equal_error_rate`, and their means over the lists.

    Trials that cannot tell (improvement_db) are left out; a score that no trial tells is nan.
    """
    was_training = model.training
    model.eval()
    scores: dict[str, float] = {}
    for name, trials in lists.items():
        voiceprints = [_voiceprint(model, one.audio.enrollment) for one in trials]
        scores[f"{name}/equal_error_rate"] = _equal_error_rate(model, trials, voiceprints)
        if extraction:
            gains = np.array([_gain_db(model, t.audio, v) for t, v in zip(trials, voiceprints, strict=True)])
            scores[f"{name}/improvement_db"] = _mean(gains)
            scores[f"{name}/below_1db_rate"] = _mean(np.where(np.isnan(gains), np.nan, gains < 1.0))
    model.train(was_training)
    for key in {key.split("/")[1] for key in scores}:
        scores[key] = _mean(np.array([value for label, value in scores.items() if label.endswith(f"/{key}")]))
    return scores


def improvement_db(trial: RenderedTrial, estimate: np.ndarray) -> float:
    """SI-SDR improvement; nan where the target is absent or alone, so that there is nothing to improve."""
    before, after = (limited(si_sdr(reference=trial.target, estimate=one)) for one in (trial.mixture, estimate))
    return math.nan if before >= LIMIT_DB else after - before


def _mean(values: np.ndarray) -> float:
    """Of those that are numbers; nan where none is. Shape: [n] -> scalar."""
    told = values[~np.isnan(values)]
    return float(told.mean()) if len(told) else math.nan


def _voiceprint(model: Wase, audio: np.ndarray) -> np.ndarray:
    """Shape: [T] -> [D].

    Raises:
        AudioError: too little speech.
    """
    device, rate_hz = model.encoder.weight.device, model.config.sample_rate_hz
    return model.enroll(torch.from_numpy(prepare_enrollment(audio, rate_hz))[None].to(device))[0].float().cpu().numpy()


def _gain_db(model: Wase, trial: RenderedTrial, voiceprint: np.ndarray) -> float:
    device = model.encoder.weight.device
    mixture = torch.from_numpy(trial.mixture)[None].to(device)
    estimate = model(mixture, torch.from_numpy(voiceprint)[None].to(device)).estimate[0].cpu().numpy()
    return improvement_db(trial, estimate)


def _equal_error_rate(model: Wase, trials: Sequence[DevTrial], enrolled: Sequence[np.ndarray]) -> float:
    """Of all enrollments against all targets, as a target were an enrollment; those with too little speech are left
    out, and so are pairs that are one recording."""
    spoken: list[np.ndarray] = []
    heard: list[Trial] = []
    for one in trials:
        try:
            spoken.append(_voiceprint(model, one.audio.target))
        except AudioError:
            continue
        heard.append(one.trial)
    if not spoken:
        return math.nan
    pairs = [[(one.trial, other) for other in heard] for one in trials]
    same = np.array([[a.target_speaker == b.target_speaker for a, b in row] for row in pairs])
    counted = np.array([[a.enrollment.resolve() != b.target.resolve() for a, b in row] for row in pairs])
    return equal_error_rate(np.stack(enrolled), np.stack(spoken), same, counted)


def equal_error_rate(enrolled: np.ndarray, spoken: np.ndarray, same: np.ndarray, counted: np.ndarray) -> float:
    """Error where as many strangers pass as owners fail, by cosine similarity.

    Shape: enrolled [n, D], spoken [m, D], bool [n, m] whether a pair is of one speaker, and whether it counts -> scalar
    """
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (enrolled, spoken)]
    similarity = unit[0] @ unit[1].T
    own, others = np.sort(similarity[same & counted]), np.sort(similarity[~same & counted])
    if not len(own) or not len(others):
        return float("nan")
    thresholds = np.concatenate([own, others])
    misses = np.searchsorted(own, thresholds, side="left") / len(own)
    false_alarms = 1 - np.searchsorted(others, thresholds, side="left") / len(others)
    best = np.argmin(np.abs(misses - false_alarms))
    return float((misses[best] + false_alarms[best]) / 2)
