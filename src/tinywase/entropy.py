"""Codes closer to their entropy than a whole number of bits: a static range coder (rANS) with interleaved lanes.

Low-bit codes are far from equally frequent: 3-bit codes of trained weights carry about 2.6 bits. One stream, of a
tensor with K levels and n codes, little-endian:

    K u16       frequency of each code, out of 4096; codes that do not occur have 0
    lanes u32   first state of each lane
    any u16     words, in the order in which they are read

There are as many lanes as the least power of two, from 4 to 1024, that leaves no lane more than 2048 codes. Code i
belongs to lane i % lanes. To read a code, with x the lane's state and c[s] the sum of the frequencies before s:

    slot = x & 4095;  s = the code with c[s] <= slot < c[s] + f[s]
    x = f[s] * (x >> 12) + slot - c[s];  if x < 2^16: x = x << 16 | the next word

After the last code every state is 2^16 and no word is left, or the stream is damaged. Lanes let numpy read a code of
every lane of every tensor at a time, and a processor several at once. A writer keeps plain packing where this does not
win, and a reader refuses more than 16 codes per byte, so that a small file cannot ask for much work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compiled import find_compiled
from .errors import FormatError

FEWEST_LANES, MOST_LANES, CODES_PER_LANE = 4, 1024, 2048
PRECISION_BITS = 12
TOTAL = 1 << PRECISION_BITS
WORD_BITS = 16
LOWEST_STATE = 1 << WORD_BITS
CODES_PER_BYTE = 16
Codes = NDArray[np.uint8]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """The coded codes of one tensor."""

    data: bytes | memoryview
    count: int  # n
    levels: int  # K


def lane_count(count: int) -> int:
    """Lanes of a stream of `count` codes.

    >>> lane_count(100), lane_count(65_536), lane_count(65_537)
    (4, 32, 64)
    """
    lanes = FEWEST_LANES
    while lanes < MOST_LANES and lanes * CODES_PER_LANE < count:
        lanes *= 2
    return lanes


class _Lanes:
    """The lanes of several tensors side by side."""

    def __init__(self, counts: Sequence[int]) -> None:
        lanes = np.array([lane_count(count) for count in counts])
        self.last = np.cumsum(lanes)  # [tensors] one behind its last lane
        self.first = self.last - lanes  # [tensors]
        self.tensor = np.repeat(np.arange(len(lanes)), lanes)  # [lanes] whose lane it is
        number = np.arange(len(self.tensor)) - self.first[self.tensor]
        self.steps = -(-(np.repeat(np.array(counts), lanes) - number) // lanes[self.tensor])  # [lanes] codes in it
        self.full_steps = int(self.steps.min())  # of which every lane has a code

    def ranks(self, chosen: Whole) -> tuple[Whole, Whole]:
        """Of the chosen lanes, in order: how many of their tensor come before each; and how many each tensor has."""
        edges = np.searchsorted(chosen, [self.first, self.last])  # [2, tensors]
        return np.arange(len(chosen)) - edges[0][self.tensor[chosen]], edges[1] - edges[0]


def encode(tensors: Sequence[Codes], levels: Sequence[int]) -> list[bytes]:
    """Codes of several tensors, each flat, as streams."""
    if not tensors:
        return []
    lanes = _Lanes([len(codes) for codes in tensors])
    tables = np.stack([_frequencies(codes, count) for codes, count in zip(tensors, levels, strict=True)])  # [T, 256]
    before = np.cumsum(tables, 1) - tables
    steps = int(lanes.steps.max())
    symbols = np.zeros((steps, len(lanes.tensor)), np.uint8)
    for codes, first, last in zip(tensors, lanes.first, lanes.last, strict=True):
        rows = -(-len(codes) // (last - first))
        padded = np.pad(codes, (0, rows * (last - first) - len(codes)))
        symbols[:rows, first:last] = padded.reshape(rows, -1)
    state = np.full(len(lanes.tensor), LOWEST_STATE, np.int64)
    room = np.array([len(codes) + 1 for codes in tensors])  # words: at most one a code
    ends = np.cumsum(room)
    words, free = np.zeros(ends[-1], np.uint16), ends.copy()  # filled from the end: what is written last is read first
    for step in reversed(range(steps)):
        active = step < lanes.steps
        frequency = np.where(active, tables[lanes.tensor, symbols[step]], TOTAL)
        start = np.where(active, before[lanes.tensor, symbols[step]], 0)
        full = active & (state >= frequency << (32 - PRECISION_BITS))
        chosen = np.flatnonzero(full)
        rank, number = lanes.ranks(chosen)
        free -= number
        words[free[lanes.tensor[chosen]] + rank] = state[chosen] & (LOWEST_STATE - 1)
        state[chosen] >>= WORD_BITS
        quotient, rest = np.divmod(state, frequency)
        state = np.where(active, (quotient << PRECISION_BITS) + rest + start, state)
    return [
        tables[i, : levels[i]].astype("<u2").tobytes()
        + state[lanes.first[i] : lanes.last[i]].astype("<u4").tobytes()
        + words[free[i] : ends[i]].astype("<u2").tobytes()
        for i in range(len(tensors))
    ]


def _frequencies(codes: Codes, levels: int) -> Whole:
    """How often each code occurs, out of 4096 and never 0 where it does. Shape: [any] -> [256], 0 beyond the levels."""
    seen = np.bincount(codes, minlength=levels)
    table = np.where(seen > 0, np.maximum(1, seen * TOTAL // max(1, seen.sum())), 0)
    while (missing := TOTAL - table.sum()) != 0:  # what rounding left goes to, or comes from, the most frequent
        at = int(table.argmax())
        table[at] += max(missing, 1 - table[at])
    return np.pad(table, (0, 256 - levels))


def decode(streams: Sequence[Stream]) -> list[Codes]:
    """The codes of several tensors, each flat; by compiled code where there is some.

    Raises:
        FormatError: a stream that no writer makes.
    """
    module, _ = find_compiled()
    if module is None:
        return decode_by_numpy(streams)
    for stream in streams:
        _check_length(stream)
    try:
        return [module.decode_codes(np.frombuffer(s.data, np.uint8), s.count, s.levels) for s in streams]
    except RuntimeError as error:
        raise FormatError(str(error)) from error


def decode_by_numpy(streams: Sequence[Stream]) -> list[Codes]:
    """What `decode` gives, many times slower."""
    if not streams:
        return []
    lanes = _Lanes([stream.count for stream in streams])
    tables, states, words = (list(part) for part in zip(*(_parts(stream) for stream in streams), strict=True))
    ends = np.cumsum([len(row) for row in words])
    place = ends - [len(row) for row in words]
    pool = np.concatenate([*words, np.zeros(1, np.uint16)]).astype(np.uint32)  # one more, for streams that are damaged
    symbol_of = np.concatenate([np.repeat(np.arange(256, dtype=np.uint8), table) for table in tables])  # [T * 4096]
    frequency_of = np.concatenate([np.repeat(table, table) for table in tables]).astype(np.uint32)
    offset_of = np.concatenate([np.arange(TOTAL) - np.repeat(np.cumsum(t) - t, t) for t in tables]).astype(np.uint32)
    base = (lanes.tensor * TOTAL).astype(np.uint32)
    state = np.concatenate(states).astype(np.uint32)
    codes = np.empty((int(lanes.steps.max()), len(state)), np.uint8)
    for step in range(len(codes)):
        slot = base + (state & np.uint32(TOTAL - 1))
        codes[step] = symbol_of[slot]
        moved = frequency_of[slot] * (state >> np.uint32(PRECISION_BITS)) + offset_of[slot]
        if step >= lanes.full_steps:
            moved = np.where(step < lanes.steps, moved, state)
        state = moved
        short = np.flatnonzero(state < LOWEST_STATE)
        rank, number = lanes.ranks(short)
        index = np.minimum(place[lanes.tensor[short]] + rank, len(pool) - 1)
        state[short] = (state[short] << np.uint32(WORD_BITS)) | pool[index]
        place = place + number
    if (place != ends).any() or (state != LOWEST_STATE).any():
        raise FormatError("a stream of coded codes does not end as it should.")
    return [
        codes[:, first:last].reshape(-1)[: stream.count]
        for stream, first, last in zip(streams, lanes.first, lanes.last, strict=True)
    ]


def _parts(stream: Stream) -> tuple[Whole, NDArray[np.uint32], NDArray[np.uint16]]:
    """Frequencies [256], states [lanes] and words of a stream, checked."""
    lanes, head = lane_count(stream.count), _check_length(stream)
    table = np.frombuffer(stream.data, "<u2", stream.levels).astype(np.int64)
    if table.sum() != TOTAL:
        raise FormatError(f"frequencies of coded codes sum up to {table.sum()}: expected {TOTAL}.")
    states = np.frombuffer(stream.data, "<u4", lanes, 2 * stream.levels)
    words = np.frombuffer(stream.data, "<u2", -1, head)
    return np.pad(table, (0, 256 - stream.levels)), states, words


def _check_length(stream: Stream) -> int:
    """Bytes before a stream's words; refused where they, or the words, cannot be what the codes need."""
    head = 2 * stream.levels + 4 * lane_count(stream.count)
    if len(stream.data) < head or (len(stream.data) - head) % 2 or stream.count > CODES_PER_BYTE * len(stream.data):
        raise FormatError(f"{len(stream.data)} bytes hold no {stream.count} coded codes of {stream.levels} levels.")
    return head
