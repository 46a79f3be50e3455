"""Whose turn it is: corpora differ in how many speakers they have and how long each speaks, so a recipe may say which
share of the drawn voices each of them gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from .bank import SpeechBank


@dataclass(frozen=True)
class SpeakerDraw:
    """Speakers to draw from, and how likely each is."""

    speakers: tuple[str, ...]
    cumulative: np.ndarray | None  # float64 [speakers], the last is 1; None: all alike

    @classmethod
    def build(cls, bank: SpeechBank, speakers: Sequence[str], shares: Mapping[str, float]) -> SpeakerDraw:
        """Sources named in `shares` get that share, every speaker of theirs alike; the others' speakers share the rest.

        Raises:
            ConfigError: nobody is left to draw.
        """
        if not shares:
            return cls(tuple(speakers), None)
        sources = [bank.source_of(speaker) for speaker in speakers]
        count = Counter(sources)
        rest = max(0.0, 1.0 - sum(shares.values()))
        unnamed = sum(number for source, number in count.items() if source not in shares)
        chances = np.array([shares[s] / count[s] if s in shares else rest / unnamed for s in sources])
        if chances.sum() < 1e-9:
            raise ConfigError(f"mix.shares = {dict(shares)}: nobody of {', '.join(sorted(count))} would be drawn.")
        cumulative = np.cumsum(chances / chances.sum())
        cumulative[-1] = 1.0
        return cls(tuple(speakers), cumulative)

    @property
    def drawable(self) -> tuple[str, ...]:
        """Those with any chance."""
        if self.cumulative is None:
            return self.speakers
        chances = np.diff(self.cumulative, prepend=0.0)
        return tuple(speaker for speaker, chance in zip(self.speakers, chances, strict=True) if chance > 1e-12)

    def draw(self, rng: np.random.Generator) -> str:
        """One speaker."""
        if self.cumulative is None:
            return self.speakers[rng.integers(len(self.speakers))]
        return self.speakers[int(np.searchsorted(self.cumulative, rng.random(), side="right"))]


def check_shares(shares: Mapping[str, float]) -> None:
    """Shares of a recipe.

    Raises:
        ConfigError: no shares, or more than all.
    """
    for source, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f"mix.shares.{source} = {share!r}: expected a share between 0 and 1.")
    if sum(shares.values()) > 1 + 1e-9:
        raise ConfigError(f"mix.shares add up to {sum(shares.values()):g}: expected at most 1.")


def check_sources(shares: Mapping[str, float], bank: SpeechBank) -> None:
    """Every source that has a share is in the bank.

    Raises:
        ConfigError: one is not.
    """
    known = {utterance.source for utterance in bank.utterances}
    for source in shares:
        if source not in known:
            raise ConfigError(
                f"mix.shares.{source}: no such source; the bank has {', '.join(sorted(known))}. "
                "Without shares (--set 'mix.shares={}') all speakers are drawn alike."
            )
