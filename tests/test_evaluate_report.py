"""The files of an evaluation: every row once, valid JSON, tables with their command, nothing replaced unasked."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tinywase.errors import OutputError
from tinywase.evaluate.outputs import RESULT_NAMES, refuse_existing, result_paths, write_results
from tinywase.evaluate.report import RATES, Report, build_report, rows_csv, summary_json
from tinywase.evaluate.run import Evaluation
from tinywase.evaluate.score import ALL_METRICS, Failure, Row
from tinywase.evaluate.statistics import RESAMPLES
from tinywase.evaluate.tables import markdown, text_table, text_tables
from tinywase.metrics import LIMIT_DB

COMMAND = "tinywase evaluate ours mixture --list test.csv"


def make_row(position: int, system: str, gain_db: float, sexes: str = "FM") -> Row:
    values = {
        **{"input_si_sdr": 0.5, "si_sdr": 0.5 + gain_db, "si_sdr_improvement": gain_db},
        **{"below_1db": float(gain_db < 1), "confused": 0.0, "activity_f1": math.nan, "rtf": 0.05},
    }
    return Row(position, f"{position:04}", sexes, system, 4.0, 0.2, values)


def make_report(*, done: int = 4, sexes: str = "FM", against: str | None = None) -> Report:
    gains = {"ours": [6.0, 8.0, 0.5, 9.5][:done], "mixture": [0.0] * done}
    rows = tuple(
        make_row(position, name, gain, sexes) for name, values in gains.items() for position, gain in enumerate(values)
    )
    failures = (Failure(4, "0004", 6, "ours", "AudioError: no"),)
    evaluation = Evaluation(("ours", "mixture"), ("native", "python"), rows, failures, trials=5, trials_done=done + 1)
    notes = ("pesq is left out: package 'pesq' is not installed (pip install 'tinywase[eval]').",)
    return build_report(evaluation, list_name="test.csv", command=COMMAND, notes=notes, against=against)


def test_the_csv_holds_every_row_with_undefined_figures_empty() -> None:
    report = make_report()
    lines = list(csv.DictReader(io.StringIO(rows_csv(report.evaluation.rows))))
    assert [(line["system"], line["mixture_id"]) for line in lines[:2]] == [("ours", "0000"), ("ours", "0001")]
    assert len(lines) == 8
    assert float(lines[1]["si_sdr_improvement"]) == 8.0
    assert lines[1]["activity_f1"] == ""
    assert lines[1]["sexes"] == "FM"


def test_the_json_has_the_first_system_on_top_and_all_of_them_below() -> None:
    summary = json.loads(summary_json(make_report(against="mixture")))
    assert summary["system"] == "ours"
    assert summary["si_sdr_improvement_mean"] == 6.0
    low, high = summary["si_sdr_improvement_ci"]
    assert 0.5 <= low < 6.0 < high <= 9.5
    assert (summary["trials"], summary["trials_asked"], summary["failures"]) == (4, 5, 1)
    assert (summary["below_1db_rate"], summary["confusion_rate"]) == (0.25, 0.0)
    assert (summary["rtf"], summary["runtime"]) == (0.05, "native")
    assert summary["activity_f1_mean"] is None
    assert summary["activity_f1_undefined"] == 4
    assert summary["by_sexes"]["different"]["trials"] == 4
    assert [system["system"] for system in summary["systems"]] == ["ours", "mixture"]
    assert summary["command"] == COMMAND
    assert summary["failed"] == ["line 6 (0004), system 'ours': AudioError: no"]
    (comparison,) = summary["comparisons"]
    assert (comparison["system"], comparison["against"], comparison["difference_mean"]) == ("ours", "mixture", 6.0)


def test_the_tables_stand_with_their_list_notes_failures_and_command() -> None:
    text = markdown(make_report(against="mixture"))
    one_space = re.sub(" +", " ", text)
    assert "| ours | 4 | 6.00 [" in one_space
    assert "25.0 %" in text
    assert "| SI-SDRi dB | ours | mixture |" in one_space
    assert "| FM (4) | 6.0 [" in one_space
    assert "| against mixture | figure | difference | ahead in |" in one_space
    assert "| ours | SI-SDR dB | +6.000 [" in one_space
    assert "List `test.csv`, 5 trials" in text
    assert "Runtimes: ours native (threads: 1), mixture python (threads: " in text
    assert "Note: pesq is left out" in text
    assert "Failed: line 6 (0004)" in text
    assert text.endswith(f"```\n{COMMAND}\n```\n")


def test_threads_are_those_that_were_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    summary = json.loads(summary_json(make_report()))
    assert [system["threads"] for system in summary["systems"]] == ["1", "all"]
    assert summary["machine"]["threads"] == summary["threads"] == "1"
    assert "ours native (threads: 1), mixture python (threads: all)" in markdown(make_report())
    together = replace(make_report(), jobs=2)
    assert [system["threads"] for system in json.loads(summary_json(together))["systems"]] == ["1", "1"]
    assert "mixture python (threads: 1)" in markdown(together)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "mixture python (threads: 3)" in markdown(together)


def test_the_tables_of_every_metric_fit_a_terminal() -> None:
    """Three systems, all metrics, all sex pairs, a comparison: the widest of usual runs."""
    quality = {"sdr": 15.3, "pesq": 2.5, "estoi": 0.7}
    rows = []
    for position in range(8):
        for name, gain_db in {"small": 8.5, "mixture": 0.0, "oracle": 15.3}.items():
            row = make_row(position, name, gain_db + position, ("FF", "FM", "MF", "MM")[position % 4])
            values = quality | {f"{metric}_improvement": value for metric, value in quality.items()}
            rows.append(replace(row, values=row.values | values | {"activity_f1": 0.9}))
    evaluation = Evaluation(("small", "mixture", "oracle"), ("native", *2 * ("python",)), tuple(rows), (), 8, 8)
    text = markdown(build_report(evaluation, list_name="test.csv", command=COMMAND, against="mixture"))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert max(map(len, tables)) <= 80
    one_space = re.sub(" +", " ", text)
    assert "| system | SDRi dB | PESQ (gain) | ESTOI (gain) | activity F1 |" in one_space
    assert "2.50 (+2.50) | 0.700 (+0.700) | 0.900 |" in one_space


def test_figures_that_were_not_asked_for_have_no_table() -> None:
    assert "activity F1" in markdown(make_report())
    report = make_report()
    rows = tuple(
        replace(row, values={name: value for name, value in row.values.items() if name != "activity_f1"})
        for row in report.evaluation.rows
    )
    evaluation = replace(report.evaluation, rows=rows)
    assert "activity F1" not in markdown(build_report(evaluation, list_name="test.csv", command=COMMAND))


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column() -> None:
    header, rows = ["name", "a", "b", "c"], [["x", "1" * 10, "2" * 10, "3" * 30]]
    first, second, third = text_tables(header, rows, width=33).split("\n\n")
    assert first == text_table(["name", "a"], [["x", "1" * 10]])
    assert second == text_table(["name", "b"], [["x", "2" * 10]])
    assert third.splitlines()[2] == f"| x    | {'3' * 30} |"  # no table holds it: one of its own
    assert text_tables(header[:3], [rows[0][:3]], width=34) == text_table(header[:3], [rows[0][:3]])


def test_an_interrupted_run_says_so_in_its_table() -> None:
    assert "2 trials" in markdown(make_report(done=1))
    assert "Interrupted: 5 trials were asked for." in markdown(make_report(done=1))
    assert "Interrupted" not in markdown(make_report())


def test_lists_without_sexes_have_no_table_of_them() -> None:
    assert "same" not in markdown(make_report(sexes=""))
    assert "different" not in markdown(make_report(sexes=""))


def test_a_run_without_a_single_row_is_still_a_report() -> None:
    evaluation = Evaluation(("ours",), ("native",), (), (), trials=5, trials_done=0)
    report = build_report(evaluation, list_name="test.csv", command=COMMAND)
    assert json.loads(summary_json(report))["trials"] == 0
    assert "| ours   |      0 |" in markdown(report)


def test_a_text_table_reads_as_plain_text_too() -> None:
    assert text_table(["a", "figure"], [["long", "1"]]) == "| a    | figure |\n|------|-------:|\n| long |      1 |"


def test_a_folder_gets_all_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "results"
    assert write_results(folder, make_report()) == ()
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in result_paths(folder))
    for picture in folder.glob("*.png"):
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_command_that_is_no_text_does_not_keep_the_results_back(tmp_path: Path) -> None:
    write_results(tmp_path, replace(make_report(done=1), command="tinywase evaluate caf\udce9"))
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["command"] == "tinywase evaluate caf?"


@pytest.mark.parametrize("done", [0, 1])
def test_plots_of_almost_nothing_are_drawn(done: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert write_results(tmp_path, make_report(done=done)) == ()


def test_plots_are_left_out_with_a_note_where_matplotlib_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinywase.evaluate.outputs.find_spec", lambda name: None)
    (note,) = write_results(tmp_path, make_report())
    assert note.startswith("the plots are left out: package 'matplotlib' is not installed")
    assert not list(tmp_path.glob("*.png"))


def test_existing_results_are_refused_before_the_work_and_replaced_when_forced(tmp_path: Path) -> None:
    existing = tmp_path / "summary.json"
    existing.write_text("mine")
    message = r"summary\.json' exists already: nothing was evaluated\. .* --force"
    with pytest.raises(OutputError, match=message):
        refuse_existing(result_paths(tmp_path), force=False)
    refuse_existing(result_paths(tmp_path), force=True)
    write_results(tmp_path, make_report(), force=True)
    assert json.loads(existing.read_text())["system"] == "ours"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"folder '.*file/results' cannot be made .*Choose another place"):
        write_results(tmp_path / "file" / "results", make_report())


def test_the_evaluation_page_names_every_figure_and_file() -> None:
    page = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text()
    figures = {"interference_si_sdr", "below_1db", "confused", "rtf", *ALL_METRICS, *RATES.values(), *RESULT_NAMES}
    assert {name for name in figures if f"`{name}`" not in page} == set()
    assert f"-{LIMIT_DB:.0f}..{LIMIT_DB:.0f}" in page
    assert f"{RESAMPLES} resamples" in page
