"""Pack what a training needs on a machine without a network into small folders; tools/gpu_train.sh trains from them.

    python tools/gpu_parcel.py runs/parcel --bank runs/bank --parts 4 --noise runs/noise-bank \
      --list ../shared/speech/lists/dev.csv --packages soundfile soxr cffi

`runs/parcel-0`, `-1`, ... each get `speech-<part>.zip` (every so many utterances of the bank, Opus), small enough to be
carried one after another; the first one also what there is of
  <list>.csv, <list>/   the first trials of every list and their dry recordings, Opus at twice the bit rate: scores
                        there differ a little from those of the true recordings
  noise.zip             the first seconds of every recording of noise
  wheels/               Python packages that the machine lacks
What is there already is not made again. An hour takes 5.9 MB and half a minute of a core. With `--speaker-s` those who
said much give way to those who said little: 195 s of everybody are 23 of 39 h (docs/experiments.md 43).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.data.archive import opus_level, write_archive
from tinywase.data.bank import BankUtterance, SpeechBank, write_bank
from tinywase.data.convert import to_csv
from tinywase.data.lists import Trial, read_trials
from tinywase.files import write_whole

DEV_KBIT_PER_S = 26.0
NOISE_S = 25.0  # of every recording
TARGET_UTTERANCES = 2  # that a speaker needs to be a target: one to extract, one to enroll
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def main() -> None:
    options = arguments()
    first, bank = part_of(options.parcel, 0), SpeechBank.load(options.bank)
    chosen = of_everybody(bank, options.speaker_s)
    for part in range(options.parts):
        target = part_of(options.parcel, part) / f"speech-{part}.zip"
        if not target.exists():
            pack_part(bank, chosen[part :: options.parts], target, options.kbit)
    if options.noise and not (first / "noise.zip").exists():
        noise = SpeechBank.load(options.noise)
        pack_part(noise, noise.utterances, first / "noise.zip", options.kbit, NOISE_S)
    for path in options.list:
        if not (first / path.name).exists():
            pack_list(path, first, options.trials, options.rate)
    if options.packages and not (first / "wheels").exists():
        download(options.packages, first / "wheels", options.python)
    for part in range(options.parts):
        folder = part_of(options.parcel, part)
        total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{folder}: {total / 1e6:.1f} MB.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parcel", type=Path)
    parser.add_argument("--bank", type=Path, default=Path("runs/bank"), help="what `tinywase data pack` made")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--speaker-s", type=float, default=math.inf, help="at most so many seconds of a speaker")
    parser.add_argument("--kbit", type=float, default=13.0, help="bit rate of the bank")
    parser.add_argument("--noise", type=Path, help="a bank of noise")
    parser.add_argument("--list", type=Path, action="append", default=[], help="development list; may be repeated")
    parser.add_argument("--trials", type=int, default=40, help="of each list")
    parser.add_argument("--rate", type=int, default=8000, help="sample rate of the lists' recordings, the model's")
    parser.add_argument("--packages", nargs="*", default=[], help="to bring along, each with all that it needs itself")
    parser.add_argument("--python", default="3.12", help="the other machine's version")
    return parser.parse_args()


def part_of(parcel: Path, part: int) -> Path:
    """A parcel's folder, which is there from now on."""
    folder = parcel.with_name(f"{parcel.name}-{part}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def of_everybody(bank: SpeechBank, speaker_s: float) -> list[BankUtterance]:
    """Utterances of at most so many seconds of every speaker together, drawn at random, but two of each at least."""
    rng = np.random.default_rng(0)
    chosen: list[BankUtterance] = []
    for own in bank.by_speaker.values():
        taken, left = 0, speaker_s * bank.sample_rate_hz
        for index in rng.permutation(own):
            utterance = bank.utterances[index]
            if taken < TARGET_UTTERANCES or utterance.length <= left:
                chosen.append(utterance)
                taken, left = taken + 1, left - utterance.length
    return sorted(chosen, key=lambda utterance: utterance.start)


def pack_part(
    bank: SpeechBank, part: Sequence[BankUtterance], target: Path, kbit: float, longest_s: float = math.inf
) -> None:
    """Some of a bank's utterances as an archive."""
    with tempfile.TemporaryDirectory() as folder:
        rows, sounds, start = [], [], 0
        for utterance in part:
            length = int(min(utterance.length, longest_s * bank.sample_rate_hz))
            rows.append(dataclasses.replace(utterance, start=start, length=length))
            sounds.append(bank.samples[utterance.start : utterance.start + length])
            start += length
        write_bank(Path(folder), np.concatenate(sounds), rows, bank.sample_rate_hz)
        write_archive(folder, target, kbit_per_s=kbit)


def pack_list(path: Path, parcel: Path, count: int, sample_rate_hz: int) -> None:
    """Write the first trials of a list with recordings of their own."""
    trials = read_trials(path)[:count]
    folder = parcel / path.stem
    folder.mkdir(exist_ok=True)
    recordings = sorted({recording for trial in trials for recording in trial.recordings})
    copies = {recording: folder / f"{index:04d}.opus" for index, recording in enumerate(recordings)}
    for recording, copy in copies.items():
        with open_audio(recording) as reader:
            samples = mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=sample_rate_hz)
        level = opus_level(DEV_KBIT_PER_S)
        soundfile.write(copy, samples, sample_rate_hz, format="OGG", subtype="OPUS", compression_level=level)
    table = to_csv([moved(trial, copies) for trial in trials])
    write_whole(parcel / path.name, table.replace(f"{parcel.absolute()}/", "").encode(), force=True)


def moved(trial: Trial, copies: dict[Path, Path]) -> Trial:
    """The trial with the copies of its recordings."""
    return dataclasses.replace(
        trial,
        mixture=None if trial.mixture is None else copies[trial.mixture],
        target=copies[trial.target],
        interference=tuple(copies[path] for path in trial.interference),
        enrollment=copies[trial.enrollment],
    )


def download(packages: Sequence[str], folder: Path, python: str) -> None:
    """Binary wheels for another machine."""
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", python, "--implementation", "cp", *platforms]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(folder), *packages], check=True)


if __name__ == "__main__":
    main()
