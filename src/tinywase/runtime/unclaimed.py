"""Sound that nobody claims: where a mixture is loud while the estimates of the wanted voice and of everybody else are
both quiet, somebody speaks who is neither.

Everybody else is enrolled as one voice by what is left over (views.py). In a conversation of three they are two voices
that speak in turn, a network extracts one of them, and the mixture without that one still has the other: it would count
as the target's. There the views that extract the target are right (docs/experiments.md 48). Letters: T samples, N
cells.
"""

from __future__ import annotations

import numpy as np

QUIET_DB = 6.0  # both so much below the mixture may be errors; twice as much is somebody else
CELL_S = 0.05
AROUND = 4  # cells on both sides that powers are of: shorter are pauses between words
SILENCE = 1e-12  # power


def claimed(mixture: np.ndarray, target: np.ndarray, others: np.ndarray, rate_hz: int) -> np.ndarray:
    """1 where the two estimates make the mixture up, 0 where somebody else speaks. Shape: [T] each -> float32 [T]."""
    cell = max(1, round(CELL_S * rate_hz))
    loudest = np.maximum(_powers(target, cell), _powers(others, cell))
    below_db = 10 * np.log10((_powers(mixture, cell) + SILENCE) / (loudest + SILENCE))
    shares = np.clip(2 - below_db / QUIET_DB, 0, 1).astype(np.float32)
    middles = (np.arange(len(shares)) + 0.5) * cell
    return np.interp(np.arange(len(mixture)), middles, shares).astype(np.float32)


def _powers(signal: np.ndarray, cell: int) -> np.ndarray:
    """Energies of cells with those around them. Shape: [T] -> [N]."""
    padded = np.pad(signal, (0, -len(signal) % cell)).reshape(-1, cell)
    return np.convolve(np.einsum("ij,ij->i", padded, padded), np.ones(2 * AROUND + 1), "full")[AROUND:-AROUND]
