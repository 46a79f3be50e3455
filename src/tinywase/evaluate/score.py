"""One trial, all systems: a row of figures for each, or the reason why there is none.

Values of a row, by name: for each metric M of `metrics.SIGNAL_METRICS` the mixture's `input_M`, the estimate's `M` and
their difference `M_improvement`; `interference_si_sdr`, how near the estimate is to the other speakers; the flags
`below_1db` (SI-SDR improvement under 1 dB) and `confused` (nearer to the interference than to the target), 0 or 1;
`activity_f1`; `rtf`, processor time of the extraction over audio time, so that what other programs take meanwhile does
not count. A value that is undefined is nan (see metrics.py).
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..activity import activity_label
from ..data.rendering import render_trial
from ..data.trials import RenderedTrial, Trial
from ..errors import ConfigError
from ..metrics import LIMIT_DB, PESQ_RATES_HZ, SIGNAL_METRICS, activity_f1, limited, missing_package, si_sdr
from .systems import System, SystemOutput

ACTIVITY = "activity_f1"
ALL_METRICS = (*SIGNAL_METRICS, ACTIVITY)
SUCCESS_DB = 1.0


@dataclass(frozen=True)
class Row:
    """The figures of one system on one trial."""

    position: int  # in the list, 0 is the first
    mixture_id: str
    sexes: str  # of target and interference, such as "FM"; "" where the list does not say
    system: str
    duration_s: float
    processing_s: float
    values: dict[str, float]
    speakers: tuple[str, str] = ("", "")  # target and interference, where the list names them


@dataclass(frozen=True)
class Failure:
    """A trial that gave no figures, and why; `system` is "" where the trial itself is broken."""

    position: int
    mixture_id: str
    line: int  # of the list, 1 is the first; 0 where there is none
    system: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else f"trial {self.position + 1}"
        by = f", system '{self.system}'" if self.system else ""
        return f"{where} ({self.mixture_id}){by}: {self.message}"


@dataclass(frozen=True)
class TrialScore:
    """Everything that came of one trial."""

    position: int
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class MetricChoice:
    """Which metrics are computed, and a note on each that is not."""

    names: tuple[str, ...]
    notes: tuple[str, ...]


def choose_metrics(asked: Sequence[str], *, rates_hz: Sequence[int]) -> MetricChoice:
    """`asked` (all where empty) without those that cannot be computed here; SI-SDR is always among them.

    Raises:
        ConfigError: an unknown name.
    """
    names = ["si_sdr"]
    notes = []
    for name in asked or ALL_METRICS:
        if name not in ALL_METRICS:
            close = difflib.get_close_matches(name, ALL_METRICS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise ConfigError(f"metric '{name}' is unknown: expected some of {', '.join(ALL_METRICS)}.{hint}")
        package = missing_package(name) if name in SIGNAL_METRICS else None
        odd_rates = [rate_hz for rate_hz in rates_hz if rate_hz not in PESQ_RATES_HZ]
        if package:
            notes.append(f"{name} is left out: package '{package}' is not installed (pip install 'tinywase[eval]').")
        elif name == "pesq" and odd_rates:
            notes.append(f"pesq is left out: it knows 8000 and 16000 Hz, not {odd_rates[0]} Hz.")
        elif name not in names:
            names.append(name)
    return MetricChoice(tuple(names), tuple(notes))


def score_trial(position: int, trial: Trial, *, systems: Sequence[System], metrics: Sequence[str]) -> TrialScore:
    """Run every system on one trial. An exception of one system, or of the trial itself, becomes a `Failure`."""
    rows: list[Row] = []
    failures: list[Failure] = []
    rendered: dict[int, tuple[RenderedTrial, dict[str, float]]] = {}  # by rate: systems mostly share one
    for system in systems:
        blame = ""
        try:
            if system.sample_rate_hz not in rendered:
                audio = render_trial(trial, system.sample_rate_hz)
                rendered[system.sample_rate_hz] = audio, signal_values(audio, audio.mixture, metrics)
            audio, inputs = rendered[system.sample_rate_hz]
            blame = system.name
            rows.append(_score_system(position, trial, audio=audio, inputs=inputs, system=system, metrics=metrics))
        except Exception as error:  # one bad row of thousands must not cost the others; the run fails at its end
            failures.append(Failure(position, trial.mixture_id, trial.line, blame, f"{type(error).__name__}: {error}"))
            if not blame:
                break
    return TrialScore(position, tuple(rows), tuple(failures))


def signal_values(audio: RenderedTrial, estimate: np.ndarray, metrics: Sequence[str]) -> dict[str, float]:
    """The signal metrics among `metrics` of `estimate` against the target, by name."""
    return {
        name: SIGNAL_METRICS[name].compute(audio.target, estimate, audio.sample_rate_hz)
        for name in metrics
        if name in SIGNAL_METRICS
    }


def _score_system(
    position: int,
    trial: Trial,
    *,
    audio: RenderedTrial,
    inputs: dict[str, float],
    system: System,
    metrics: Sequence[str],
) -> Row:
    extract = system.bind(audio)
    start = time.process_time()  # of all its threads
    output = extract(audio.mixture)
    processing_s = time.process_time() - start
    duration_s = len(audio.mixture) / audio.sample_rate_hz
    outputs = signal_values(audio, output.estimate, metrics)
    values: dict[str, float] = {}
    lone = inputs["si_sdr"] == LIMIT_DB  # a target alone leaves nothing to improve
    for name, value in outputs.items():
        improvement = math.nan if lone else value - inputs[name]
        values |= {f"input_{name}": inputs[name], name: value, f"{name}_improvement": improvement}
    values |= speaker_values(audio, output.estimate, si_sdr_improvement=values["si_sdr_improvement"])
    if ACTIVITY in metrics:
        values[ACTIVITY] = _activity_value(audio, output)
    values["rtf"] = processing_s / duration_s
    return Row(position, trial.mixture_id, trial.sexes, system.name, duration_s, processing_s, values, trial.speakers)


def speaker_values(audio: RenderedTrial, estimate: np.ndarray, *, si_sdr_improvement: float) -> dict[str, float]:
    """Did the right speaker come out? Lists that do not name the interference are judged by the rest of the mixture."""
    interference = audio.mixture - audio.target if audio.interference is None else audio.interference
    to_target = limited(si_sdr(reference=audio.target, estimate=estimate))
    to_interference = limited(si_sdr(reference=interference, estimate=estimate))
    return {
        "interference_si_sdr": to_interference,
        "below_1db": _flag(si_sdr_improvement < SUCCESS_DB, si_sdr_improvement),
        "confused": _flag(to_interference > to_target, to_interference, to_target),
    }


def _flag(value: bool, *needs: float) -> float:
    """1 or 0; nan where a figure that the question needs is undefined."""
    return math.nan if any(math.isnan(figure) for figure in needs) else float(value)


def _activity_value(audio: RenderedTrial, output: SystemOutput) -> float:
    if output.activity is None:
        return math.nan
    label = activity_label(audio.target, audio.sample_rate_hz, output.hop_samples, len(output.activity))
    return activity_f1(label=label, activity=output.activity)
