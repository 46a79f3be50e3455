"""Pack what a training needs on a machine without a network into one small folder; tools/gpu_train.sh trains from it.

    python tools/gpu_parcel.py runs/parcel --bank runs/bank --list ../shared/speech/lists/dev.csv ...

The folder gets `speech.zip` (the bank, Opus), for every list its first trials as `<list>.csv` with their dry recordings
in `<list>/` (Opus at twice the bit rate, so scores there differ a little from those of the true recordings), and
`wheels/` with the Python packages that machine lacks. What is there already is not made again. A bank of 9 hours takes
53 MB and 12 minutes of a core.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile

from tinywase.audio import open_audio
from tinywase.blocks import mono_at
from tinywase.data.archive import opus_level, write_archive
from tinywase.data.convert import to_csv
from tinywase.data.lists import Trial, read_trials
from tinywase.files import write_whole

DEV_KBIT_PER_S = 26.0
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def main() -> None:
    options = arguments()
    options.parcel.mkdir(parents=True, exist_ok=True)
    if not (options.parcel / "speech.zip").exists():
        write_archive(options.bank, options.parcel / "speech.zip", kbit_per_s=options.kbit)
    for path in options.list:
        if not (options.parcel / path.name).exists():
            pack_list(path, options.parcel, options.trials, options.rate)
    if options.packages and not (options.parcel / "wheels").exists():
        download(options.packages, options.parcel / "wheels", options.python)
    total = sum(file.stat().st_size for file in options.parcel.rglob("*") if file.is_file())
    print(f"{options.parcel}: {total / 1e6:.1f} MB.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parcel", type=Path)
    parser.add_argument("--bank", type=Path, default=Path("runs/bank"), help="what `tinywase data pack` made")
    parser.add_argument("--kbit", type=float, default=13.0, help="bit rate of the bank")
    parser.add_argument("--list", type=Path, action="append", default=[], help="development list; may be repeated")
    parser.add_argument("--trials", type=int, default=40, help="of each list")
    parser.add_argument("--rate", type=int, default=8000, help="sample rate of the lists' recordings, the model's")
    parser.add_argument("--packages", nargs="*", default=[], help="to bring along, each with all that it needs itself")
    parser.add_argument("--python", default="3.12", help="the other machine's version")
    return parser.parse_args()


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
