"""Metrics have known answers on orthogonal signals, agree with the field's libraries, and define their edge cases."""

from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest

from tinywase.errors import AudioError, ConfigError
from tinywase.metrics import LIMIT_DB, SIGNAL_METRICS, activity_f1, estoi, limited, missing_package, pesq, sdr, si_sdr

RATE_HZ = 8000
AGREEMENT_DB = 1e-4


def speech_like(seed: int, seconds: float = 2.0) -> np.ndarray:
    """Noise in syllables: enough structure for PESQ and ESTOI to find speech in it."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    syllables = np.maximum(0.0, np.sin(2 * np.pi * 3.0 * times_s + seed))
    return (0.1 * syllables * rng.standard_normal(len(times_s))).astype(np.float32)


def orthonormal(count: int, length: int = 4000) -> np.ndarray:
    """Shape: [count, length], rows of length 1 at right angles."""
    return np.linalg.qr(np.random.default_rng(1).standard_normal((length, count)))[0].T


@pytest.mark.parametrize("gain", [1.0, -0.25, 7.0])
@pytest.mark.parametrize("wanted_db", [-12.5, 0.0, 30.0])
def test_si_sdr_of_orthogonal_signals_is_their_energy_ratio(wanted_db: float, gain: float) -> None:
    target, distortion = orthonormal(2)
    estimate = gain * (target + 10 ** (-wanted_db / 20) * distortion)
    assert si_sdr(reference=3.0 * target, estimate=estimate) == pytest.approx(wanted_db, abs=1e-9)


def other_si_sdr(library: str, reference: np.ndarray, estimate: np.ndarray) -> float:
    """SI-SDR by somebody else; mir_eval's BSS decomposition with a filter of one tap is SI-SDR."""
    other = pytest.importorskip(library)
    if library == "fast_bss_eval":
        return float(other.si_sdr(reference[None], estimate[None])[0])
    if library == "mir_eval":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            separation = importlib.import_module("mir_eval.separation")
            true, filtered, _, artifacts = separation._bss_decomp_mtifilt(reference[None], estimate, 0, 1)
        return float(10 * np.log10(np.sum((true + filtered) ** 2) / np.sum(artifacts**2)))
    torch = pytest.importorskip("torch")
    audio = importlib.import_module("torchmetrics.functional.audio")
    return float(audio.scale_invariant_signal_distortion_ratio(torch.from_numpy(estimate), torch.from_numpy(reference)))


@pytest.mark.parametrize("library", ["fast_bss_eval", "mir_eval", "torchmetrics"])
@pytest.mark.parametrize("noise", [0.01, 0.3, 4.0])
def test_si_sdr_agrees_with_other_libraries(library: str, noise: float) -> None:
    target = speech_like(0).astype(np.float64)
    estimate = 0.7 * target + noise * speech_like(1)
    assert si_sdr(reference=target, estimate=estimate) == pytest.approx(
        other_si_sdr(library, target, estimate), abs=AGREEMENT_DB
    )


def test_sdr_agrees_with_mir_eval() -> None:
    separation = pytest.importorskip("mir_eval.separation")
    pytest.importorskip("fast_bss_eval")
    target = speech_like(0).astype(np.float64)
    estimate = np.convolve(target, [0.2, 1.0, -0.3])[: len(target)] + 0.2 * speech_like(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = float(separation.bss_eval_sources(target[None], estimate[None])[0][0])
    assert sdr(reference=target, estimate=estimate) == pytest.approx(expected, abs=1e-3)


def test_sdr_forgives_a_filter_and_si_sdr_does_not() -> None:
    pytest.importorskip("fast_bss_eval")
    target = speech_like(0)
    delayed = np.concatenate([np.zeros(5, np.float32), target[:-5]])
    assert sdr(reference=target, estimate=delayed) > 25.0
    assert si_sdr(reference=target, estimate=delayed) < 0.0


def test_a_silent_reference_has_no_value() -> None:
    silence, speech = np.zeros(16000, np.float32), speech_like(0)
    for name, metric in SIGNAL_METRICS.items():
        if not missing_package(name):
            assert math.isnan(metric.compute(silence, speech, RATE_HZ)), name


def test_a_silent_estimate_holds_nothing_of_the_target() -> None:
    silence, speech = np.zeros(16000, np.float32), speech_like(0)
    assert si_sdr(reference=speech, estimate=silence) == -math.inf
    expected = {"si_sdr": -LIMIT_DB, "sdr": -LIMIT_DB, "pesq": math.nan, "estoi": 0.0}
    for name, metric in SIGNAL_METRICS.items():
        if not missing_package(name):
            assert metric.compute(speech, silence, RATE_HZ) == pytest.approx(expected[name], nan_ok=True), name


def test_a_perfect_estimate_is_infinite_and_is_limited_for_means() -> None:
    speech = speech_like(0)
    assert si_sdr(reference=speech, estimate=speech) == math.inf
    assert si_sdr(reference=speech, estimate=0.3 * speech) > 100.0
    assert SIGNAL_METRICS["si_sdr"].compute(speech, speech, RATE_HZ) == LIMIT_DB
    assert limited(-math.inf) == -LIMIT_DB
    assert math.isnan(limited(math.nan))
    if not missing_package("sdr"):
        assert sdr(reference=speech, estimate=speech) == pytest.approx(LIMIT_DB)


def test_clips_too_short_for_a_metric_have_no_value() -> None:
    for name, samples in (("sdr", 100), ("pesq", 500), ("estoi", 1000), ("estoi", 200), ("estoi", 1)):
        if not missing_package(name):
            speech = speech_like(0)[600 : 600 + samples]  # of a syllable: silence has no value either
            assert math.isnan(SIGNAL_METRICS[name].compute(speech, speech, RATE_HZ)), name


def test_less_noise_means_better_pesq_and_estoi() -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    target, noise = speech_like(0), speech_like(1)
    for metric in (pesq, estoi):
        worse, better, perfect = (
            metric(reference=target, estimate=target + gain * noise, sample_rate_hz=RATE_HZ) for gain in (1.0, 0.2, 0.0)
        )
        assert worse < better < perfect


def test_pesq_refuses_rates_it_does_not_know() -> None:
    pytest.importorskip("pesq")
    speech = speech_like(0)
    with pytest.raises(ConfigError, match=r"PESQ at 44100 Hz: the standard knows 8000 or 16000 Hz\. Leave pesq out"):
        pesq(reference=speech, estimate=speech, sample_rate_hz=44100)


@pytest.mark.parametrize(
    ("reference", "estimate", "message"),
    [
        (np.ones(4), np.ones(3), r"estimate has shape \(3,\), the reference \(4,\): expected .* same length"),
        (np.ones((2, 4)), np.ones((2, 4)), r"expected one channel each"),
        (np.ones(0), np.ones(0), r"not empty"),
        (np.ones(2), np.array([1.0, np.nan]), r"holds NaN or infinity: expected finite samples"),
    ],
)
def test_signals_that_cannot_be_compared_are_refused(reference: np.ndarray, estimate: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        si_sdr(reference=reference, estimate=estimate)


def test_activity_f1_balances_false_and_missed_frames() -> None:
    label = np.array([0, 1, 1, 1, 1, 0])
    assert activity_f1(label=label, activity=label * 0.9) == 1.0
    assert activity_f1(label=label, activity=np.zeros(6)) == 0.0
    assert activity_f1(label=label, activity=np.ones(6)) == pytest.approx(2 * 4 / (4 + 6))
    assert math.isnan(activity_f1(label=np.zeros(6), activity=np.ones(6)))
    with pytest.raises(AudioError, match=r"activity has shape \(5,\), its label \(6,\)"):
        activity_f1(label=label, activity=np.ones(5))
