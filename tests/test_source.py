"""From a recipe's sources to its bank: which speech is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed")

from tinywase.data.bank import SpeechBank  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.train.recipe import DataConfig  # noqa: E402
from tinywase.train.source import open_bank  # noqa: E402

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
    with pytest.raises(
        ConfigError, match="none of data.split = 'train,train-interference' is in it, its splits are dev"
    ):
        opened(tmp_path / "bank", tmp_path / "list.csv")
