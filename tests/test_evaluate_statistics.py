"""Means, their intervals, the split by sexes, and paired comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinywase.evaluate.score import Row
from tinywase.evaluate.statistics import bootstrap_mean, compare, summarize


def make_row(position: int, value: float, *, system: str = "ours", sexes: str = "", rtf: float = 0.1) -> Row:
    return Row(position, f"{position:04}", sexes, system, 4.0, 4.0 * rtf, {"si_sdr_improvement": value, "rtf": rtf})


def test_the_interval_has_the_width_that_theory_gives() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    mean = bootstrap_mean(values, np.random.default_rng(1))
    half_width = 1.96 * values.std() / math.sqrt(len(values))
    assert mean.value == pytest.approx(values.mean())
    assert mean.high - mean.value == pytest.approx(half_width, rel=0.1)
    assert mean.value - mean.low == pytest.approx(half_width, rel=0.1)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    means = [bootstrap_mean(rng.standard_normal(60), rng, resamples=300) for _ in range(300)]
    assert 0.90 <= np.mean([mean.low <= 0.0 <= mean.high for mean in means]) <= 0.98


def test_the_same_rows_give_the_same_interval() -> None:
    rows = [make_row(index, value) for index, value in enumerate([1.0, 5.0, 2.0, 8.0])]
    assert summarize(rows, system="ours") == summarize(rows, system="ours")


def test_many_values_are_drawn_in_blocks_with_the_right_count() -> None:
    mean = bootstrap_mean(np.arange(3000.0), np.random.default_rng(0), resamples=1001)
    assert mean.low < 1499.5 < mean.high


def test_undefined_values_are_left_out_and_counted() -> None:
    mean = bootstrap_mean([1.0, math.nan, 3.0] * 3, np.random.default_rng(0))
    assert (mean.value, mean.count) == (2.0, 6)
    single = bootstrap_mean([math.nan, 4.0], np.random.default_rng(0))
    assert single.value == 4.0
    assert math.isnan(single.low)
    assert math.isnan(bootstrap_mean([], np.random.default_rng(0)).value)


def test_a_few_values_have_no_interval() -> None:
    few = bootstrap_mean([1.0, 4.0], np.random.default_rng(0))
    assert few.value == 2.5
    assert math.isnan(few.low) and math.isnan(few.high)


def test_few_speakers_widen_the_interval_as_a_simulation_of_other_speakers_says() -> None:
    """Speakers differ by 2 dB, trials of the same two by nothing: only people can say how sure the mean is."""
    rng = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, list[tuple[str, str]]]:
        skill, level = rng.normal(0, 2, 10), rng.normal(0, 2, 10)
        pairs = [(a, b) for a in range(10) for b in range(10) if a != b]
        return np.array([skill[a] + level[b] for a, b in pairs]), [(f"{a}", f"{b}") for a, b in pairs]

    spread = np.std([draw()[0].mean() for _ in range(2000)])
    widths = []
    for _ in range(40):
        values, speakers = draw()
        mean = bootstrap_mean(values, rng, speakers=speakers, resamples=500)
        widths.append((mean.high - mean.low) / (2 * 1.96))
    assert np.mean(widths) == pytest.approx(spread, rel=0.25)
    alone = bootstrap_mean(values, rng)
    assert (alone.high - alone.low) / (2 * 1.96) < 0.6 * spread


def test_trials_are_drawn_where_a_name_is_missing() -> None:
    values = np.random.default_rng(0).standard_normal(60)
    speakers = [("a", "b")] * 59 + [("a", "")]
    rng = np.random.default_rng
    assert bootstrap_mean(values, rng(1), speakers=speakers) == bootstrap_mean(values, rng(1))


@pytest.mark.parametrize(("people", "too_few"), [("ab", True), ("abc", True), ("abcd", False)])
def test_trials_are_drawn_where_people_are_too_few_to_differ(people: str, too_few: bool) -> None:
    values = np.random.default_rng(0).normal(7.0, 1.0, 24)
    pairs = [(a, b) for a in people for b in people if a != b]
    speakers = [pairs[number % len(pairs)] for number in range(24)]
    rng = np.random.default_rng
    assert (bootstrap_mean(values, rng(1), speakers=speakers) == bootstrap_mean(values, rng(1))) is too_few


def test_trials_are_split_by_sex_pair_and_unknown_ones_are_in_all_only() -> None:
    pairs = {"FM": 1.0, "MF": 3.0, "FF": 5.0, "MM": 7.0, "": 9.0}
    rows = [make_row(index, value, sexes=sexes) for index, (sexes, value) in enumerate(pairs.items())]
    groups = summarize(rows, system="ours").groups
    means = {name: group.means["si_sdr_improvement"].value for name, group in groups.items()}
    assert means == {"all": 5.0, "same": 6.0, "different": 2.0, "FF": 5.0, "FM": 1.0, "MF": 3.0, "MM": 7.0}
    assert list(summarize(rows[-1:], system="ours").groups) == ["all"]


def test_the_real_time_factor_is_a_median_that_a_slow_first_trial_does_not_move() -> None:
    rows = [make_row(0, 1.0, rtf=50.0), *(make_row(index, 1.0, rtf=0.2) for index in (1, 2))]
    assert summarize(rows, system="ours").rtf == 0.2


def test_a_comparison_pairs_trials_and_sees_what_separate_intervals_cannot() -> None:
    hard = np.random.default_rng(0).normal(0.0, 10.0, 50)  # trials differ much, the systems by 0.1 dB
    rows = [make_row(index, value) for index, value in enumerate(hard)]
    rows += [make_row(index, value + 0.1, system="better") for index, value in enumerate(hard)]
    rows.append(make_row(99, 1000.0, system="better"))  # a trial that only one of them has says nothing
    found = compare(rows, system="better", against="ours", value="si_sdr_improvement")
    assert found.difference.value == pytest.approx(0.1)
    assert found.difference.low == pytest.approx(0.1)
    assert (found.better_rate, found.difference.count) == (1.0, 50)
    back = compare(rows, system="ours", against="better", value="si_sdr_improvement")
    assert back.difference.value == pytest.approx(-0.1)
    assert back.better_rate == 0.0
