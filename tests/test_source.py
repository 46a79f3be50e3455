"""From a recipe's sources to its bank: which speech is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed")

from tinywase.data.bank import SOURCES, SpeechBank, build_bank
from tinywase.data.utterances import read_utterances
from tinywase.errors import ConfigError, DataError
from tinywase.train.recipe import DataConfig
from tinywase.train.source import open_bank, sources_of

RATE_HZ = 8000


def speech(folder: Path, *names: str) -> Path:
    """Recordings `names` of noise below `folder`."""
    rng = np.random.default_rng(len(names))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.1 * rng.standard_normal(RATE_HZ), RATE_HZ)
    return folder


def opened(bank: Path, *sources: Path, **options: str) -> SpeechBank:
    return open_bank(DataConfig(bank=str(bank), sources=tuple(map(str, sources)), **options), RATE_HZ)  # type: ignore[arg-type]


def test_a_manifest_without_splits_is_taken_whole(tmp_path: Path) -> None:
    speech(tmp_path, "a.wav", "b.wav")
    (tmp_path / "plain.csv").write_text("path,speaker\na.wav,a\nb.wav,b\n")
    assert set(opened(tmp_path / "bank", tmp_path / "plain.csv").by_speaker) == {"plain/a", "plain/b"}


@pytest.mark.parametrize(
    ("split", "speakers"),
    [
        ("train,train-interference", "a"),  # the default; only one of the two is there
        ("train,dev", "ab"),
        ("", "abc"),
    ],
)
def test_of_a_manifest_with_splits_those_are_taken_that_are_there(tmp_path: Path, split: str, speakers: str) -> None:
    speech(tmp_path, "a.wav", "b.wav", "c.wav")
    (tmp_path / "list.csv").write_text("path,speaker,split\na.wav,a,train\nb.wav,b,dev\nc.wav,c,test\n")
    bank = opened(tmp_path / "bank", tmp_path / "list.csv", split=split)
    assert set(bank.by_speaker) == {f"list/{name}" for name in speakers}


def test_a_manifest_with_none_of_the_splits_is_refused(tmp_path: Path) -> None:
    speech(tmp_path, "a.wav")
    (tmp_path / "list.csv").write_text("path,speaker,split\na.wav,a,dev\n")
    with pytest.raises(ConfigError, match="none of data.split = 'train,train-interference' .* splits are dev"):
        opened(tmp_path / "bank", tmp_path / "list.csv")


def test_a_bank_of_other_sources_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    first, other = (speech(tmp_path / name, "x/1.wav", "x/2.wav") for name in ("first", "other"))
    opened(tmp_path / "bank", first)
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path / "bank", first, other)
    for told in (f"holds {first} (split", f"asks for {first}, {other} (split", "data.bank another folder"):
        assert told in str(caught.value)
    again = opened(tmp_path / "bank", first, split="dev")  # folders name no splits
    assert set(again.by_speaker) == set(opened(tmp_path / "bank").by_speaker) == {"first/x"}  # no sources: as it is


def test_a_bank_of_other_splits_is_refused(tmp_path: Path) -> None:
    speech(tmp_path, "a.wav", "b.wav")
    (tmp_path / "list.csv").write_text("path,speaker,split\na.wav,a,train\nb.wav,b,dev\n")
    opened(tmp_path / "bank", tmp_path / "list.csv", split="train")
    with pytest.raises(ConfigError, match=r"holds .*list\.csv \(split 'train'\); the recipe asks for .*'dev'"):
        opened(tmp_path / "bank", tmp_path / "list.csv", split="dev")


def test_a_bank_without_a_note_is_taken_as_it_is(tmp_path: Path) -> None:
    first, other = (speech(tmp_path / name, "x/1.wav", "x/2.wav") for name in ("first", "other"))
    bank, asked = tmp_path / "bank", DataConfig(bank=str(tmp_path / "bank"), sources=(str(other),))
    opened(bank, first)
    assert sources_of(asked) == (str(first),)  # what the bank is from, not what the recipe says
    build_bank(read_utterances(first), bank, RATE_HZ)  # as `tinywase data pack` does: from now on without a note
    assert not (bank / SOURCES).exists()
    assert set(opened(bank, other).by_speaker) == {"first/x"}
    assert sources_of(asked) == (str(other),)


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    source = speech(tmp_path / "first", "x/1.wav")
    opened(tmp_path / "bank", source)
    (tmp_path / "bank" / SOURCES).write_text("[]")
    with pytest.raises(ConfigError, match=r"sources\.json: cannot be read .*Remove it"):
        opened(tmp_path / "bank", source)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    first, other = (speech(tmp_path / name / "wav", "x/1.wav", "x/2.wav") for name in ("first", "other"))
    with pytest.raises(DataError, match=f"'{first}' and '{other}': both sources are called 'wav'.*Rename one"):
        opened(tmp_path / "bank", first, other)
    assert not (tmp_path / "bank" / "utterances.csv").exists()


def test_manifests_of_one_corpus_may_share_its_name(tmp_path: Path) -> None:
    speech(tmp_path, "a.wav", "b.wav")
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"path,speaker,source\n{name}.wav,x,corpus\n")
    assert set(opened(tmp_path / "bank", tmp_path / "a.csv", tmp_path / "b.csv").by_speaker) == {"corpus/x"}
