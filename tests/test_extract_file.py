"""Extraction from file to file, and enrollments: what is written, what is refused, what is said about quality."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stand_in import noise, spectrum, stand_in, tone, voice

from tinywase import Presence
from tinywase.config import TINY
from tinywase.errors import AudioError, ConfigError, FormatError, OutputError
from tinywase.runtime.enrollment import quality_notes, steadiness
from tinywase.runtime.presence import PresenceRule
from tinywase.runtime.summary import spoken

# Files


def test_a_file_gives_what_an_array_gives(tmp_path: Path) -> None:
    extractor = stand_in()
    mixture = noise(44100, 2)
    soundfile.write(tmp_path / "in.wav", mixture, 44100, subtype="FLOAT")
    report = extractor.extract_file(
        tmp_path / "in.wav", tmp_path / "out.wav", voice(extractor), residual=tmp_path / "rest.wav"
    )
    extraction = extractor.extract(mixture, voice(extractor), sample_rate_hz=44100)
    for name, expected in (("out", extraction.estimate), ("rest", extraction.residual)):
        found, rate_hz = soundfile.read(tmp_path / f"{name}.wav", dtype="float32")
        assert rate_hz == 44100
        assert soundfile.info(tmp_path / f"{name}.wav").subtype == "FLOAT"
        np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (report.duration_s, report.channels, report.sample_rate_hz) == (1.0, 2, 44100)
    assert report.band_hz == 22050
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav", "rest.wav"]


def test_a_voice_speaks_no_longer_than_its_recording(tmp_path: Path) -> None:
    extractor = stand_in()
    heard = tone(440, 44200 / 44100, 44100)
    report = extractor.extract_file(heard, tmp_path / "out.wav", voice(extractor), sample_rate_hz=44100)
    assert spoken(extractor, report)[-1].stop_s == report.duration_s == 44200 / 44100


def test_an_array_is_extracted_to_a_file_too(tmp_path: Path) -> None:
    extractor = stand_in()
    report = extractor.extract_file(noise(44100), tmp_path / "out.wav", voice(extractor), sample_rate_hz=44100)
    assert (report.duration_s, report.channels) == (1.0, 1)
    assert soundfile.info(tmp_path / "out.wav").frames == 44100


def test_bytes_and_files_are_extracted_too() -> None:
    extractor = stand_in()
    file = io.BytesIO()
    soundfile.write(file, noise(4000), 8000, format="FLAC")
    for source in (file.getvalue(), file):
        assert extractor.extract(source, voice(extractor)).estimate.shape == (4000,)


def test_progress_rises_to_one(tmp_path: Path) -> None:
    extractor = stand_in()
    soundfile.write(tmp_path / "in.wav", noise(300_000), 8000)
    seen: list[float] = []
    extractor.extract_file(tmp_path / "in.wav", tmp_path / "out.wav", voice(extractor), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    assert len(seen) > 5


def uncorrelated_peak() -> tuple[np.ndarray, np.ndarray]:
    """A target whose peak of 1.5 another speaker hides in the mixture, uncorrelated with it all in all."""
    target, other = noise(8000), noise(8000, seed=1)
    target[4000], other[4000] = 1.5, -0.8
    others = np.arange(8000) != 4000
    wanted, found = 1.5 * 0.8, float(target[others] @ other[others])
    other[others] += target[others] * (wanted - found) / float(target[others] @ target[others])
    return target, target + other


def test_what_would_be_clipped_is_written_quieter_and_the_report_says_so(tmp_path: Path) -> None:
    target, mixture = uncorrelated_peak()
    assert np.abs(mixture).max() < 1
    extractor = stand_in(lambda _: target)
    soundfile.write(tmp_path / "in.wav", mixture, 8000, subtype="PCM_16")
    soundfile.write(tmp_path / "in_float.wav", mixture, 8000, subtype="FLOAT")
    report = extractor.extract_file(tmp_path / "in.wav", tmp_path / "out.wav", voice(extractor))
    found, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    gain = 10 ** (-report.attenuation_db / 20)
    assert report.attenuation_db == pytest.approx(20 * np.log10(1.5), abs=0.1)
    np.testing.assert_allclose(found, gain * target, atol=1e-3)
    assert np.count_nonzero(np.abs(found) > 0.999) == 1
    whole = extractor.extract_file(tmp_path / "in_float.wav", tmp_path / "out_float.wav", voice(extractor))
    assert whole.attenuation_db == 0
    assert soundfile.read(tmp_path / "out_float.wav")[0].max() == pytest.approx(1.5, rel=0.02)


def test_an_absent_target_is_passed_muted_or_refused(tmp_path: Path) -> None:
    extractor = stand_in()
    stranger = voice(extractor, 2800)
    soundfile.write(tmp_path / "in.wav", tone(440, 2.0), 8000)
    paths = {name: tmp_path / f"{name}.wav" for name in ("pass", "mute", "fail", "rest")}
    passed = extractor.extract_file(tmp_path / "in.wav", paths["pass"], stranger)
    muted = extractor.extract_file(tmp_path / "in.wav", paths["mute"], stranger, absent="mute", residual=paths["rest"])
    with pytest.raises(
        AudioError,
        match=r"not found: who is active for 2\.0 s sounds like somebody else \(confidence -?0\.\d\d, of 1\)\. Check",
    ):
        extractor.extract_file(tmp_path / "in.wav", paths["fail"], stranger, absent="fail")
    mixture, silence, rest = (soundfile.read(path)[0] for path in (tmp_path / "in.wav", paths["mute"], paths["rest"]))
    assert (passed.muted, muted.muted, muted.presence) == (False, True, Presence.ABSENT)
    assert soundfile.read(paths["pass"])[0].any()
    assert not silence.any()
    assert len(silence) == 16000
    np.testing.assert_allclose(rest, mixture, atol=1e-4)
    assert not paths["fail"].exists()


@pytest.mark.parametrize("quieter_db", [0.0, 20.0])
def test_others_are_let_through_as_quiet_as_asked_for(tmp_path: Path, quieter_db: float) -> None:
    extractor, mixture = stand_in(), noise(8000, 2)
    plain = extractor.extract(mixture, voice(extractor), sample_rate_hz=44100)
    kept = extractor.extract(mixture, voice(extractor), sample_rate_hz=44100, keep_others_db=quieter_db)
    np.testing.assert_allclose(kept.estimate, plain.estimate + 10 ** (-quieter_db / 20) * plain.residual, atol=1e-6)
    assert np.array_equal(kept.residual, plain.residual) and kept.confidence == plain.confidence
    paths = tmp_path / "out.flac", tmp_path / "rest.flac"
    report = extractor.extract_file(
        mixture, paths[0], voice(extractor), sample_rate_hz=44100, residual=paths[1], keep_others_db=quieter_db
    )
    assert report.presence == kept.presence
    for path, expected in zip(paths, (kept.estimate, kept.residual), strict=True):
        np.testing.assert_allclose(soundfile.read(path)[0], expected, atol=2 / 32768)
    extractor.extract_file(
        tone(440, 2.0), tmp_path / "mute.wav", voice(extractor, 2800), sample_rate_hz=8000, absent="mute",
        keep_others_db=quieter_db,
    )  # fmt: skip
    assert not soundfile.read(tmp_path / "mute.wav")[0].any()


@pytest.mark.parametrize("quieter_db", [-1.0, float("nan")])
def test_others_are_never_made_louder(tmp_path: Path, quieter_db: float) -> None:
    extractor = stand_in()
    with pytest.raises(ConfigError, match="keep_others_db = .*: expected how many dB quieter"):
        extractor.extract(noise(8000), voice(extractor), sample_rate_hz=8000, keep_others_db=quieter_db)
    with pytest.raises(ConfigError, match="keep_others_db"):
        extractor.extract_file("in.wav", tmp_path / "out.wav", voice(extractor), keep_others_db=quieter_db)


def test_an_unknown_word_for_absent_is_refused(tmp_path: Path) -> None:
    extractor = stand_in()
    with pytest.raises(ConfigError, match="absent = 'never': expected one of pass, mute, fail"):
        extractor.extract_file("in.wav", tmp_path / "out.wav", voice(extractor), absent="never")


@pytest.mark.parametrize("opened", [False, True], ids=["by its path", "by an open file"])
def test_the_recording_is_never_replaced(tmp_path: Path, opened: bool) -> None:
    extractor, path = stand_in(), tmp_path / "in.wav"
    soundfile.write(path, noise(8000), 8000)
    before = path.read_bytes()
    (tmp_path / "link.wav").symlink_to(path)
    with path.open("rb") as file:
        for out, residual in ((path, None), (tmp_path / "out.wav", tmp_path / "link.wav")):
            with pytest.raises(OutputError, match="is what the result is made from. Give the result another name"):
                extractor.extract_file(file if opened else path, out, voice(extractor), residual=residual, force=True)
    assert path.read_bytes() == before


def test_estimate_and_residual_need_two_files(tmp_path: Path) -> None:
    extractor = stand_in()
    soundfile.write(tmp_path / "in.wav", noise(100), 8000)
    with pytest.raises(OutputError, match="estimate and residual are the same file"):
        extractor.extract_file(
            tmp_path / "in.wav", tmp_path / "out.wav", voice(extractor), residual=tmp_path / "out.wav"
        )


def test_estimate_and_residual_are_written_both_or_not_at_all(tmp_path: Path) -> None:
    extractor = stand_in(lambda mixture: 0.5 * mixture)

    def taken_meanwhile(done: float) -> None:
        if done > 0.9:  # while both are written
            (tmp_path / "out.wav").write_bytes(b"precious")

    with pytest.raises(OutputError, match=r"out\.wav' exists already"):
        extractor.extract_file(
            noise(8000), tmp_path / "out.wav", voice(extractor), sample_rate_hz=8000,
            residual=tmp_path / "rest.wav", progress=taken_meanwhile,
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]
    assert (tmp_path / "out.wav").read_bytes() == b"precious"


def test_a_voiceprint_of_another_model_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    extractor, other = stand_in(), stand_in()
    other.model.fingerprint = "f" * 16
    soundfile.write(tmp_path / "in.wav", noise(100), 8000)
    with pytest.raises(FormatError, match="this voiceprint was made by the model"):
        extractor.extract_file(tmp_path / "in.wav", tmp_path / "out.wav", voice(other))
    assert not (tmp_path / "out.wav").exists()


# Enrollment


def test_several_enrollments_are_averaged_by_their_seconds_of_speech() -> None:
    extractor = stand_in()
    one, three = (extractor.enroll(tone(f, s), sample_rate_hz=8000) for f, s in ((440, 1.0), (1500, 3.0)))
    both = extractor.enroll(tone(440, 1.0), tone(1500, 3.0), sample_rate_hz=8000)
    weights = np.array([one.active_s, three.active_s])
    np.testing.assert_allclose(both.vector, np.average([one.vector, three.vector], axis=0, weights=weights), rtol=1e-5)
    assert both.active_s == pytest.approx(weights.sum())


def test_an_enrollment_may_be_a_part_of_a_recording_at_any_rate_and_channels(tmp_path: Path) -> None:
    extractor = stand_in()
    recording = np.concatenate([tone(2800, 2.0, 44100), tone(440, 2.0, 44100)])
    soundfile.write(tmp_path / "in.wav", np.stack([recording] * 3, axis=1), 44100)
    vector = extractor.enroll(tmp_path / "in.wav", start_s=2.0, stop_s=4.0).vector
    expected = spectrum(0.05 / np.sqrt(0.02) * tone(440, 2.0))
    assert vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected) > 0.99


@pytest.mark.parametrize(
    ("enrollment", "message"),
    [
        (tone(440, 0.2), r"array: enrollment holds 0\.2\d? s of speech .*expected at least 0\.5 s\. Record"),
        (np.zeros(16000, np.float32), r"array: enrollment holds 0\.00 s of speech"),
        (tone(440, 1 / 8000), r"enrollment holds 0\.00 s of speech"),
    ],
)
def test_an_enrollment_without_enough_speech_is_refused(enrollment: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        stand_in().enroll(enrollment, sample_rate_hz=8000)


def test_no_enrollment_is_refused() -> None:
    with pytest.raises(AudioError, match="no enrollment was given, expected at least one"):
        stand_in().enroll()


@pytest.mark.parametrize("recordings", [1, 3])
def test_enrolling_says_how_far_it_is_and_may_be_given_up(recordings: int) -> None:
    class Gone(Exception):
        pass

    def gone(done: float) -> None:
        if done > 0.5:
            raise Gone

    extractor, seen = stand_in(), list[float]()
    samples = [noise(40_000, seed=seed) for seed in range(recordings)]
    plain = extractor.enroll(*samples, sample_rate_hz=8000)
    told = extractor.enroll(*samples, sample_rate_hz=8000, progress=seen.append)
    assert np.array_equal(told.vector, plain.vector) and told.consistency == plain.consistency
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 3
    with pytest.raises(Gone):
        extractor.enroll(*samples, sample_rate_hz=8000, progress=gone)


class _Shares:
    """A model whose voiceprint is how much of a sound is positive, and how much negative: two voices."""

    config = TINY
    common = np.zeros(2, np.float32)

    def enroll(self, prepared: np.ndarray) -> np.ndarray:
        return np.array([np.mean(prepared > 0), np.mean(prepared < 0)])


@pytest.mark.parametrize(("before_s", "length_s"), [(1.3, 4.0), (2.3, 7.0), (5.2, 7.0), (20.0, 60.0)])
def test_a_second_voice_is_heard_wherever_it_begins(before_s: float, length_s: float) -> None:
    both = np.ones(round(8000 * length_s), np.float32)
    assert steadiness(_Shares(), both) == 1.0  # type: ignore[arg-type]
    both[round(8000 * before_s) :] = -1
    assert steadiness(_Shares(), both) < 0.3  # type: ignore[arg-type]


def test_short_voiceprints_are_uncertain() -> None:
    both = np.repeat([np.float32(1), np.float32(-1)], 8000)
    assert steadiness(_Shares(), both) == pytest.approx(0.2)  # type: ignore[arg-type]  # twice a second less than sure
    assert steadiness(_Shares(), both[:-1]) == 1.0  # type: ignore[arg-type]  # no two sides of a second


def test_voices_are_compared_before_and_after_every_moment_and_recording() -> None:
    low, high = tone(440, 3.0), tone(1800, 3.0)
    extractor = stand_in()
    alike = [
        extractor.enroll(*recordings, sample_rate_hz=8000).consistency
        for recordings in (
            [low[:12000]],
            [low],
            [low, low],
            [low, high],
            [np.concatenate([high, low])],
            [low, high, low],
        )
    ]
    assert alike[0] == 1.0  # one stretch, nothing to compare it with
    assert min(alike[1:3]) > 0.95
    assert alike[3] < 0.3 and alike[4] < 0.7  # the latter's moment is between two that are tried
    assert max(alike[3:5]) < alike[5] < 0.9


@pytest.mark.parametrize(
    ("enrollment", "notes"),
    [
        (tone(440, 4.0), []),
        (tone(440, 1.0), [r"only 1\.0 s of speech; 2 s and more"]),
        (np.clip(tone(440, 4.0, amplitude=1.5), -1, 1), [r"\d+\.\d% of the samples are clipped; record at a lower"]),
        (tone(440, 4.0, amplitude=0.002), [r"very quiet \(-57 dB re full scale\); record it closer"]),
        (tone(440, 60.0), []),
        (tone(440, 61.0), ["first 60 s of speech in the first 10 min of a recording are used; the rest was left out"]),
        (np.concatenate([tone(440, 4.0), np.zeros(8000 * 600)]), ["of a recording are used; the rest was left out"]),
        (np.concatenate([tone(440, 3.0), tone(1800, 3.0)]), ["like more than one voice; enroll a part in which one"]),
    ],
)
def test_notes_say_what_could_be_better_about_an_enrollment(enrollment: np.ndarray, notes: list[str]) -> None:
    found = quality_notes(stand_in().enroll(enrollment, sample_rate_hz=8000), PresenceRule(one_voice=0.7))
    assert len(found) == len(notes)
    assert all(re.search(pattern, text) for pattern, text in zip(notes, found, strict=True))


# Memory


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_an_hour_needs_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    code = (
        "import re, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from stand_in import stand_in, tone\n"
        "import numpy as np, soundfile\n"
        "extractor = stand_in()\n"
        "voiceprint = extractor.enroll(tone(440, 2.0), sample_rate_hz=8000)\n"
        "extractor.model.heard = type('Forget', (), {'append': lambda self, x: None})()\n"
        "minutes, path = int(sys.argv[1]), sys.argv[2]\n"
        "with soundfile.SoundFile(path, 'w', samplerate=16000, channels=2) as file:\n"
        "    for i in range(minutes):\n"
        "        file.write(0.1 * np.random.default_rng(i).standard_normal((960000, 2)))\n"
        "extractor.extract_file(path, path + '.out.wav', voiceprint, residual=path + '.rest.wav')\n"
        "assert soundfile.info(path + '.out.wav').frames == minutes * 960000\n"
        "# the peak of this program; getrusage would count the one that started it\n"
        "print(int(re.search('VmHWM:\\\\s*([0-9]+)', open('/proc/self/status').read())[1]) // 1024)\n"
    )
    used_mib = [
        int(subprocess.run([sys.executable, "-c", code, str(m), str(tmp_path / f"{m}.wav")],
                           capture_output=True, text=True, check=True).stdout)
        for m in (1, 60)
    ]  # fmt: skip
    assert used_mib[1] < 300
    assert used_mib[1] < used_mib[0] + 100
