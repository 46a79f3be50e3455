"""Systems on trials: the figures of known systems, failures by row, processes, interruption."""

from __future__ import annotations

import functools
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinywase.data.trials import Trial
from tinywase.errors import ConfigError, FormatError
from tinywase.evaluate import systems as systems_module
from tinywase.evaluate.run import evaluate
from tinywase.evaluate.score import ALL_METRICS, TrialScore, choose_metrics, score_trial
from tinywase.evaluate.systems import System, SystemOutput, function_system, open_systems

RATE_HZ = 8000
GAIN_DB = 2.0


def voice(seed: int, seconds: float = 1.5) -> np.ndarray:
    """Noise in syllables."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    syllables = np.maximum(0.05, np.sin(2 * np.pi * 3.0 * times_s + seed))
    return 0.1 * syllables * np.random.default_rng(seed).standard_normal(len(times_s))


@pytest.fixture
def trials(tmp_path: Path) -> list[Trial]:
    """Three trials of two synthetic voices, the target 2 * GAIN_DB louder."""
    for seed in range(4):
        soundfile.write(tmp_path / f"{seed}.wav", voice(seed), RATE_HZ, subtype="FLOAT")
    return [
        Trial(
            mixture_id=f"{index:04}",
            enrollment=tmp_path / "3.wav",
            target=tmp_path / f"{index}.wav",
            interference=(tmp_path / f"{(index + 1) % 3}.wav",),
            target_gain_db=GAIN_DB,
            interference_gains_db=(-GAIN_DB,),
            recipe="equal-rms",
            sexes="FM",
            line=index + 2,
        )
        for index in range(3)
    ]


def threads_as_level() -> list[System]:
    """A system whose SI-SDR in dB is the number of threads that its process may use."""
    threads = float(os.environ["OMP_NUM_THREADS"])

    def bind(trial):  # type: ignore[no-untyped-def]
        target = trial.target - trial.target.mean()
        noise = np.roll(target, 4001)
        noise -= target * (noise @ target) / (target @ target)
        level = np.sqrt(target @ target / (noise @ noise)) * 10 ** (-threads / 20)
        return lambda mixture: SystemOutput(target + level * noise)

    return [System("threads", RATE_HZ, bind)]


def perfect_activity() -> System:
    """A system that hears the target and knows when it speaks."""

    def bind(trial):  # type: ignore[no-untyped-def]
        return lambda mixture: SystemOutput(trial.target, np.ones(len(mixture) // 8 + 1), 8)

    return System("perfect", RATE_HZ, bind)


def test_the_untouched_mixture_improves_nothing(trials: list[Trial]) -> None:
    (row,) = score_trial(0, trials[0], systems=open_systems(["mixture"]), metrics=["si_sdr"]).rows
    assert row.values["si_sdr_improvement"] == 0.0
    assert row.values["si_sdr"] == pytest.approx(2 * GAIN_DB, abs=0.5)
    assert row.values["below_1db"] == 1.0
    assert row.values["confused"] == 0.0  # the target is the louder voice
    assert (row.sexes, row.duration_s) == ("FM", 1.5)


def test_the_interference_itself_is_confusion_and_the_target_is_not(trials: list[Trial]) -> None:
    def other(mixture: np.ndarray, enrollment: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        return mixture - target_of(trials[0])

    both = [function_system("other", other), perfect_activity()]
    wrong, right = score_trial(0, trials[0], systems=both, metrics=["si_sdr"]).rows
    assert wrong.values["confused"] == 1.0
    assert wrong.values["interference_si_sdr"] > 40
    assert (right.values["confused"], right.values["below_1db"]) == (0.0, 0.0)


def test_a_target_alone_leaves_nothing_to_improve(trials: list[Trial]) -> None:
    alone = replace(trials[0], interference=(), interference_gains_db=(), mixture=trials[0].target, recipe="files")
    halved = function_system("half", lambda mixture, enrollment, rate_hz: mixture * (np.arange(len(mixture)) % 2))
    (row,) = score_trial(0, alone, systems=[halved], metrics=["si_sdr", "estoi"]).rows
    assert row.values["input_si_sdr"] == 60.0 and row.values["si_sdr"] < 10
    undefined = ("si_sdr_improvement", "estoi_improvement", "below_1db", "confused")
    assert all(math.isnan(row.values[name]) for name in undefined)


def target_of(trial: Trial) -> np.ndarray:
    from tinywase.data.rendering import render_trial

    return render_trial(trial, RATE_HZ).target


def test_the_oracle_is_above_the_floor_in_every_metric(trials: list[Trial]) -> None:
    names = choose_metrics([], rates_hz=[RATE_HZ]).names
    floor, ceiling = score_trial(0, trials[0], systems=open_systems(["mixture", "oracle"]), metrics=names).rows
    for name in names:
        if name != "activity_f1":
            assert ceiling.values[name] > floor.values[name], name
            assert floor.values[f"{name}_improvement"] == 0.0
    assert math.isnan(ceiling.values["activity_f1"])  # it has no opinion


def test_activity_is_judged_against_the_label_of_the_target(trials: list[Trial]) -> None:
    (row,) = score_trial(0, trials[0], systems=[perfect_activity()], metrics=["si_sdr", "activity_f1"]).rows
    assert row.values["activity_f1"] > 0.95  # the target speaks from end to end


def test_a_function_hears_mixture_enrollment_and_rate(trials: list[Trial]) -> None:
    heard = []

    def listen(mixture: np.ndarray, enrollment: np.ndarray, sample_rate_hz: int) -> np.ndarray:
        heard.append((mixture.shape, enrollment.shape, sample_rate_hz))
        return mixture

    score_trial(0, trials[0], systems=[function_system("mine", listen)], metrics=["si_sdr"])
    assert heard == [((12000,), (12000,), RATE_HZ)]


def test_one_failing_trial_is_named_and_costs_no_other(trials: list[Trial], tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    broken = Trial("0009", enrollment=tmp_path / "3.wav", target=tmp_path / "broken.wav", recipe="equal-rms", line=11)
    short = function_system("short", lambda mixture, enrollment, rate_hz: mixture[:-1])
    systems = [function_system("whole", lambda mixture, enrollment, rate_hz: mixture), short]
    done = evaluate(lambda: systems, [trials[0], broken, trials[1]], metrics=["si_sdr"])
    assert [(row.position, row.system) for row in done.rows] == [(0, "whole"), (2, "whole")]
    messages = [str(failure) for failure in done.failures]
    assert messages[0].startswith("line 2 (0000), system 'short': AudioError: estimate has shape (11999,)")
    assert messages[1].startswith("line 11 (0009): AudioError: ")
    assert "broken.wav" in messages[1]
    assert len(messages) == 3
    assert done.trials_done == 3


def test_an_interrupted_run_keeps_the_trials_done_so_far(trials: list[Trial]) -> None:
    seen: list[TrialScore] = []

    def interrupt(score: TrialScore) -> None:
        seen.append(score)
        if len(seen) == 2:
            raise KeyboardInterrupt

    done = evaluate(lambda: open_systems(["mixture"]), trials, metrics=["si_sdr"], on_trial=interrupt)
    assert (done.trials, done.trials_done, len(done.rows)) == (3, 2, 2)


@pytest.mark.parametrize("asked", [None, "2"])
def test_processes_get_a_thread_each_and_the_caller_keeps_its_own(
    trials: list[Trial], monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    done = evaluate(threads_as_level, trials[:1], metrics=["si_sdr"], jobs=2, opened=[])
    assert not done.failures
    assert done.rows[0].values["si_sdr"] == pytest.approx(float(asked or 1), abs=0.01)
    assert os.environ.get("OMP_NUM_THREADS") == asked


@pytest.mark.slow
def test_processes_give_the_same_figures_in_the_same_order(trials: list[Trial]) -> None:
    open_all = functools.partial(open_systems, ["mixture", "oracle"])
    alone = evaluate(open_all, trials, metrics=["si_sdr"])
    together = evaluate(open_all, trials, metrics=["si_sdr"], jobs=2)

    def figures(rows):  # type: ignore[no-untyped-def]
        kept = ("si_sdr", "si_sdr_improvement", "confused")
        return [[row.values[name] for name in kept] for row in rows]

    def names(rows):  # type: ignore[no-untyped-def]
        return [(row.position, row.system) for row in rows]

    assert names(alone.rows) == names(together.rows)
    # Resampling and sums may round otherwise in another process: the last bits of a float64 are not the claim.
    for one, other in zip(figures(alone.rows), figures(together.rows), strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    assert together.systems == ("mixture", "oracle")


def test_unknown_metrics_are_refused_with_the_closest_one() -> None:
    with pytest.raises(
        ConfigError, match=r"metric 'sisdr' is unknown: expected some of si_sdr, .*Did you mean 'si_sdr'\?"
    ):
        choose_metrics(["sisdr"], rates_hz=[RATE_HZ])


def test_metrics_that_cannot_be_computed_are_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    import tinywase.evaluate.score as score

    monkeypatch.setattr(score, "missing_package", lambda name: "fast_bss_eval" if name == "sdr" else None)
    choice = choose_metrics([], rates_hz=[11025])
    assert choice.names == tuple(name for name in ALL_METRICS if name not in ("sdr", "pesq"))
    sdr_note, pesq_note = choice.notes
    assert sdr_note == "sdr is left out: package 'fast_bss_eval' is not installed (pip install 'tinywase[eval]')."
    assert pesq_note == "pesq is left out: it knows 8000 and 16000 Hz, not 11025 Hz."
    assert choose_metrics(["estoi"], rates_hz=[RATE_HZ]).names == ("si_sdr", "estoi")


def test_two_models_of_one_name_are_told_apart_by_their_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(name: str, shifts: int | None) -> System:
        return System(Path(name).stem, 16000, lambda trial: SystemOutput)

    monkeypatch.setattr(systems_module, "_open_model", opened)
    systems = open_systems(["a/model.twase", "b/model.twase", "c/other.twase", "oracle"])
    assert [system.name for system in systems] == ["a/model.twase", "b/model.twase", "other", "oracle"]
    assert {system.sample_rate_hz for system in systems} == {16000}  # the ceiling follows the models


def test_a_training_checkpoint_is_a_system(trials: list[Trial], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    import json

    from tinywase.config import TINY, to_dict
    from tinywase.models import Wase

    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    save_file(Wase(TINY).state_dict(), path, metadata={"config": json.dumps(to_dict(TINY))})
    (system,) = open_systems([str(path)])
    (row,) = score_trial(0, trials[0], systems=[system], metrics=["si_sdr", "activity_f1"]).rows
    assert (row.system, system.sample_rate_hz) == ("mine", RATE_HZ)
    assert 0.0 <= row.values["activity_f1"] <= 1.0
    assert row.values["rtf"] > 0


@pytest.mark.parametrize("content", [None, b"", b"nonsense that is long enough for a header"])
def test_a_file_that_is_no_checkpoint_is_named(content: bytes | None, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    path = tmp_path / "broken.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FormatError, match=r"broken\.safetensors: not a safetensors checkpoint .*tinywase train"):
        open_systems([str(path)])


@pytest.mark.parametrize("metadata", [{"config": "{"}, {"config": "[]"}, {"config": "TINY", "quant": "3"}])
def test_a_checkpoint_with_damaged_metadata_is_named(metadata: dict[str, str], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    import json

    from tinywase.config import TINY, to_dict

    tiny = json.dumps(to_dict(TINY))
    path = tmp_path / "broken.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={key: tiny if v == "TINY" else v for key, v in metadata.items()})
    with pytest.raises(FormatError, match=r"broken\.safetensors: its metadata is damaged, .*tinywase train"):
        open_systems([str(path)])


def test_views_that_cannot_be_are_refused_for_checkpoints_too(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from tinywase.config import TINY
    from tinywase.models import Wase
    from tinywase.train.checkpoint import save_weights

    save_weights(Wase(TINY), tmp_path / "mine.safetensors")
    with pytest.raises(ConfigError, match="views = 0: expected 1 to"):
        open_systems([str(tmp_path / "mine.safetensors")], views=0)


def test_the_real_time_factor_counts_processor_time(trials: list[Trial]) -> None:
    def waiting(mixture: np.ndarray, enrollment: np.ndarray, rate_hz: int) -> np.ndarray:
        time.sleep(0.5)  # as where another program has the processor
        return mixture

    (row,) = score_trial(0, trials[0], systems=[function_system("waits", waiting)], metrics=["si_sdr"]).rows
    assert row.processing_s < 0.25 and row.values["rtf"] == row.processing_s / row.duration_s
