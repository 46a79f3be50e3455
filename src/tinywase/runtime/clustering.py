"""Agglomerative clustering with average linkage: what is most alike becomes one, until nothing is alike enough.

For unit vectors the mean cosine between two clusters is the scalar product of their sums over the number of pairs, so a
cluster is its sum and its count. Every cluster knows its best partner: only who loses it looks at all others again, so
that time grows with the square of the items as memory does. Letters: N items, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NEVER = -2.0  # below every cosine


def agglomerate(
    sums: np.ndarray, counts: np.ndarray, alike: float, going_on: Callable[[], None] = lambda: None
) -> list[list[int]]:
    """Indices of the items that belong together; two clusters join while their mean cosine is `alike` or more.

    Shape: sums of unit vectors [N, D], how many are in each [N].

    Args:
        going_on: called before each join; what it raises ends the work.
    """
    sums, counts = np.array(sums, np.float64), np.array(counts, np.float64)
    members = [[index] for index in range(len(sums))]
    means = (sums / counts[:, None]).astype(np.float32)
    cosines = means @ means.T  # in single precision: of a thousand items four megabytes, and no further array as large
    np.fill_diagonal(cosines, NEVER)
    partner = np.array([row.argmax() for row in cosines], np.intp)
    best = cosines[np.arange(len(cosines)), partner]
    while len(members) > 1:
        going_on()
        one = int(best.argmax())
        if best[one] < alike:
            break
        into, gone = sorted((one, int(partner[one])))
        sums[into] += sums[gone]
        counts[into] += counts[gone]
        members[into] += members[gone]
        members[gone] = []
        cosines[gone] = cosines[:, gone] = best[gone] = NEVER
        alive = cosines[into] > NEVER
        cosines[into, alive] = cosines[alive, into] = sums[alive] @ sums[into] / (counts[alive] * counts[into])
        lost = alive & ((partner == into) | (partner == gone))
        lost[into] = True
        found = cosines[into]
        gained = alive & ((found > best) | ((found == best) & (into < partner)))  # of equal ones the first
        partner[gained], best[gained] = into, found[gained]
        for row in np.flatnonzero(lost):
            partner[row] = cosines[row].argmax()
            best[row] = cosines[row, partner[row]]
    return [sorted(group) for group in members if group]
