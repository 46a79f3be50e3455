"""When may a model say that a voice is there? The presence rule of a model, found on a development list.

Evidence (runtime/presence.py) is gathered from trials whose target speaks and from the same ones with somebody enrolled
who does not, each among others and alone. A logistic regression weighs it; the bias is set so that of every kind of
absent target at most the allowed share is reported present, the doubt so that few of any kind of present target are
reported absent. The rates told are those of rules found on the other half of the trials, on average over many halvings,
because one says little (docs/experiments.md 46); halves share no target speaker where the list names them.

The same trials say when an enrollment sounds like two people: recordings of one speaker, and of two, are enrolled
together.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..data.trials import Trial
from ..errors import DataError
from ..runtime.extractor import Extractor
from ..runtime.likeness import fisher_z
from ..runtime.presence import Evidence, Presence, PresenceRule
from .behaviour import SEED
from .common import gather_common
from .conditions import CONDITIONS, render_condition

PRESENT, ABSENT = ("clean", "lone_target"), ("absent", "absent_lone")
GATHERED = (*PRESENT, *ABSENT, "absent")  # a second stranger for every mixture: false alarms are counted in its tail
ONE_VOICE, TWO_VOICES = "lone_target", "absent_lone"  # whose enrollment and mixture are by one speaker, by two
FALSE_ALARM_RATE = 0.01  # of absent targets reported present, and of enrollments by one speaker that sound like two
DENIED_RATE = 0.02  # of present targets that may be reported absent
HALVINGS = 20
RIDGE = 1.0  # keeps the weights finite where the evidence is perfect
NEWTON_STEPS = 30
EVIDENCE_SHARE = 0.85  # of the time that a calibration takes
LEAST_DEVIATION = 1e-3  # of a feature that hardly varies
T = TypeVar("T")


@dataclass(frozen=True)
class Calibration:
    """A rule and how well such a rule does on trials that it has not seen."""

    rule: PresenceRule
    trials: int
    heard: Mapping[str, float]  # condition -> share reported present
    denied: Mapping[str, float]  # condition -> share reported absent
    two_voices_noted: float  # share of enrollments by two people


def gather_consistencies(
    extractor: Extractor,
    trials: Sequence[Trial],
    *,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, list[float]]:
    """How alike stretches of two recordings enrolled together are: of one speaker (ONE_VOICE), of two (TWO_VOICES)."""
    rate_hz = extractor.sample_rate_hz
    conditions = {condition.name: condition for condition in CONDITIONS}
    found: dict[str, list[float]] = {ONE_VOICE: [], TWO_VOICES: []}
    for position in range(len(trials)):
        for name, kept in found.items():
            audio = render_condition(conditions[name], trials, position, rate_hz=rate_hz, seed=SEED)
            both = extractor.enroll(audio.enrollment, audio.mixture, sample_rate_hz=rate_hz)
            kept.append(both.consistency)
        progress((position + 1) / len(trials))
    return found


def gather_evidence(
    extractor: Extractor,
    trials: Sequence[Trial],
    *,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, list[Evidence]]:
    """The evidence of every trial under every condition of PRESENT and ABSENT."""
    rate_hz = extractor.sample_rate_hz
    conditions = {condition.name: condition for condition in CONDITIONS}
    found: dict[str, list[Evidence]] = {name: [] for name in GATHERED}
    for position in range(len(trials)):
        for turn, name in enumerate(GATHERED):
            audio = render_condition(conditions[name], trials, position, rate_hz=rate_hz, seed=SEED + turn)
            voiceprint = extractor.enroll(audio.enrollment, sample_rate_hz=rate_hz)
            found[name].append(extractor.extract(audio.mixture, voiceprint, sample_rate_hz=rate_hz).evidence)
        progress((position + 1) / len(trials))
    return found


def calibrate(
    evidence: Mapping[str, Sequence[Evidence]],
    consistencies: Mapping[str, Sequence[float]],
    *,
    speakers: Sequence[str] = (),
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> Calibration:
    """The rule for `evidence` by condition, and the rates of such rules on halves that they were not found on.

    Args:
        evidence: of `gather_evidence`.
        consistencies: of `gather_consistencies`.
        speakers: the target of every trial; halves share none. Without them the first half is told from the second.

    Raises:
        DataError: fewer than four trials.
    """
    trials = min(len(of) for of in evidence.values())
    if trials < 4:
        raise DataError(f"{trials} trials: expected 4 at the very least, better 100. Give a longer list.")
    verdicts: dict[str, list[Presence]] = {name: [] for name in evidence}
    noted: list[bool] = []
    for in_first in halvings(speakers if len(speakers) == trials else [""] * trials):
        for side in (True, False):
            seen = {name: _of_side(of, in_first, side) for name, of in evidence.items()}
            rule = find_rule(seen, false_alarm_rate=false_alarm_rate)
            for name, of in evidence.items():
                verdicts[name] += [rule.verdict(one) for one in _of_side(of, in_first, not side)]
            one_voice = _least_alike(_of_side(consistencies[ONE_VOICE], in_first, side), false_alarm_rate)
            noted += [value < one_voice for value in _of_side(consistencies[TWO_VOICES], in_first, not side)]

    def shares(wanted: Presence) -> dict[str, float]:
        return {name: float(np.mean([one is wanted for one in of])) for name, of in verdicts.items()}

    rule = dataclasses.replace(
        find_rule(evidence, false_alarm_rate=false_alarm_rate),
        one_voice=_least_alike(consistencies[ONE_VOICE], false_alarm_rate),
    )
    return Calibration(
        rule,
        trials,
        heard=shares(Presence.PRESENT),
        denied=shares(Presence.ABSENT),
        two_voices_noted=float(np.mean(noted)),
    )


def find_rule(evidence: Mapping[str, Sequence[Evidence]], *, false_alarm_rate: float) -> PresenceRule:
    """Weights by logistic regression, the bias by the allowed share of false alarms under each condition of ABSENT, the
    doubt by that of denials under each of PRESENT.
    """
    rows = {name: _features(of) for name, of in evidence.items()}
    present, absent = (np.concatenate([rows[name] for name in names]) for names in (PRESENT, ABSENT))
    weights = _logistic(np.concatenate([present, absent]), np.repeat([1.0, 0.0], [len(present), len(absent)]))
    limits = [_limit(rows[name] @ weights, false_alarm_rate) for name in ABSENT if len(rows[name])]
    bias = -max(limits, default=0.0)
    lowest = [np.quantile(rows[name] @ weights + bias, DENIED_RATE) for name in PRESENT if len(rows[name])]
    confidence, likeness = (float(weight) for weight in weights)
    return dataclasses.replace(
        PresenceRule(),
        confidence_weight=confidence,
        likeness_weight=likeness,
        bias=bias,
        doubt=float(max(0.0, -min(lowest, default=0.0))),
    )


def calibrated_fields(
    extractor: Extractor,
    trials: Sequence[Trial],
    *,
    false_alarm_rate: float = FALSE_ALARM_RATE,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, Any]:
    """`card["presence"]` by the trials: what voiceprints have in common, by that the evidence, by that the rule.

    Raises:
        DataError: fewer than four trials.
    """
    common = gather_common(extractor, trials)
    knowing = extractor.with_common(np.array(common, np.float32))
    evidence = gather_evidence(knowing, trials, progress=lambda done: progress(EVIDENCE_SHARE * done))
    rest = 1 - EVIDENCE_SHARE
    alike = gather_consistencies(knowing, trials, progress=lambda done: progress(EVIDENCE_SHARE + rest * done))
    speakers = [trial.target_speaker for trial in trials]
    found = calibrate(evidence, alike, speakers=speakers, false_alarm_rate=false_alarm_rate)
    return {**card_fields(found), "common": common}


def card_fields(calibration: Calibration) -> dict[str, Any]:
    """The rule, and what it was found to do."""
    rule = {name: round(value, 4) for name, value in dataclasses.asdict(calibration.rule).items()}
    heard = {f"{name}_heard_rate": round(rate, 4) for name, rate in calibration.heard.items()}
    denied = {f"{name}_denied_rate": round(rate, 4) for name, rate in calibration.denied.items()}
    noted = {"two_voices_noted_rate": round(calibration.two_voices_noted, 4)}
    return {**rule, "trials": calibration.trials, **heard, **denied, **noted}


def halvings(speakers: Sequence[str]) -> list[list[bool]]:
    """Which trials are in the first of two halves of about equal size that share no speaker, drawn HALVINGS times; once
    and by their order where a speaker has no name or all are of one.

    >>> halvings(["", "", "", ""])
    [[True, True, False, False]]
    """
    count = Counter(speakers)
    if len(count) < 2 or "" in count:
        return [[position < len(speakers) // 2 for position in range(len(speakers))]]
    rng = np.random.default_rng(SEED)
    return [_halved(speakers, count, list(rng.permutation(sorted(count)))) for _ in range(HALVINGS)]


def _halved(speakers: Sequence[str], count: Mapping[str, int], order: Sequence[str]) -> list[bool]:
    """Is a trial in the first half? Every speaker in `order` goes where fewer trials are."""
    first: set[str] = set()
    sizes = [0, 0]
    for speaker in order:
        side = sizes.index(min(sizes))
        sizes[side] += count[speaker]
        if side == 0:
            first.add(speaker)
    return [speaker in first for speaker in speakers]


def _of_side(of: Sequence[T], in_first: Sequence[bool], side: bool) -> Sequence[T]:
    """What one half of the trials gave, each the same number of values, one after another."""
    values = len(of) // len(in_first)
    return [one for position, one in enumerate(of) if in_first[min(position // values, len(in_first) - 1)] is side]


def _least_alike(of_one: Sequence[float], false_alarm_rate: float) -> float:
    """Below it lies the allowed share of what single speakers give."""
    return float(np.sort(of_one)[int(false_alarm_rate * len(of_one))])


def _features(evidence: Sequence[Evidence]) -> np.ndarray:
    """What weighs for those that have it (`PresenceRule.score`). Shape: -> [n, 2]."""
    rows = [
        (fisher_z(one.confidence), fisher_z(one.likeness))
        for one in evidence
        if one.confidence is not None and one.likeness is not None
    ]
    return np.array(rows, np.float64).reshape(-1, 2)


def _limit(scores: np.ndarray, false_alarm_rate: float) -> float:
    """Just above the highest scores but the allowed share of them."""
    allowed = int(false_alarm_rate * len(scores))
    return float(np.nextafter(np.sort(scores)[len(scores) - 1 - allowed], np.inf))


def _logistic(features: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression with a free bias, by Newton's method. Shape: [n, k], [n] -> [k].

    The ridge is on standardized features: cosines of one model lie close together, and those of another do not.
    """
    if not len(features):
        return np.zeros(features.shape[1])
    deviation = np.maximum(features.std(0), LEAST_DEVIATION)
    columns = np.column_stack([(features - features.mean(0)) / deviation, np.ones(len(features))])
    ridge = np.diag([*[RIDGE] * features.shape[1], 1e-6])
    weights = np.zeros(columns.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-columns @ weights))
        gradient = columns.T @ (chance - label) + ridge @ weights
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + ridge
        weights = weights - np.linalg.solve(curvature, gradient)
    return weights[:-1] / deviation
