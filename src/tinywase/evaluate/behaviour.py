"""What a model does beyond clean mixtures of two: every condition on some trials, through the way in that users take.

Values of a row, by name (see score.py for the first ones; nan where a value has no meaning): `si_sdr`,
`si_sdr_improvement`, `below_1db`, `confused`, `interference_si_sdr`; `heard`, 1 where the target is said to be present;
`confidence`; `leak_db`, level of the output below the mixture's, where the target is silent or absent; `lone_si_sdr`,
SI-SDR where only the target speaks (dialogues); `activity_f1` (dialogues); `rtf`. Letters: T samples.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..activity import FRAME_S, frame_levels
from ..data.trials import RenderedTrial, Trial
from ..metrics import LIMIT_DB, activity_f1, limited, si_sdr
from ..runtime.extractor import Extractor
from ..runtime.presence import Presence
from ..runtime.results import Extraction, ExtractionReport
from .conditions import CONDITIONS, Condition, render_condition, rms
from .dialogue import render_dialogue
from .score import Row, speaker_values
from .statistics import Group, group_of

DIALOGUE = "dialogue"
DIALOGUE_S = 600.0
TRIALS_PER_DIALOGUE = 20
SEED = 5


@dataclass(frozen=True)
class Measured:
    """One condition and what came of it."""

    name: str
    title: str
    rows: tuple[Row, ...]

    @property
    def group(self) -> Group:
        """Means with intervals."""
        return group_of(self.rows)


def measure(
    extractor: Extractor,
    name: str,
    trials: Sequence[Trial],
    *,
    count: int,
    seed: int = SEED,
    progress: Callable[[float], None] = lambda done: None,
) -> Measured:
    """The condition `name`: one of CONDITIONS on `count` trials, or DIALOGUE, of which fewer are enough."""
    if name == DIALOGUE:
        dialogues = max(1, count // TRIALS_PER_DIALOGUE)
        return measure_dialogues(extractor, trials, count=dialogues, seconds=DIALOGUE_S, seed=seed, progress=progress)
    condition = next(condition for condition in CONDITIONS if condition.name == name)
    return measure_condition(extractor, condition, trials, count=count, seed=seed, progress=progress)


def measure_condition(
    extractor: Extractor,
    condition: Condition,
    trials: Sequence[Trial],
    *,
    count: int,
    seed: int = SEED,
    progress: Callable[[float], None] = lambda done: None,
) -> Measured:
    """`count` trials, evenly spread over the list, under one condition."""
    rate_hz = extractor.sample_rate_hz
    rows = []
    for done, position in enumerate(spread(len(trials), count), start=1):
        audio = render_condition(condition, trials, position, rate_hz=rate_hz, seed=seed)
        voiceprint = extractor.enroll(audio.enrollment, sample_rate_hz=rate_hz)
        start = time.process_time()
        found = extractor.extract(audio.mixture, voiceprint, sample_rate_hz=rate_hz)
        took_s = time.process_time() - start
        values = _values(audio, found.estimate) | _verdict(found)
        rows.append(_row(position, trials[position], condition.name, audio, values, took_s))
        progress(done / count)
    return Measured(condition.name, condition.title, tuple(rows))


def measure_dialogues(
    extractor: Extractor,
    trials: Sequence[Trial],
    *,
    count: int,
    seconds: float,
    seed: int = SEED,
    progress: Callable[[float], None] = lambda done: None,
) -> Measured:
    """`count` dialogues of so many seconds, as files and in bounded memory, as hours of a meeting would be."""
    rows = []
    for done, position in enumerate(spread(len(trials), count), start=1):
        audio = render_dialogue(trials, position, rate_hz=extractor.sample_rate_hz, seed=seed, seconds=seconds)
        with tempfile.TemporaryDirectory() as folder:
            values, took_s = _through_files(extractor, audio, Path(folder))
        rows.append(_row(position, trials[position], DIALOGUE, audio, values, took_s))
        progress(done / count)
    return Measured(DIALOGUE, f"a dialogue of {seconds / 60:g} minutes", tuple(rows))


def spread(length: int, count: int) -> list[int]:
    """At most `count` positions of a list, the first and the last among them.

    >>> spread(10, 4), spread(2, 4)
    ([0, 3, 6, 9], [0, 1])
    """
    return sorted({int(position) for position in np.linspace(0, length - 1, min(count, length))})


def _through_files(extractor: Extractor, audio: RenderedTrial, folder: Path) -> tuple[dict[str, float], float]:
    import soundfile

    rate_hz = audio.sample_rate_hz
    paths = {name: folder / f"{name}.wav" for name in ("mixture", "estimate")}
    soundfile.write(paths["mixture"], audio.mixture, rate_hz, subtype="FLOAT")
    voiceprint = extractor.enroll(audio.enrollment, sample_rate_hz=rate_hz)
    start = time.process_time()
    report = extractor.extract_file(paths["mixture"], paths["estimate"], voiceprint)
    took_s = time.process_time() - start
    estimate, _ = soundfile.read(paths["estimate"], dtype="float32")
    values = _values(audio, estimate) | _verdict(report)
    speaks, others = (_sounding(x, rate_hz) for x in (audio.target, audio.mixture - audio.target))
    lone = np.repeat(speaks & ~others, _frame_samples(rate_hz))[: len(estimate)]
    lone_si_sdr = si_sdr(reference=audio.target[lone], estimate=estimate[lone]) if lone.any() else math.nan
    values["lone_si_sdr"] = limited(lone_si_sdr)
    cells_s = (np.arange(len(report.activity)) + 0.5) * report.activity_hop_s
    frames = np.minimum((cells_s * rate_hz / _frame_samples(rate_hz)).astype(int), len(speaks) - 1)
    values["activity_f1"] = activity_f1(label=speaks[frames].astype(np.float32), activity=report.activity)
    return values, took_s


def _values(audio: RenderedTrial, estimate: np.ndarray) -> dict[str, float]:
    """What can be said of an estimate under any condition."""
    before, after = (limited(si_sdr(reference=audio.target, estimate=x)) for x in (audio.mixture, estimate))
    lone = audio.interference is not None and not audio.interference.any()
    improvement = math.nan if lone else after - before  # a target alone leaves nothing to improve
    values = {"si_sdr": after, "si_sdr_improvement": improvement}
    values |= speaker_values(audio, estimate, si_sdr_improvement=improvement)
    silent = np.repeat(~_sounding(audio.target, audio.sample_rate_hz), _frame_samples(audio.sample_rate_hz))
    return values | {"leak_db": _level_db(estimate, audio.mixture, silent[: len(estimate)])}


def _level_db(estimate: np.ndarray, mixture: np.ndarray, where: np.ndarray) -> float:
    """Level of the estimate against the mixture's in some samples; nan where there are none or all are silent."""
    if not mixture[where].any():
        return math.nan
    left = rms(estimate[where])
    return limited(20 * math.log10(left / rms(mixture[where]))) if left > 0 else -LIMIT_DB


def _verdict(found: Extraction | ExtractionReport) -> dict[str, float]:
    confidence = math.nan if found.confidence is None else found.confidence
    return {"heard": float(found.presence is Presence.PRESENT), "confidence": confidence}


def _row(position: int, trial: Trial, name: str, audio: RenderedTrial, values: dict[str, float], took_s: float) -> Row:
    duration_s = len(audio.mixture) / audio.sample_rate_hz
    values |= {"rtf": took_s / duration_s}
    return Row(position, trial.mixture_id, trial.sexes, name, duration_s, took_s, values, trial.speakers)


def _frame_samples(rate_hz: int) -> int:
    return round(FRAME_S * rate_hz)


def _sounding(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Which frames are not digital silence. Shape: [T] -> bool [frames]."""
    return frame_levels(samples, _frame_samples(rate_hz)) > 0
