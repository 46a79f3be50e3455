"""Labels: activity to segments, segments to the two formats that people open."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinywase.errors import OutputError
from tinywase.runtime.labels import (
    SHORTEST_GAP_S,
    SHORTEST_SEGMENT_S,
    Segment,
    labels_text,
    segments,
    write_labels,
)

HOP_S = 0.01


def activity(*runs: tuple[float, float]) -> np.ndarray:
    """(level, seconds) one after the other."""
    return np.concatenate([np.full(round(seconds / HOP_S), level) for level, seconds in runs])


def test_pauses_are_bridged_and_clicks_dropped() -> None:
    found = segments(activity((0, 1), (0.9, 1), (0.1, 0.15), (0.6, 0.5), (0, 0.5), (1, 0.05), (0, 0.5), (1, 1)), HOP_S)
    assert [(round(s.start_s, 2), round(s.stop_s, 2)) for s in found] == [(1.0, 2.65), (3.7, 4.7)]


def test_the_threshold_decides_what_is_active() -> None:
    assert segments(activity((0.6, 1)), HOP_S, threshold=0.7) == []
    assert segments(np.zeros(0), HOP_S) == []


@given(st.lists(st.floats(0, 1), max_size=300))
def test_segments_are_apart_long_enough_and_within_the_recording(values: list[float]) -> None:
    found = segments(np.array(values), HOP_S)
    assert all(s.stop_s - s.start_s >= SHORTEST_SEGMENT_S - 1e-6 for s in found)
    assert all(b.start_s - a.stop_s >= SHORTEST_GAP_S - 1e-6 for a, b in pairwise(found))
    assert all(s.start_s >= 0 and s.stop_s <= len(values) * HOP_S + 1e-9 for s in found)


def test_the_last_segment_ends_with_the_recording() -> None:
    assert segments(np.ones(334), HOP_S, length_s=3.332) == [Segment(0.0, 3.332)]


def test_rttm_has_its_ten_fields_and_audacity_its_three() -> None:
    speech = [Segment(1.25, 2.5), Segment(3.0, 3.1)]
    rttm = labels_text(speech, ".rttm", recording="my meeting", speaker="Ada L")
    assert rttm.splitlines()[0] == "SPEAKER my_meeting 1 1.250 1.250 <NA> <NA> Ada_L <NA> <NA>"
    assert all(len(line.split()) == 10 for line in rttm.splitlines())
    audacity = labels_text(speech, ".txt", recording="my meeting", speaker="Ada L")
    assert audacity == "1.250000\t2.500000\tAda L\n3.000000\t3.100000\tAda L\n"


def test_names_that_are_no_text_are_written_as_far_as_they_are(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.rttm", [Segment(0.0, 1.0)], recording="caf\udce9", speaker="me")
    assert (tmp_path / "a.rttm").read_text(encoding="utf-8").startswith("SPEAKER caf? 1 ")


def test_labels_are_written_by_suffix_and_others_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "who.RTTM", [Segment(0.0, 1.0)], recording="a", speaker="b")
    assert (tmp_path / "who.RTTM").read_text().startswith("SPEAKER a 1 0.000 1.000")
    with pytest.raises(OutputError, match=r"labels are \.rttm \(RTTM\) or \.txt \(Audacity\)"):
        write_labels(tmp_path / "who.srt", [], recording="a", speaker="b")
    with pytest.raises(OutputError, match="exists already"):
        write_labels(tmp_path / "who.RTTM", [], recording="a", speaker="b")
