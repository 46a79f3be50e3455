"""Films on the command line: which of their sound tracks is taken, and what cannot be had of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from desk import Extract
from films import film
from stand_in import Command

from tinywase import Voiceprint
from tinywase.cli import enroll as enroll_command


@pytest.fixture
def two(desk: Path) -> Path:
    """A film of two sound tracks, the second of which is quieter."""
    film(desk / "film.mkv", "mka", levels=(0.3, 0.03), seconds=5.0)
    return desk / "film.mkv"


def test_that_the_first_of_several_sound_tracks_is_taken_is_told(desk: Path, two: Path, extract: Extract) -> None:
    told = f"{two}: 2 sound tracks, the first is taken; --track 2 takes another\n"
    assert extract(two, "-o", desk / "out.wav").err == told
    for words in (["--quiet"], ["--track", "1"], ["--track", "2"]):
        assert extract(two, "-o", desk / "out.wav", "--force", *words).err == ""


def test_any_sound_track_can_be_extracted_from(desk: Path, two: Path, extract: Extract) -> None:
    for number, level in enumerate((0.3, 0.03), 1):
        rest = desk / f"rest-{number}.wav"  # of random weights, what is left of the tone
        words = ("-o", desk / f"out-{number}.wav", "--residual", rest, "--track", str(number))
        assert extract(two, *words, "--enroll-from", "0-3", enroll=False).code == 0
        whole = sum(soundfile.read(path)[0] for path in (desk / f"out-{number}.wav", rest))
        assert np.std(whole[:200000]) == pytest.approx(level / np.sqrt(2), rel=0.1)
    absent = extract(two, "-o", desk / "out.wav", "--track", "3")
    assert absent.code == 1 and "sound track 3 was asked for, it has 2. Choose 1 to 2" in absent.err


def test_a_sound_track_can_be_enrolled(desk: Path, two: Path, tinywase: Command, tiny_model_path: Path) -> None:
    words = ("enroll", two, "-o", desk / "me.voice", "-m", tiny_model_path, "--force", "--json")
    note = json.loads(tinywase(*words).out)["notes"][0]
    assert note.endswith("film.mkv: 2 sound tracks, the first is taken; --track 2 takes another")
    first = Voiceprint.load(desk / "me.voice")
    assert not any("track" in text for text in json.loads(tinywase(*words, "--track", "2").out)["notes"])
    assert Voiceprint.load(desk / "me.voice").level_db == pytest.approx(first.level_db - 20, abs=0.5)


def test_voices_of_a_sound_track_are_found(desk: Path, two: Path, tinywase: Command, tiny_model_path: Path) -> None:
    words = ("voices", two, "-o", desk / "voices", "-m", tiny_model_path, "--force")
    assert tinywase(*words).err.endswith("film.mkv: 2 sound tracks, the first is taken; --track 2 takes another\n")
    first = soundfile.read(desk / "voices" / "voice-1.wav")[0]
    assert tinywase(*words, "--track", "2").err == ""
    second = soundfile.read(desk / "voices" / "voice-1.wav")[0]
    assert np.std(second) == pytest.approx(0.1 * np.std(first), rel=0.1)


@pytest.mark.parametrize("name", ["out.m4a", "out.MP4"])
def test_a_film_is_not_answered_in_kind(desk: Path, extract: Extract, name: str) -> None:
    result = extract(desk / "meeting.wav", "-o", desk / name)
    assert result.code == 1 and "files are read and not written. Write a .wav file" in result.err
    assert "ffmpeg -i film.mp4 -i voice.wav -map 0:v -map 1:a -c:v copy out.mp4" in result.err


@pytest.mark.parametrize("address", ["https://example.com/a.mp3", "https://example.com/a?name=b.mp3"])
def test_an_address_is_not_fetched(desk: Path, extract: Extract, address: str) -> None:
    for words in ([address], [desk / "meeting.wav", "--enroll", address]):
        result = extract(*words, "-o", desk / "out.wav", enroll=words == [address])
        assert result.code == 1 and "is an address, expected a file: nothing is fetched here. Download" in result.err


def test_enrolling_tells_how_far_it_is(
    desk: Path, tinywase: Command, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []

    @contextmanager
    def bar(text: str, *, quiet: bool = False) -> Iterator[object]:
        assert text == "listening to me.wav"
        yield told.append

    monkeypatch.setattr(enroll_command, "progress_bar", bar)
    assert tinywase("enroll", desk / "me.wav", "-o", desk / "me.voice", "-m", tiny_model_path).code == 0
    assert told == sorted(told) and told[-1] == 1.0
