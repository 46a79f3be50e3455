"""Finished mixtures in Kaldi-style lists.

SpEx+, ClearerVoice  a folder with mix.scp (or mix_with_length.scp), ref.scp, aux.scp: <key> <path>
ESPnet               a folder with wav.scp and, for each speaker n, spk<n>.scp and enroll_spk<n>.scp: <key> <path>
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..trials import Trial
from .base import Listing, Reader, ReadOptions
from .keyed import KeyedList, joined_keys, list_folder, problems_of, read_keyed
from .wsj0mix import utterances_of

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
    trials = []
    for key in joined_keys(mixtures, (targets, enrollments)):
        target = targets.path(key)
        speakers = _speakers_of(key, target)
        trials.append(
            Trial(
                mixture_id=key,
                enrollment=enrollments.path(key),
                target=target,
                mixture=mixtures.path(key),
                interference=_interference_beside(target),
                target_speaker=speakers[0],
                interference_speaker=speakers[1],
                line=mixtures.line(key),
            )
        )
    return Listing(trials, problems_of((mixtures, targets, enrollments)))


def _interference_beside(target: Path) -> tuple[Path, ...]:
    """In the layout of wsj0-mix the other speakers lie in the sibling folders, where those are there at all."""
    folders = [f"s{number}" for number in range(1, MOST_SPEAKERS + 1)]
    if target.parent.name not in folders:
        return ()
    siblings = (target.parent.with_name(name) / target.name for name in folders if name != target.parent.name)
    return tuple(path for path in siblings if path.is_file())


def _speakers_of(key: str, target: Path) -> tuple[str, str]:
    """Target and other speaker, where the key names both as wsj0-2mix does and the folder tells which is which."""
    utterances = utterances_of("_".join(key.split("_")[:WSJ0_KEY_FIELDS]), 2)
    if utterances is None or target.parent.name not in ("s1", "s2"):
        return "", ""
    first, second = (speaker for _, speaker in utterances)
    return (first, second) if target.parent.name == "s1" else (second, first)


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
