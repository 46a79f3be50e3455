"""What a training is chosen by: improvement on the dev lists, and whether voiceprints tell unseen speakers apart.

Letters: T samples, D voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..data.activity import prepare_enrollment
from ..data.lists import RenderedTrial, read_trials, render_trial
from ..metrics import si_sdr
from ..models import Wase
from .recipe import DataConfig


def render_dev(config: DataConfig, sample_rate_hz: int) -> dict[str, list[tuple[str, RenderedTrial]]]:
    """(speaker, trial) of every dev list, by the name of the list; the first `dev_trials` of each."""
    rendered = {}
    for path in config.dev:
        trials = read_trials(path, root=config.dev_root or None)[: config.dev_trials]
        rendered[Path(path).stem] = [(t.target_speaker, render_trial(t, sample_rate_hz)) for t in trials]
    return rendered


@torch.no_grad()
def dev_scores(
    model: Wase, lists: dict[str, list[tuple[str, RenderedTrial]]], *, extraction: bool = True
) -> dict[str, float]:
    """`<list>/improvement_db`, `<list>/below_1db_rate`, `<list>/equal_error_rate`, and their means over the lists."""
    was_training = model.training
    model.eval()
    rate_hz = model.config.sample_rate_hz
    scores: dict[str, float] = {}
    for name, trials in lists.items():
        voiceprints = [_voiceprint(model, trial.enrollment, rate_hz) for _, trial in trials]
        spoken = [_voiceprint(model, trial.target, rate_hz) for _, trial in trials]
        speakers = [speaker for speaker, _ in trials]
        scores[f"{name}/equal_error_rate"] = equal_error_rate(np.stack(voiceprints), np.stack(spoken), speakers)
        if extraction:
            gains = [_improvement_db(model, t, v) for (_, t), v in zip(trials, voiceprints, strict=True)]
            scores[f"{name}/improvement_db"] = float(np.mean(gains))
            scores[f"{name}/below_1db_rate"] = float(np.mean(np.array(gains) < 1.0))
    model.train(was_training)
    for key in {key.split("/")[1] for key in scores}:
        scores[key] = float(np.mean([value for label, value in scores.items() if label.endswith(f"/{key}")]))
    return scores


def _voiceprint(model: Wase, audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """Shape: [T] -> [D]."""
    device = model.encoder.weight.device
    return model.enroll(torch.from_numpy(prepare_enrollment(audio, rate_hz))[None].to(device))[0].float().cpu().numpy()


def _improvement_db(model: Wase, trial: RenderedTrial, voiceprint: np.ndarray) -> float:
    device = model.encoder.weight.device
    mixture = torch.from_numpy(trial.mixture)[None].to(device)
    estimate = model(mixture, torch.from_numpy(voiceprint)[None].to(device)).estimate[0].cpu().numpy()
    before = si_sdr(reference=trial.target, estimate=trial.mixture)
    return float(si_sdr(reference=trial.target, estimate=estimate) - before)


def equal_error_rate(enrolled: np.ndarray, spoken: np.ndarray, speakers: Sequence[str]) -> float:
    """Error where as many strangers pass as owners fail, by cosine similarity. Shape: [n, D], [n, D] -> scalar."""
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (enrolled, spoken)]
    similarity = unit[0] @ unit[1].T
    names = np.array(speakers)
    same = names[:, None] == names[None, :]
    own, others = np.sort(similarity[same]), np.sort(similarity[~same])
    if not len(own) or not len(others):
        return float("nan")
    thresholds = np.concatenate([own, others])
    misses = np.searchsorted(own, thresholds, side="left") / len(own)
    false_alarms = 1 - np.searchsorted(others, thresholds, side="left") / len(others)
    best = np.argmin(np.abs(misses - false_alarms))
    return float((misses[best] + false_alarms[best]) / 2)
