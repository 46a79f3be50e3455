"""Who speaks in a recording: clusters as they have to be, tones that stand for voices, and the bundled sample's two."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from demo import DEMO
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from stand_in import Command, StandInModel

import tinywase
from tinywase import Extractor, Voiceprint
from tinywase.activity import scale_to_rms
from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.errors import AudioError, ConfigError
from tinywase.metrics import si_sdr
from tinywase.runtime import voices
from tinywase.runtime.clustering import NEVER, agglomerate
from tinywase.runtime.voices import ALIKE

RATE_HZ = 8000


# Clusters


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=-1, keepdims=True))


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-1, 1, width=32)),
    st.floats(-1, 1),
)
def test_clusters_are_a_partition_and_no_two_of_them_are_alike_any_more(vectors: np.ndarray, alike: float) -> None:
    vectors = unit(vectors)
    groups = agglomerate(vectors, np.ones(len(vectors)), alike)
    assert sorted(index for group in groups for index in group) == list(range(len(vectors)))
    means = [[(vectors[a] @ vectors[b].T).mean() for b in groups] for a in groups]
    assert all(means[i][j] < alike + 1e-9 for i in range(len(groups)) for j in range(len(groups)) if i != j)


def searched_everywhere(sums: np.ndarray, counts: np.ndarray, alike: float) -> list[list[int]]:
    """What `agglomerate` gives, by looking for the best pair among all at every join."""
    sums, counts = sums.copy(), counts.astype(float)
    members = [[index] for index in range(len(sums))]
    means = (sums / counts[:, None]).astype(np.float32)
    cosines = means @ means.T
    np.fill_diagonal(cosines, NEVER)
    while len(members) > 1:
        into, gone = sorted(divmod(int(cosines.argmax()), len(cosines)))
        if cosines[into, gone] < alike:
            break
        sums[into] += sums[gone]
        counts[into] += counts[gone]
        members[into] += members[gone]
        members[gone] = []
        cosines[gone] = cosines[:, gone] = NEVER
        alive = cosines[into] > NEVER
        cosines[into, alive] = cosines[alive, into] = sums[alive] @ sums[into] / (counts[alive] * counts[into])
    return [sorted(group) for group in members if group]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), items=st.integers(0, 60), ties=st.booleans(), alike=st.floats(-1, 1))
def test_best_partners_find_what_a_search_of_all_pairs_finds(seed: int, items: int, ties: bool, alike: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-1, 2, (items, 3)).astype(float) if ties else rng.standard_normal((items, 5))
    counts = rng.integers(1, 4, items)
    sums = unit(vectors) * counts[:, None]
    assert agglomerate(sums, counts, alike) == searched_everywhere(sums, counts, alike)


def test_clustering_may_be_given_up() -> None:
    class Gone(Exception):
        pass

    def gone() -> None:
        raise Gone

    with pytest.raises(Gone):
        agglomerate(np.eye(3), np.ones(3), 0.5, gone)


def test_the_last_round_takes_the_largest_groups_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "MOST_GROUPS", 2)
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 1, 2, 3, 3]]
    windows = voices.Windows(vectors, np.arange(6), np.ones(9, bool))
    assert voices._clusters(windows, 0.5, lambda: None) == [[1, 2], [4, 5]]


def test_what_belongs_together_comes_together_whatever_its_order() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    owner = rng.integers(4, size=60)
    vectors = unit(centres[owner] + 0.2 * rng.standard_normal((60, 4)))
    groups = agglomerate(vectors, np.ones(60), 0.5)
    assert len(groups) == 4
    assert all(len(set(owner[group])) == 1 for group in groups)


def test_clusters_of_clusters_weigh_by_their_counts() -> None:
    one, other = np.array([1.0, 0.0]), unit(np.array([0.7, 0.7]))
    together = agglomerate(np.stack([one, other, one]), np.ones(3), 0.8)
    assert together == [[0, 2], [1]]
    sums = np.stack([10 * one, other])
    assert agglomerate(sums, np.array([10, 1]), 0.7) == [[0, 1]]
    assert agglomerate(sums, np.array([10, 1]), 0.71) == [[0], [1]]


# Tones that stand for voices


def tone(hz: float, seconds: float) -> np.ndarray:
    return 0.2 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def found(*parts: np.ndarray, alike: float = 0.6) -> list[tinywase.FoundVoice]:
    return Extractor(StandInModel()).find_voices(  # type: ignore[arg-type]
        np.concatenate(parts), sample_rate_hz=RATE_HZ, alike=alike
    )


def test_voices_are_found_with_their_times_the_one_that_speaks_most_first() -> None:
    low, high = found(tone(300, 8), silence(1), tone(3000, 6), silence(2), tone(300, 7))
    assert [(s.start_s, s.stop_s) for s in low.segments] == [(0, 8), (17, 24)]
    assert [(s.start_s, s.stop_s) for s in high.segments] == [(9, 15)]
    assert (low.spoken_s, high.spoken_s) == (15, 6)
    assert 8 <= high.sample.start_s < high.sample.stop_s <= 16
    for voice, hz in ((low, 300), (high, 3000)):
        expected = Extractor(StandInModel()).enroll(tone(hz, 4), sample_rate_hz=RATE_HZ)  # type: ignore[arg-type]
        assert unit(voice.voiceprint.vector) @ unit(expected.vector) > 0.95


def test_a_sample_holds_no_other_voice_though_turns_follow_each_other_at_once() -> None:
    for shift_s in (0.0, 0.2):
        turns = [tone(300, 4 + shift_s), tone(3000, 4), tone(300, 4), tone(3000, 4)]
        for voice in found(*turns):
            inside = [turn for turn in voice.segments if turn.start_s <= voice.sample.start_s < turn.stop_s]
            assert inside and voice.sample.stop_s <= inside[0].stop_s, (voice.sample, voice.segments)
            assert voice.sample.stop_s - voice.sample.start_s > 1


def test_a_sample_may_hold_a_pause_of_its_voice() -> None:
    (voice,) = found(tone(300, 2.5), silence(0.6), tone(300, 2.5))
    assert voice.sample.stop_s - voice.sample.start_s > 4


def test_who_says_little_silence_and_short_recordings_give_no_voice() -> None:
    assert len(found(tone(300, 10), silence(1), tone(3000, 2.5))) == 1
    assert found(silence(20)) == []
    assert found(tone(300, 1.9)) == []
    assert found(tone(300, 0.001)) == []


def test_a_click_does_not_make_speech_silent() -> None:
    speech = tone(300, 12)
    speech[3000:3004] = 20.0
    assert len(found(0.05 * speech)) == 1


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_heard_voices_lie_within_the_recording_and_nothing_fails(seed: int) -> None:
    """Bursts of noise, tones and clicks at any level, between silences of any length."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(int(rng.integers(1, 12))):
        length = int(rng.integers(0, 7 * RATE_HZ))
        sound = [rng.standard_normal(length), np.sin(np.arange(length) * rng.uniform(0.1, 3)), np.zeros(length)]
        sound.append((rng.random(length) > 0.9995) * 1.0)
        parts.append(sound[int(rng.integers(4))].astype(np.float32) * np.float32(10 ** rng.uniform(-5, 0)))
    recording = np.concatenate([*parts, np.zeros(1, np.float32)])
    for voice in found(recording, alike=float(rng.uniform(0.3, 0.99))):
        ends = [edge for segment in (*voice.segments, voice.sample) for edge in (segment.start_s, segment.stop_s)]
        assert all(0 <= edge <= len(recording) / RATE_HZ for edge in ends)
        assert voice.spoken_s >= 4
        assert all(a.stop_s < b.start_s for a, b in pairwise(voice.segments))


def test_a_voice_of_clicks_alone_is_none() -> None:
    """Where beside a click the rest is silence there is too little speech to enroll; that is no reason to fail."""
    clicks = 0.001 * tone(300, 12)
    clicks[::4000] = 0.9
    assert len(found(clicks, silence(1), tone(3000, 8))) >= 1


def test_a_long_recording_is_clustered_in_chunks_and_stays_one_voice() -> None:
    parts = [tone(300, 40), silence(1), tone(3000, 40), silence(1)] * 9
    low, high = found(*parts)
    assert low.spoken_s + high.spoken_s == pytest.approx(9 * 80, rel=0.05)


def test_how_alike_decides_how_many() -> None:
    parts = (tone(300, 8), silence(1), tone(3000, 8))
    assert len(found(*parts, alike=-1)) == 1
    assert len(found(*parts, alike=0.6)) == 2
    with pytest.raises(ConfigError, match="alike = 2: expected a cosine"):
        found(*parts, alike=2)


def test_what_cannot_be_read_is_refused() -> None:
    extractor = Extractor(StandInModel())  # type: ignore[arg-type]
    with pytest.raises(AudioError, match="NaN"):
        extractor.find_voices(np.full(8000, np.nan, np.float32), sample_rate_hz=RATE_HZ)


# The bundled sample's two voices, in turns


def recording(name: str) -> np.ndarray:
    with open_audio(DEMO / name) as reader:
        return mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=RATE_HZ)


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A, then B, then both at once, all in stereo."""
    target, mixture, enrollment = (recording(f"{name}.flac") for name in ("target", "mixture", "enrollment"))
    turns = [enrollment, scale_to_rms(mixture - target, 0.05), scale_to_rms(target, 0.05), mixture]
    path = tmp_path_factory.mktemp("conversation") / "talk.wav"
    samples = np.concatenate(turns)
    soundfile.write(path, np.stack([samples, 0.5 * samples], axis=1), RATE_HZ)
    return path


def test_two_people_are_found_and_extracted_without_a_sample_of_either(
    conversation: Path, tmp_path: Path, tinywase: Command
) -> None:
    out = tmp_path / "voices"
    labels = out / "who.rttm"  # in a folder that is not there yet
    result = tinywase("voices", conversation, "-o", out, "--extract", "--labels", labels, "--json")
    assert result.code == 0, result.err
    voices = json.loads(result.out)
    assert len(voices) == 2
    names = sorted(path.name for path in out.glob("voice-*"))
    assert names == [f"voice-{n}{what}" for n in (1, 2) for what in ("-alone.wav", ".voice", ".wav")]
    length = len(recording("enrollment.flac")) + 2 * len(recording("target.flac"))
    target, mixture = recording("target.flac"), recording("mixture.flac")
    alone = [soundfile.read(voice["estimate"])[0][length:, 0] for voice in voices]
    before = si_sdr(reference=target, estimate=mixture)
    gains = sorted(si_sdr(reference=target, estimate=estimate) - before for estimate in alone)
    assert gains[1] > 5 > gains[0]
    for voice in voices:
        assert Voiceprint.load(voice["voice"]).active_s > 1
        start_s, stop_s = voice["sample_s"]
        assert soundfile.info(voice["sample"]).frames == round((stop_s - start_s) * RATE_HZ)
    lines = labels.read_text().splitlines()
    assert {line.split()[7] for line in lines} == {"voice-1", "voice-2"}
    assert len(lines) == sum(len(voice["segments_s"]) for voice in voices)


def test_results_that_exist_are_kept_unless_told_otherwise(
    conversation: Path, tmp_path: Path, tinywase: Command
) -> None:
    first = tinywase("voices", conversation, "-o", tmp_path / "voices")
    assert first.code == 0 and "2 voices" in first.out and "sample, from" in first.out
    again = tinywase("voices", conversation, "-o", tmp_path / "voices")
    assert again.code == 1 and "voice-1.voice' exists already" in again.err
    assert tinywase("voices", conversation, "-o", tmp_path / "voices", "--force", "-q").code == 0


def test_an_earlier_runs_voices_go_and_nothing_else_does(conversation: Path, tmp_path: Path, tinywase: Command) -> None:
    out = tmp_path / "voices"
    out.mkdir()
    earlier = ("voice-1-alone.wav", "voice-3.voice", "voice-3.wav", "voice-3-alone.wav")
    for name in (*earlier, "voice-03.wav", "voice-memo.wav", "voice-4.txt"):
        (out / name).write_text("earlier")
    assert tinywase("voices", conversation, "-o", out, "--force", "-q").code == 0
    made = {f"voice-{number}{what}" for number in (1, 2) for what in (".voice", ".wav")}
    assert {path.name for path in out.iterdir()} == made | {"voice-03.wav", "voice-memo.wav", "voice-4.txt"}


@pytest.mark.parametrize("name", ["voice-1.wav", "voice-9-alone.wav"])
def test_the_recording_itself_is_neither_replaced_nor_removed(
    conversation: Path, tmp_path: Path, tinywase: Command, name: str
) -> None:
    recording = tmp_path / name
    recording.write_bytes(conversation.read_bytes())
    result = tinywase("voices", recording, "-o", tmp_path, "--force")
    assert result.code == 2 and "is what the result is made from" in " ".join(result.err.replace("│", " ").split())
    assert recording.read_bytes() == conversation.read_bytes()


def test_standard_input_cannot_be_read_more_than_once(tmp_path: Path, tinywase: Command) -> None:
    result = tinywase("voices", "-", "-o", tmp_path / "voices")
    assert result.code == 2 and "instead of standard input" in " ".join(result.err.replace("│", " ").split())


def test_a_recording_without_voices_says_so(tmp_path: Path, tinywase: Command) -> None:
    soundfile.write(tmp_path / "quiet.wav", silence(10), RATE_HZ)
    result = tinywase("voices", tmp_path / "quiet.wav", "-o", tmp_path / "voices")
    assert (result.code, result.out) == (
        0,
        f"{tmp_path / 'quiet.wav'}: no voice that speaks for four seconds or more\n",
    )


def test_the_help_names_the_threshold_that_is_used(tinywase: Command) -> None:
    assert f"({ALIKE:g})" in tinywase("voices", "--help").out
