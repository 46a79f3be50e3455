"""Whose turn is it? In a long conversation the recording itself knows better than the enrollment who speaks when.

    recording -> its voices (voices.py) -> the target's, others', undecided ones -> half seconds that are others' alone
              -> what the network lets through there, piece by piece: does it sound like them? -> silence

The network judges every moment by itself and is wrong for whole turns of a voice that resembles the target's. Over a
recording it seldom is: the voices of which it lets much less than all through are others'. One of which it lets all
through may be the target in another mood, and stays undecided. Nothing is changed where windows over a half second, or
beside it, are less like the others than like anybody else, nor where the estimate sounds like the target, who may say a
word in between. What it gives: docs/experiments.md 38. Letters: F cells of 10 ms, N half seconds, V voices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..audio import BLOCK_FRAMES
from ..progress import Progress
from .labels import THRESHOLD
from .likeness import cosine
from .mixdown import mono
from .model import PackedModel
from .passes import Heard, Separated, cell_samples
from .spool import Spool
from .voices import ALIKE, CELL_S, WINDOW_CELLS, Gathered, gather_voices, unit_voiceprint

SHORTEST_S = 20.0  # of a recording in which voices can be told apart by how much each of them says
NEAR = 0.7  # cosine of a voice and the enrollment; without such a voice nobody knows who the target is
PASSED_DB = -6.0  # of a half second more than this is left: the network took it for the target
OWN_SHARE = 0.8  # of the half seconds of a voice pass where it is the target's, nearly always more than 0.9
LEAST_S = 10.0  # of a voice, before that share says anything
BESIDE = 1  # half seconds on both sides in which others have to be as clear: turns begin and end within windows
PAUSE_S = 0.3  # shorter ones do not end a piece
LONGEST_PIECE_S, SHORTEST_PIECE_S = 1.0, 0.75  # a word in between, and the least to know a voice by
CLEARLY = 0.1  # by how much a piece, and its neighbours, have to be more like the others than like anybody else
KEPT_AROUND_S = 0.15  # a piece that stays
LOWERED_DB = 25.0  # silence would sound like a broken line
FADE_S = 0.05

OTHERS, UNDECIDED, TARGET = -1, 0, 1


def without_others_turns(
    model: PackedModel,
    voiceprint: np.ndarray,
    heard: Heard,
    separated: Separated,
    folder: Path | None,
    progress: Progress,
) -> Separated:
    """The same, lowered and inactive where others have their turn; the very same object if that is nowhere.

    The new estimate lies in a spool in `folder`, or in memory for None; the old one is closed. Shape: voiceprint [D].
    """
    if heard.mixture.frames < SHORTEST_S * model.config.sample_rate_hz:
        return separated
    voices = gather_voices(model, heard, alike=ALIKE, progress=progress)
    if voices is None:
        return separated
    whose = whose_voices(model, voices, voiceprint, separated)
    if not (whose == OTHERS).any():
        return separated
    theirs = _judged(model, voices, whose, separated, others_alone(voices, whose))
    cell = cell_samples(model.config.sample_rate_hz)
    return _lowered(separated, theirs, cell, folder) if theirs.any() else separated


def whose_voices(model: PackedModel, voices: Gathered, voiceprint: np.ndarray, separated: Separated) -> np.ndarray:
    """OTHERS, UNDECIDED or TARGET for every voice; all undecided where the target is not known.

    Shape: [D] -> int [V].
    """
    whose = np.full(len(voices.groups), UNDECIDED)
    likeness = np.array([cosine(voiceprint, found.vector, model.common) for found in voices.voiceprints])
    target, owner = int(likeness.argmax()), voices.owners()
    passed, at = _passed(separated, len(owner)), [np.flatnonzero(owner == number) for number in range(len(whose))]
    shares = np.array([passed[cells].mean() if len(cells) else 1.0 for cells in at])
    if likeness[target] < NEAR or shares[target] < OWN_SHARE:
        return whose
    enough = np.array([len(cells) * CELL_S >= LEAST_S for cells in at])
    whose[enough & (shares < OWN_SHARE)] = OTHERS
    whose[target] = TARGET
    return whose


def others_alone(voices: Gathered, whose: np.ndarray) -> np.ndarray:
    """The half seconds in which every window is more like the others than like anybody else. Shape: -> bool [N]."""
    windows = voices.windows
    least, known = np.full(len(windows.spoken) + BESIDE, np.inf), np.zeros(len(windows.spoken), bool)
    for at, value in zip(windows.cells, _towards_others(voices, whose, windows.vectors), strict=True):
        around = slice(max(0, at - BESIDE), at + WINDOW_CELLS + BESIDE)
        least[around] = np.minimum(least[around], value)
        known[at : at + WINDOW_CELLS] = True
    return known & (least[: len(known)] > 0)


def _towards_others(voices: Gathered, whose: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """How much more like the others than like anybody else. Shape: unit voiceprints [any, D] -> [any]."""
    cosines = voices.cosines(vectors)
    difference: np.ndarray = cosines[:, whose == OTHERS].max(axis=1) - cosines[:, whose != OTHERS].max(axis=1)
    return difference


def _passed(separated: Separated, cells: int) -> np.ndarray:
    """The half seconds of which most is left. Shape: -> bool [cells]."""
    place = _half_seconds(separated)
    powers = (separated.estimate_power, separated.mixture_power)
    estimate, mixture = (np.bincount(place, power, cells)[:cells] for power in powers)
    return estimate > mixture * 10 ** (PASSED_DB / 10)


def _half_seconds(separated: Separated) -> np.ndarray:
    """In which half second the middle of every cell lies. Shape: -> int [F]."""
    middles = np.arange(0.5, len(separated.activity))
    middles *= separated.activity_hop_s / CELL_S  # in place: of hours there are millions
    return middles.astype(np.int32)


def _judged(
    model: PackedModel, voices: Gathered, whose: np.ndarray, separated: Separated, alone: np.ndarray
) -> np.ndarray:
    """The cells that are lowered: `alone` without the pieces in which the estimate may be the target.

    Shape: bool [N] -> bool [F].
    """
    hop_s, cell = separated.activity_hop_s, cell_samples(model.config.sample_rate_hz)
    around = round(KEPT_AROUND_S / hop_s)
    theirs = alone[_half_seconds(separated)]
    kept = np.zeros(len(theirs), bool)

    def towards_others(first: int, last: int) -> float | None:
        wider = max(0, round(SHORTEST_PIECE_S / hop_s) - (last - first)) // 2
        samples = mono(separated.estimate.read(max(0, first - wider) * cell, (last + wider) * cell))
        vector = unit_voiceprint(model, samples)
        return None if vector is None else float(_towards_others(voices, whose, vector[None])[0])

    for pieces in _pieces(theirs & (separated.activity >= THRESHOLD), hop_s):
        values = [towards_others(*piece) for piece in pieces]
        for number, (first, last) in enumerate(pieces):
            near = [value for value in values[max(0, number - 1) : number + 2] if value is not None]
            if not near or np.mean(near) < CLEARLY:
                kept[max(0, first - around) : last + around] = True
    return theirs & ~kept


def _pieces(active: np.ndarray, hop_s: float) -> Iterator[list[tuple[int, int]]]:
    """Runs of active cells, short pauses included, in equal pieces: from where to where. Shape: bool [F]."""
    cells = np.flatnonzero(active)
    for run in np.split(cells, np.flatnonzero(np.diff(cells) * hop_s > PAUSE_S) + 1) if len(cells) else ():
        first, last = int(run[0]), int(run[-1]) + 1
        edges = np.linspace(first, last, math.ceil((last - first) * hop_s / LONGEST_PIECE_S) + 1).round().astype(int)
        yield list(itertools.pairwise(edges.tolist()))


def _lowered(separated: Separated, theirs: np.ndarray, cell: int, folder: Path | None) -> Separated:
    """Shape: bool [F]."""
    hop_s, old = separated.activity_hop_s, separated.estimate
    width = 2 * round(FADE_S / hop_s) + 1
    steps = np.where(theirs, 10 ** (-LOWERED_DB / 20), 1.0)
    gains = np.convolve(np.pad(steps, width // 2, "edge"), np.full(width, 1 / width), "valid")
    middles, estimate = (np.arange(len(gains)) + 0.5) * cell, Spool(old.channels, folder)
    try:
        for start in range(0, old.frames, BLOCK_FRAMES):
            block = old.read(start, start + BLOCK_FRAMES)
            gain = np.interp(np.arange(start, start + len(block)), middles, gains)
            estimate.append(block * gain[:, None].astype(np.float32))
    except BaseException:
        estimate.close()
        raise
    old.close()
    return replace(
        separated,
        estimate=estimate,
        activity=np.where(theirs, np.float32(0), separated.activity),
        estimate_power=separated.estimate_power * gains**2,
    )
