"""Agglomerative clustering with average linkage: what is most alike becomes one, until nothing is alike enough.

For unit vectors the mean cosine between two clusters is the scalar product of their sums over the number of pairs, so a
cluster is its sum and its count. Letters: N items, D dimensions.
"""

from __future__ import annotations

import numpy as np

NEVER = -2.0  # below every cosine


def agglomerate(sums: np.ndarray, counts: np.ndarray, alike: float) -> list[list[int]]:
    """Indices of the items that belong together; two clusters join while their mean cosine is `alike` or more.

    Shape: sums of unit vectors [N, D], how many are in each [N].
    """
    sums, counts = np.array(sums, np.float64), np.array(counts, np.float64)
    members = [[index] for index in range(len(sums))]
    means = (sums / counts[:, None]).astype(np.float32)
    cosines = means @ means.T  # in single precision: of a thousand items four megabytes, and no further array as large
    np.fill_diagonal(cosines, NEVER)
    while len(members) > 1:
        into, gone = sorted(divmod(int(cosines.argmax()), len(cosines)))
        if cosines[into, gone] < alike:
            break
        sums[into] += sums[gone]
        counts[into] += counts[gone]
        members[into] += members[gone]
        members[gone] = []
        cosines[gone] = cosines[:, gone] = NEVER
        alive = cosines[into] > NEVER
        cosines[into, alive] = cosines[alive, into] = sums[alive] @ sums[into] / (counts[alive] * counts[into])
    return [sorted(group) for group in members if group]
