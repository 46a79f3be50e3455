"""Trials rendered to samples: exactly as their recipes say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.data.active_level import active_level_db
from tinywase.data.lists import Trial, read_trials, render_trial
from tinywase.errors import AudioError, DataError

RATE_HZ = 8000


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Target, interference, enrollment: 16 kHz, different lengths, levels and offsets."""
    rng = np.random.default_rng(0)
    paths = tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav"
    for path, length, level in zip(paths, (20_000, 16_000, 24_000), (0.02, 0.2, 0.1), strict=True):
        soundfile.write(path, level * rng.standard_normal(length) + 0.03, 16_000, subtype="FLOAT")
    return paths


def trial(sources: tuple[Path, Path, Path], recipe: str, gain_db: float = 2.0) -> Trial:
    target, interference, enrollment = sources
    return Trial(
        mixture_id="0",
        enrollment=enrollment,
        target=target,
        interference=(interference,),
        target_gain_db=gain_db,
        interference_gains_db=(-gain_db,),
        recipe=recipe,
    )


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def rendered_by_the_letter(
    target: np.ndarray, interference: np.ndarray, gains_db: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """speech/README.md, word by word, in double precision."""
    length = min(len(target), len(interference))
    parts = []
    for source, gain_db in zip((target, interference), gains_db, strict=True):
        cut = source[:length]
        cut = cut - cut.mean()
        parts.append(cut * 0.05 / np.sqrt(np.mean(cut**2)) * 10 ** (gain_db / 20))
    mixture = parts[0] + parts[1]
    peak = np.abs(mixture).max()
    scale = 0.99 / peak if peak > 0.99 else 1.0
    return mixture * scale, parts[0] * scale


def resampled(path: Path) -> np.ndarray:
    samples, rate_hz = soundfile.read(path)
    return soxr.resample(samples, rate_hz, RATE_HZ, "HQ")


@pytest.mark.parametrize("gain_db", [2.0, -1.3, 30.0])  # 30 dB reaches the peak guard
def test_equal_rms_is_the_rendering_of_the_speech_folder(sources: tuple[Path, Path, Path], gain_db: float) -> None:
    rendered = render_trial(trial(sources, "equal-rms", gain_db), RATE_HZ)
    mixture, target = rendered_by_the_letter(resampled(sources[0]), resampled(sources[1]), (gain_db, -gain_db))
    np.testing.assert_allclose(rendered.mixture, mixture, atol=2e-6)
    np.testing.assert_allclose(rendered.target, target, atol=2e-6)
    assert np.abs(rendered.mixture).max() <= 0.99 + 1e-6


def test_shared_list_renders_by_the_letter(speech_root: Path) -> None:
    one = read_trials(speech_root / "lists" / "test.csv")[0]
    rendered = render_trial(one, RATE_HZ)
    gains_db = (one.target_gain_db, one.interference_gains_db[0])
    mixture, target = rendered_by_the_letter(resampled(one.target), resampled(one.interference[0]), gains_db)
    np.testing.assert_allclose(rendered.mixture, mixture, atol=2e-6)
    np.testing.assert_allclose(rendered.target, target, atol=2e-6)


def test_enrollment_has_no_mean_and_rms_of_0_05(sources: tuple[Path, Path, Path]) -> None:
    enrollment = render_trial(trial(sources, "equal-rms"), RATE_HZ).enrollment
    assert len(enrollment) == 12_000
    assert abs(float(enrollment.mean())) < 1e-6
    assert rms(enrollment) == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("recipe", ["equal-rms", "equal-peak", "active-level", "librimix"])
def test_parts_add_up_and_are_float32_of_one_length(sources: tuple[Path, Path, Path], recipe: str) -> None:
    rendered = render_trial(trial(sources, recipe), RATE_HZ)
    assert rendered.interference is not None
    for part in (rendered.mixture, rendered.target, rendered.interference):
        assert part.dtype == np.float32
        assert len(part) == 8000  # the shorter source has 16,000 samples at 16 kHz
    np.testing.assert_allclose(rendered.mixture, rendered.target + rendered.interference, atol=1e-6)


def test_equal_peak_scales_peaks_then_gains(sources: tuple[Path, Path, Path]) -> None:
    rendered = render_trial(trial(sources, "equal-peak", 2.5), RATE_HZ)
    assert rendered.interference is not None
    assert np.abs(rendered.target).max() == pytest.approx(10 ** (2.5 / 20), rel=1e-5)
    assert np.abs(rendered.interference).max() == pytest.approx(10 ** (-2.5 / 20), rel=1e-5)


def test_active_level_recipe_ends_at_a_peak_of_0_9(sources: tuple[Path, Path, Path]) -> None:
    rendered = render_trial(trial(sources, "active-level"), RATE_HZ)
    assert rendered.interference is not None
    parts = (rendered.mixture, rendered.target, rendered.interference)
    assert max(np.abs(part).max() for part in parts) == pytest.approx(0.9, rel=1e-5)
    # stationary noise is active throughout: its active level is its RMS, and the gains are what remains
    assert 20 * np.log10(rms(rendered.target) / rms(rendered.interference)) == pytest.approx(4.0, abs=0.2)


def test_librimix_applies_linear_gains_and_nothing_else(sources: tuple[Path, Path, Path]) -> None:
    rendered = render_trial(trial(sources, "librimix", 20 * np.log10(0.5)), RATE_HZ)
    np.testing.assert_allclose(rendered.target, 0.5 * resampled(sources[0])[:8000], atol=1e-6)


def test_finished_mixtures_are_cut_to_the_shorter_and_not_scaled(sources: tuple[Path, Path, Path]) -> None:
    target, mixture, enrollment = sources
    rendered = render_trial(Trial("0", enrollment=enrollment, target=target, mixture=mixture), 16_000)
    assert len(rendered.mixture) == len(rendered.target) == 16_000
    np.testing.assert_allclose(rendered.mixture, soundfile.read(mixture)[0], atol=1e-6)
    assert rendered.interference is None


def test_missing_mixture_recipe_and_gain_are_explained(sources: tuple[Path, Path, Path]) -> None:
    target, interference, enrollment = sources
    with pytest.raises(DataError, match="no mixture; expected one, because its recipe is 'files'"):
        render_trial(Trial("7", enrollment=enrollment, target=target), RATE_HZ)
    with pytest.raises(DataError, match="recipe = 'loud': expected one of files, equal-rms"):
        render_trial(Trial("7", enrollment=enrollment, target=target, recipe="loud"), RATE_HZ)
    lacking = Trial("7", enrollment=enrollment, target=target, interference=(interference,), recipe="librimix")
    with pytest.raises(DataError, match="0 gains for 1 interfering sources"):
        render_trial(lacking, RATE_HZ)


def test_silent_source_is_refused_by_name(sources: tuple[Path, Path, Path], tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16_000), 16_000)
    with pytest.raises(AudioError, match=r"silent\.wav: silence; expected speech"):
        render_trial(trial((sources[0], silent, sources[2]), "equal-rms"), RATE_HZ)


@given(gain_db=st.floats(-60, 20), pause_s=st.floats(1.0, 4.0))
@settings(max_examples=20, deadline=None)
def test_active_level_follows_the_gain_and_ignores_pauses(gain_db: float, pause_s: float) -> None:
    rng = np.random.default_rng(1)
    speech = rng.standard_normal(2 * RATE_HZ)
    paused = np.concatenate([speech[:RATE_HZ], np.zeros(round(pause_s * RATE_HZ)), speech[RATE_HZ:]])
    level_db = active_level_db(speech, RATE_HZ)
    assert active_level_db(speech * 10 ** (gain_db / 20), RATE_HZ) == pytest.approx(level_db + gain_db, abs=1e-6)
    assert active_level_db(paused, RATE_HZ) == pytest.approx(level_db, abs=1.5)  # the hangover counts as activity
    assert 20 * np.log10(rms(paused)) < level_db - 1.5


def test_active_level_of_silence_is_minus_infinity() -> None:
    assert active_level_db(np.zeros(100), RATE_HZ) == -np.inf
