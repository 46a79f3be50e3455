"""Training sources: who says what where, from folders, manifests and the lists of other toolkits.

  tree       <speaker>/*.(wav|flac|opus|ogg|mp3), also <speaker>/<chapter>/ as LibriSpeech and VoxCeleb nest them
  manifest   CSV: path,speaker[,split][,source][,gender][,seconds][,...]
  raw        WeSep: a JSON object per line: {"key", "wav", "spk"}
  enroll     WeSep, ESPnet: spk2enroll.json, {speaker: [[utterance, path], ...]}
  kaldi      a folder with wav.scp and utt2spk or spk2utt
A manifest's split that ends in "-interference" holds voices whose speaker labels are not trusted: nobody to extract.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from .lists import explain
from .readers.base import ListFile, ReadOptions, first_line, is_recording, number, read_text
from .readers.csv_lists import csv_rows, filled, header_of
from .readers.keyed import list_folder, problems_of, read_keyed
from .readers.unknown import why_unknown
from .trials import Problem

INTERFERENCE = "-interference"
VOXCELEB_SPEAKER = re.compile(r"id\d{5}")


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker."""

    path: Path
    speaker: str  # unique over sources: <source>/<name of the speaker there>
    source: str = ""
    split: str = ""
    sex: str = ""
    seconds: float | None = None  # as the list says; None if it does not
    target: bool = True  # False: its speaker label is not trusted, use it as interference only
    line: int = 0  # of the list; 0 where there is none


@dataclass(frozen=True)
class UtteranceListing:
    """What was found in a training source."""

    utterances: list[Utterance]
    problems: list[Problem]


@dataclass(frozen=True)
class UtteranceReader:
    """One layout of training sources."""

    name: str
    layout: str  # one line for people
    detect: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], UtteranceListing]


def _detect_manifest(path: Path) -> bool:
    return path.is_file() and {"path", "speaker"} <= set(header_of(path))


def _read_manifest(path: Path, options: ReadOptions) -> UtteranceListing:
    source, found = ListFile(path, options), []
    for line, row in csv_rows(source):
        if not filled(source, line, row, ("path", "speaker")):
            continue
        split, corpus = row.get("split", ""), row.get("source", "") or path.stem
        found.append(
            Utterance(
                path=source.resolve(row["path"]),
                speaker=f"{corpus}/{row['speaker']}",
                source=corpus,
                split=split,
                sex=row.get("gender", "") or row.get("sex", ""),
                seconds=number(row.get("seconds", "")),
                target=not split.endswith(INTERFERENCE),
                line=line,
            )
        )
    return UtteranceListing(found, source.problems)


def _detect_raw(path: Path) -> bool:
    line = first_line(path) if path.is_file() else ""
    return line.startswith("{") and all(f'"{key}"' in line for key in ("key", "wav", "spk"))


def _read_raw(path: Path, options: ReadOptions) -> UtteranceListing:
    source, found = ListFile(path, options), []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            wav, speaker = str(row["wav"]), str(row["spk"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            source.report(
                line, f'{error!r}; expected a JSON object {{"key": ..., "wav": ..., "spk": ...}}. Mend the row.'
            )
            continue
        found.append(Utterance(source.resolve(wav), f"{path.stem}/{speaker}", source=path.stem, line=line))
    return UtteranceListing(found, source.problems)


def _detect_enroll(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json" and first_line(path).startswith("{")


def _read_enroll(path: Path, options: ReadOptions) -> UtteranceListing:
    source, found = ListFile(path, options), []
    try:
        table = json.loads(read_text(path))
        rows = [(str(speaker), str(wav)) for speaker, pairs in table.items() for _, wav in pairs]
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: {error}; expected JSON {{speaker: [[utterance, path], ...]}}. Remake it.") from error
    for speaker, wav in rows:
        found.append(Utterance(source.resolve(wav), f"{path.stem}/{speaker}", source=path.stem))
    return UtteranceListing(found, source.problems)


def _detect_kaldi(path: Path) -> bool:
    folder = list_folder(path)
    named = path.is_dir() or path.name in ("wav.scp", "utt2spk", "spk2utt")
    return named and (folder / "wav.scp").is_file() and any((folder / n).is_file() for n in ("utt2spk", "spk2utt"))


def _read_kaldi(path: Path, options: ReadOptions) -> UtteranceListing:
    folder = list_folder(path)
    wavs = read_keyed(folder / "wav.scp", options)
    speakers = folder / ("utt2spk" if (folder / "utt2spk").is_file() else "spk2utt")
    pairs = _speaker_of_key(ListFile(speakers, options))
    found = []
    for key in wavs.rows:
        if key in pairs:
            found.append(
                Utterance(wavs.path(key), f"{folder.name}/{pairs[key]}", source=folder.name, line=wavs.line(key))
            )
        else:
            wavs.source.report(wavs.line(key), f"key '{key}' is not in {speakers.name}; expected its speaker there.")
    return UtteranceListing(found, problems_of([wavs]))


def _speaker_of_key(source: ListFile) -> dict[str, str]:
    """utt2spk has <key> <speaker> rows, spk2utt <speaker> <key> <key> ..."""
    if source.path.name == "utt2spk":
        return {fields[0]: fields[1] for _, fields in source.rows() if len(fields) > 1}
    return {key: fields[0] for _, fields in source.rows() for key in fields[1:]}


def _detect_tree(path: Path) -> bool:
    return path.is_dir() and next(_recordings(path), None) is not None


def _read_tree(path: Path, options: ReadOptions) -> UtteranceListing:
    corpus, found, problems = path.resolve().name, [], []
    for file in sorted(_recordings(path)):
        folder = speaker_folder(file)
        if folder == path or path not in folder.parents:
            problems.append(
                Problem(file, 0, f"lies in no speaker's folder; expected {path.name}/<speaker>/{file.name}. Move it.")
            )
            continue
        found.append(Utterance(file, f"{corpus}/{folder.relative_to(path).as_posix()}", source=corpus))
    return UtteranceListing(found, problems)


def _recordings(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if is_recording(file) and not file.name.startswith(".") and file.is_file())


def speaker_folder(file: Path) -> Path:
    """The folder that stands for the speaker: the parent, above chapters (LibriSpeech) and videos (VoxCeleb)."""
    parent, above = file.parent, file.parent.parent
    if file.stem.startswith(f"{above.name}-{parent.name}-") or VOXCELEB_SPEAKER.fullmatch(above.name):
        return above
    return parent


UTTERANCE_READERS: tuple[UtteranceReader, ...] = (
    UtteranceReader("manifest", "CSV: path,speaker[,split,source,gender,seconds]", _detect_manifest, _read_manifest),
    UtteranceReader("raw", 'WeSep raw list: {"key", "wav", "spk"} per line', _detect_raw, _read_raw),
    UtteranceReader("enroll", "spk2enroll.json: {speaker: [[utterance, path], ...]}", _detect_enroll, _read_enroll),
    UtteranceReader("kaldi", "folder: wav.scp with utt2spk or spk2utt", _detect_kaldi, _read_kaldi),
    UtteranceReader("tree", "folder: <speaker>/*.(wav|flac|opus|ogg|mp3)", _detect_tree, _read_tree),
)


def list_utterances(
    path: str | Path, options: ReadOptions | None = None, *, format: str | None = None
) -> UtteranceListing:
    """Utterances and problems of the training source at `path`.

    `options.split` names one split or several, separated by commas; without `format` the layout is recognized.

    Raises:
        DataError: nothing there, an unknown layout, or a split that is not in it.
    """
    path, options = Path(path).expanduser(), options or ReadOptions()
    if not path.exists():
        raise DataError(f"'{path}' does not exist; expected a folder of speakers or a manifest. Check the path.")
    names = ", ".join(reader.name for reader in UTTERANCE_READERS)
    if format is not None and format not in (reader.name for reader in UTTERANCE_READERS):
        raise DataError(f"format '{format}' is unknown; expected one of {names}.")
    for reader in UTTERANCE_READERS:
        if reader.name == format or (format is None and reader.detect(path)):
            listing = reader.read(path, options)
            return UtteranceListing(_of_split(listing.utterances, options.split, path), listing.problems)
    raise DataError(
        f"'{path}' is none of the known training sources ({names}). {why_unknown(path)} Make a folder "
        "<speaker>/*.wav or a CSV with the columns path,speaker; `tinywase data formats` describes them all."
    )


def _of_split(utterances: Sequence[Utterance], split: str, path: Path) -> list[Utterance]:
    wanted = {name.strip() for name in split.split(",") if name.strip()}
    there = {utterance.split for utterance in utterances}
    if wanted - there:
        raise DataError(
            f"{path}: no split {', '.join(sorted(wanted - there))}; "
            f"expected some of {', '.join(sorted(there)) or 'none'}. "
            "Correct --split."
        )
    return [utterance for utterance in utterances if not wanted or utterance.split in wanted]


def read_utterances(
    source: str | Path,
    *,
    root: str | Path | None = None,
    remap: Iterable[tuple[str, str]] = (),
    format: str | None = None,
    split: str = "",
) -> list[Utterance]:
    """Every utterance of a training source; see `list_utterances`.

    Raises:
        DataError: an unknown layout, broken rows, or nothing in it.
    """
    options = ReadOptions(root=None if root is None else Path(root), remap=tuple(remap), split=split)
    listing = list_utterances(source, options, format=format)
    if listing.problems:
        raise DataError(explain(listing.problems, source))
    if not listing.utterances:
        raise DataError(f"{source}: no recordings; expected <speaker>/*.wav or rows of a manifest. Check the path.")
    return listing.utterances


def check_names(sources: Iterable[tuple[str | Path, Sequence[Utterance]]]) -> None:
    """Refuse sources that are called alike after their folder or file, because their speakers could not be told apart.

    Manifests whose column `source` names the corpus may share it.

    Raises:
        DataError: two of one name.
    """
    seen: dict[str, str | Path] = {}
    for path, utterances in sources:
        place = Path(path).expanduser().resolve()
        for name in {place.name, place.stem} & {utterance.source for utterance in utterances}:
            if name in seen:
                raise DataError(
                    f"'{seen[name]}' and '{path}': both sources are called '{name}', so that speakers of one name "
                    "would be taken for one person. Rename one of the two, or give manifests with a column 'source'."
                )
            seen[name] = path


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Speaker -> their utterances, in order."""
    table: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        table[utterance.speaker].append(utterance)
    return dict(table)
