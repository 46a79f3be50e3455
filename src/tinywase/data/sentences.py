"""Sentences for programs that speak: a small grammar, so that two utterances are never the same text."""

from __future__ import annotations

import numpy as np

_WHO = (
    "my neighbour", "the old captain", "a young teacher", "the baker", "our doctor",
    "the girl in the blue coat", "her uncle", "the whole family", "a stranger", "the engineer",
    "somebody upstairs", "the choir", "his daughter", "the postman", "every visitor", "the two brothers",
    "a tired driver", "the mayor", "an honest judge", "the gardener",
)  # fmt: skip
_DID = (
    "has found", "never liked", "carried", "was looking for", "sold", "painted", "remembers", "wanted to keep",
    "measured", "borrowed", "cleaned", "asked about", "dreams of", "repaired", "forgot", "gave away", "hides",
    "is waiting for", "should return", "photographed",
)  # fmt: skip
_WHAT = (
    "a wooden boat", "seven green apples", "the broken clock", "those yellow letters", "a very small house",
    "fresh bread", "the silver key", "an umbrella", "the map of the valley", "a quiet song", "thirty chairs",
    "the last ticket", "a good story", "the heavy suitcase", "white paper", "a jar of honey", "the bicycle",
    "four hundred books", "a pair of shoes", "the window",
)  # fmt: skip
_WHERE = (
    "behind the station", "on a rainy morning", "near the river", "for eleven years", "without saying why",
    "at the market", "under the bridge", "before the winter came", "in the middle of the night",
    "between two meetings", "after the concert", "from the top of the hill", "every Thursday",
    "with great care", "as far as I know", "next to the harbour",
)  # fmt: skip


def draw_sentence(rng: np.random.Generator) -> str:
    """A sentence of eight to fifteen words.

    >>> draw_sentence(np.random.default_rng(0))
    'the mayor dreams of thirty chairs without saying why.'
    """
    return " ".join(str(rng.choice(part)) for part in (_WHO, _DID, _WHAT, _WHERE)) + "."
