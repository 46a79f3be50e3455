"""Recordings in and out: every source, every length, and what is refused with which words."""

from __future__ import annotations

import io
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from films import FILMS, film

from tinywase.audio import Track, open_audio
from tinywase.audio_writer import CONTAINERS, LARGEST_WAV_BYTES, AudioFormat, open_writer, output_format
from tinywase.errors import AudioError, OutputError
from tinywase.media import count_tracks


def noise(frames: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((frames, channels))).astype(np.float32)


def whole(source: object, **options: int) -> np.ndarray:
    with open_audio(source, **options) as reader:  # type: ignore[arg-type]
        return np.concatenate(list(reader.blocks(frames=1000)))


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", "FLOAT", 0),
        (".wav", "PCM_16", 4e-5),
        (".flac", "PCM_24", 2e-7),
        (".aiff", "PCM_16", 4e-5),
        (".ogg", "VORBIS", 0.1),
        (".mp3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_files_of_any_kind_are_read_from_path_bytes_and_file(
    tmp_path: Path, suffix: str, subtype: str, tolerance: float
) -> None:
    time_s = np.arange(12345) / 16000
    samples = np.stack([0.3 * np.sin(2 * np.pi * f * time_s) for f in (220, 330)], axis=1).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, samples, 16000, subtype=subtype)
    data = path.read_bytes()
    for source in (path, str(path), data, io.BytesIO(data)):
        found = whole(source)
        assert found.shape == samples.shape
        assert found.dtype == np.float32
        assert np.sqrt(np.mean((found - samples) ** 2)) <= tolerance


def test_a_file_given_by_the_caller_stays_open_and_can_be_read_twice() -> None:
    file = io.BytesIO()
    soundfile.write(file, noise(100), 8000, format="WAV", subtype="FLOAT")
    with open_audio(file) as reader:
        first, second = (np.concatenate(list(reader.blocks())) for _ in range(2))
    assert np.array_equal(first, second)
    assert not file.closed


def test_a_recording_comes_through_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(5000), 8000)
    code = (
        "from tinywase.audio import open_audio\n"
        "with open_audio('-') as r: print(r.name, r.sample_rate_hz, sum(len(b) for b in r.blocks()))"
    )
    with path.open("rb") as pipe:
        result = subprocess.run([sys.executable, "-c", code], stdin=pipe, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "standard input 8000 5000"


def test_integer_arrays_are_divided_by_their_full_scale() -> None:
    wide = whole(np.array([-(2**15), 0, 2**14], np.int16), sample_rate_hz=8000)
    narrow = whole(np.array([0, 128, 192], np.uint8), sample_rate_hz=8000)
    assert wide[:, 0].tolist() == narrow[:, 0].tolist() == [-1.0, 0.0, 0.5]


def test_what_is_not_a_recording_is_refused_with_a_way_out(tmp_path: Path) -> None:
    text, empty = tmp_path / "notes.wav", tmp_path / "empty.wav"
    text.write_text("not a recording " * 100)
    empty.touch()
    header_only = io.BytesIO()
    soundfile.write(header_only, noise(0), 8000, format="WAV")
    cases: list[tuple[object, str]] = [
        (text, r"notes\.wav: not a recording .*Format not recognised.*Expected WAV.*ffmpeg"),
        (b"x" * 1000, "bytes: not a recording"),
        (empty, r"empty\.wav: is empty \(0 bytes\)"),
        (b"", r"bytes: is empty \(0 bytes\)"),
        (header_only, "file: holds no samples, expected at least one"),
        (tmp_path, "is a folder, expected a recording"),
        (tmp_path / "missing.wav", r"missing\.wav: there is no such file"),
    ]
    for source, message in cases:
        with pytest.raises(AudioError, match=message):
            open_audio(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate_hz", [4, 3999, 192001, 400_000])
def test_rates_that_no_recording_has_are_refused(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, noise(100), rate_hz)
    with pytest.raises(AudioError, match=rf"odd\.wav: the sample rate is {rate_hz} Hz, expected 4000 to 192000 Hz"):
        open_audio(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused_with_their_time(bad: float) -> None:
    samples = noise(20000, 2)
    samples[12000, 1] = bad
    with pytest.raises(AudioError, match=r"the sample at 1\.500 s is NaN or infinite"):
        whole(samples, sample_rate_hz=8000)


@pytest.mark.parametrize("bad", [1e30, -2e6])
def test_a_sample_that_no_recording_has_is_refused_with_its_time(tmp_path: Path, bad: float) -> None:
    samples = noise(20000, 2)
    samples[12000, 1] = bad
    soundfile.write(tmp_path / "bad.wav", samples, 8000, subtype="FLOAT")
    for source, options in ((samples, {"sample_rate_hz": 8000}), (tmp_path / "bad.wav", {})):
        with pytest.raises(AudioError, match=rf"the sample at 1\.500 s is {re.escape(f'{bad:g}')}, expected -1\.\.1"):
            whole(source, **options)


def test_whole_numbers_in_a_float_file_are_a_recording() -> None:
    samples = np.array([[-32768.0], [1e6]], np.float32)
    assert np.array_equal(whole(samples, sample_rate_hz=8000), samples)


@pytest.mark.parametrize("suffix", [suffix for suffix in CONTAINERS if suffix != ".opus"])
def test_a_truncated_file_is_refused_with_the_seconds_that_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    soundfile.write(path, noise(80000), 8000, format=CONTAINERS[suffix][0])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    told = r"is truncated or damaged: \d+\.\d\d s can be read, expected .*ffmpeg"
    with pytest.raises(AudioError, match="file is malformed" if suffix == ".caf" else told):
        whole(path)


@pytest.mark.parametrize("seconds", [10.0, 30.0])  # the second needs several blocks
def test_the_seconds_of_a_truncated_flac_file_are_those_that_can_be_decoded(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, noise(int(8000 * seconds)), 8000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"is truncated or damaged: \d+\.\d\d s can be read") as caught:
        list(open_audio(path).blocks())  # the default block, which is longer than what is left of the first file
    told_s = float(str(caught.value).split("damaged: ")[1].split(" s")[0])
    flac_block_s = 4096 / 8000
    assert seconds / 2 - 2 * flac_block_s <= told_s <= seconds / 2


def test_a_wav_file_from_a_pipe_with_an_endless_header_is_no_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "piped.wav"
    soundfile.write(path, noise(8000), 8000)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(whole(path)) == 8000


def test_a_flac_file_from_a_pipe_that_does_not_tell_its_length_is_read_whole(tmp_path: Path) -> None:
    path, samples = tmp_path / "piped.flac", noise(70_000)
    soundfile.write(path, samples, 8000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the number of samples in STREAMINFO, 36 bits: 0 is "unknown"
    data[22:26] = bytes(4)
    path.write_bytes(data)
    for source in (path, bytes(data)):
        with open_audio(source) as reader:
            lengths = {sum(map(len, reader.blocks())) for _ in range(2)}
        assert lengths == {reader.frames} == {70_000}
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"piped\.flac: is truncated or damaged: \d\.\d\d s can be read"):
        whole(path)


@pytest.mark.parametrize(
    ("array", "rate_hz", "message"),
    [
        (noise(10), None, "an array carries no sample rate"),
        (noise(10).reshape(1, 5, 2), 8000, r"expected numbers of shape \[T\] or \[T, channels\]"),
        (np.array(["a"]), 8000, "expected numbers"),
        (noise(8000).T, 8000, r"8000 channels are unlikely\. Pass its transpose"),
        (noise(33, 33), 8000, "33 channels are unlikely"),
        (noise(0), 8000, "array: holds no samples"),
    ],
)
def test_arrays_that_are_no_recordings_are_refused(array: np.ndarray, rate_hz: int | None, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        open_audio(array, sample_rate_hz=rate_hz)


@pytest.mark.parametrize("source", [None, 3, ["a.wav"], (np.zeros(8000), 8000)])
def test_what_is_no_recording_at_all_is_refused_with_what_was_expected(source: Any) -> None:
    message = rf"got a {type(source).__name__}, expected a recording: a path, bytes, an open file or a numpy array"
    with pytest.raises(AudioError, match=message):
        open_audio(source)


def test_a_file_that_gives_no_bytes_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(100), 8000)
    with (
        path.open("r", encoding="latin-1") as text,
        pytest.raises(AudioError, match=r"gives text, expected bytes.*'rb'"),
    ):
        open_audio(text)  # type: ignore[arg-type]
    with path.open("ab") as unreadable, pytest.raises(AudioError, match=r"a\.wav: cannot be read .*'rb'"):
        open_audio(unreadable)
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"), [("a" * 300 + ".wav", "cannot be opened .*too long"), ("a\0.wav", "there is no such file")]
)
def test_a_name_that_no_file_has_is_refused(name: str, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        open_audio(name)


def test_whatever_turns_into_an_array_is_one() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            return np.ones(10, dtype)

    with open_audio(Tensor(), sample_rate_hz=8000) as reader:  # type: ignore[arg-type]
        assert np.concatenate(list(reader.blocks())).shape == (10, 1)


def test_a_voiceprint_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "me.voice").write_text("{}")
    with pytest.raises(AudioError, match=r"me\.voice: is a voiceprint, expected a recording.*--voice"):
        open_audio(tmp_path / "me.voice")


def test_a_rate_given_with_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="was given with a file, which says its own"):
        open_audio(tmp_path / "a.wav", sample_rate_hz=8000)


def test_video_without_pyav_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "film.mp4").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"\.mp4 files need PyAV\. Install it \(pip install 'tinywase\[media\]'\)"):
        open_audio(tmp_path / "film.mp4")


def test_the_sound_of_a_video_is_read_with_pyav(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="stereo")
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
        frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]).astype(np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_audio(path) as reader:
        found = np.concatenate(list(reader.blocks()))
    assert (reader.sample_rate_hz, reader.channels) == (44100, 2)
    assert abs(len(found) - 44100) < 4096
    assert np.std(found) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("kind", FILMS)
def test_what_a_film_is_its_content_says(tmp_path: Path, kind: str) -> None:
    film(tmp_path / "blob", kind)
    (tmp_path / "weird.mp3").write_bytes((tmp_path / "blob").read_bytes())
    data = (tmp_path / "blob").read_bytes()
    with (tmp_path / "blob").open("rb") as file:
        for source in (tmp_path / "blob", tmp_path / "weird.mp3", data, io.BytesIO(data), file):
            found = whole(source)
            assert abs(len(found) - 44100) < 4096
            assert np.std(found[:40000]) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)
        assert not file.closed


def test_a_film_comes_through_a_pipe(tmp_path: Path) -> None:
    film(tmp_path / "film", "m4a")
    code = "from tinywase.audio import open_audio\nwith open_audio('-') as r: print(r.name, r.sample_rate_hz)"
    with (tmp_path / "film").open("rb") as pipe:
        result = subprocess.run([sys.executable, "-c", code], stdin=pipe, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "standard input 44100"


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [("blob", "m4a", "MP4"), ("weird.mp3", "mka", "Matroska and WebM"), ("a.ts", "mts", "MPEG")],
)
def test_a_film_of_any_name_names_the_extra_without_pyav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str, told: str
) -> None:
    film(tmp_path / name, kind)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=rf"{name}: {told}.* files need PyAV\. Install it"):
        open_audio(tmp_path / name)


def test_a_recording_that_is_called_a_film_needs_no_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.mp4", noise(100), 8000, format="WAV")
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(whole(tmp_path / "a.mp4")) == 100


def test_text_that_is_called_mp3_is_refused_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.mp3").write_text("not a recording " * 100)
    with pytest.raises(AudioError, match=r"notes\.mp3: not a recording that can be read \(Format not recognised\)"):
        open_audio(tmp_path / "notes.mp3")
    assert not capfd.readouterr().err  # libmpg123 writes there


@pytest.mark.parametrize(
    "text",
    ["ffconcat version 1.0\nfile 'a.wav'\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.wav\n#EXT-X-ENDLIST\n"],
)
def test_a_list_that_calls_itself_a_film_has_no_other_file_read(tmp_path: Path, text: str) -> None:
    pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    soundfile.write(tmp_path / "a.wav", noise(8000), 8000)
    (tmp_path / "film.mp4").write_text(text)
    with pytest.raises(AudioError, match=r"film\.mp4: cannot be decoded"):
        open_audio(tmp_path / "film.mp4")


def test_any_of_a_films_sound_tracks_can_be_taken(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    film(path, "mka", levels=(0.3, 0.1))
    assert count_tracks(path) == 2
    for number, level in enumerate((0.3, 0.1), 1):
        assert np.std(whole(Track(path, number))[:40000]) == pytest.approx(level / np.sqrt(2), rel=0.1)
    with pytest.raises(AudioError, match=r"film\.mkv: sound track 3 was asked for, it has 2\. Choose 1 to 2"):
        open_audio(Track(path, 3))
    soundfile.write(tmp_path / "a.wav", noise(100), 8000)
    assert count_tracks(tmp_path / "a.wav") == 1
    with pytest.raises(AudioError, match=r"a\.wav: sound track 2 was asked for, it has one"):
        open_audio(Track(tmp_path / "a.wav", 2))


@pytest.mark.parametrize("address", ["https://example.com/a.mp3", Path("https://example.com/a.mp3"), "s3://b/a.wav"])
def test_an_address_is_not_fetched(address: str | Path) -> None:
    with pytest.raises(
        AudioError, match=r"is an address, expected a file: nothing is fetched here\. Download it first"
    ):
        open_audio(address)


def test_a_film_that_is_cut_is_refused(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        for start_s in range(8):
            samples = (3000 * np.random.default_rng(start_s).standard_normal((1, 8000))).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, start_s * 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_audio(path) as reader:
        assert reader.frames == 64000
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"film\.mkv: is truncated .* expected the 8\.00 s that its header promises"):
        open_audio(path)


@pytest.mark.parametrize("levels", [(0.0001, 0.3), (0.3, 0.0001)], ids=["quiet first", "loud first"])
def test_an_mp3_file_that_does_not_tell_its_length_is_read_whole(tmp_path: Path, levels: tuple[float, float]) -> None:
    path = tmp_path / "stream.mp3"
    samples = np.concatenate([level * np.random.default_rng(0).standard_normal(80000) for level in levels])
    soundfile.write(path, samples.clip(-1, 1), 16000, bitrate_mode="VARIABLE", compression_level=0.5)
    data = path.read_bytes()
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + b"Xing".ljust(128, b"\0")  # a title, not a length
    path.write_bytes(tag + data[data.index(data[:2], 4) :])  # without the first frame
    for source in (path, path.read_bytes()):
        with open_audio(source) as reader:
            lengths = {sum(map(len, reader.blocks())) for _ in range(2)}
        assert lengths == {reader.frames} and 160000 <= reader.frames < 163000


def test_a_damaged_aac_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    path = tmp_path / "d.aac"
    path.write_bytes(b"\xff\xf1\x50\x80" + bytes(300))  # a header of no channels, and nothing behind it
    with pytest.raises(AudioError, match=r"d\.aac: its sound track has 0 channels .* copy it again"):
        open_audio(path)


def unknown_sound(path: Path) -> None:
    """A film at `path` whose sound track is of a kind that nobody decodes."""
    av = pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace(b"sowt", b"zzzz"))


def test_a_sound_track_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    unknown_sound(tmp_path / "film.mov")
    with pytest.raises(AudioError, match=r"film\.mov: its sound track is of a kind that is not known .* Convert it"):
        open_audio(tmp_path / "film.mov")


def written(path: Path, subtype: str = "PCM_16", rate_hz: int = 8000, channels: int = 1) -> AudioFormat:
    return output_format(path, sample_rate_hz=rate_hz, channels=channels, subtype=subtype, frames=1000)


def test_the_suffix_names_the_container_and_the_encoding_stays(tmp_path: Path) -> None:
    assert written(tmp_path / "a.wav", "PCM_24") == AudioFormat(8000, 1, "WAV", "PCM_24")
    assert written(tmp_path / "a.flac", "FLOAT").subtype == "PCM_16"
    assert written(tmp_path / "a.wav", "MPEG_LAYER_III").subtype == "PCM_16"
    assert written(tmp_path / "a.wav", "IMA_ADPCM").subtype == "PCM_16"  # its blocks would lengthen the recording
    assert written(tmp_path / "a.opus").subtype == "OPUS"
    assert written(tmp_path / "a.wav", "FLOAT").ceiling == np.inf


def test_a_wav_file_that_its_header_cannot_count_becomes_rf64(tmp_path: Path) -> None:
    def container(frames: int) -> str:
        path = tmp_path / "a.wav"
        return output_format(path, sample_rate_hz=48000, channels=2, subtype="PCM_24", frames=frames).container

    assert container(LARGEST_WAV_BYTES // 6) == "WAV"
    assert container(LARGEST_WAV_BYTES // 6 + 1) == "RF64"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".caf", ".au", ".w64", ".rf64"])
def test_every_container_holds_what_was_written(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"a{suffix}", noise(5000, 2)
    with open_writer(path, written(path, channels=2)) as writer:
        for start in range(0, 5000, 700):
            writer.write(samples[start : start + 700])
    assert writer.peak == np.abs(samples).max()
    assert len(whole(path)) == 5000
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_suffix_that_names_no_container_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'\.xyz' is no sound file that can be written, expected one of \.wav"):
        written(tmp_path / "a.xyz")


def test_an_output_without_suffix_is_refused_with_what_may_be_meant(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a: has no suffix, expected one of \.wav.* or end it with '/'"):
        written(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"), [("a.mp3", 192000, 1), ("a.opus", 44100, 2), ("a.flac", 8000, 9)]
)
def test_what_a_container_cannot_hold_is_refused_before_anything_is_computed(
    tmp_path: Path, name: str, rate_hz: int, channels: int
) -> None:
    message = rf"cannot hold {channels} channels at {rate_hz} Hz .*Write WAV or FLAC"
    with pytest.raises(OutputError, match=message):
        written(tmp_path / name, rate_hz=rate_hz, channels=channels)
    assert not list(tmp_path.iterdir())


def test_an_exception_while_writing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"

    def interrupted() -> None:
        with open_writer(path, written(path)) as writer:
            writer.write(noise(100))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_what_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"), open_writer(path, written(path)):
        pass
    assert path.read_bytes() == b"precious"
    with open_writer(path, written(path), force=True) as writer:
        writer.write(noise(100))
    assert len(whole(path)) == 100


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"

    def filling() -> None:
        with open_writer(path, written(path)) as writer:
            for _ in range(10):
                writer.write(noise(8000))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # the system refuses the 20 001st byte of any file
    try:
        with pytest.raises(OutputError, match=r"could not be written whole .*disk may be full.*Free some space"):
            filling()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_headerless_files_and_names_that_are_no_text_are_explained_or_read(tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(bytes(4000))
    with pytest.raises(AudioError, match=r"x\.raw: not a recording that can be read \(raw samples without a header\)"):
        open_audio(tmp_path / "x.raw")
    with pytest.raises(AudioError, match="holds no samples"):
        open_audio(np.zeros((100, 0)), sample_rate_hz=8000)
    name = os.fsdecode(b"a\xff.wav")
    soundfile.write(tmp_path / "a.wav", noise(8000), 8000)
    os.rename(tmp_path / "a.wav", tmp_path / name)
    with open_audio(tmp_path / name) as reader:
        assert reader.frames == 8000 and reader.name.endswith("a?.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(8000), 8000)
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cp", tmp_path / "a.wav", tmp_path / "pipe"]):
        assert len(whole(tmp_path / "pipe")) == 8000


def test_a_refused_file_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(path, noise(80000), 8000)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(AudioError):
        open_audio(path)
    opened = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    ]
    assert str(path) not in opened
