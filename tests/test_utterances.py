"""Training sources: every layout gives the same speakers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from list_layouts import lines, write_noise

from tinywase.data.utterances import UTTERANCE_READERS, by_speaker, list_utterances, read_utterances
from tinywase.errors import DataError

RECORDINGS = [("ann", "a1"), ("ann", "a2"), ("bob", "b1"), ("bob", "b2")]


def tree(folder: Path) -> Path:
    for seed, (speaker, name) in enumerate(RECORDINGS):
        write_noise(folder / "tree" / speaker / f"{name}.wav", seed, seconds=0.5)
    return folder / "tree"


def paths(folder: Path) -> list[tuple[str, Path]]:
    root = tree(folder)
    return [(speaker, root / speaker / f"{name}.wav") for speaker, name in RECORDINGS]


def manifest(folder: Path) -> Path:
    rows = [f"{path.relative_to(folder)},{speaker}" for speaker, path in paths(folder)]
    return lines(folder / "lists" / "manifest.csv", ["path,speaker", *rows])


def raw(folder: Path) -> Path:
    rows = [json.dumps({"key": path.stem, "wav": str(path), "spk": speaker}) for speaker, path in paths(folder)]
    return lines(folder / "raw.list", rows)


def enroll(folder: Path) -> Path:
    table: dict[str, list[list[str]]] = {}
    for speaker, path in paths(folder):
        table.setdefault(speaker, []).append([path.stem, str(path)])
    return lines(folder / "spk2enroll.json", [json.dumps(table)])


def kaldi(folder: Path) -> Path:
    lines(folder / "kaldi" / "wav.scp", [f"{path.stem} {path}" for _, path in paths(folder)])
    return lines(folder / "kaldi" / "spk2utt", ["ann a1 a2", "bob b1 b2"]).parent


SOURCES: dict[str, Callable[[Path], Path]] = {
    "tree": tree, "manifest": manifest, "raw": raw, "enroll": enroll, "kaldi": kaldi,
}  # fmt: skip


def test_every_reader_has_an_example() -> None:
    assert {reader.name for reader in UTTERANCE_READERS} == set(SOURCES)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_layout_gives_the_same_speakers(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    assert next(reader.name for reader in UTTERANCE_READERS if reader.detect(source)) == name
    utterances = read_utterances(source)
    assert [(one.speaker.split("/")[-1], one.path.stem) for one in utterances] == RECORDINGS
    assert all(one.path.is_file() and one.target and one.source for one in utterances)
    assert [len(own) for own in by_speaker(utterances).values()] == [2, 2]


def test_speakers_of_different_sources_never_collide(tmp_path: Path) -> None:
    for corpus in ("one", "two"):
        write_noise(tmp_path / corpus / "19" / "x.wav", 0)
    rows = ["path,speaker,source", "one/19/x.wav,19,one", "two/19/x.wav,19,two"]
    utterances = read_utterances(lines(tmp_path / "both.csv", rows))
    assert [one.speaker for one in utterances] == ["one/19", "two/19"]


def test_librispeech_and_voxceleb_nest_below_the_speaker(tmp_path: Path) -> None:
    write_noise(tmp_path / "libri" / "19" / "198" / "19-198-0001.flac", 0)
    write_noise(tmp_path / "vox" / "id10270" / "5r0dWxy17C8" / "00001.wav", 1)
    assert read_utterances(tmp_path / "libri")[0].speaker == "libri/19"
    assert read_utterances(tmp_path / "vox")[0].speaker == "vox/id10270"


def test_recording_in_no_speakers_folder_is_a_problem(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write_noise(root / "loose.wav", 7)
    listing = list_utterances(root)
    assert len(listing.utterances) == 4
    assert "expected tree/<speaker>/loose.wav" in listing.problems[0].message


def test_split_filters_and_unknown_splits_are_named(tmp_path: Path) -> None:
    rows = ["path,speaker,split", "a.wav,a,train", "b.wav,b,dev", "c.wav,c,train-interference"]
    listing = lines(tmp_path / "manifest.csv", rows)
    assert [one.path.name for one in read_utterances(listing, split="train, dev")] == ["a.wav", "b.wav"]
    assert [one.target for one in read_utterances(listing)] == [True, True, False]
    with pytest.raises(DataError, match="no split test; expected some of dev, train, train-interference"):
        read_utterances(listing, split="train,test")


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("manifest", "only one field", "1 fields; expected 2"),
        ("manifest", ",ann", "nothing in path"),
        ("raw", '{"key": "x"}', "expected a JSON object"),
        ("raw", "[1, 2]", "expected a JSON object"),
    ],
)
def test_broken_row_is_named_by_line(name: str, row: str, message: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    rows = source.read_text().splitlines()
    lines(source, [*rows, row])
    listing = list_utterances(source)
    assert [(one.line, message in one.message) for one in listing.problems] == [(len(rows) + 1, True)]
    assert len(listing.utterances) == 4


def test_kaldi_key_without_speaker_is_a_problem(tmp_path: Path) -> None:
    source = kaldi(tmp_path)
    lines(source / "spk2utt", ["ann a1 a2", "bob b1"])
    assert "wav.scp:4: key 'b2' is not in spk2utt" in str(list_utterances(source).problems[0])


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none of the known training sources"):
        read_utterances(tmp_path / "empty")
    with pytest.raises(DataError, match="does not exist"):
        read_utterances(tmp_path / "nowhere")
    with pytest.raises(DataError, match="format 'x' is unknown; expected one of manifest, raw"):
        read_utterances(tmp_path, format="x")


def test_shared_manifest_is_read(speech_root: Path) -> None:
    utterances = read_utterances(speech_root / "manifest.csv", split="train,train-interference")
    assert len(utterances) > 6000
    assert sum(not one.target for one in utterances) == 619
    assert utterances[0].path.is_file()
