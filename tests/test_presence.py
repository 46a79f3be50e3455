"""The presence rule: what counts, what a card says, and that calibration keeps its promise of few false alarms."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in import Command, stand_in
from voices import trials_of_voices

from tinywase.data.convert import to_csv
from tinywase.errors import DataError, FormatError
from tinywase.evaluate.cards import with_card
from tinywase.evaluate.presence import (
    ABSENT,
    ONE_VOICE,
    PRESENT,
    TWO_VOICES,
    calibrate,
    calibrated_fields,
    card_fields,
    find_rule,
    gather_consistencies,
    gather_evidence,
    halvings,
)
from tinywase.format import read_model, to_bytes
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.presence import Evidence, Presence, PresenceRule

SURE = Evidence(active_s=2.0, confidence=0.95, likeness=0.9)


def drawn(rng: np.random.Generator, count: int, confidence: float, likeness: float) -> list[Evidence]:
    """Evidence scattered around two means."""
    return [Evidence(2.0, rng.normal(confidence, 0.15), rng.normal(likeness, 0.15)) for _ in range(count)]


def scattered(seed: int = 0, count: int = 400) -> dict[str, list[Evidence]]:
    rng = np.random.default_rng(seed)
    means = {"clean": (0.75, 0.6), "lone_target": (0.85, 0.8), "absent": (0.4, 0.1), "absent_lone": (0.35, 0.1)}
    return {name: drawn(rng, count, *pair) for name, pair in means.items()}


def alike(count: int = 400) -> dict[str, list[float]]:
    """Consistencies of enrollments by one speaker and by two."""
    rng = np.random.default_rng(5)
    return {ONE_VOICE: list(rng.normal(0.8, 0.1, count)), TWO_VOICES: list(rng.normal(0.3, 0.1, count))}


@pytest.mark.parametrize(
    "missing", [{"active_s": 0.1}, {"confidence": 0.0}, {"likeness": -0.2}], ids=["active", "confidence", "likeness"]
)
def test_every_piece_of_evidence_counts(missing: dict[str, float]) -> None:
    rule = dataclasses.replace(PresenceRule(), bias=-12.0)
    assert rule.verdict(SURE) is Presence.PRESENT
    assert rule.verdict(dataclasses.replace(SURE, **missing)) is Presence.ABSENT


def test_between_present_and_absent_lies_doubt() -> None:
    rule = PresenceRule(confidence_weight=4.0, likeness_weight=2.0, bias=-6.0, doubt=2.0)
    confidences = (0.95, 0.5, 0.0)
    at = [dataclasses.replace(SURE, confidence=confidence) for confidence in confidences]
    scores = [rule.score(one) for one in at]
    assert scores == pytest.approx([4.0 * np.arctanh(cosine) + 2.0 * np.arctanh(0.9) - 6.0 for cosine in confidences])
    assert [rule.verdict(one) for one in at] == [Presence.PRESENT, Presence.UNCERTAIN, Presence.ABSENT]
    assert [bool(rule.verdict(one)) for one in at] == [True, True, False]


def test_the_same_voice_to_the_sample_has_a_score_too() -> None:
    score = PresenceRule().score(Evidence(active_s=2.0, confidence=1.0, likeness=1.0))
    assert score is not None and np.isfinite(score)


def test_too_little_speech_for_a_score_leaves_the_activity() -> None:
    short = Evidence(active_s=0.3, confidence=None, likeness=None)
    assert PresenceRule().score(short) is None
    assert PresenceRule().verdict(short) is Presence.PRESENT
    assert PresenceRule(active_s=0.5).verdict(short) is Presence.ABSENT
    in_long = dataclasses.replace(short, recording_s=5.0)
    assert PresenceRule().verdict(in_long) is Presence.UNCERTAIN  # perhaps a stranger's


def test_a_card_fills_the_rule_and_may_tell_more() -> None:
    rule = PresenceRule.from_card({"presence": {"bias": -6, "trials": 240, "clean_heard_rate": 0.9}})
    assert rule == dataclasses.replace(PresenceRule(), bias=-6.0)


def test_weights_of_plain_cosines_that_older_cards_have_are_not_taken_for_others() -> None:
    older = {"confidence_weight": 16.4, "likeness_weight": 3.7, "level_weight": 0.0, "bias": -16.7, "doubt": 4.6}
    rule = PresenceRule.from_card({"presence": {**older, "one_voice": 0.5, "activity": 0.4}})
    assert rule == PresenceRule(one_voice=0.5, activity=0.4)


@pytest.mark.parametrize(
    "rule", ["strict", ["bias"], None, {"bias": "-6"}, {"doubt": None}, {"activity": True}, {"bias": {}}]
)
def test_a_rule_that_is_no_table_of_numbers_is_refused(rule: Any) -> None:
    with pytest.raises(FormatError, match=r"the model card's presence rule .* `tinywase calibrate` makes it"):
        PresenceRule.from_card({"presence": rule})


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
def test_no_kind_of_absent_target_raises_more_false_alarms_than_allowed(rate: float) -> None:
    evidence = scattered()
    rule = find_rule(evidence, false_alarm_rate=rate)
    alarms = {name: np.mean([rule.verdict(one) is Presence.PRESENT for one in evidence[name]]) for name in ABSENT}
    assert max(alarms.values()) <= rate
    assert rate == 0.0 or max(alarms.values()) > 0.5 * rate  # and no stricter than needed


def test_the_rates_of_a_calibration_hold_for_unseen_trials() -> None:
    calibration = calibrate(scattered(), alike(), false_alarm_rate=0.05)
    fresh = scattered(seed=1)
    for name in (*PRESENT, *ABSENT):
        verdicts = [calibration.rule.verdict(one) for one in fresh[name]]
        for told, verdict in ((calibration.heard, Presence.PRESENT), (calibration.denied, Presence.ABSENT)):
            assert told[name] == pytest.approx(np.mean([one is verdict for one in verdicts]), abs=0.06), name
    assert calibration.heard["clean"] > 0.8
    assert calibration.denied["clean"] < 0.04
    assert calibration.denied["absent"] > 0.8


def test_the_halves_of_a_calibration_share_no_speaker() -> None:
    speakers = [f"s{number}" for number in np.random.default_rng(0).integers(12, size=100)]
    drawn_halves = halvings(speakers)
    for in_first in drawn_halves:
        sides = [{name for name, one in zip(speakers, in_first, strict=True) if one is side} for side in (True, False)]
        assert not sides[0] & sides[1] and 35 <= sum(in_first) <= 65
    assert len({tuple(one) for one in drawn_halves}) > 0.9 * len(drawn_halves)
    assert halvings(["a"] * 4) == halvings(["a", "", "b", "c"]) == [[True, True, False, False]]


def test_a_speaker_on_both_sides_does_not_flatter_the_rates() -> None:
    rng = np.random.default_rng(2)
    liking = {f"s{number}": level for number, level in enumerate(rng.normal(0.4, 0.3, 8))}  # all depends on who it is
    speakers = [f"s{number}" for number in range(8)] * 20

    def evidence(shift: float) -> list[Evidence]:
        return [Evidence(2.0, 0.5, liking[speaker] + shift + rng.normal(0, 0.01)) for speaker in speakers]

    found = {name: evidence(0.0) for name in ABSENT} | {name: evidence(0.1) for name in PRESENT}
    found["absent"] = [one for one in found["absent"] for _ in range(2)]  # two strangers each
    apart, mixed = (calibrate(found, alike(160), speakers=names) for names in (speakers, []))
    assert apart.rule == mixed.rule
    assert mixed.heard["absent"] < 0.05 < apart.heard["absent"]


def test_cosines_that_lie_close_together_are_told_apart_as_well() -> None:
    wide = scattered()

    def closer(one: Evidence) -> Evidence:
        confidence, likeness = (0.9 + (value or 0) / 10 for value in (one.confidence, one.likeness))
        return dataclasses.replace(one, confidence=confidence, likeness=likeness)

    close = {name: [closer(one) for one in of] for name, of in wide.items()}
    for name, rate in calibrate(close, alike()).heard.items():
        assert rate == pytest.approx(calibrate(wide, alike()).heard[name], abs=0.02), name


def test_clips_too_short_to_compare_decide_nothing() -> None:
    evidence = scattered()
    short = Evidence(active_s=0.3, confidence=0.9, likeness=None)
    with_short = {name: [*of, short] for name, of in evidence.items()}
    assert find_rule(with_short, false_alarm_rate=0.01) == find_rule(evidence, false_alarm_rate=0.01)


def test_the_card_gets_the_rule_that_was_found() -> None:
    calibration = calibrate(scattered(), alike())
    fields = card_fields(calibration)
    assert PresenceRule.from_card({"presence": fields}).bias == pytest.approx(calibration.rule.bias, abs=1e-4)
    assert fields["trials"] == 400
    assert PresenceRule.from_card({"presence": fields}).one_voice == pytest.approx(calibration.rule.one_voice, abs=1e-4)
    assert json.dumps(fields, allow_nan=False)


def test_evidence_tells_present_from_absent_voices(tmp_path: Path) -> None:
    evidence = gather_evidence(stand_in(), trials_of_voices(tmp_path, seconds=3.0))
    confidence = {name: np.mean([one.confidence or 0.0 for one in of]) for name, of in evidence.items()}
    assert confidence["lone_target"] > confidence["clean"] > confidence["absent"]
    assert len(evidence["absent"]) == 2 * len(evidence["clean"])  # two strangers each


def test_few_single_speakers_sound_like_two() -> None:
    values = alike()
    calibration = calibrate(scattered(), values, false_alarm_rate=0.05)
    noted = {name: np.mean(np.array(of) < calibration.rule.one_voice) for name, of in values.items()}
    assert noted[ONE_VOICE] == pytest.approx(0.05)
    assert calibration.two_voices_noted == pytest.approx(noted[TWO_VOICES], abs=0.02)
    assert calibration.two_voices_noted > 0.95


def test_enrollments_by_two_speakers_are_less_alike(tmp_path: Path) -> None:
    found = gather_consistencies(stand_in(), trials_of_voices(tmp_path, seconds=3.0))
    assert min(found[ONE_VOICE]) > np.mean(found[TWO_VOICES])
    assert len(found[ONE_VOICE]) == len(found[TWO_VOICES])


def test_a_handful_of_trials_is_refused() -> None:
    with pytest.raises(DataError, match="3 trials: expected 4 at the very least, better 100"):
        calibrate(scattered(count=3), alike())


def test_a_calibration_leaves_its_callers_extractor_as_it_was(tmp_path: Path, tiny_model_path: Path) -> None:
    extractor = Extractor.from_pretrained(tiny_model_path)
    before, model = extractor.model.common.copy(), extractor.model
    common = calibrated_fields(extractor, trials_of_voices(tmp_path, seconds=3.0))["common"]
    assert np.any(common != before)
    assert extractor.model is model
    np.testing.assert_array_equal(model.common, before)


def test_the_command_writes_the_model_with_its_rule(tmp_path: Path, tiny_model_path: Path, tinywase: Command) -> None:
    (tmp_path / "list.csv").write_text(to_csv(trials_of_voices(tmp_path, seconds=3.0)))
    out = tmp_path / "out.twase"
    done = tinywase("calibrate", tiny_model_path, "--list", tmp_path / "list.csv", "-o", out, "--json")
    assert done.code == 0, done.err
    before, after = read_model(tiny_model_path), read_model(out)
    assert after.card == before.card | {"presence": json.loads(done.out)}
    np.testing.assert_array_equal(
        after.tensors["encoder.weight"].dequantize(), before.tensors["encoder.weight"].dequantize()
    )


@pytest.mark.parametrize("compact", [False, True])
def test_another_card_changes_nothing_else(tmp_path: Path, compact: bool) -> None:
    golden = Path(__file__).parent / "golden" / "offline.twase"
    stored = tmp_path / "stored.twase"
    stored.write_bytes(to_bytes(read_model(golden), compact=compact))
    with_card(stored, tmp_path / "other.twase", {"name": "other"})
    model_file = read_model(tmp_path / "other.twase")
    assert model_file.card == {"name": "other"}
    with_card(tmp_path / "other.twase", tmp_path / "again.twase", read_model(golden).card)
    assert (tmp_path / "again.twase").read_bytes() == stored.read_bytes()
