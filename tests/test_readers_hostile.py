"""Lists as they come out of editors, merges and cut downloads are read or explained; nothing falls over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_layouts import LAYOUTS, Layout

from tinywase.data.check import check
from tinywase.data.lists import read_list
from tinywase.data.readers import find_reader
from tinywase.data.readers.base import ReadOptions
from tinywase.data.readers.speakerbeam import find_maps
from tinywase.errors import DataError

HOSTILE = ('"', ",", "\n", "\r", "\0", "nan", "-inf", "1e999", "/", "..", "x" * 300)
PIECES = st.text(max_size=30) | st.sampled_from(HOSTILE)


@pytest.fixture(scope="module", params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Layout]:
    return request.param, LAYOUTS[request.param](tmp_path_factory.mktemp(request.param))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_lists_are_read_or_explained(layout: tuple[str, Layout], data: st.DataObject) -> None:
    name, made = layout
    if made.listing is None:
        return
    sound = made.listing.read_bytes()
    text = sound.decode()
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 60)))
    damaged = text[:start] + data.draw(PIECES) + text[stop:]
    try:
        made.listing.write_text(damaged, newline="", errors="surrogatepass")
        listing = read_list(made.path, format=name)
        assert all(one.line >= 0 and one.message for one in listing.problems)
        assert all(abs(trial.target_gain_db) < 1e9 for trial in listing.trials)
    except DataError:
        pass
    finally:
        made.listing.write_bytes(sound)


def test_a_listed_folder_whose_name_no_file_system_takes_has_no_maps(tmp_path: Path) -> None:
    assert find_maps(ReadOptions(), tmp_path / ("x" * 300)) == []


@given(content=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_anything_at_all_is_recognized_or_refused(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(content)
    try:
        reader = find_reader(path)
    except DataError:
        return
    assert reader.detect(path)


def test_check_survives_paths_that_no_file_system_takes(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    listing.write_text(f"mixture,target,enrollment\n{'x' * 5000},b.wav,{'../' * 3000}\n")
    problems = check(listing).problems
    assert len(problems) == 3
    assert all("no file" in problem.message for problem in problems)


def test_quote_that_is_never_closed_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "list.csv"
    rows = "".join(f"m{i}.wav,t{i}.wav,e{i}.wav\n" for i in range(10_000))
    listing.write_text(f'mixture,target,enrollment\nm.wav,"t.wav,e.wav\n{rows}')
    with pytest.raises(DataError, match=r"list\.csv:\d+: field larger than field limit.*quote that is not closed"):
        read_list(listing)
