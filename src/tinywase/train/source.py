"""From a recipe's speech sources to a bank: packed once, opened from then on."""

from __future__ import annotations

from pathlib import Path

from ..data.archive import is_archive, unpack_archive
from ..data.bank import SpeechBank, build_bank
from ..data.mixing import MixConfig, Mixer
from ..data.utterances import Utterance, read_utterances
from ..errors import ConfigError
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
        ConfigError: no bank and no sources, or a bank of another rate.
    """
    folder = Path(config.bank)
    bank = SpeechBank.load(folder) if (folder / "utterances.csv").exists() else _pack(config, folder, sample_rate_hz)
    return _of_rate(bank, config.bank, sample_rate_hz)


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
    if len(config.sources) == 1 and is_archive(config.sources[0]):
        return unpack_archive(config.sources[0], folder)
    utterances = [utterance for source in config.sources for utterance in _of_splits(source, config.split)]
    return build_bank(utterances, folder, sample_rate_hz)


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
