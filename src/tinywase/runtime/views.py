"""Several views of a clip, averaged: frames that begin elsewhere, and everybody else as the one who is wanted.

A network makes its own errors in every view while the voice stays, so a mean of views is nearer to the voice. View k
of N hears the mixture delayed by k h / N samples, h the hop. Even views extract the target. Odd ones extract the
others: a voice enrolled by what the even views left over, half of it by a sample of them where there is one, whose
estimate taken away from the mixture is one of the target too, but where somebody else speaks (unclaimed.py). Where
little is left over there is nobody else, and odd views extract the target like even ones. Their mean is sharpened
(sharpening.py).

Delays alone are Demucs' shift trick (A. Défossez et al., 2019), in denoising cycle spinning (R. R. Coifman and D. L.
Donoho, 1995). What views give and cost: docs/experiments.md 12; samples of the others: 34. Each is a run of the model,
and a stream cannot wait for them: for offline models alone. Letters: T samples, D voiceprint dimensions, F frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from ..activity import prepare_enrollment
from ..arguments import whole_number
from ..config import ModelConfig
from ..errors import AudioError
from .others import nobody_else
from .sharpening import sharpened
from .unclaimed import claimed

Voice = TypeVar("Voice")  # a voiceprint [D] as the model takes it
Activity = TypeVar("Activity")  # [F], or None where a model has none


def check_views(views: int, config: ModelConfig) -> int:
    """The number of views itself, as a plain int.

    Raises:
        ConfigError: less than one, more than a hop has samples, or more than one for a causal model.
    """
    most = 1 if config.causal else config.hop
    because = "a causal model is a stream, which cannot wait for a second view" if config.causal else "its hop"
    return whole_number("views", views, f"1 to {most} for this model ({because})", range(1, most + 1))


@dataclass(frozen=True)
class Views(Generic[Voice, Activity]):
    """One run of a model, and how many of them a clip gets. Shape of a clip: [T], of its activity [F]."""

    extract: Callable[[np.ndarray, Voice], tuple[np.ndarray, Activity]]  # mixture, voiceprint -> estimate, activity
    enroll: Callable[[np.ndarray], Voice]  # the voiceprint of a prepared enrollment
    config: ModelConfig
    count: int
    others: Voice | None = None  # that of everybody else, where somebody enrolled them

    def extracted(self, mixture: np.ndarray, voiceprint: Voice) -> tuple[np.ndarray, Activity]:
        """Estimate and activity: one run as it is, or several, averaged and sharpened."""
        estimate, activity = self.averaged(mixture, voiceprint)
        if self.count > 1:
            estimate = sharpened(estimate, mixture, self.config.sample_rate_hz)
        return estimate, activity

    def averaged(self, mixture: np.ndarray, voiceprint: Voice) -> tuple[np.ndarray, Activity]:
        """The mean of the runs; the activity is that of the first."""
        estimate, activity = self.extract(mixture, voiceprint)
        if self.count == 1:
            return estimate, activity
        even, odd = range(2, self.count, 2), range(1, self.count, 2)
        of_target = (estimate + self._sum(mixture, voiceprint, even)) / np.float32(1 + len(even))
        others = self._others(mixture - of_target, of_target)
        by_odd = self._sum(mixture, voiceprint if others is None else others, odd) / np.float32(len(odd))
        if others is None:
            return (of_target + by_odd) / np.float32(2), activity
        share = claimed(mixture, of_target, by_odd, self.config.sample_rate_hz) / np.float32(2)
        return of_target + share * (mixture - by_odd - of_target), activity

    def _sum(self, mixture: np.ndarray, voice: Voice, numbers: range) -> np.ndarray:
        """Of the views `numbers` of a voice. Shape: -> [T]."""
        total = np.zeros(len(mixture), np.float32)
        for number in numbers:
            delay = number * self.config.hop // self.count
            total += self.extract(np.concatenate([np.zeros(delay, np.float32), mixture]), voice)[0][delay:]
        return total

    def _others(self, left_over: np.ndarray, estimate: np.ndarray) -> Voice | None:
        """The voice of everybody else: what is left over, half of it that of their enrollment if there is one; None
        where there is nobody."""
        if nobody_else(left_over, estimate):
            return None
        try:
            heard = self.enroll(prepare_enrollment(left_over, self.config.sample_rate_hz))
        except AudioError:  # too little speech to be somebody
            return self.others
        return heard if self.others is None else _half_way(heard, self.others)


def _half_way(one: Any, other: Any) -> Any:
    """Between two voices, of NumPy or of torch."""
    return (one + other) / 2
