"""Whose turn it is: tones that stand for voices, and a network that takes one voice for another half of the time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in import Command, StandInModel, stand_in, tone

from tinywase import Extraction, Extractor
from tinywase.runtime import turns
from tinywase.runtime.passes import Separated
from tinywase.runtime.spool import Spool

RATE_HZ = 8000
OWN_HZ, OTHER_HZ = 300.0, (3060.0, 3200.0)  # one band of the stand-in's voiceprint
TURN_S = 10  # the other's second turn passes, the first does not


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def conversation(own_hz: float = OWN_HZ, other_hz: Sequence[float] = OTHER_HZ) -> np.ndarray:
    """Own, other, own, other."""
    turns_hz = (own_hz, other_hz[0], own_hz, other_hz[1])
    return np.concatenate([tone(frequency_hz, TURN_S) for frequency_hz in turns_hz])


def careless(mixture: np.ndarray) -> np.ndarray:
    """What a network leaves that notices the other's first turn alone."""
    spectrum = np.fft.rfft(mixture)
    frequency_hz = np.fft.rfftfreq(len(mixture), 1 / RATE_HZ)
    spectrum[np.abs(frequency_hz - OTHER_HZ[0]) < 60] *= 0.01
    return np.fft.irfft(spectrum, len(mixture)).astype(np.float32)


def extracted(mixture: np.ndarray, *, turns: bool = True, enrolled_hz: float = OWN_HZ) -> Extraction:
    extractor = stand_in(careless)
    voiceprint = extractor.enroll(tone(enrolled_hz, 3), sample_rate_hz=RATE_HZ)
    return extractor.extract(mixture, voiceprint, sample_rate_hz=RATE_HZ, turns=turns)


def left_db(extraction: Extraction, plain: Extraction, start_s: float, stop_s: float) -> float:
    """Of the estimate without `turns`."""
    part = slice(round(start_s * RATE_HZ), round(stop_s * RATE_HZ))
    return 10 * np.log10(np.sum(extraction.estimate[part] ** 2) / np.sum(plain.estimate[part] ** 2))


def test_a_turn_that_is_anothers_is_silenced_although_the_network_let_it_through() -> None:
    told, plain = (extracted(conversation(), turns=used) for used in (True, False))
    for extraction, active in ((told, 0), (plain, 1)):
        assert set(extraction.activity[3150:3850]) == {active}
    assert left_db(told, plain, 32, 38.5) == pytest.approx(-turns.LOWERED_DB, abs=0.1)
    np.testing.assert_allclose(told.estimate + told.residual, conversation(), atol=1e-6)
    for start_s in (0, 20):
        own = slice(start_s * RATE_HZ, (start_s + TURN_S) * RATE_HZ)
        np.testing.assert_array_equal(told.estimate[own], plain.estimate[own])
        np.testing.assert_array_equal(
            told.activity[own.start // 80 : own.stop // 80], plain.activity[own.start // 80 : own.stop // 80]
        )


@pytest.mark.parametrize("length_s", [1.0, 0.8])
def test_a_word_of_the_targets_in_between_stays(length_s: float) -> None:
    mixture = conversation()
    word = slice(35 * RATE_HZ, round((35 + length_s) * RATE_HZ))
    around = slice(word.start - RATE_HZ // 2, word.stop + RATE_HZ // 2)
    mixture[around] = 0.0
    mixture[word] = tone(OWN_HZ, length_s)
    told, plain = (extracted(mixture, turns=used) for used in (True, False))
    np.testing.assert_array_equal(told.estimate[word], plain.estimate[word])
    assert left_db(told, plain, 32, 33) < -20


@pytest.mark.parametrize(
    ("mixture", "enrolled_hz"),
    [
        (conversation()[: 19 * RATE_HZ], OWN_HZ),
        (np.concatenate([tone(OWN_HZ, 40)]), OWN_HZ),
        (conversation(), 1500.0),
        (conversation(other_hz=(OWN_HZ, OWN_HZ)), OWN_HZ),
        (silence(25), OWN_HZ),
        (np.concatenate([tone(OWN_HZ, 12), tone(OTHER_HZ[1], 3), tone(OWN_HZ, 12)]), OWN_HZ),
    ],
    ids=["short", "one voice", "the target is absent", "both are the target", "silence", "who says little"],
)
def test_where_the_recording_does_not_tell_nothing_changes_at_all(mixture: np.ndarray, enrolled_hz: float) -> None:
    told, plain = (extracted(mixture, turns=used, enrolled_hz=enrolled_hz) for used in (True, False))
    np.testing.assert_array_equal(told.estimate, plain.estimate)
    np.testing.assert_array_equal(told.activity, plain.activity)


def test_whoever_passes_wholly_may_be_the_target_in_another_mood() -> None:
    extractor = stand_in()
    voiceprint = extractor.enroll(tone(OWN_HZ, 3), sample_rate_hz=RATE_HZ)
    told = extractor.extract(conversation(), voiceprint, sample_rate_hz=RATE_HZ)
    assert told.activity.min() == 1


def test_both_at_once_stay_as_they_are() -> None:
    mixture = conversation()
    mixture[34 * RATE_HZ : 38 * RATE_HZ] += tone(OWN_HZ, 4, amplitude=0.3)
    told, plain = (extracted(mixture, turns=used) for used in (True, False))
    both = slice(34 * RATE_HZ, 38 * RATE_HZ)
    np.testing.assert_array_equal(told.estimate[both], plain.estimate[both])


def test_pieces_hold_short_pauses_and_are_a_second_long_at_most() -> None:
    active = np.zeros(400, bool)
    active[10:20] = active[40:60] = active[120:350] = True  # a pause of 0.2 s, one of 0.6 s
    assert list(turns._pieces(active, 0.01)) == [[(10, 60)], [(120, 197), (197, 273), (273, 350)]]
    assert list(turns._pieces(np.zeros(5, bool), 0.01)) == []


def test_the_gain_fades_and_the_old_estimate_is_let_go(tmp_path: Path) -> None:
    old = Spool(1, tmp_path)
    old.append(np.ones((8001, 1), np.float32))
    theirs = np.zeros(101, bool)
    theirs[40:60] = True
    separated = Separated(old, 1.0, np.ones(101, np.float32), 0.01, np.ones(101), np.ones(101))
    lowered = turns._lowered(separated, theirs, 80, tmp_path)
    samples = lowered.estimate.read(0, 9000)[:, 0]
    assert len(samples) == 8001 and np.abs(np.diff(samples)).max() < 2 / 800
    np.testing.assert_array_equal(samples[[0, 2000, 8000]], 1)
    assert samples[4000] == pytest.approx(10 ** (-turns.LOWERED_DB / 20), rel=1e-3)
    assert lowered.activity.sum() == 81 and separated.activity.sum() == 101
    with pytest.raises(ValueError, match="closed"):
        old.read(0, 1)
    lowered.estimate.close()


def test_files_come_out_as_arrays_do_and_progress_only_rises(tmp_path: Path) -> None:
    extractor, stereo = stand_in(careless), np.stack([conversation()] * 2, axis=1)
    voiceprint = extractor.enroll(tone(OWN_HZ, 3), sample_rate_hz=RATE_HZ)
    done: list[float] = []
    soundfile.write(tmp_path / "in.wav", stereo, RATE_HZ, subtype="FLOAT")
    report = extractor.extract_file(tmp_path / "in.wav", tmp_path / "out.wav", voiceprint, progress=done.append)
    expected = extractor.extract(stereo, voiceprint, sample_rate_hz=RATE_HZ)
    found = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
    np.testing.assert_allclose(found, expected.estimate, atol=1e-4)
    np.testing.assert_array_equal(report.activity, expected.activity)
    assert report.active_s < 32
    assert done == sorted(done) and done[-1] == pytest.approx(1.0)


def test_the_command_line_turns_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extractor = Extractor(StandInModel(careless))  # type: ignore[arg-type]
    monkeypatch.setattr(Extractor, "from_pretrained", lambda *a, **k: extractor)
    soundfile.write(tmp_path / "in.wav", conversation(), RATE_HZ)
    soundfile.write(tmp_path / "me.wav", tone(OWN_HZ, 3), RATE_HZ)
    labelled = []
    for option in ("--turns", "--no-turns"):
        labels = tmp_path / f"{option}.txt"
        made = Command(capsys)(
            *("extract", tmp_path / "in.wav", "-e", tmp_path / "me.wav", "--labels", labels, option),
            *("-o", tmp_path / f"{option}.wav"),
        )
        assert made.code == 0, made.err
        times = [line.split("\t")[:2] for line in labels.read_text().splitlines()]
        labelled.append(sum(float(stop) - float(start) for start, stop in times))
    assert labelled[0] < 25 < labelled[1]
