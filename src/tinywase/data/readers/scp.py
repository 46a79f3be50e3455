"""Finished mixtures in Kaldi-style lists.

SpEx+, ClearerVoice  a folder with mix.scp (or mix_with_length.scp), ref.scp, aux.scp: <key> <path>
ESPnet               a folder with wav.scp and, for each speaker n, spk<n>.scp and enroll_spk<n>.scp: <key> <path>
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..trials import Trial
from .base import Listing, Reader, ReadOptions, number
from .keyed import KeyedList, joined_keys, list_folder, problems_of, read_keyed

MIXTURE_LISTS = ("mix.scp", "mix_with_length.scp")
MOST_SPEAKERS = 5
WSJ0_KEY_FIELDS = 4  # <utt1>_<gain>_<utt2>_<gain>[_<enrollment>]


def _mixture_list(folder: Path) -> Path | None:
    return next((folder / name for name in MIXTURE_LISTS if (folder / name).is_file()), None)


def _detect_spex(path: Path) -> bool:
    folder = list_folder(path)
    known = path.is_dir() or path.name in (*MIXTURE_LISTS, "ref.scp", "aux.scp")
    return known and all(((folder / "ref.scp").is_file(), (folder / "aux.scp").is_file(), _mixture_list(folder)))


def _read_spex(path: Path, options: ReadOptions) -> Listing:
    folder = list_folder(path)
    mixture_list = _mixture_list(folder)
    if mixture_list is None:
        raise DataError(f"{folder}: no mix.scp; expected mix.scp, ref.scp and aux.scp side by side. Give their folder.")
    mixtures = read_keyed(mixture_list, options, fields=(2, 3))
    targets = read_keyed(folder / "ref.scp", options, fields=(2, 3))
    enrollments = read_keyed(folder / "aux.scp", options, fields=(2, 3))
    trials = [
        Trial(
            mixture_id=key,
            enrollment=enrollments.path(key),
            target=targets.path(key),
            mixture=mixtures.path(key),
            line=mixtures.line(key),
            **_beside(targets.path(key), key),
        )
        for key in joined_keys(mixtures, (targets, enrollments))
    ]
    return Listing(trials, problems_of((mixtures, targets, enrollments)))


def _beside(target: Path, key: str) -> dict[str, tuple[Path, ...] | str]:
    """What wsj0-2mix tells about the other speaker: its recording lies in the sibling folder, the key names both."""
    folder = target.parent
    if folder.name not in ("s1", "s2"):
        return {}
    first = folder.name == "s1"
    sibling = folder.with_name("s2" if first else "s1") / target.name
    known: dict[str, tuple[Path, ...] | str] = {"interference": (sibling,)}
    fields = key.split("_")
    if len(fields) >= WSJ0_KEY_FIELDS and number(fields[1]) is not None and number(fields[3]) is not None:
        speakers = (fields[0][:3], fields[2][:3])
        known["target_speaker"], known["interference_speaker"] = speakers if first else speakers[::-1]
    return known


def _detect_espnet(path: Path) -> bool:
    folder = list_folder(path)
    known = path.is_dir() or path.suffix == ".scp"
    return known and all((folder / name).is_file() for name in ("wav.scp", "spk1.scp", "enroll_spk1.scp"))


def _read_espnet(path: Path, options: ReadOptions) -> Listing:
    folder = list_folder(path)
    mixtures = read_keyed(folder / "wav.scp", options)
    speakers = [
        (read_keyed(folder / f"spk{n}.scp", options), read_keyed(folder / f"enroll_spk{n}.scp", options, fields=(2, 3)))
        for n in range(1, MOST_SPEAKERS + 1)
        if (folder / f"enroll_spk{n}.scp").is_file() and (folder / f"spk{n}.scp").is_file()
    ]
    trials = []
    for place, (targets, enrollments) in enumerate(speakers):
        others = [other for other, _ in speakers if other is not targets]
        for key in joined_keys(mixtures, (targets, enrollments)):
            if not _fixed(enrollments, key):
                continue
            trials.append(
                Trial(
                    mixture_id=f"{key}_s{place + 1}",
                    enrollment=enrollments.path(key),
                    target=targets.path(key),
                    mixture=mixtures.path(key),
                    interference=tuple(other.path(key) for other in others if key in other),
                    line=mixtures.line(key),
                )
            )
    return Listing(trials, problems_of([mixtures, *(one for pair in speakers for one in pair)]))


def _fixed(enrollments: KeyedList, key: str) -> bool:
    """Whether the row names a path; `*<utterance> <speaker>` asks for a draw while training."""
    if not enrollments.fields(key)[0].startswith("*"):
        return True
    enrollments.source.report(
        enrollments.line(key),
        f"'{' '.join(enrollments.fields(key))}' is drawn while training; expected one path. Give a test set's lists.",
    )
    return False


SPEX = Reader("scp", "SpEx+ / ClearerVoice folder: mix.scp, ref.scp, aux.scp", _detect_spex, _read_spex)
ESPNET = Reader("espnet", "ESPnet folder: wav.scp, spk<n>.scp, enroll_spk<n>.scp", _detect_espnet, _read_espnet)
