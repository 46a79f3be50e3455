"""What can be evaluated: packed models, training checkpoints, the floor, the ceiling, or any function of one's own.

A system is bound to a trial once (there a model enrolls the speaker) and then extracts from its mixture; only the
second step counts for the real-time factor. Letters: T samples, F activity frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..activity import prepare_enrollment
from ..data.trials import RenderedTrial
from ..runtime.views import Views, check_views
from ..words import told_apart
from .oracle import oracle_estimate

FLOOR, CEILING = "mixture", "oracle"
DEFAULT_RATE_HZ = 8000  # of the floor and the ceiling where no model says otherwise


@dataclass(frozen=True)
class SystemOutput:
    """What a system returns for one mixture."""

    estimate: np.ndarray  # [T]
    activity: np.ndarray | None = None  # [F] 0..1; None where the system has no opinion
    hop_samples: int = 1  # between activity frames; frame f is centred on sample f * hop_samples


@dataclass(frozen=True)
class System:
    """A name, the rate it works at, and `bind`, which makes it ready for the speaker of one trial."""

    name: str
    sample_rate_hz: int
    bind: Callable[[RenderedTrial], Callable[[np.ndarray], SystemOutput]]
    runtime: str = "python"  # what the real-time factor is that of: native, reference, torch, or a function


def open_systems(names: Sequence[str], *, views: int | None = None) -> list[System]:
    """The systems called `mixture`, `oracle`, a bundled model, a .twase file or a .safetensors checkpoint.

    The floor and the ceiling work at the rate of the first model. Two systems of one name get their full paths.

    Args:
        views: runs over a mixture, averaged (runtime/views.py). None: as many as a file's card advises, one for
            checkpoints.

    Raises:
        TinyWaseError: an unknown or unusable model, or views that a model cannot have.
    """
    opened = {name: _open_model(name, views) for name in names if name not in (FLOOR, CEILING)}
    rate_hz = next((system.sample_rate_hz for system in opened.values()), DEFAULT_RATE_HZ)
    systems = [opened[name] if name in opened else _without_model(name, rate_hz) for name in names]
    shown = told_apart([system.name for system in systems], names)
    return [replace(system, name=name) for name, system in zip(shown, systems, strict=True)]


def function_system(
    name: str, function: Callable[[np.ndarray, np.ndarray, int], np.ndarray], *, sample_rate_hz: int = DEFAULT_RATE_HZ
) -> System:
    """Any function (mixture [T], enrollment [T_e], sample_rate_hz) -> estimate [T] as a system."""

    def bind(trial: RenderedTrial) -> Callable[[np.ndarray], SystemOutput]:
        return lambda mixture: SystemOutput(np.asarray(function(mixture, trial.enrollment, sample_rate_hz)))

    return System(name, sample_rate_hz, bind)


def _without_model(name: str, rate_hz: int) -> System:
    """The untouched mixture or the oracle mask."""
    if name == FLOOR:
        return System(name, rate_hz, lambda trial: SystemOutput)

    def bind(trial: RenderedTrial) -> Callable[[np.ndarray], SystemOutput]:
        return lambda mixture: SystemOutput(
            oracle_estimate(mixture=mixture, target=trial.target, sample_rate_hz=trial.sample_rate_hz)
        )

    return System(name, rate_hz, bind)


def _open_model(name: str, views: int | None) -> System:
    return _checkpoint(Path(name), views) if name.endswith(".safetensors") else _packed_model(name, views)


def _packed_model(name: str, views: int | None) -> System:
    """A .twase file by path or bundled name, run by the package's own runtime."""
    from ..runtime.model import open_model

    model = open_model(name, views=views)
    config = model.config

    def bind(trial: RenderedTrial) -> Callable[[np.ndarray], SystemOutput]:
        voiceprint = model.enroll(prepare_enrollment(trial.enrollment, config.sample_rate_hz))

        def extract(mixture: np.ndarray) -> SystemOutput:
            estimate, activity = model.extract(mixture, voiceprint)
            return SystemOutput(estimate, None if config.cues == "voiceprint" else activity, config.hop)

        return extract

    return System(model.path.stem, config.sample_rate_hz, bind, runtime=model.runtime_name)


def _checkpoint(path: Path, views: int | None) -> System:
    """Weights of a training, run by torch; a student's with its quantizers."""
    import torch

    from ..train.checkpoint import load_checkpoint

    model = load_checkpoint(path)
    config = model.config
    count = check_views(1 if views is None else views, config)

    def enroll(enrollment: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return model.enroll(torch.from_numpy(enrollment)[None])

    def once(mixture: np.ndarray, voiceprint: torch.Tensor) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.inference_mode():
            extraction = model(torch.from_numpy(mixture)[None], voiceprint)
            logits = extraction.activity  # [1, R+1, F]
            activity = None if logits is None else torch.sigmoid(logits[0].mean(0)).numpy()
        return extraction.estimate[0].numpy(), activity

    runs = Views(once, enroll, config, count)

    def bind(trial: RenderedTrial) -> Callable[[np.ndarray], SystemOutput]:
        voiceprint = enroll(prepare_enrollment(trial.enrollment, config.sample_rate_hz))

        def extract(mixture: np.ndarray) -> SystemOutput:
            return SystemOutput(*runs.extracted(mixture, voiceprint), config.hop)

        return extract

    return System(path.stem, config.sample_rate_hz, bind, runtime="torch")
