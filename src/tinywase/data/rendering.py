"""From a trial to samples: read, resample, level, sum.

Recipes (`Trial.recipe`):
  files         mixture and target are read as they are and cut to the shorter one
  equal-rms     cut to the shorter source, mean removed, RMS 0.05 each, gains, sum, peak guard 0.99
  equal-peak    cut, mean removed, peak 1 each, gains, sum: the WASE list, section 3 of the paper
  active-level  active level by ITU-T P.56, gains, cut, sum, peak 0.9: wsj0-mix
  librimix      gains, cut to the shortest, sum: the `min` sets of LibriMix
Every recording is resampled by soxr in its HQ quality, also where a recipe's authors used another resampler (LibriMix:
scipy's resample_poly); that changes the band edge, not the level. Channels are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..audio import open_audio
from ..blocks import mono_at
from ..errors import AudioError, DataError
from .active_level import active_level_db
from .trials import RECIPES, RenderedTrial, Trial

SPEECH_RMS = 0.05
PEAK_LIMIT = 0.99


def read_recording(path: Path, sample_rate_hz: int) -> np.ndarray:
    """Samples of a recording at `sample_rate_hz`, channels averaged.

    Shape: float64 [T], because sums and levels follow.
    """
    with open_audio(path) as reader:
        return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=sample_rate_hz).astype(np.float64)


def render_trial(trial: Trial, sample_rate_hz: int) -> RenderedTrial:
    """Mixture, target, interference and enrollment of `trial` at `sample_rate_hz`, exactly as its recipe says.

    The enrollment has its mean removed and RMS 0.05, whatever the recipe.
    """
    if trial.recipe not in RECIPES:
        raise DataError(f"recipe = {trial.recipe!r}: expected one of {', '.join(RECIPES)}.")
    enrollment = _at_rms(read_recording(trial.enrollment, sample_rate_hz), trial.enrollment)
    if trial.recipe == "files":
        mixture, target, interference = _read_finished(trial, sample_rate_hz)
    else:
        mixture, target, interference = _mix(trial, sample_rate_hz)
    return RenderedTrial(
        mixture=mixture.astype(np.float32),
        target=target.astype(np.float32),
        interference=None if interference is None else interference.astype(np.float32),
        enrollment=enrollment.astype(np.float32),
        sample_rate_hz=sample_rate_hz,
    )


def _read_finished(trial: Trial, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if trial.mixture is None:
        raise DataError(f"trial {trial.mixture_id}: no mixture; expected one, because its recipe is 'files'.")
    paths = (trial.mixture, trial.target, *trial.interference)
    mixture, target, *others = _cut([read_recording(path, sample_rate_hz) for path in paths])
    return mixture, target, np.sum(others, axis=0) if others else None


def _mix(trial: Trial, sample_rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target first, then the other speakers, then the noise: level, gain, sum."""
    paths = [trial.target, *trial.interference]
    gains_db = [trial.target_gain_db, *trial.interference_gains_db]
    if len(gains_db) != len(paths):
        raise DataError(
            f"trial {trial.mixture_id}: {len(gains_db) - 1} gains for {len(paths) - 1} interfering sources; expected a "
            "gain for each."
        )
    if trial.noise is not None:
        paths.append(trial.noise)
        gains_db.append(trial.noise_gain_db)
    sources = [read_recording(path, sample_rate_hz) for path in paths]
    if trial.recipe == "active-level":  # wsj0-mix measures whole utterances, then cuts
        sources = [_at_active_level(source, path, sample_rate_hz) for source, path in zip(sources, paths, strict=True)]
    sources = _cut(sources)
    if trial.recipe == "equal-rms":
        sources = [_at_rms(source, path) for source, path in zip(sources, paths, strict=True)]
    elif trial.recipe == "equal-peak":
        sources = [_at_peak(source, path) for source, path in zip(sources, paths, strict=True)]
    sources = [source * 10 ** (gain_db / 20) for source, gain_db in zip(sources, gains_db, strict=True)]
    speakers = 1 + len(trial.interference)
    mixture = np.sum(sources, axis=0)
    interference = np.sum(sources[1:speakers], axis=0) if speakers > 1 else np.zeros_like(mixture)
    scale = _common_scale(trial.recipe, mixture, sources)
    return mixture * scale, sources[0] * scale, interference * scale


def _common_scale(recipe: str, mixture: np.ndarray, sources: Sequence[np.ndarray]) -> float:
    """One factor for the mixture and all that is in it."""
    if recipe == "active-level":
        return 0.9 / max(float(np.abs(signal).max()) for signal in (mixture, *sources))
    peak = float(np.abs(mixture).max())
    return PEAK_LIMIT / peak if recipe == "equal-rms" and peak > PEAK_LIMIT else 1.0


def _cut(signals: Sequence[np.ndarray]) -> list[np.ndarray]:
    shortest = min(len(signal) for signal in signals)
    return [signal[:shortest] for signal in signals]


def _at_rms(samples: np.ndarray, path: Path) -> np.ndarray:
    centered = samples - samples.mean()
    return centered * (SPEECH_RMS / _audible(float(np.sqrt(np.mean(centered**2))), path))


def _at_peak(samples: np.ndarray, path: Path) -> np.ndarray:
    centered = samples - samples.mean()
    return centered / _audible(float(np.abs(centered).max()), path)


def _at_active_level(samples: np.ndarray, path: Path, sample_rate_hz: int) -> np.ndarray:
    return samples / _audible(10 ** (active_level_db(samples, sample_rate_hz) / 20), path)


def _audible(level: float, path: Path) -> float:
    if level < 1e-8:
        raise AudioError(f"{path}: silence; expected speech. Take the row out of the list or record the file again.")
    return level
