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
    utterances: list[Utterance] = []
    for source in config.sources:
        splits = config.split if Path(source).is_file() else ""  # folders name no splits
        utterances += read_utterances(source, split=splits)
    return build_bank(utterances, folder, sample_rate_hz)
