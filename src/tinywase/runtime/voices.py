"""Who speaks in a recording? Its voices, each with a voiceprint from where it speaks most clearly alone.

    recording -> windows of 2 s -> their voiceprints -> clusters -> voiceprints of 20 s -> alike ones are one voice

A voiceprint of 2 s is uncertain, so windows join only where they are much alike; what one voice fell into is joined
again by voiceprints of much more speech. Where two people speak at once a window is like neither of them alone, so each
voice is enrolled from the windows that are farthest from the other voices. Whoever says little is not found, and music
is taken for a voice. Letters: W windows, D voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..activity import FRAME_S, frame_levels, prepare_enrollment
from ..errors import AudioError
from ..progress import Progress
from .clustering import agglomerate
from .enrollment import enroll_heard
from .labels import Segment
from .likeness import direction
from .mixdown import mono
from .model import PackedModel
from .passes import Heard
from .voiceprint import Voiceprint

CELL_S = 0.5  # the resolution of all times
WINDOW_CELLS = 4
CHUNK_CELLS = 600  # clustered at once: memory grows with their square
MOST_GROUPS = 2000  # of all chunks, clustered at the end, 16 MB: the largest; only strange thresholds leave more
SPOKEN_S = 1.0  # of speech in a window, or nobody speaks there
SPOKEN_SHARE = 0.2  # of a cell
SPOKEN_DB = 25.0  # below the loudest three seconds of a chunk; a click alone says nothing about speech
LOUDEST_S = 3.0
FRAMES_AT_ONCE = 500  # of FRAME_S, read of a recording: 16 s
ALIKE = 0.57  # mean cosine from which on windows, and voiceprints, are one voice's
LEAST_S = 4.0  # a voice that is heard for less is not reported
ENROLLED_S = 20.0
SAMPLE_S = 6.0
APART = 0.5  # how much likeness to the nearest other voice counts against a window


@dataclass(frozen=True)
class FoundVoice:
    """One of the voices in a recording."""

    voiceprint: Voiceprint
    spoken_s: float  # for about how long
    segments: list[Segment]  # when, in steps of half a second
    sample: Segment  # where it is heard best, to know it by


@dataclass(frozen=True)
class Windows:
    """Windows in which somebody speaks."""

    vectors: np.ndarray  # unit voiceprints. Shape: [W, D]
    cells: np.ndarray  # where they begin. Shape: int [W]
    spoken: np.ndarray  # the cells in which somebody speaks. Shape: bool [cells]

    def covered(self, group: Sequence[int] | np.ndarray) -> np.ndarray:
        """The cells that some windows lie on, ascending."""
        return np.unique(self.cells[group][:, None] + np.arange(WINDOW_CELLS))


@dataclass(frozen=True)
class Gathered:
    """What was heard, by voices. Letters: V voices, N cells."""

    windows: Windows
    groups: list[list[int]]  # of every voice its windows. [V]
    voiceprints: list[Voiceprint]  # [V]

    def owners(self) -> np.ndarray:
        """For every cell whose it is, -1 where nobody speaks. Shape: -> int [N]."""
        return _owners(self.windows, self.groups)

    def cosines(self, vectors: np.ndarray) -> np.ndarray:
        """How like the middles of the voices some unit voiceprints are. Shape: [any, D] -> [any, V]."""
        return vectors @ _centres(self.windows, self.groups).T


def gather_voices(model: PackedModel, heard: Heard, *, alike: float, progress: Progress) -> Gathered | None:
    """The voices of a recording that was listened to, and all its windows; None where there is no voice."""
    cell = round(CELL_S * model.config.sample_rate_hz)
    windows = _listened(model, heard, cell, progress)
    if not len(windows.vectors):
        return None
    going_on = partial(progress, 1.0)  # what is left takes seconds, of hours too, but may be given up
    found = _clusters(windows, alike, going_on)
    groups = [group for group in found if len(windows.covered(group)) * CELL_S >= LEAST_S]
    groups, voiceprints = _joined(model, heard, windows, groups, cell, alike, going_on)
    return Gathered(windows, groups, voiceprints) if groups else None


def find_voices(model: PackedModel, heard: Heard, *, alike: float, progress: Progress) -> list[FoundVoice]:
    """The voices of a recording that was listened to, who speaks most first."""
    gathered = gather_voices(model, heard, alike=alike, progress=progress)
    if gathered is None:
        return []
    windows, groups, voiceprints = gathered.windows, gathered.groups, gathered.voiceprints
    owner, length_s = gathered.owners(), heard.mixture.frames / model.config.sample_rate_hz
    voices = [
        FoundVoice(voiceprint, len(cells) * CELL_S, _segments(cells, length_s), _sample(windows, groups, number, owner))
        for number, voiceprint in enumerate(voiceprints)
        if len(cells := np.flatnonzero(owner == number)) * CELL_S >= LEAST_S
    ]
    return sorted(voices, key=lambda voice: -voice.spoken_s)


def _listened(model: PackedModel, heard: Heard, cell: int, progress: Progress) -> Windows:
    """Windows in which somebody speaks, chunk by chunk."""
    rate_hz, length = model.config.sample_rate_hz, WINDOW_CELLS * cell
    total = -(-heard.mixture.frames // cell)
    vectors = np.zeros((total, model.config.voiceprint.dimensions), np.float32)  # memory once they are written
    begins: list[int] = []
    cells = np.zeros(total + WINDOW_CELLS, bool)
    for first in range(0, total, CHUNK_CELLS):
        stop = min((first + CHUNK_CELLS + WINDOW_CELLS - 1) * cell, heard.mixture.frames)
        spoken = _Spoken(heard, first * cell, stop, rate_hz)
        for number in range(min(CHUNK_CELLS, total - first)):
            at = number * cell
            cells[first + number] = spoken.samples(at, at + cell) >= SPOKEN_SHARE * cell
            progress((first + number + 1) / total)
            begin = first * cell + at
            if begin + length > stop or spoken.samples(at, at + length) < SPOKEN_S * rate_hz:
                continue
            if (vector := unit_voiceprint(model, _mono(heard, begin, begin + length))) is not None:
                vectors[len(begins)] = vector
                begins.append(first + number)
    return Windows(vectors[: len(begins)], np.array(begins), cells)


class _Spoken:
    """Where somebody may be speaking, of minutes that are never in memory whole."""

    def __init__(self, heard: Heard, start: int, stop: int, rate_hz: int) -> None:
        self._frame, self._length = round(FRAME_S * rate_hz), stop - start
        at_once = FRAMES_AT_ONCE * self._frame
        places = range(start, stop, at_once)
        powers = [frame_levels(_mono(heard, at, min(at + at_once, stop)), self._frame) for at in places]
        power = np.concatenate([np.zeros(0, np.float32), *powers])
        loud = np.sort(power)[-min(len(power), round(LOUDEST_S / FRAME_S))] if len(power) else 0.0
        self._frames = (power > loud * 10 ** (-SPOKEN_DB / 10)) & (power > 0)

    def samples(self, start: int, stop: int) -> int:
        """How many there are in a part of the minutes."""
        first, last = start // self._frame, -(-stop // self._frame)
        before = first * self._frame
        samples = np.repeat(self._frames[first:last], self._frame)[: self._length - before]
        return int(samples[start - before : stop - before].sum())


def _mono(heard: Heard, start: int, stop: int) -> np.ndarray:
    """Shape: -> float32 [stop - start]."""
    return mono(heard.read(start, stop))


def unit_voiceprint(model: PackedModel, samples: np.ndarray) -> np.ndarray | None:
    """A voiceprint's direction; None where there is too little speech. Shape: [T] -> [D]."""
    try:
        vector = model.enroll(prepare_enrollment(samples, model.config.sample_rate_hz))
    except AudioError:
        return None
    found = direction(vector, model.common)
    return found if found.any() else None


def _clusters(windows: Windows, alike: float, going_on: Callable[[], None]) -> list[list[int]]:
    """Windows that are alike, chunk by chunk, then the clusters of all chunks."""
    groups: list[list[int]] = []
    chunk = windows.cells // CHUNK_CELLS
    for number in np.unique(chunk):
        inside = np.flatnonzero(chunk == number)
        vectors = windows.vectors[inside]
        groups += [list(inside[part]) for part in agglomerate(vectors, np.ones(len(inside)), alike, going_on)]
    groups = _largest(groups, MOST_GROUPS)
    sums = np.stack([windows.vectors[group].sum(axis=0) for group in groups])
    joined = agglomerate(sums, np.array([len(group) for group in groups]), alike, going_on)
    return [sorted(index for part in parts for index in groups[part]) for parts in joined]


def _largest(groups: list[list[int]], most: int) -> list[list[int]]:
    """In their order."""
    kept = sorted(range(len(groups)), key=lambda number: -len(groups[number]))[:most]
    return [groups[number] for number in sorted(kept)]


def _joined(
    model: PackedModel,
    heard: Heard,
    windows: Windows,
    groups: list[list[int]],
    cell: int,
    alike: float,
    going_on: Callable[[], None],
) -> tuple[list[list[int]], list[Voiceprint]]:
    """Groups whose voiceprints are alike as one, and the voiceprint of each."""

    def enrolled(number: int) -> Voiceprint | None:
        going_on()
        cells = windows.covered(_best_windows(windows, groups, number))
        own = cells[_owners(windows, groups)[cells] == number]  # a window reaches into its neighbours' turns
        for some in (own, cells):
            parts = [heard.read(at * cell, (at + 1) * cell) for at in some]
            try:
                return enroll_heard(
                    model, mono(np.concatenate([np.zeros((0, heard.mixture.channels), np.float32), *parts]))
                )
            except AudioError:  # a click among them, beside which the rest is silence
                continue
        return None

    groups = list(groups)
    found = [enrolled(number) for number in range(len(groups))]
    groups = [group for group, voiceprint in zip(groups, found, strict=True) if voiceprint is not None]
    voiceprints = [voiceprint for voiceprint in found if voiceprint is not None]
    while len(groups) > 1:
        vectors = np.stack([direction(voiceprint.vector, model.common) for voiceprint in voiceprints])
        cosines = np.triu(vectors @ vectors.T, 1)
        into, gone = divmod(int(cosines.argmax()), len(groups))
        if cosines[into, gone] < alike:
            break
        groups[into] = sorted(groups[into] + groups.pop(gone))
        voiceprints.pop(gone)
        voiceprints[into] = enrolled(into) or voiceprints[into]
    return groups, voiceprints


def _centres(windows: Windows, groups: Sequence[Sequence[int]]) -> np.ndarray:
    sums = np.stack([windows.vectors[group].sum(axis=0) for group in groups])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _clearness(windows: Windows, groups: Sequence[Sequence[int]], number: int) -> np.ndarray:
    """How like its own voice, and unlike the nearest other one, every window of a group is. Shape: [windows in it]."""
    cosines = windows.vectors[groups[number]] @ _centres(windows, groups).T
    others = np.delete(cosines, number, axis=1)
    return cosines[:, number] - (APART * others.max(axis=1) if others.size else 0.0)


def _best_windows(windows: Windows, groups: Sequence[Sequence[int]], number: int) -> list[int]:
    """The clearest of a group, as many as it takes to cover ENROLLED_S."""
    ordered = np.array(groups[number])[np.argsort(-_clearness(windows, groups, number), kind="stable")]
    enough = len(ordered)
    for count in range(1, len(ordered) + 1):
        if len(windows.covered(ordered[:count])) * CELL_S >= ENROLLED_S:
            enough = count
            break
    return list(ordered[:enough])


def _owners(windows: Windows, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """For every cell the group that most of the windows over it belong to, -1 where nobody speaks. Shape: [cells]."""
    votes = np.zeros((len(windows.spoken), len(groups)))
    nearest = (windows.vectors @ _centres(windows, groups).T).argmax(axis=1)
    for at, number in zip(windows.cells, nearest, strict=True):
        votes[at : at + WINDOW_CELLS, number] += 1
    return np.where(windows.spoken & votes.any(axis=1), votes.argmax(axis=1), -1)


def _segments(cells: np.ndarray, length_s: float) -> list[Segment]:
    """Runs of cells as times within the recording. Shape: ascending int [any]."""
    runs = np.split(cells, np.flatnonzero(np.diff(cells) > 1) + 1)
    return [Segment(float(run[0]) * CELL_S, min(float(run[-1] + 1) * CELL_S, length_s)) for run in runs]


def _sample(windows: Windows, groups: Sequence[Sequence[int]], number: int, owner: np.ndarray) -> Segment:
    """The clearest window, and its neighbours of the same voice up to SAMPLE_S, whichever is clearer first; of that the
    longest part in which no other voice speaks, because windows reach into their neighbours' turns.
    """
    clearness = dict(zip(windows.cells[groups[number]], _clearness(windows, groups, number), strict=True))
    first = last = max(clearness, key=lambda cell: clearness[cell])
    while (last - first + WINDOW_CELLS) * CELL_S < SAMPLE_S:
        before, after = clearness.get(first - 1), clearness.get(last + 1)
        if before is None and after is None:
            break
        if after is None or (before is not None and before > after):
            first -= 1
        else:
            last += 1
    cells = np.arange(first, last + WINDOW_CELLS)
    own = _longest_turn(cells[0], owner[cells], number)
    if not len(own):  # the clearest window is nobody's own: anywhere the voice has
        own = _longest_turn(0, owner, number)[: round(SAMPLE_S / CELL_S)]
    return Segment(float(own[0]) * CELL_S, float(own[-1] + 1) * CELL_S)


def _longest_turn(first: int, owner: np.ndarray, number: int) -> np.ndarray:
    """The cells from the first to the last that a voice owns before another speaks; pauses belong to them.

    Shape: owners of the cells from `first` on -> ascending int [any]
    """
    own = np.flatnonzero(owner == number)
    others = np.flatnonzero((owner != number) & (owner >= 0))
    turns = [turn for turn in np.split(own, np.searchsorted(own, others)) if len(turn)]
    if not turns:
        return own
    longest = max(turns, key=len)
    return first + np.arange(longest[0], longest[-1] + 1)
