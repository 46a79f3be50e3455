"""Banks and mixtures: reproducible, exact sums, the cases a recipe asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinywase.data.bank import BankUtterance, SpeechBank
from tinywase.data.mixing import SHORT_S, MixConfig, Mixer
from tinywase.errors import ConfigError, DataError

RATE_HZ = 8000


def toy_bank(speakers: int = 4, utterances: int = 3, seconds: float = 2.0) -> SpeechBank:
    """Tones with noise, a pitch per speaker."""
    rng = np.random.default_rng(0)
    length = int(seconds * RATE_HZ)
    rows: list[BankUtterance] = []
    parts: list[np.ndarray] = []
    for speaker in range(speakers):
        for _ in range(utterances):
            tone = np.sin(2 * np.pi * (150 + 60 * speaker) * np.arange(length) / RATE_HZ + rng.uniform(0, 6))
            rows.append(BankUtterance(f"s{speaker}", "toy", True, len(parts) * length, length))
            parts.append((8000 * (tone + 0.1 * rng.standard_normal(length))).astype(np.int16))
    own = {f"s{s}": tuple(range(s * utterances, (s + 1) * utterances)) for s in range(speakers)}
    return SpeechBank(np.concatenate(parts), tuple(rows), RATE_HZ, tuple(own), own)


def mixer(**changes: object) -> Mixer:
    return Mixer(toy_bank(), replace(MixConfig(segment_s=1.0, enrollment_s=1.0), **changes))  # type: ignore[arg-type]


AUGMENTED = {"room": 0.5, "noise": 0.5, "band": 0.5, "equalizer": 0.5}
EVERYTHING = AUGMENTED | {"third": 0.3, "single": 0.2, "absent": 0.2, "pause": 0.5, "overheard": 0.5}
EVERYTHING |= {"enrollment_room": 0.5, "enrollment_noise": 0.5, "enrollment_short": 0.5}


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["plain", "everything"])
def test_batches_are_reproducible_finite_and_add_up(changes: dict[str, object]) -> None:
    first = mixer(**changes).batch(9, np.random.default_rng(7))
    again = mixer(**changes).batch(9, np.random.default_rng(7))
    assert first.mixture.shape == first.target.shape == (9, RATE_HZ) and first.enrollment.shape == (9, RATE_HZ)
    for name in ("mixture", "target", "interference", "enrollment", "clean_enrollment", "speaker"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
        assert np.isfinite(getattr(first, name)).all(), name
    assert np.array_equal(first.target + first.interference, first.mixture) or np.allclose(
        first.target + first.interference, first.mixture, atol=1e-7
    )
    assert np.abs(first.mixture).max() <= 0.9901


def test_another_seed_gives_another_batch() -> None:
    one, other = (mixer().batch(2, np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(one.mixture, other.mixture)


def test_near_voices_are_about_as_high_as_the_target() -> None:
    def distance(near: float) -> float:
        source, rng = mixer(near=near), np.random.default_rng(3)
        pairs = [source.draw(rng).voices[:2] for _ in range(200)]
        heights = [[(150 + 60 * int(v.speaker[1:])) * v.speed for v in pair] for pair in pairs]
        return float(np.mean(np.abs(np.diff(np.log2(heights)))))

    assert distance(1.0) < 0.6 * distance(0.0)


def test_an_absent_target_has_one_or_two_others_beside_it() -> None:
    source, rng = mixer(absent=1.0), np.random.default_rng(4)
    assert {len(source.draw(rng).voices) for _ in range(50)} == {2, 3}


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_two_speakers_are_mixed_with_each_other_where_more_are_asked_for(near: float) -> None:
    config = MixConfig(segment_s=1.0, enrollment_s=1.0, third=0.5, absent=0.5, near=near)
    source, rng = Mixer(toy_bank(speakers=2), config), np.random.default_rng(4)
    recipes = [source.draw(rng) for _ in range(200)]
    assert all(sorted(voice.speaker for voice in recipe.voices) == ["s0", "s1"] for recipe in recipes)
    assert 50 < sum(recipe.absent for recipe in recipes) < 150


def test_shares_that_leave_one_speaker_are_refused() -> None:
    bank = toy_bank(speakers=3)
    alone = [replace(row, source="alone") if row.speaker == "s0" else row for row in bank.utterances]
    with pytest.raises(ConfigError, match="only s0 would be drawn, expected two speakers or more.*another source"):
        Mixer(replace(bank, utterances=tuple(alone)), MixConfig(shares={"alone": 1.0}))


def test_pairs_share_their_mixture_and_swap_target_with_interference() -> None:
    batch = mixer().batch(4, np.random.default_rng(0))
    assert np.array_equal(batch.mixture[0], batch.mixture[1])
    assert np.allclose(batch.target[0], batch.interference[1], atol=1e-7)
    assert batch.speaker[0] != batch.speaker[1]


def test_absent_target_is_silent_but_enrolled() -> None:
    batch = mixer(absent=1.0).batch(6, np.random.default_rng(0))
    assert not batch.target.any() and batch.mixture.any(axis=1).all() and batch.enrollment.any(axis=1).all()


def test_lone_target_is_the_whole_mixture() -> None:
    batch = mixer(single=1.0).batch(4, np.random.default_rng(0))
    assert np.allclose(batch.target, batch.mixture)


def test_enrollment_is_never_the_utterance_that_is_mixed() -> None:
    recipes = [mixer().draw(np.random.default_rng(seed)) for seed in range(200)]
    voices = [voice for recipe in recipes for voice in recipe.voices if voice.enrollment is not None]
    assert len(voices) > 200
    assert all(voice.enrollment != voice.utterance for voice in voices)
    assert all(len({voice.speaker for voice in recipe.voices}) == len(recipe.voices) for recipe in recipes)


def test_gains_are_what_the_recipe_says() -> None:
    one = mixer(gain_db=6.0, equalizer=0.0)
    recipe = one.draw(np.random.default_rng(3))
    voices, _ = one.render(recipe)
    level_db = 20 * np.log10(np.sqrt((voices**2).mean(1)))
    assert level_db[0] - level_db[1] == pytest.approx(recipe.voices[0].gain_db - recipe.voices[1].gain_db, abs=0.01)


def test_an_enrollment_may_have_the_other_voice_in_it_quieter() -> None:
    alone, overheard = (mixer(overheard=chance, equalizer=0.0).batch(40, np.random.default_rng(5)) for chance in (0, 1))
    np.testing.assert_array_equal(alone.mixture, overheard.mixture)
    own = np.sum(alone.enrollment * overheard.enrollment, axis=1) / np.sum(alone.enrollment**2, axis=1)
    other = overheard.enrollment - own[:, None] * alone.enrollment
    level_db = 10 * np.log10(np.sum(other**2, axis=1) / np.sum((own[:, None] * alone.enrollment) ** 2, axis=1))
    assert -21 < level_db.min() < -15 and -10 < level_db.max() < -4
    lone = mixer(overheard=1.0, single=1.0).batch(4, np.random.default_rng(5))  # nobody else is there to be heard
    np.testing.assert_array_equal(lone.enrollment, mixer(single=1.0).batch(4, np.random.default_rng(5)).enrollment)


def test_enrollments_are_clean_unless_a_chance_says_otherwise() -> None:
    batch = mixer().batch(4, np.random.default_rng(5))
    np.testing.assert_array_equal(batch.enrollment, batch.clean_enrollment)


def test_an_enrollment_may_have_noise_in_it_as_loud_as_drawn() -> None:
    batch = mixer(enrollment_noise=1.0, noise_snr_db=(10.0, 10.0)).batch(12, np.random.default_rng(5))
    own = np.sum(batch.clean_enrollment * batch.enrollment, axis=1) / np.sum(batch.clean_enrollment**2, axis=1)
    voice = own[:, None] * batch.clean_enrollment
    noise = batch.enrollment - voice
    snr_db = 10 * np.log10(np.sum(voice**2, axis=1) / np.sum(noise**2, axis=1))
    np.testing.assert_allclose(snr_db, 10.0, atol=1.0)  # noise may resemble the voice by chance


def test_an_enrollment_may_be_in_a_room_of_its_own() -> None:
    dry, wet = (mixer(enrollment_room=chance).batch(8, np.random.default_rng(5)) for chance in (0.0, 1.0))
    np.testing.assert_array_equal(dry.mixture, wet.mixture)  # which stays where it was
    np.testing.assert_array_equal(dry.enrollment, wet.clean_enrollment)
    level, wet_level = (np.sqrt(np.mean(audio**2, axis=1)) for audio in (dry.enrollment, wet.enrollment))
    np.testing.assert_allclose(wet_level, level, rtol=1e-4)  # enrollments come at one level
    assert not any(np.allclose(a, b, atol=1e-3) for a, b in zip(dry.enrollment, wet.enrollment, strict=True))
    recorded, clean, _ = mixer(enrollment_room=1.0).enrollments(4, np.random.default_rng(5))
    assert not np.allclose(recorded, clean, atol=1e-3)


def test_an_enrollment_may_be_a_part_said_again_and_again() -> None:
    batch = mixer(enrollment_s=3.0, enrollment_short=1.0).batch(6, np.random.default_rng(5))
    lengths = range(*(round(seconds * RATE_HZ) for seconds in SHORT_S))
    for short, clean in zip(batch.enrollment, batch.clean_enrollment, strict=True):
        assert short.shape == clean.shape and not np.array_equal(short, clean)
        assert any(np.array_equal(short[length:], short[:-length]) for length in lengths)


def test_one_speaker_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 speakers with two recordings or more, expected at least 2"):
        Mixer(toy_bank(speakers=1))


@pytest.mark.parametrize("change", [{"absent": 1.5}, {"segment_s": 0.0}, {"speeds": ()}, {"speeds": (3.0,)}])
def test_impossible_chances_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"mix.{next(iter(change))}"):
        MixConfig(**change)  # type: ignore[arg-type]


def test_a_bank_survives_packing_and_refuses_to_be_cut(tmp_path: Path) -> None:
    import soundfile

    from tinywase.data.bank import build_bank
    from tinywase.data.utterances import read_utterances

    rng = np.random.default_rng(0)
    for speaker in ("ann", "bob"):
        (tmp_path / "speech" / speaker).mkdir(parents=True)
        for i in range(2):
            soundfile.write(tmp_path / "speech" / speaker / f"{i}.wav", rng.normal(0, 0.1, 16000), 16000)
    bank = build_bank(read_utterances(tmp_path / "speech"), tmp_path / "bank", RATE_HZ)
    assert [s.split("/")[-1] for s in bank.target_speakers] == ["ann", "bob"] and bank.seconds == pytest.approx(4.0)
    samples = (tmp_path / "bank" / "samples.npy").read_bytes()
    np.save(tmp_path / "bank" / "samples.npy", np.zeros(10, np.int16))
    with pytest.raises(DataError, match="empty or cut short. Make it again"):
        SpeechBank.load(tmp_path / "bank")
    (tmp_path / "bank" / "samples.npy").write_bytes(samples[:50])
    with pytest.raises(DataError, match="not a speech bank"):
        SpeechBank.load(tmp_path / "bank")
    (tmp_path / "bank" / "samples.npy").write_bytes(samples)
    table = (tmp_path / "bank" / "utterances.csv").read_text()
    other_rate, other_name = table.replace(",8000\n", ",x\n"), table.replace("start", "begin")
    for damaged in ("", table[:-9], other_name, other_rate, table + ",,,,,\n"):
        (tmp_path / "bank" / "utterances.csv").write_text(damaged)
        with pytest.raises(DataError, match=r"bank.*Make (it again|one) with 'tinywase data pack'"):
            SpeechBank.load(tmp_path / "bank")


def test_packing_that_fails_leaves_the_old_bank(tmp_path: Path) -> None:
    import soundfile

    from tinywase.data.bank import build_bank
    from tinywase.data.utterances import read_utterances
    from tinywase.errors import AudioError

    rng = np.random.default_rng(1)
    for name in ("ann/0.wav", "ann/1.wav", "bob/0.wav", "bob/1.wav"):
        (tmp_path / "speech" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "speech" / name, rng.normal(0, 0.1, 4000 + 16), RATE_HZ)
    listed = read_utterances(tmp_path / "speech")
    bank = build_bank(listed, tmp_path / "bank", RATE_HZ)
    stored = np.load(tmp_path / "bank" / "samples.npy")
    first, _ = soundfile.read(listed[0].path)
    assert stored.dtype == np.int16 and len(stored) == 4 * 4016
    np.testing.assert_allclose(bank.audio(0), first - first.mean(), atol=1e-4)
    listed[-1].path.write_bytes(b"no sound")
    with pytest.raises(AudioError):
        build_bank(listed, tmp_path / "bank", RATE_HZ)
    np.testing.assert_array_equal(np.load(tmp_path / "bank" / "samples.npy"), stored)
    assert sorted(path.name for path in (tmp_path / "bank").iterdir()) == ["samples.npy", "utterances.csv"]


def shared_bank() -> SpeechBank:
    """Four speakers: three of a corpus "many", one of a corpus "few"."""
    bank = toy_bank()
    rows = tuple(replace(u, source="few" if u.speaker == "s3" else "many") for u in bank.utterances)
    return replace(bank, utterances=rows)


def test_corpora_get_the_shares_that_the_recipe_gives_them() -> None:
    config = MixConfig(segment_s=1.0, enrollment_s=1.0, speeds=(1.0,), shares={"few": 0.4})
    drawer, rng = Mixer(shared_bank(), config), np.random.default_rng(3)
    recipes = [drawer.draw(rng) for _ in range(2000)]
    targets = [recipe.voices[0].speaker for recipe in recipes]
    assert np.mean([speaker == "s3" for speaker in targets]) == pytest.approx(0.4, abs=0.05)
    for speaker in ("s0", "s1", "s2"):  # share the rest alike
        assert np.mean([target == speaker for target in targets]) == pytest.approx(0.2, abs=0.04)
    # the other voice: 0.4, unless the target is that one speaker itself
    others = [recipe.voices[1].speaker for recipe in recipes if recipe.voices[0].speaker != "s3"]
    assert np.mean([speaker == "s3" for speaker in others]) == pytest.approx(0.4 / 0.8, abs=0.05)


def test_a_share_of_nothing_is_never_drawn() -> None:
    config = MixConfig(segment_s=1.0, enrollment_s=1.0, speeds=(1.0,), shares={"few": 0.0})
    drawer, rng = Mixer(shared_bank(), config), np.random.default_rng(3)
    assert "s3" not in {voice.speaker for _ in range(300) for voice in drawer.draw(rng).voices}


@pytest.mark.parametrize(
    ("shares", "complaint"),
    [
        ({"few": 1.5}, "between 0 and 1"),
        ({"few": True}, "between 0 and 1"),
        ({"few": 0.7, "many": 0.7}, "add up"),
        ({"fewer": 0.5}, "no such source"),
        ({"few": 0.0, "many": 0.0}, "nobody"),
    ],
)
def test_impossible_shares_are_refused(shares: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Mixer(shared_bank(), MixConfig(shares=shares))


def test_recorded_noise_is_in_the_mixture_at_its_level_and_silence_is_not() -> None:
    rng = np.random.default_rng(5)
    hum = (3000 * np.sin(2 * np.pi * 50 * np.arange(6000) / RATE_HZ)).astype(np.int16)  # shorter than a segment
    silence = np.zeros(9000, np.int16)
    rows = (BankUtterance("hum", "noise", True, 0, 6000), BankUtterance("none", "noise", True, 6000, 9000))
    noise = SpeechBank(np.concatenate([hum, silence]), rows, RATE_HZ, (), {"hum": (0,), "none": (1,)})
    config = MixConfig(segment_s=1.0, enrollment_s=1.0, noise=1.0, recorded=1.0, noise_snr_db=(0.0, 0.0), equalizer=0.0)
    drawer = Mixer(toy_bank(), config, noise)
    shares = []
    for _ in range(12):
        voices, mixture = drawer.render(drawer.draw(rng))
        added = mixture - voices.sum(0)
        loud = np.sqrt(np.mean(added**2)) / np.sqrt(np.mean(voices.sum(0) ** 2))
        assert 0.3 < loud < 1.5
        spectrum = np.abs(np.fft.rfft(added)) ** 2
        shares.append(spectrum[40:61].sum() / spectrum.sum())
    assert max(shares) > 0.95  # the hum
    assert min(shares) < 0.5  # where the recording is silent, noise is made


def test_nobody_but_noise() -> None:
    drawer, rng = mixer(absent=1.0, nobody=0.5), np.random.default_rng(4)
    recipes = [drawer.draw(rng) for _ in range(200)]
    empty = [recipe for recipe in recipes if len(recipe.voices) == 1]
    assert 60 < len(empty) < 140
    for recipe in empty[:5]:
        voices, mixture = drawer.render(recipe)
        assert not voices.any() and mixture.any()
    batch = mixer(absent=1.0, nobody=1.0).batch(3, rng)
    assert not batch.target.any() and batch.interference.any() and batch.enrollment.any()
