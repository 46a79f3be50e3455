"""The speech archive: small, complete, the same sounds in the same places; damaged ones are refused."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinywase.cli.main import main
from tinywase.data import archive
from tinywase.data.archive import is_archive, unpack_archives, write_archive
from tinywase.data.bank import SpeechBank, build_bank
from tinywase.data.speakers import make_speakers, write_corpus
from tinywase.data.utterances import read_utterances
from tinywase.errors import DataError, OutputError

RATE_HZ = 8000


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve utterances of three synthetic speakers, about half a minute."""
    folder = tmp_path_factory.mktemp("archive")
    voices = make_speakers("source-filter", 3, 1)
    write_corpus(folder / "speech", voices, utterances=4, seconds=(2.0, 3.0), seed=1, sample_rate_hz=RATE_HZ)
    build_bank(read_utterances(folder / "speech"), folder / "bank", RATE_HZ)
    return folder / "bank"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pieces also of a short bank."""
    monkeypatch.setattr(archive, "PIECE_S", 4)


def band_levels_db(samples: np.ndarray) -> np.ndarray:
    """Mean power in four bands of 1 kHz."""
    frames = samples[: len(samples) // 256 * 256].astype(np.float64).reshape(-1, 256) * np.hanning(256)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0)
    return 10 * np.log10(power[:128].reshape(4, 32).mean(1))


@pytest.mark.usefixtures("small_pieces")
def test_an_archive_becomes_the_bank_again_with_levels_spectra_and_places_kept(bank: Path, tmp_path: Path) -> None:
    write_archive(bank, tmp_path / "speech.zip")
    assert is_archive(tmp_path / "speech.zip") and len(zipfile.ZipFile(tmp_path / "speech.zip").namelist()) > 5
    before, after = SpeechBank.load(bank), unpack_archives([tmp_path / "speech.zip"], tmp_path / "bank")
    assert after.utterances == before.utterances and after.target_speakers == before.target_speakers
    for index in range(len(before.utterances)):
        original, decoded = before.audio(index), after.audio(index)
        assert np.abs(band_levels_db(decoded) - band_levels_db(original))[:3].max() < 2.0
        lags = [float(np.dot(original[40:-40], decoded[40 + lag : len(decoded) - 40 + lag])) for lag in range(-20, 21)]
        assert int(np.argmax(lags)) == 20  # nothing is moved


@pytest.mark.usefixtures("small_pieces")
def test_an_archive_holds_the_bit_rate_that_was_asked_for(bank: Path, tmp_path: Path) -> None:
    seconds, sizes = SpeechBank.load(bank).seconds, []
    for kbit in (9.0, 16.0):
        write_archive(bank, tmp_path / "speech.zip", kbit_per_s=kbit, force=True)
        sizes.append((tmp_path / "speech.zip").stat().st_size)
        assert sizes[-1] < 1.35 * kbit * 125 * seconds + 5000  # Ogg's headers weigh more in short pieces
    assert sizes[1] > 1.4 * sizes[0]


def test_archive_and_pack_commands_are_each_others_inverse(bank: Path, tmp_path: Path) -> None:
    archive = tmp_path / "speech.zip"
    for words in (["archive", bank, archive], ["pack", archive, "-o", tmp_path / "bank"]):
        with pytest.raises(SystemExit, match="0"):
            main(["data", *map(str, words)])
    assert SpeechBank.load(tmp_path / "bank").utterances == SpeechBank.load(bank).utterances


def test_a_bank_that_is_made_again_leaves_the_old_one_to_those_who_read_it(tmp_path: Path) -> None:
    utterances = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        voices = make_speakers("source-filter", 1, seed)
        write_corpus(folder, voices, utterances=2, seconds=(1.0, 1.0), seed=seed, sample_rate_hz=RATE_HZ)
        utterances.append(read_utterances(folder))
    old = build_bank(utterances[0], tmp_path / "bank", RATE_HZ)
    before = np.array(old.samples)
    new = build_bank(utterances[1], tmp_path / "bank", RATE_HZ)
    assert np.array_equal(old.samples, before)
    assert not np.array_equal(new.samples[:1000], before[:1000])


def test_an_archive_is_never_overwritten_unasked(bank: Path, tmp_path: Path) -> None:
    (tmp_path / "speech.zip").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        write_archive(bank, tmp_path / "speech.zip")
    assert (tmp_path / "speech.zip").read_bytes() == b"precious"


def test_a_rate_that_opus_does_not_know_is_explained(bank: Path, tmp_path: Path) -> None:
    table = (bank / "utterances.csv").read_text().replace(",8000\n", ",11025\n").replace(",8000\r\n", ",11025\r\n")
    (tmp_path / "utterances.csv").write_text(table)
    (tmp_path / "samples.npy").write_bytes((bank / "samples.npy").read_bytes())
    with pytest.raises(DataError, match="speech at 11025 Hz, Opus knows 8000, 12000, 16000, 24000, 48000. Pack it"):
        write_archive(tmp_path, tmp_path / "speech.zip")


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("damage", ["cut", "no table", "piece missing", "piece of another length", "piece of noise"])
def test_damaged_archives_are_refused_and_leave_no_bank(bank: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "speech.zip"
    write_archive(bank, path)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    if damage == "no table":
        del parts["utterances.csv"]
    elif damage == "piece missing":
        del parts["0001.opus"]
    elif damage == "piece of another length":
        parts["0000.opus"] = parts[max(parts)]
    elif damage == "piece of noise":
        parts["0001.opus"] = bytes(1000)
    with zipfile.ZipFile(path, "w") as damaged:
        for name, data in parts.items():
            damaged.writestr(name, data)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole speech archive .*Make it again with 'tinywase data archive'"):
        unpack_archives([path], tmp_path / "bank")
    assert not (tmp_path / "bank" / "utterances.csv").exists()


@pytest.mark.usefixtures("small_pieces")
def test_a_damaged_archive_leaves_the_bank_that_was_there(bank: Path, tmp_path: Path) -> None:
    write_archive(bank, tmp_path / "speech.zip")
    before = unpack_archives([tmp_path / "speech.zip"], tmp_path / "bank").audio(0)
    with zipfile.ZipFile(tmp_path / "speech.zip") as whole, zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        for name in whole.namelist():
            bad.writestr(name, b"noise" if name == "0000.opus" else whole.read(name))
    with pytest.raises(DataError, match="not a whole speech archive"):
        unpack_archives([tmp_path / "bad.zip"], tmp_path / "bank")
    assert np.array_equal(SpeechBank.load(tmp_path / "bank").audio(0), before)
    assert sorted(path.name for path in (tmp_path / "bank").iterdir()) == ["samples.npy", "utterances.csv"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to ask for room here")
def test_a_disk_without_room_for_the_samples_is_told_before_they_are_written(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(bank, tmp_path / "speech.zip")

    def full(stream: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"cannot write '.*samples\.npy': No space left .*Choose another folder"):
        unpack_archives([tmp_path / "speech.zip"], tmp_path / "bank")
    assert not list((tmp_path / "bank").iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no way to ask for room here")
def test_a_file_system_that_cannot_say_whether_there_is_room_will_do(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(stream: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    write_archive(bank, tmp_path / "speech.zip")
    monkeypatch.setattr(os, "posix_fallocate", unknown)
    assert unpack_archives([tmp_path / "speech.zip"], tmp_path / "bank").utterances == SpeechBank.load(bank).utterances


@pytest.mark.usefixtures("small_pieces")
def test_several_archives_become_one_bank(bank: Path, tmp_path: Path) -> None:
    write_archive(bank, tmp_path / "speech.zip")
    paths = [tmp_path / "speech.zip"] * 2
    once, twice = (unpack_archives(paths[:count], tmp_path / f"bank{count}") for count in (1, 2))
    assert len(twice.utterances) == 2 * len(once.utterances)
    for index in (0, len(once.utterances) - 1):
        assert np.array_equal(twice.audio(index), once.audio(index))
        assert np.array_equal(twice.audio(len(once.utterances) + index), once.audio(index))


def test_archives_of_two_rates_are_no_bank(bank: Path, tmp_path: Path) -> None:
    build_bank(read_utterances(bank.parent / "speech"), tmp_path / "high", 16_000)
    for name, folder in (("low", bank), ("high", tmp_path / "high")):
        write_archive(folder, tmp_path / f"{name}.zip")
    with pytest.raises(DataError, match="8000 and 16000 Hz"):
        unpack_archives([tmp_path / "low.zip", tmp_path / "high.zip"], tmp_path / "bank")
