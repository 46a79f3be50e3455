"""Conditions are what they say, the same for the same seed, and what is measured under them is what came out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from stand_in import Command, stand_in
from voices import RATE_HZ, trials_of_voices

from tinywase.data.convert import to_csv
from tinywase.data.rendering import render_trial
from tinywase.data.trials import RenderedTrial, Trial
from tinywase.errors import DataError
from tinywase.evaluate.behaviour import measure, measure_dialogues, spread
from tinywase.evaluate.behaviour_report import behaviour_table, card_fields
from tinywase.evaluate.conditions import CONDITIONS, render_condition, rms
from tinywase.evaluate.dialogue import render_dialogue

NAMES = [condition.name for condition in CONDITIONS]


@pytest.fixture
def trials(tmp_path: Path) -> list[Trial]:
    return trials_of_voices(tmp_path)


def rendered(name: str, trials: list[Trial], position: int = 0, seed: int = 1) -> RenderedTrial:
    condition = next(condition for condition in CONDITIONS if condition.name == name)
    return render_condition(condition, trials, position, rate_hz=RATE_HZ, seed=seed)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_samples(name: str, trials: list[Trial]) -> None:
    first, again = (rendered(name, trials) for _ in range(2))
    for field in ("mixture", "target", "interference", "enrollment"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("noise")])
def test_a_mixture_is_the_target_and_the_others(name: str, trials: list[Trial]) -> None:
    audio = rendered(name, trials)
    assert audio.interference is not None
    np.testing.assert_allclose(audio.mixture, audio.target + audio.interference, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "snr_db"), [("noise_20db", 20), ("noise_10db", 10), ("noise_5db", 5), ("noise_0db", 0)]
)
def test_noise_lies_as_far_below_the_target_as_its_name_says(name: str, snr_db: float, trials: list[Trial]) -> None:
    audio = rendered(name, trials)
    assert audio.interference is not None
    noise = audio.mixture - audio.target - audio.interference
    assert 20 * np.log10(rms(audio.target) / rms(noise)) == pytest.approx(snr_db, abs=0.01)


def test_another_seed_draws_other_noise(trials: list[Trial]) -> None:
    assert not np.array_equal(
        rendered("noise_10db", trials, seed=1).mixture, rendered("noise_10db", trials, seed=2).mixture
    )


def test_the_louder_interference_is_10_db_louder(trials: list[Trial]) -> None:
    audio = rendered("interference_10db", trials)
    assert audio.interference is not None
    assert 20 * np.log10(rms(audio.interference) / rms(audio.target)) == pytest.approx(10.0, abs=0.01)


def test_the_third_voice_is_nobody_of_the_trial(trials: list[Trial]) -> None:
    audio, plain = rendered("three_speakers", trials), render_trial(trials[0], RATE_HZ)
    assert audio.interference is not None and plain.interference is not None
    third = np.abs(np.fft.rfft(audio.interference - plain.interference)) ** 2
    frequency_hz = np.fft.rfftfreq(len(audio.mixture), 1 / RATE_HZ)
    assert third[frequency_hz > 1150].sum() > 0.99 * third.sum()  # voices 0 and 1 end at 1100 Hz


@pytest.mark.parametrize("name", ["absent", "absent_lone"])
def test_the_absent_target_is_enrolled_and_silent(name: str, trials: list[Trial]) -> None:
    audio = rendered(name, trials)
    assert not audio.target.any() and audio.mixture.any()
    own = [render_trial(trials[i], RATE_HZ).enrollment for i in (0, 1)]
    assert not any(np.array_equal(audio.enrollment, enrollment) for enrollment in own)


def test_strangers_are_known_only_where_the_list_names_speakers(trials: list[Trial]) -> None:
    nameless = [dataclasses.replace(trial, target_speaker="", interference_speaker="") for trial in trials]
    with pytest.raises(DataError, match="at least three: add the columns target_speaker, interference"):
        rendered("absent", nameless)


def test_enrollments_are_cut_or_joined_to_their_length(tmp_path: Path) -> None:
    trials = trials_of_voices(tmp_path, seconds=6.0)
    more = dataclasses.replace(trials[0], enrollment=trials[2].enrollment)  # another recording under the same name
    assert len(rendered("enrollment_2s", trials).enrollment) == 2 * RATE_HZ
    alone, joined = (rendered("enrollment_10s", found).enrollment for found in (trials, [*trials, more]))
    assert len(alone) < len(joined) <= 10 * RATE_HZ


def test_a_dialogue_has_turns_pauses_and_both_voices(trials: list[Trial]) -> None:
    audio = render_dialogue(trials, 0, rate_hz=RATE_HZ, seed=3, seconds=30.0)
    assert audio.interference is not None and len(audio.mixture) == 30 * RATE_HZ
    seconds = [track.reshape(30, -1).any(axis=1) for track in (audio.target, audio.interference)]
    assert seconds[0].sum() > 5 and seconds[1].sum() > 5 and (~seconds[0]).sum() > 5
    np.testing.assert_array_equal(audio.mixture, audio.target + audio.interference)


def test_what_passes_everything_leaks_everything(trials: list[Trial]) -> None:
    through = stand_in()
    found = {name: measure(through, name, trials, count=2).group.means for name in ("clean", "lone_target", "absent")}
    assert found["clean"]["si_sdr_improvement"].value == pytest.approx(0.0, abs=1e-3)
    assert found["lone_target"]["si_sdr"].value == 60.0
    assert np.isnan(found["lone_target"]["si_sdr_improvement"].value)
    assert found["absent"]["leak_db"].value == pytest.approx(0.0, abs=1e-3)
    assert np.isnan(found["absent"]["si_sdr"].value)


def test_what_passes_nothing_leaks_nothing_and_hears_nobody(trials: list[Trial]) -> None:
    means = measure(stand_in(np.zeros_like), "absent", trials, count=2).group.means
    assert means["leak_db"].value == -60.0
    assert means["heard"].value == 0.0


def test_a_dialogue_goes_through_files(trials: list[Trial]) -> None:
    measured = measure_dialogues(stand_in(), trials, count=1, seconds=30.0)
    means = measured.group.means
    assert means["lone_si_sdr"].value == pytest.approx(60.0, abs=1.0)
    assert means["leak_db"].value == pytest.approx(0.0, abs=0.01)
    assert 0.3 < means["activity_f1"].value <= 1.0  # the stand-in is active whenever anybody speaks
    assert measured.title == "a dialogue of 0.5 minutes"


def test_tables_and_cards_say_what_was_measured(trials: list[Trial]) -> None:
    measured = [measure(stand_in(), name, trials, count=3) for name in ("clean", "absent")]
    lines = behaviour_table(measured).splitlines()
    assert lines[3].startswith("| the target absent, two others |      3 |")
    assert max(map(len, lines)) <= 80
    assert "leak dB" in lines[-4]
    card = card_fields(measured)
    assert "si_sdr_improvement_db" not in card["absent"]
    mean, low, high = card["absent"]["leak_db"]
    assert low <= mean <= high
    json.dumps(card, allow_nan=False)


def test_positions_are_spread_over_the_list() -> None:
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(2, 4) == [0, 1]


def test_the_command_measures_the_conditions_asked_for(
    trials: list[Trial], tiny_model_path: Path, tmp_path: Path, tinywase: Command
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(to_csv(trials))
    done = tinywase(
        "behaviour", tiny_model_path, "--list", path, "--trials", "2", "--conditions", "clean,noise_0db", "--json"
    )
    assert done.code == 0, done.err
    conditions = json.loads(done.out)["conditions"]
    assert [condition["condition"] for condition in conditions] == ["clean", "noise_0db"]
    assert all(condition["trials"] == 2 for condition in conditions)


def test_an_unknown_condition_names_the_known_ones(tiny_model_path: Path, tmp_path: Path, tinywase: Command) -> None:
    done = tinywase("behaviour", tiny_model_path, "--list", tmp_path / "none.csv", "--conditions", "rain")
    assert done.code == 2
    assert "three_speakers" in done.err.replace("\n", "")
