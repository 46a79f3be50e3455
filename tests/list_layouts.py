"""Every list layout of the field, small: builders that lay recordings out as each toolkit does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 8000
WSJ0 = ("052a0501", "052c010r", "443c0201", "443c020a")  # two speakers, two utterances each
LIBRI = ("61-70968-0000", "61-70970-0001", "4077-13754-0001", "4077-13754-0002")


@dataclass(frozen=True)
class Layout:
    """What a builder made."""

    path: Path  # to give to the reader
    trials: int
    listing: Path | None = None  # a text file in which a row can be broken; None: there are only folders
    header_lines: int = 0
    broken_row: str = "one two three four five six seven eight"
    recipe: str = "files"


def write_noise(path: Path, seed: int, seconds: float = 1.2, rate_hz: int = RATE_HZ) -> Path:
    """A recording of noise, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")
    return path


def wsj0_set(folder: Path, names: Sequence[str], mixes: Sequence[str] = ("mix",)) -> None:
    """mix, s1 and s2 recordings of each name."""
    for seed, name in enumerate(names):
        for part in (*mixes, "s1", "s2"):
            write_noise(folder / part / f"{name}.wav", seed)


def wsj0_names() -> list[str]:
    return [f"{WSJ0[0]}_1.5_{WSJ0[2]}_-1.5", f"{WSJ0[1]}_0.2_{WSJ0[3]}_-0.2"]


def libri_names() -> list[str]:
    return [f"{LIBRI[0]}_{LIBRI[2]}", f"{LIBRI[1]}_{LIBRI[3]}"]


def wsj0_wavs(folder: Path) -> list[Path]:
    return [write_noise(folder / "wsj0" / name[:3] / f"{name}.wav", seed) for seed, name in enumerate(WSJ0)]


def lines(path: Path, rows: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def gains(folder: Path) -> Layout:
    wavs = wsj0_wavs(folder)
    a, b, c, d = (wav.relative_to(folder) for wav in wavs)
    header = (
        "mixture_id,target_path,target_gain_db,interference_path,interference_gain_db,enrollment_path,target_speaker"
    )
    rows = [header, f"0,{a},1.5,{c},-1.5,{b},052", f"1,{d},-0.5,{b},0.5,{c},443"]
    listing = lines(folder / "lists" / "test.csv", rows)  # paths start one folder above the list
    return Layout(listing, 2, listing, 1, f"7,{a},loud,{c},-1.5,{b},052", recipe="equal-rms")


def plain(folder: Path) -> Layout:
    a, b, c, d = wsj0_wavs(folder)
    listing = lines(folder / "plain.csv", ["mixture,target,enrollment", f"{a},{b},{c}", f"{a},{c},{d}"])
    return Layout(listing, 2, listing, 1, f"{a},,{c}")


def wase(folder: Path) -> Layout:
    a, b, c, d = wsj0_wavs(folder)
    listing = lines(folder / "mix_2_spk_voiceP_tt_WSJ.txt", [f"{a} 1.5 {c} -1.5 {b} ", f"{d} 0.2 {a} -0.2 {c} "])
    return Layout(listing, 2, listing, broken_row=f"{a} 1.5 {c} -1.5", recipe="equal-peak")


def wsj0_list(folder: Path) -> Layout:
    a, b, c, d = (wav.relative_to(folder) for wav in wsj0_wavs(folder))
    listing = lines(folder / "mix_2_spk_tt.txt", [f"{a} 1.5 {c} -1.5", f"{b} 0.2 {d} -0.2"])
    return Layout(listing, 4, listing, broken_row=f"{a} 1.5 {c} high", recipe="active-level")


def wsj0_folder(folder: Path) -> Layout:
    wsj0_set(folder / "2speakers" / "wav8k" / "min" / "tt", wsj0_names())
    return Layout(folder, 4)


def spex(folder: Path) -> Layout:
    wsj0_set(folder / "tt", wsj0_names())
    wavs = {wav.stem: wav for wav in wsj0_wavs(folder)}
    tables: dict[str, list[str]] = {"mix": [], "ref": [], "aux": []}
    for name, place, aux in ((wsj0_names()[0], 1, WSJ0[1]), (wsj0_names()[0], 2, WSJ0[3])):
        key = f"{name}_{aux}"
        tables["mix"].append(f"{key} {folder}/tt/mix/{name}.wav")
        tables["ref"].append(f"{key} {folder}/tt/s{place}/{name}.wav")
        tables["aux"].append(f"{key} {wavs[aux]}")
    for kind, rows in tables.items():
        lines(folder / "lists" / f"{kind}.scp", rows)
    return Layout(folder / "lists", 2, folder / "lists" / "mix.scp")


def espnet(folder: Path) -> Layout:
    wsj0_set(folder / "tt", wsj0_names())
    first, second = wsj0_names()
    home = folder / "data"
    lines(home / "wav.scp", [f"{name} {folder}/tt/mix/{name}.wav" for name in (first, second)])
    for n in (1, 2):
        lines(home / f"spk{n}.scp", [f"{name} {folder}/tt/s{n}/{name}.wav" for name in (first, second)])
        swapped = ((first, second), (second, first))
        lines(home / f"enroll_spk{n}.scp", [f"{name} {folder}/tt/s{n}/{other}.wav" for name, other in swapped])
    return Layout(home, 4, home / "wav.scp")


def wesep(folder: Path) -> Layout:
    wsj0_set(folder / "test", libri_names(), mixes=("mix_clean",))
    first, second = libri_names()
    home, test = folder / "data", folder / "test"
    names = (first, second)
    lines(home / "wav.scp", [f"{n} {test}/mix_clean/{n}.wav {test}/s1/{n}.wav {test}/s2/{n}.wav" for n in names])
    lines(home / "utt2spk", [f"{n} 61 4077" for n in names])
    lines(home / "single.wav.scp", [f"s{i}/{n}.wav {test}/s{i}/{n}.wav" for n in names for i in (1, 2)])
    for i in (1, 2):
        lines(home / f"spk{i}.enroll", [f"{first} s{i}/{second}.wav", f"{second} s{i}/{first}.wav"])
    return Layout(home, 4, home / "wav.scp")


def asteroid(folder: Path) -> Layout:
    wsj0_set(folder / "tt", wsj0_names())
    home = folder / "json"
    home.mkdir()
    for part in ("mix", "s1", "s2"):
        entries = [[f"{folder}/tt/{part}/{name}.wav", 9600] for name in wsj0_names()]
        (home / f"{part}.json").write_text(json.dumps(entries, indent=1))
    return Layout(home, 4)


def librimix_folder(folder: Path) -> Layout:
    wsj0_set(folder / "Libri2Mix" / "wav8k" / "min" / "test", libri_names(), mixes=("mix_clean", "mix_both"))
    return Layout(folder / "Libri2Mix", 4)


def librimix_metadata(folder: Path) -> Layout:
    test = folder / "wav8k" / "min" / "test"
    wsj0_set(test, libri_names(), mixes=("mix_clean",))
    rows = [
        f"{name},{test}/mix_clean/{name}.wav,{test}/s1/{name}.wav,{test}/s2/{name}.wav,9600.0" for name in libri_names()
    ]
    listing = folder / "wav8k" / "min" / "metadata" / "mixture_test_mix_clean.csv"
    lines(listing, ["mixture_ID,mixture_path,source_1_path,source_2_path,length", *rows])
    return Layout(listing, 4, listing, 1)


def librimix_recipe(folder: Path) -> Layout:
    for seed, name in enumerate(LIBRI):
        speaker, chapter, _ = name.split("-")
        write_noise(folder / "LibriSpeech" / "test-clean" / speaker / chapter / f"{name}.flac", seed, rate_hz=16_000)

    def path(name: str) -> str:
        speaker, chapter, _ = name.split("-")
        return f"test-clean/{speaker}/{chapter}/{name}.flac"

    rows = [
        f"{name},{path(one)},0.8,{path(two)},1.1,tt/noise.wav,0.3"
        for name, (one, two) in zip(libri_names(), ((LIBRI[0], LIBRI[2]), (LIBRI[1], LIBRI[3])), strict=True)
    ]
    header = "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain"
    listing = lines(folder / "LibriSpeech" / "libri2mix_test-clean.csv", [header, *rows])
    lines(listing.with_name("libri2mix_test-clean_info.csv"), [
        "mixture_ID,speaker_1_ID,speaker_1_sex,speaker_2_ID,speaker_2_sex",
        *(f"{name},61.0,F,4077.0,M" for name in libri_names()),
    ])  # fmt: skip
    broken = rows[0].replace(",0.8,", ",-0.8,")
    return Layout(listing, 4, listing, 1, broken, recipe="librimix")


LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    "gains": gains,
    "csv": plain,
    "wase": wase,
    "wsj0-mix-list": wsj0_list,
    "wsj0-mix": wsj0_folder,
    "scp": spex,
    "espnet": espnet,
    "wesep": wesep,
    "asteroid": asteroid,
    "librimix": librimix_folder,
    "librimix-csv": librimix_metadata,
    "librimix-recipe": librimix_recipe,
}
