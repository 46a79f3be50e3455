"""Synthetic speakers: reproducible, like speech, and different from one another."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tinywase.activity import active_frames
from tinywase.data.sentences import draw_sentence
from tinywase.data.speakers import ENGINES, make_speakers, write_corpus
from tinywase.data.synthetic import Voice, draw_voice, synthesize
from tinywase.data.utterances import by_speaker, read_utterances
from tinywase.errors import DataError, OutputError

RATE_HZ = 16_000
ENGINE_PROGRAMS = {"espeak": ("espeak-ng", "espeak"), "flite": ("flite",)}


def say(voice: Voice, seconds: float, seed: int, rate_hz: int = RATE_HZ) -> np.ndarray:
    return synthesize(voice, seconds, np.random.default_rng(seed), rate_hz)


def spectrum_db(samples: np.ndarray) -> np.ndarray:
    """Long-term average spectrum in 24 bands up to 6 kHz, equally spaced over log frequency, mean removed."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 512)[::512]
    power = (np.abs(np.fft.rfft(frames * np.hanning(512))) ** 2).mean(axis=0)
    edges = np.searchsorted(np.fft.rfftfreq(512, 1 / RATE_HZ), np.geomspace(150, 6000, 25))
    bands = np.array([power[low : max(high, low + 1)].mean() for low, high in pairwise(edges)])
    level_db = 10 * np.log10(bands)
    return level_db - level_db.mean()


def pitch_hz(samples: np.ndarray) -> float:
    """Median pitch of the loud frames, by autocorrelation."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::512]
    frames = frames[np.mean(frames**2, axis=1) > np.mean(samples**2)]
    lags = np.arange(RATE_HZ // 400, RATE_HZ // 60)
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    correlation = np.fft.irfft(power)[:, lags] / (1024 - lags)
    return float(np.median(RATE_HZ / lags[np.argmax(correlation, axis=1)]))


def test_same_seed_gives_the_same_samples_and_another_seed_others() -> None:
    voice = draw_voice(3)
    assert draw_voice(3) == voice
    first = say(voice, 1.0, 5)
    np.testing.assert_array_equal(first, say(voice, 1.0, 5))
    assert not np.array_equal(first, say(voice, 1.0, 6))


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
def test_length_rate_level_and_type_are_as_asked(rate_hz: int) -> None:
    samples = say(draw_voice(0), 1.5, 0, rate_hz)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(1.5 * rate_hz, abs=1)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.05, rel=1e-3)
    assert np.abs(samples).max() < 1.0


def test_pitch_is_the_voices_own() -> None:
    for seed in range(4):
        voice = draw_voice(seed)
        measured = pitch_hz(say(voice, 2.0, seed))
        semitones = 12 * np.log2(measured / voice.pitch_hz)
        assert abs(semitones) < 4, (voice.pitch_hz, measured)


def test_it_pauses_and_changes_as_speech_does() -> None:
    samples = say(draw_voice(2), 8.0, 1)
    active = active_frames(samples, RATE_HZ)
    assert 0.3 < active.mean() < 0.95  # pauses and closures, but mostly voice
    level = np.sqrt(np.mean(samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
    modulation = np.abs(np.fft.rfft(level - level.mean())) ** 2
    rate_hz = np.fft.rfftfreq(len(level), 0.01)
    syllables = modulation[(rate_hz >= 1) & (rate_hz < 10)].sum() / modulation.sum()
    assert syllables > 0.5  # speech is modulated at 1 to 10 Hz


def test_average_spectrum_falls_as_that_of_speech() -> None:
    levels_db = np.mean([spectrum_db(say(draw_voice(seed), 3.0, seed)) for seed in range(8)], axis=0)
    low, high = levels_db[:12].mean(), levels_db[-6:].mean()
    assert 8 < low - high < 35


def test_voices_are_told_apart_by_spectrum_and_pitch() -> None:
    """Nearest of 10 enrolled voices, by features far simpler than a voiceprint."""
    voices = [draw_voice(seed) for seed in range(10)]

    def features(voice: Voice, seed: int) -> np.ndarray:
        samples = say(voice, 4.0, seed)
        return np.append(spectrum_db(samples) / 3, 12 * np.log2(pitch_hz(samples)))

    enrolled = np.stack([features(voice, 100 + voice.seed) for voice in voices])
    found = [int(np.argmin(np.linalg.norm(enrolled - features(voice, voice.seed), axis=1))) for voice in voices]
    assert np.mean(np.array(found) == np.arange(len(voices))) >= 0.8


def test_corpus_is_a_tree_of_speakers_that_the_reader_reads(tmp_path: Path) -> None:
    speakers = make_speakers("source-filter", 3, 1)
    count = write_corpus(tmp_path, speakers, utterances=2, seconds=(0.5, 1.0), seed=1, sample_rate_hz=8000)
    assert count == 6
    assert [len(own) for own in by_speaker(read_utterances(tmp_path)).values()] == [2, 2, 2]
    assert soundfile.info(next(tmp_path.rglob("*.flac"))).samplerate == 8000
    with pytest.raises(OutputError, match="exists already: nothing was written"):
        write_corpus(tmp_path, speakers, utterances=2, seconds=(0.5, 1.0), seed=1, sample_rate_hz=8000)


def test_a_corpus_grows_without_changing_what_was_there(tmp_path: Path) -> None:
    speakers = make_speakers("source-filter", 3, 1)
    for name, count, utterances in (("small", 2, 1), ("large", 3, 2)):
        write_corpus(
            tmp_path / name, speakers[:count], utterances=utterances, seconds=(0.3, 0.5), seed=1, sample_rate_hz=8000
        )
    for file in (tmp_path / "small").rglob("*.flac"):
        assert file.read_bytes() == (tmp_path / "large" / file.relative_to(tmp_path / "small")).read_bytes()


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine in ENGINE_PROGRAMS])
def test_installed_engines_speak(engine: str) -> None:
    if not any(shutil.which(name) for name in ENGINE_PROGRAMS[engine]):
        pytest.skip(f"{engine} is not installed")
    one, other = make_speakers(engine, 2, 1)
    assert one.name != other.name
    samples = one.say(1.5, np.random.default_rng(0), 8000)
    assert len(samples) == 12_000
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.05, rel=1e-3)


def test_espeak_speakers_are_different_voices_though_they_say_the_same() -> None:
    if not any(shutil.which(name) for name in ENGINE_PROGRAMS["espeak"]):
        pytest.skip("espeak is not installed")
    said = [speaker.say(1.5, np.random.default_rng(0), RATE_HZ) for speaker in make_speakers("espeak", 8, 3)]
    spectra = np.stack([spectrum_db(samples) for samples in said])
    apart = np.linalg.norm(spectra[:, None] - spectra[None], axis=2)[np.triu_indices(8, 1)]
    assert apart.min() > 10


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine in ENGINE_PROGRAMS])
def test_missing_programs_are_named_with_the_way_out(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=rf"no program {ENGINE_PROGRAMS[engine][0]}.*--engine source-filter"):
        make_speakers(engine, 1, 1)


def test_program_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\necho 'no voice today' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    speaker = make_speakers("flite", 1, 1)[0]
    with pytest.raises(DataError, match="exit code 3, it said: no voice today; expected a recording"):
        speaker.say(1.0, np.random.default_rng(0), 8000)


def test_unknown_engine_and_too_many_voices_are_refused() -> None:
    with pytest.raises(DataError, match="engine 'loquendo' is unknown; expected one of source-filter, espeak, flite"):
        make_speakers("loquendo", 1, 1)
    if shutil.which("flite"):
        with pytest.raises(DataError, match="9 speakers asked for; expected 4 at most"):
            make_speakers("flite", 9, 1)


def test_sentences_differ() -> None:
    rng = np.random.default_rng(0)
    sentences = [draw_sentence(rng) for _ in range(50)]
    assert len(set(sentences)) == 50
    assert all(sentence.endswith(".") for sentence in sentences)
