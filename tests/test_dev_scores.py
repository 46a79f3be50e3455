"""What a training is chosen by: short and lone targets do not disturb it, and no recording is compared with itself."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from voices import RATE_HZ, trials_of_voices

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from tinywase.config import TINY  # noqa: E402
from tinywase.data.convert import to_csv  # noqa: E402
from tinywase.data.lists import render_trial  # noqa: E402
from tinywase.data.trials import Trial  # noqa: E402
from tinywase.errors import AudioError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.dev import DevTrial, dev_scores, equal_error_rate, improvement_db, render_dev  # noqa: E402
from tinywase.train.recipe import DataConfig  # noqa: E402


def rendered(trials: list[Trial]) -> list[DevTrial]:
    return [DevTrial(trial, render_trial(trial, RATE_HZ)) for trial in trials]


def network() -> Wase:
    torch.manual_seed(0)
    return Wase(TINY).eval()


def test_lists_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path)
    paths = [tmp_path / name for name in ("near/dev.csv", "far/dev.csv", "other.csv")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(to_csv(trials))
    lists = render_dev(DataConfig(dev=tuple(str(path) for path in paths), dev_trials=1), RATE_HZ)
    assert list(lists) == [str(paths[0]), str(paths[1]), "other"]


def test_scores_are_of_every_list_and_their_means(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(to_csv(trials_of_voices(tmp_path)))
    lists = render_dev(DataConfig(dev=tuple(str(tmp_path / f"{name}.csv") for name in "ab"), dev_trials=3), RATE_HZ)
    assert [len(trials) for trials in lists.values()] == [3, 3]
    scores = dev_scores(network(), lists)
    for key in ("improvement_db", "below_1db_rate", "equal_error_rate"):
        assert scores[key] == pytest.approx(scores[f"a/{key}"]) == pytest.approx(scores[f"b/{key}"])
        assert math.isfinite(scores[key])
    assert list(dev_scores(network(), lists, extraction=False)) == [
        *("a/equal_error_rate", "b/equal_error_rate", "equal_error_rate")
    ]


def test_a_target_with_too_little_speech_is_left_out_of_the_equal_error_rate_alone(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path)
    audio = np.zeros(2 * RATE_HZ, np.float32)
    audio[:800] = 0.1 * np.sin(np.arange(800))
    soundfile.write(tmp_path / "short.wav", audio, RATE_HZ, subtype="FLOAT")
    short = replace(trials[0], target=tmp_path / "short.wav")
    scores = dev_scores(network(), {"list": rendered([short, *trials[1:]])})
    assert all(math.isfinite(value) for value in scores.values())


def test_an_enrollment_with_too_little_speech_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path)
    soundfile.write(tmp_path / "short.wav", 0.1 * np.sin(np.arange(800)), RATE_HZ)
    short = replace(trials[1], enrollment=tmp_path / "short.wav")
    (tmp_path / "list.csv").write_text(to_csv([trials[0], short]))
    with pytest.raises(AudioError, match=r"list\.csv, line 3, .*short\.wav.*of speech"):
        render_dev(DataConfig(dev=(str(tmp_path / "list.csv"),)), RATE_HZ)


def test_a_lone_target_tells_no_improvement(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path)
    lone = replace(trials[0], mixture=trials[0].target, interference=(), interference_gains_db=(), recipe="files")
    audio = render_trial(lone, RATE_HZ)
    assert math.isnan(improvement_db(audio, audio.target))
    some, more = (dev_scores(network(), {"list": rendered(of)}) for of in (trials[1:], [lone, *trials[1:]]))
    for key in ("improvement_db", "below_1db_rate"):
        assert more[key] == pytest.approx(some[key])
    assert math.isnan(dev_scores(network(), {"list": rendered([lone])})["improvement_db"])


def test_a_perfect_estimate_does_not_make_the_mean_infinite(tmp_path: Path) -> None:
    audio = render_trial(trials_of_voices(tmp_path)[0], RATE_HZ)
    assert improvement_db(audio, audio.target) == pytest.approx(60, abs=1)
    assert improvement_db(audio, np.zeros_like(audio.target)) == pytest.approx(-60, abs=1)


def test_pairs_that_do_not_count_do_not_enter_the_equal_error_rate() -> None:
    rng = np.random.default_rng(0)
    enrolled, spoken = rng.standard_normal((2, 40, 8))
    spoken[:20] = enrolled[:20]  # the same recordings
    same = np.eye(40, dtype=bool)
    counted = ~np.diag(np.arange(40) < 20)
    everything = equal_error_rate(enrolled, spoken, same, np.ones_like(same))
    assert everything < 0.35 < 0.4 < equal_error_rate(enrolled, spoken, same, counted) < 0.6


def test_a_recording_is_not_compared_with_itself(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path, speakers=2)
    own = [replace(trial, enrollment=trial.target) for trial in trials]
    assert math.isnan(dev_scores(network(), {"list": rendered(own)})["equal_error_rate"])
