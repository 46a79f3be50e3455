"""tools/join_words.py: words of a speaker become utterances, in an order of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scripts import script

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "join_words.py"
RATE_HZ = 8000


def join(monkeypatch: pytest.MonkeyPatch, source: Path, folder: Path) -> None:
    module = script("tools/join_words.py")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(source), str(folder), "--seconds", "3"])
    module.main()


def words(folder: Path) -> None:
    """Ten words of 0.6 s, each a tone of its own."""
    folder.mkdir(parents=True)
    for number in range(10):
        tone = 0.1 * np.sin(2 * np.pi * (300 + 200 * number) * np.arange(4800) / RATE_HZ)
        soundfile.write(folder / f"{number}.wav", tone, RATE_HZ)


def order(folder: Path) -> list[list[int]]:
    """Which words the utterances of a speaker have, in which order."""
    found = []
    for path in sorted(folder.iterdir()):
        audio, _ = soundfile.read(path)
        pieces = audio[: len(audio) // 2048 * 2048].reshape(-1, 2048)
        heard = np.abs(np.fft.rfft(pieces)).argmax(1) * RATE_HZ / 2048
        numbers = np.rint((heard - 300) / 200).astype(int).tolist()
        found.append([b for a, b in zip([-1, *numbers], numbers, strict=False) if a != b])
    return found


def test_speakers_say_their_words_in_orders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for speaker in ("anna", "bert"):
        words(tmp_path / "words" / speaker)
    for folder in ("joined", "again"):
        join(monkeypatch, tmp_path / "words", tmp_path / folder)
    anna, bert, again = (order(tmp_path / path) for path in ("joined/anna", "joined/bert", "again/anna"))
    assert len(anna) == 2 and sorted(number for utterance in anna for number in utterance) == list(range(10))
    assert anna == again  # the same for the same seed
    assert anna != bert
