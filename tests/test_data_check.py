"""`data check`: each thing that can be wrong with a list is said, with its line and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from list_layouts import LAYOUTS, lines, write_noise

from tinywase.data.check import CheckReport, check
from tinywase.data.readers import ReadOptions
from tinywase.errors import DataError

HEADER = "mixture,target,enrollment,id"


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, Path]:
    """Sound ones and one of each broken kind."""
    silent, empty, text, cut = (tmp_path / f"{name}.wav" for name in ("silent", "empty", "text", "cut"))
    soundfile.write(silent, np.zeros(9600), 8000)
    empty.write_bytes(b"")
    text.write_text("not a recording")
    cut.write_bytes(write_noise(tmp_path / "whole.wav", 8).read_bytes()[:-2000])
    return {
        "mixture": write_noise(tmp_path / "mixture.wav", 0),
        "target": write_noise(tmp_path / "target.wav", 1),
        "enrollment": write_noise(tmp_path / "enrollment.wav", 2),
        "fast": write_noise(tmp_path / "fast.wav", 3, rate_hz=16_000),
        "longer": write_noise(tmp_path / "longer.wav", 4, seconds=1.3),
        "brief": write_noise(tmp_path / "brief.wav", 5, seconds=0.4),
        "missing": tmp_path / "missing.wav",
        "silent": silent,
        "empty": empty,
        "text": text,
        "cut": cut,
    }


def checked(recordings: dict[str, Path], *rows: tuple[str, str, str], listen: bool = True) -> CheckReport:
    folder = recordings["mixture"].parent
    texts = [",".join([*(str(recordings[name]) for name in row), f"t{place}"]) for place, row in enumerate(rows)]
    return check(lines(folder / "list.csv", [HEADER, *texts]), listen=listen)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"It is empty \(0 bytes\)"),
        ("mixture;target;enrollment\na;b;c\n", "separated by semicolons .*separate by commas"),
        ("a.wav,b.wav,c.wav\n", r"begins with a row \('a.wav,b.wav,c.wav'\), expected a header"),
        ("mixtur,target,enrollment\n", "finished mixtures it lacks mixture; is that 'mixtur' for 'mixture'"),
        ("mixture_id,target_pth,target_gain_db,interference_path,interference_gain_db,enrollment_path\n", "target_pth"),
        ("path,speeker\n", "training sources it lacks speaker; is that 'speeker' for 'speaker'"),
    ],
)
def test_a_list_that_is_none_says_what_was_read_and_what_it_lacks(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=rf"(?s)of trials \(.*training sources \(manifest.*{message}"):
        check(tmp_path / "list.csv")


def test_missing_recordings_of_relative_paths_name_the_folder_they_start_from(tmp_path: Path) -> None:
    report = check(lines(tmp_path / "list.csv", [HEADER, "a.wav,b.wav,c.wav,1"]))
    assert len(report.problems) == 3
    assert f"Relative paths start from {tmp_path}; give --root DIR" in report.problems[0].message
    elsewhere = check(report.path, ReadOptions(root=tmp_path / "speech"))
    assert f"start from {tmp_path / 'speech'}" in elsewhere.problems[0].message
    absolute = check(lines(tmp_path / "absolute.csv", [HEADER, "/no/a.wav,/no/b.wav,/no/c.wav,1"]))
    assert "--root" not in absolute.problems[0].message and "--remap" in absolute.problems[0].message


def test_sound_list_has_no_problems(recordings: dict[str, Path]) -> None:
    report = checked(recordings, ("mixture", "target", "enrollment"))
    assert report.problems == ()
    assert (report.layout, report.rows, report.recordings) == ("csv", 1, 3)
    assert report.seconds == pytest.approx(3.6)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("mixture", "target", "missing"), "no file .*missing.wav; expected a recording.*--remap OLD=NEW"),
        (("mixture", "target", "silent"), r"silent.wav is silent \(peak 0.0e\+00\); expected speech"),
        (("mixture", "target", "empty"), "empty.wav: is empty"),
        (("mixture", "target", "text"), "text.wav: not a recording"),
        (("mixture", "target", "cut"), "cut.wav: is truncated"),
        (("mixture", "target", "target"), "the enrollment is the target itself"),
        (("mixture", "target", "brief"), r"lasts 0.40 s; expected 1 s or more"),
        (("mixture", "fast", "enrollment"), "mixture.wav has 8000 Hz, its target 16000 Hz; expected one rate"),
        (("mixture", "longer", "enrollment"), "has 9600 samples, its target 10400; expected as many"),
    ],
)
def test_each_fault_is_explained_in_its_line(
    recordings: dict[str, Path], row: tuple[str, str, str], message: str
) -> None:
    report = checked(recordings, ("mixture", "target", "enrollment"), row)
    assert [problem.line for problem in report.problems] == [3]
    assert re.search(message, report.problems[0].message)


def test_enrollment_that_is_the_interference_is_found(tmp_path: Path) -> None:
    layout = LAYOUTS["wase"](tmp_path)
    a, b = (next(tmp_path.rglob(f"{name}.wav")) for name in ("052a0501", "443c0201"))
    lines(layout.path, [f"{a} 1.5 {b} -1.5 {b}"])
    assert "the enrollment is the interference" in check(layout.path).problems[0].message


def test_target_reached_by_a_link_is_still_the_target(recordings: dict[str, Path]) -> None:
    link = recordings["mixture"].with_name("link.wav")
    link.symlink_to(recordings["target"])
    report = checked({**recordings, "link": link}, ("mixture", "target", "link"))
    assert "the enrollment is the target itself" in report.problems[0].message


def test_quick_check_reads_headers_only(recordings: dict[str, Path]) -> None:
    rows = (("mixture", "target", "silent"), ("mixture", "target", "missing"))
    assert [problem.line for problem in checked(recordings, *rows, listen=False).problems] == [3]


def test_repeated_trial_names_both_lines(recordings: dict[str, Path], tmp_path: Path) -> None:
    row = ",".join(str(recordings[name]) for name in ("mixture", "target", "enrollment"))
    report = check(lines(tmp_path / "twice.csv", [HEADER, f"{row},same", f"{row},same"]))
    assert "trial 'same' again, first in line 2" in str(report.problems[0])
    assert report.problems[0].line == 3


def test_problems_of_the_reader_and_of_the_files_come_in_the_order_of_lines(recordings: dict[str, Path]) -> None:
    report = checked(recordings, ("mixture", "target", "missing"), ("mixture", "target", "silent"))
    listing = report.path
    listing.write_text(listing.read_text().replace("t0\n", "t0\na,b\n"))
    assert [problem.line for problem in check(listing).problems] == [2, 3, 4]


def test_training_source_names_repeats_and_lonely_speakers(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        write_noise(tmp_path / f"{name}.wav", ord(name[0]) + int(name[1]))
    rows = ["path,speaker,split", "a1.wav,a,train", "a2.wav,a,train", "a1.wav,a,train", "b1.wav,b,train"]
    report = check(lines(tmp_path / "manifest.csv", rows))
    assert (report.layout, report.speakers) == ("manifest", 2)
    texts = [str(problem) for problem in report.problems]
    assert "manifest.csv:4:" in texts[0]
    assert "a1.wav again, first in line 2" in texts[0]
    assert "manifest.csv:5: speaker 'manifest/b' has a single utterance" in texts[1]
    rows[-1] = "b1.wav,b,train-interference"  # nobody to extract: one recording is enough
    assert len(check(lines(tmp_path / "manifest.csv", rows)).problems) == 1


def test_training_tree_is_checked_file_by_file(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_noise(tmp_path / "ann" / f"{name}.wav", int(name))
    soundfile.write(tmp_path / "ann" / "3.wav", np.zeros(8000), 8000)
    report = check(tmp_path)
    assert [problem.file for problem in report.problems] == [tmp_path / "ann" / "3.wav"]


def test_list_without_trials_and_missing_paths_are_refused(tmp_path: Path) -> None:
    assert "no trials" in check(lines(tmp_path / "list.csv", [HEADER])).problems[0].message
    with pytest.raises(DataError, match="does not exist"):
        check(tmp_path / "nowhere")


def test_progress_runs_to_the_end(recordings: dict[str, Path], tmp_path: Path) -> None:
    row = ",".join(str(recordings[name]) for name in ("mixture", "target", "enrollment"))
    parts: list[float] = []
    check(lines(tmp_path / "list.csv", [HEADER, f"{row},t"]), progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0


def test_shared_test_list_is_in_order(speech_root: Path) -> None:
    assert check(speech_root / "lists" / "test.csv", listen=False).problems == ()
