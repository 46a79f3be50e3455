"""From a recipe's speech sources to a bank: packed once, with a note of what from, and opened from then on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..data.archive import is_archive, unpack_archives
from ..data.bank import SOURCES, SpeechBank, build_bank
from ..data.mixing import MixConfig, Mixer
from ..data.utterances import Utterance, check_names, read_utterances
from ..errors import ConfigError
from ..files import write_whole
from .recipe import DataConfig


def open_mixer(config: DataConfig, mix: MixConfig, sample_rate_hz: int) -> Mixer:
    """What draws a training's mixtures.

    Raises:
        ConfigError: see `open_bank`; a noise bank of another rate.
        DataError: a noise bank that is none.
    """
    bank = open_bank(config, sample_rate_hz)
    noise = _of_rate(SpeechBank.load(config.noise), config.noise, sample_rate_hz) if config.noise else None
    return Mixer(bank, mix, noise)


def open_bank(config: DataConfig, sample_rate_hz: int) -> SpeechBank:
    """The recipe's bank, made from its sources if it is not there yet.

    Raises:
        ConfigError: no bank and no sources, or a bank of another rate or of other sources.
    """
    folder = Path(config.bank)
    if (folder / "utterances.csv").exists():
        _check_sources(config)
        return _of_rate(SpeechBank.load(folder), config.bank, sample_rate_hz)
    bank = _pack(config, folder, sample_rate_hz)
    note = {"sources": list(config.sources), "split": config.split}
    write_whole(folder / SOURCES, json.dumps(note, indent=2).encode(), force=True)
    return _of_rate(bank, config.bank, sample_rate_hz)


def sources_of(config: DataConfig) -> tuple[str, ...]:
    """What the recipe's bank was made from, as far as is known: by its note, else by the recipe."""
    note = _note(config)
    return tuple(note["sources"]) if note else config.sources


def _note(config: DataConfig) -> dict[str, Any]:
    """What a training wrote beside its bank; nothing where the bank was made otherwise.

    Raises:
        ConfigError: a damaged note.
    """
    path = Path(config.bank) / SOURCES
    if not path.exists():
        return {}
    try:
        note: dict[str, Any] = json.loads(path.read_text())
        return {"sources": [str(source) for source in note["sources"]], "split": str(note["split"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error!r}). Remove it to take the bank as it is.") from error


def _check_sources(config: DataConfig) -> None:
    """Refuse a bank that was made from something else than the recipe says, if both say it.

    Raises:
        ConfigError: it was.
    """
    note = _note(config)
    if not note or not config.sources:
        return
    wanted = {"sources": list(config.sources), "split": config.split}
    if _places(note["sources"]) != _places(wanted["sources"]) or _splits(note) != _splits(wanted):
        raise ConfigError(
            f"bank '{config.bank}' holds {_told(note)}; the recipe asks for {_told(wanted)}. "
            "Give data.bank another folder, remove that one, or take the bank as it is: --set 'data.sources=[]'."
        )


def _places(sources: Iterable[str]) -> set[Path]:
    return {Path(source).expanduser().resolve() for source in sources}


def _splits(note: Mapping[str, Any]) -> set[str]:
    """Those that matter: folders name no splits."""
    names = {name.strip() for name in note["split"].split(",")}
    return set() if all(Path(source).is_dir() for source in note["sources"]) else names


def _told(note: Mapping[str, Any]) -> str:
    return f"{', '.join(note['sources'])} (split {note['split']!r})"


def _of_rate(bank: SpeechBank, folder: str, sample_rate_hz: int) -> SpeechBank:
    if bank.sample_rate_hz != sample_rate_hz:
        raise ConfigError(
            f"bank '{folder}' holds recordings at {bank.sample_rate_hz} Hz, the model works at {sample_rate_hz} Hz. "
            "Give data.bank and data.noise folders that 'tinywase data pack --rate' made at that rate."
        )
    return bank


def _pack(config: DataConfig, folder: Path, sample_rate_hz: int) -> SpeechBank:
    if not config.sources:
        raise ConfigError(f"data.bank = '{folder}' does not exist: give data.sources to make it from.")
    if all(map(is_archive, config.sources)):
        return unpack_archives(config.sources, folder)
    read = [(source, _of_splits(source, config.split)) for source in config.sources]
    check_names(read)
    return build_bank([utterance for _, utterances in read for utterance in utterances], folder, sample_rate_hz)


def _of_splits(source: str, split: str) -> list[Utterance]:
    """A source's utterances of those of the splits that it names; of one that names none, all.

    Raises:
        ConfigError: it names splits, but none of these.
    """
    utterances = read_utterances(source)
    there = {utterance.split for utterance in utterances} - {""}
    wanted = {name.strip() for name in split.split(",") if name.strip()}
    if not there or not wanted:
        return utterances
    if not wanted & there:
        raise ConfigError(
            f"{source}: none of data.split = {split!r} is in it, its splits are {', '.join(sorted(there))}. "
            'Set data.split to one of them, or to "" for all.'
        )
    return [utterance for utterance in utterances if utterance.split in wanted]
