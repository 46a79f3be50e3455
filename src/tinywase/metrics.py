"""How near an estimate is to the truth: SI-SDR and activity F1 in numpy, SDR, PESQ and ESTOI by their own libraries.

Every metric takes `reference=` (the ground truth) and `estimate=` of one shape [T], one channel, and returns a float;
higher is better. Degenerate cases have one meaning everywhere:

| case | SI-SDR | SDR | PESQ, ESTOI |
|---|---|---|---|
| silent reference: there is nothing to be near to | nan | nan | nan |
| silent estimate: nothing of the target is left | -inf | -LIMIT_DB | nan, 0 |
| estimate = gain * reference | inf, or above 100 dB by rounding | LIMIT_DB | their top value |
| too short for the metric | - | nan below its filter | nan below about half a second |

`limited` brings decibels into -LIMIT_DB..LIMIT_DB, so that a mean over trials stays finite; nan stays nan.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from .errors import AudioError, ConfigError

LIMIT_DB = 60.0  # beyond it nobody hears a difference
SDR_FILTER_SAMPLES = 512  # BSS-eval's allowed distortion: a filter of this length [Vincent06]
ESTOI_DECIMALS = 9  # pystoi adds unseeded noise of 1e-16, which must not show
PESQ_RATES_HZ = (8000, 16000)


def limited(value_db: float) -> float:
    """Decibels within -LIMIT_DB..LIMIT_DB.

    >>> limited(math.inf), limited(-75.0), limited(3.0)
    (60.0, -60.0, 3.0)
    """
    return value_db if math.isnan(value_db) else min(LIMIT_DB, max(-LIMIT_DB, value_db))


def si_sdr(*, reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB, no mean removed. Shape: [T], [T] -> scalar.

    >>> si_sdr(reference=np.array([1.0, 0.0]), estimate=np.array([3.0, 0.3]))
    20.0
    """
    reference, estimate = _checked(reference, estimate)
    reference_energy = float(reference @ reference)
    if reference_energy == 0.0:
        return math.nan
    projection = (
        float(estimate @ reference) / reference_energy
    ) * reference  # Eq. 4 of [LeRoux19]: the part that is target
    distortion = estimate - projection
    return _ratio_db(float(projection @ projection), float(distortion @ distortion))


def sdr(*, reference: np.ndarray, estimate: np.ndarray) -> float:
    """BSS-eval SDR in dB: a 512-tap filter on the reference counts as no distortion. Shape: [T], [T] -> scalar."""
    from fast_bss_eval import sdr as bss_sdr

    reference, estimate = _checked(reference, estimate)
    if not reference.any() or len(reference) < SDR_FILTER_SAMPLES:  # a longer filter than signal fits anything
        return math.nan
    if not estimate.any():
        return -LIMIT_DB
    try:
        value = bss_sdr(reference[None], estimate[None], filter_length=SDR_FILTER_SAMPLES, clamp_db=LIMIT_DB)
    except np.linalg.LinAlgError:  # a reference with fewer degrees of freedom than the filter, such as a pure tone
        return math.nan
    return float(value[0])


def pesq(*, reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: int) -> float:
    """Narrowband PESQ (ITU-T P.862 as MOS-LQO 1.0..4.6), nan where it finds no utterance. Shape: [T], [T] -> scalar.

    Raises:
        ConfigError: a rate that the standard does not know.
    """
    from pesq import PesqError
    from pesq import pesq as standard_pesq

    reference, estimate = _checked(reference, estimate)
    if sample_rate_hz not in PESQ_RATES_HZ:
        rates = " or ".join(map(str, PESQ_RATES_HZ))
        raise ConfigError(f"PESQ at {sample_rate_hz} Hz: the standard knows {rates} Hz. Leave pesq out of the metrics.")
    if not reference.any() or not estimate.any():
        return math.nan
    try:
        return float(standard_pesq(sample_rate_hz, reference, estimate, "nb"))
    except PesqError:  # under a quarter of a second, or no utterance found
        return math.nan


def estoi(*, reference: np.ndarray, estimate: np.ndarray, sample_rate_hz: int) -> float:
    """Extended short-time objective intelligibility, 0..1 in practice [Jensen16]. Shape: [T], [T] -> scalar."""
    from pystoi import stoi

    reference, estimate = _checked(reference, estimate)
    if not reference.any():
        return math.nan
    if not estimate.any():
        return 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            value = float(stoi(reference, estimate, sample_rate_hz, extended=True))
        except (RuntimeWarning, np.exceptions.AxisError):
            # fewer than 30 frames of speech, where pystoi would warn and answer 1e-5, or none
            return math.nan
    return round(value, ESTOI_DECIMALS)


def activity_f1(*, label: np.ndarray, activity: np.ndarray, threshold: float = 0.5) -> float:
    """F1 of the frames called active against the label; nan where the label has none. Shape: [F], [F] -> scalar.

    >>> activity_f1(label=np.array([1, 1, 0, 0]), activity=np.array([0.9, 0.2, 0.1, 0.8]))
    0.5
    """
    if np.shape(label) != np.shape(activity):
        raise AudioError(
            f"activity has shape {np.shape(activity)}, its label {np.shape(label)}: expected the same [frames]."
        )
    truth, called = np.asarray(label) > 0.5, np.asarray(activity) >= threshold
    if not truth.any():
        return math.nan
    return 2.0 * float(np.sum(truth & called)) / float(np.sum(truth) + np.sum(called))


@dataclass(frozen=True)
class SignalMetric:
    """A metric by name: how to compute it, what it needs, how to show it."""

    compute: Callable[[np.ndarray, np.ndarray, int], float]  # reference, estimate, sample_rate_hz
    title: str
    unit: str
    decimals: int
    needs: str | None = None  # the package of the eval extra that computes it


SIGNAL_METRICS: Mapping[str, SignalMetric] = {
    "si_sdr": SignalMetric(lambda r, e, _: limited(si_sdr(reference=r, estimate=e)), "SI-SDR", "dB", 2),
    "sdr": SignalMetric(lambda r, e, _: sdr(reference=r, estimate=e), "SDR", "dB", 2, "fast_bss_eval"),
    "pesq": SignalMetric(lambda r, e, rate: pesq(reference=r, estimate=e, sample_rate_hz=rate), "PESQ", "", 2, "pesq"),
    "estoi": SignalMetric(
        lambda r, e, rate: estoi(reference=r, estimate=e, sample_rate_hz=rate), "ESTOI", "", 3, "pystoi"
    ),
}


def missing_package(metric: str) -> str | None:
    """The package that `metric` needs and that is not installed; None where nothing is missing."""
    needs = SIGNAL_METRICS[metric].needs
    return needs if needs is not None and find_spec(needs) is None else None


def _checked(reference: np.ndarray, estimate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [T]: float32 sums would cost the fourth decimal of a dB."""
    reference, estimate = np.asarray(reference, np.float64), np.asarray(estimate, np.float64)
    if reference.ndim != 1 or reference.shape != estimate.shape or not len(reference):
        raise AudioError(
            f"estimate has shape {estimate.shape}, the reference {reference.shape}: expected one channel each, "
            "of the same length [T] and not empty. Cut or pad the estimate to the reference."
        )
    if not (np.isfinite(reference).all() and np.isfinite(estimate).all()):
        raise AudioError(
            "estimate or reference holds NaN or infinity: expected finite samples. Check what produced them."
        )
    return reference, estimate


def _ratio_db(signal: float, noise: float) -> float:
    """10 log10(signal / noise), infinite where one of them is nothing."""
    if signal == 0.0:
        return -math.inf
    return math.inf if noise == 0.0 else 10.0 * math.log10(signal / noise)
