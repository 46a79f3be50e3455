"""Readers of lists: a contract that every layout keeps, and what is particular to some."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from list_layouts import LAYOUTS, LIBRI, Layout, libri_names, lines, write_noise, wsj0_names, wsj0_set

from tinywase.data.lists import read_list, read_trials, render_trial
from tinywase.data.readers import READERS, find_reader
from tinywase.errors import DataError


@pytest.fixture(params=sorted(LAYOUTS))
def named_layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Layout]:
    return request.param, LAYOUTS[request.param](tmp_path)


def test_every_reader_has_an_example() -> None:
    assert {reader.name for reader in READERS} == set(LAYOUTS)


def test_layout_is_recognized_and_read_whole(named_layout: tuple[str, Layout]) -> None:
    name, layout = named_layout
    assert find_reader(layout.path).name == name
    trials = read_trials(layout.path)
    assert len(trials) == layout.trials
    assert len({trial.mixture_id for trial in trials}) == layout.trials
    for trial in trials:
        assert trial.recipe == layout.recipe
        assert all(path.is_file() for path in trial.recordings)
        assert trial.enrollment != trial.target
        assert (trial.mixture is None) == (layout.recipe != "files")


def test_same_trials_twice_and_with_the_format_named(named_layout: tuple[str, Layout]) -> None:
    name, layout = named_layout
    assert read_trials(layout.path) == read_trials(layout.path, format=name)


def test_every_trial_renders_with_target_and_interference_adding_up(named_layout: tuple[str, Layout]) -> None:
    _, layout = named_layout
    trial = read_trials(layout.path)[0]
    rendered = render_trial(trial, 8000)
    assert rendered.mixture.shape == rendered.target.shape
    if trial.recipe != "files":
        assert rendered.interference is not None
        assert abs(rendered.mixture - rendered.target - rendered.interference).max() < 1e-6


def test_broken_row_is_named_by_line_and_the_others_are_read(named_layout: tuple[str, Layout]) -> None:
    _, layout = named_layout
    if layout.listing is None:
        pytest.skip("a layout of folders or of JSON has no rows to break")
    rows = layout.listing.read_text().splitlines()
    layout.listing.write_text("\n".join([*rows, layout.broken_row, ""]))
    listing = read_list(layout.path)
    assert [(one.file, one.line) for one in listing.problems] == [(layout.listing, len(rows) + 1)]
    assert "expected" in listing.problems[0].message
    assert len(listing.trials) == layout.trials
    with pytest.raises(DataError, match="tinywase data check"):
        read_trials(layout.path)


def test_nothing_there_and_unknown_layouts_say_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_trials(tmp_path / "nowhere")
    foreign = lines(tmp_path / "foreign.txt", ["who knows"])
    with pytest.raises(DataError, match=r"none of the known layouts \(gains, .*mixture,target,enrollment"):
        read_trials(foreign)
    with pytest.raises(DataError, match="format 'speex' is unknown; expected one of gains"):
        read_trials(foreign, format="speex")


def test_list_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="byte 0 is not UTF-8"):
        read_trials(path, format="wase")


def test_remap_replaces_the_beginning_of_foreign_paths(tmp_path: Path) -> None:
    row = "/home/aa/WSJ/si_dt_05/052/052a0501.wav 1.5 /home/aa/WSJ/x/443/443c0201.wav -1.5 /mnt/WSJ/052/052c010r.wav "
    listing = lines(tmp_path / "list.txt", [row])
    trial = read_trials(listing, remap=[("/home/aa/WSJ", "/data/wsj0"), ("/mnt/WSJ", "/other")])[0]
    assert trial.target == Path("/data/wsj0/si_dt_05/052/052a0501.wav")
    assert trial.enrollment == Path("/other/052/052c010r.wav")
    assert (trial.target_speaker, trial.interference_speaker) == ("052", "443")


def test_relative_paths_are_found_above_the_list_though_the_first_are_missing(tmp_path: Path) -> None:
    write_noise(tmp_path / "wavs" / "e.wav", 0)
    rows = ["mixture,target,enrollment", "wavs/m.wav,wavs/t.wav,wavs/x.wav", "wavs/m.wav,wavs/t.wav,wavs/e.wav"]
    listing = lines(tmp_path / "lists" / "plain.csv", rows)
    assert read_trials(listing)[1].enrollment == tmp_path / "wavs" / "e.wav"


def test_root_places_relative_paths(tmp_path: Path) -> None:
    listing = lines(tmp_path / "plain.csv", ["mixture,target,enrollment", "m.wav,t.wav,e.wav"])
    assert read_trials(listing, root="/data")[0].mixture == Path("/data/m.wav")


def test_drawn_enrollment_is_another_utterance_of_the_speaker_and_depends_on_the_seed_only(tmp_path: Path) -> None:
    names = [f"052a05{i:02d}_1.0_443c02{i:02d}_-1.0" for i in range(12)]
    wsj0_set(tmp_path / "tt", names)
    trials = read_trials(tmp_path)
    for trial in trials:
        speaker = {"s1": "052", "s2": "443"}[trial.enrollment.parent.name]
        assert speaker == trial.target_speaker
        assert trial.enrollment.name != trial.target.name
    assert trials == read_trials(tmp_path)
    again = read_trials(tmp_path, seed=1)
    assert [trial.enrollment for trial in trials] != [trial.enrollment for trial in again]
    (tmp_path / "tt" / "mix" / f"{names[-1]}.wav").unlink()
    fewer = {trial.mixture_id for trial in read_trials(tmp_path)}
    assert fewer == {trial.mixture_id for trial in trials[:-2]}


def test_single_utterance_of_a_speaker_is_a_problem(tmp_path: Path) -> None:
    wsj0_set(tmp_path, wsj0_names()[:1])
    listing = read_list(tmp_path)
    assert not listing.trials
    assert "no enrollment for speaker '052'" in listing.problems[0].message


def test_folder_with_several_sets_asks_which(tmp_path: Path) -> None:
    for name in ("cv", "tt"):
        wsj0_set(tmp_path / "wav8k" / "min" / name, wsj0_names())
    with pytest.raises(DataError, match=r"2 sets \(there: wav8k/min/cv, wav8k/min/tt\)"):
        read_trials(tmp_path)
    assert read_trials(tmp_path, split="tt")[0].target.parent.parent.name == "tt"


def test_foreign_names_in_a_wsj0_folder_are_problems(tmp_path: Path) -> None:
    wsj0_set(tmp_path, [*wsj0_names(), "meeting"])
    listing = read_list(tmp_path)
    assert len(listing.trials) == 4
    assert "mix/meeting.wav does not name 2 utterances" in listing.problems[0].message


def test_spex_key_missing_in_one_list_is_named_where_it_stands(tmp_path: Path) -> None:
    layout = LAYOUTS["scp"](tmp_path)
    aux = layout.path / "aux.scp"
    rows = aux.read_text().splitlines()
    aux.write_text(f"{rows[0]}\nstranger /x.wav\n")
    messages = [str(one) for one in read_list(layout.path).problems]
    assert any("mix.scp:2:" in text and "is not in aux.scp" in text for text in messages)
    assert any("aux.scp:2: key 'stranger' is not in mix.scp" in text for text in messages)


def test_spex_knows_the_other_speaker_from_the_sibling_folder(tmp_path: Path) -> None:
    first, second = read_trials(LAYOUTS["scp"](tmp_path).path)
    assert (first.target_speaker, first.interference_speaker) == ("052", "443")
    assert (second.target_speaker, second.interference_speaker) == ("443", "052")
    assert first.interference == (second.target,)


def test_spex_takes_the_sibling_folders_that_are_there(tmp_path: Path) -> None:
    first, second = read_trials(LAYOUTS["scp"](tmp_path).path)
    third = first.target.parent.with_name("s3") / first.target.name
    third.parent.mkdir()
    third.write_bytes(second.target.read_bytes())
    found, _ = read_trials(LAYOUTS["scp"](tmp_path).path)
    assert found.interference == (second.target, third)
    third.unlink()
    second.target.unlink()
    lists = tmp_path / "lists"
    for kind in ("mix", "ref", "aux"):
        lines(lists / f"{kind}.scp", (lists / f"{kind}.scp").read_text().splitlines()[:1])
    (alone,) = read_trials(lists)
    assert alone.interference == ()
    assert render_trial(alone, 8000).interference is None


def test_clearervoice_mix_with_length_is_read(tmp_path: Path) -> None:
    layout = LAYOUTS["scp"](tmp_path)
    mix = layout.path / "mix.scp"
    lines(layout.path / "mix_with_length.scp", [f"{row} 1.2" for row in mix.read_text().splitlines()])
    mix.unlink()
    assert len(read_trials(layout.path)) == 2


def test_espnet_training_lists_are_refused_with_the_reason(tmp_path: Path) -> None:
    layout = LAYOUTS["espnet"](tmp_path)
    enroll = layout.path / "enroll_spk1.scp"
    enroll.write_text("\n".join(f"{name} *{name} 052" for name in wsj0_names()))
    problems = read_list(layout.path).problems
    assert len(problems) == 2
    assert "is drawn while training" in problems[0].message


def test_wesep_without_enroll_lists_draws(tmp_path: Path) -> None:
    layout = LAYOUTS["wesep"](tmp_path)
    (layout.path / "single.wav.scp").unlink()
    for trial in read_trials(layout.path):
        assert trial.enrollment.name != trial.target.name


def test_asteroid_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    layout = LAYOUTS["asteroid"](tmp_path)
    (layout.path / "s2.json").write_text(json.dumps([]))
    with pytest.raises(DataError, match=r"have 2, 2, 0 entries; expected as many in each"):
        read_trials(layout.path)
    (layout.path / "s2.json").write_text("[[")
    with pytest.raises(DataError, match=r"s2\.json:1: not JSON"):
        read_trials(layout.path)


def test_asteroid_problem_carries_the_line_of_the_json(tmp_path: Path) -> None:
    layout = LAYOUTS["asteroid"](tmp_path)
    for part in ("mix", "s1", "s2"):
        listing = layout.path / f"{part}.json"
        entries = json.loads(listing.read_text())
        listing.write_text(json.dumps([*entries, [f"/x/{part}/meeting.wav", 1]], indent=1))
    (problem,) = read_list(layout.path).problems
    assert (layout.path / "mix.json").read_text().splitlines()[problem.line - 1].endswith('/meeting.wav",')


def test_librimix_picks_the_mixture_that_is_asked_for(tmp_path: Path) -> None:
    layout = LAYOUTS["librimix"](tmp_path)
    names = {mix: read_trials(layout.path, mix=mix)[0].mixture for mix in ("clean", "both")}
    assert [path.parent.name for path in names.values() if path] == ["mix_clean", "mix_both"]
    assert names["both"] is not None
    assert read_trials(names["both"].parent)[0].mixture == names["both"]
    with pytest.raises(DataError, match="no mix_single; expected one of mix_clean, mix_both"):
        read_trials(layout.path, mix="single")


def test_three_speakers_give_three_trials_with_two_interferers(tmp_path: Path) -> None:
    names = [f"{LIBRI[0]}_{LIBRI[2]}_84-1-0001", f"{LIBRI[1]}_{LIBRI[3]}_84-1-0002"]
    wsj0_set(tmp_path, names, mixes=("mix_clean", "s3"))
    trials = read_trials(tmp_path)
    assert len(trials) == 6
    assert [len(trial.interference) for trial in trials] == [2] * 6
    assert trials[2].interference_speaker == "61+4077"


def test_speakerbeam_map_names_the_enrollment(tmp_path: Path) -> None:
    layout = LAYOUTS["librimix-csv"](tmp_path)
    first, second = libri_names()
    rows = [f"{first} {LIBRI[0]} s1/{second}", f"{first} {LIBRI[2]} s2/{second}", f"{second} {LIBRI[1]} s1/{first}"]
    lines(layout.path.parent / "map_mixture2enrollment", rows)
    listing = read_list(layout.path)
    assert [trial.enrollment.relative_to(tmp_path).as_posix() for trial in listing.trials] == [
        f"wav8k/min/test/s1/{second}.wav",
        f"wav8k/min/test/s2/{second}.wav",
        f"wav8k/min/test/s1/{first}.wav",
    ]
    assert f"mixture '{second}'" in listing.problems[0].message  # the map has no row for the second speaker


def test_speakerbeam_csv_of_all_enrollments_is_drawn_from(tmp_path: Path) -> None:
    layout = LAYOUTS["librimix-csv"](tmp_path)
    rows = ["mixture_id,utterance_id,enr_path1,length1,enr_path2,length2,..."]
    rows += [f"{name},{utterance},/a.wav,5.0,/b.wav,6.0" for name in libri_names() for utterance in name.split("_")]
    maps = lines(tmp_path / "mixture2enrollment.csv", rows)
    drawn = {t.enrollment for seed in range(8) for t in read_trials(layout.path, enrollments=maps, seed=seed)}
    assert drawn == {Path("/a.wav"), Path("/b.wav")}


def test_librimix_recipe_knows_gains_sexes_and_noise(tmp_path: Path) -> None:
    layout = LAYOUTS["librimix-recipe"](tmp_path)
    trial = read_trials(layout.path)[0]
    assert trial.sexes == "FM"
    assert 10 ** (trial.target_gain_db / 20) == pytest.approx(0.8)
    assert trial.noise is None
    noise = write_noise(tmp_path / "wham_noise" / "tt" / "noise.wav", 9)
    noisy = read_trials(layout.path, mix="both", root=tmp_path)[0]  # LibriSpeech/ and wham_noise/ lie under the root
    assert noisy.noise == noise
    assert noisy.target == trial.target
    rendered = render_trial(noisy, 8000)
    assert rendered.interference is not None
    rest = rendered.mixture - rendered.target - rendered.interference
    assert abs(rest).max() > 0.01  # the noise is in the mixture and not in the interference


def test_shared_lists_are_read(speech_root: Path) -> None:
    counts = {"dev": 120, "dev_ocean": 120, "test": 300, "test_ocean": 200, "test_children": 100}
    for name, count in counts.items():
        trials = read_trials(speech_root / "lists" / f"{name}.csv")
        assert len(trials) == count
        assert all(path.is_file() for path in trials[0].recordings)


def test_documentation_names_every_format() -> None:
    from tinywase.data.speakers import ENGINES
    from tinywase.data.utterances import UTTERANCE_READERS

    page = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text()
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    readers = {reader.name for reader in READERS} | {reader.name for reader in UTTERANCE_READERS}
    assert named == readers | set(ENGINES)
