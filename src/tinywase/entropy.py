"""Codes closer to their entropy than a whole number of bits: a static range coder (rANS) with 32 interleaved lanes.

Low-bit codes are far from equally frequent: 3-bit codes of trained weights carry about 2.6 bits. One stream, of a
tensor with K levels, little-endian:

    K u16      frequency of each code, out of 4096; codes that do not occur have 0
    32 u32     first state of each lane
    any u16    words, in the order in which they are read

Code i belongs to lane i % 32. To read a code, with x the lane's state and c[s] the sum of the frequencies before s:

    slot = x & 4095;  s = the code with c[s] <= slot < c[s] + f[s]
    x = f[s] * (x >> 12) + slot - c[s];  if x < 2^16: x = x << 16 | the next word

After the last code every state is 2^16 and no word is left, or the stream is damaged. Numpy needs the lanes: it reads
a code of every lane of every tensor at a time. A writer keeps plain packing where this does not win, and a reader
refuses more than 16 codes per byte, so that a small file cannot ask for much work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError

LANES = 32
PRECISION_BITS = 12
TOTAL = 1 << PRECISION_BITS
WORD_BITS = 16
LOWEST_STATE = 1 << WORD_BITS
CODES_PER_BYTE = 16
Codes = NDArray[np.uint8]
Words = NDArray[np.uint16]


@dataclass(frozen=True)
class Stream:
    """The coded codes of one tensor."""

    data: bytes | memoryview
    count: int  # codes
    levels: int  # K


def encode(tensors: Sequence[Codes], levels: Sequence[int]) -> list[bytes]:
    """Codes of several tensors, each flat, as streams."""
    if not tensors:
        return []
    tables = np.stack([_frequencies(codes, count) for codes, count in zip(tensors, levels, strict=True)])  # [T, 256]
    starts = np.cumsum(tables, 1) - tables
    counts = np.array([len(codes) for codes in tensors])
    steps = -(-int(counts.max()) // LANES)
    padded = np.zeros((len(tensors), steps * LANES), np.uint8)
    for row, codes in zip(padded, tensors, strict=True):
        row[: len(codes)] = codes
    symbols = padded.reshape(len(tensors), steps, LANES)
    states = np.full((len(tensors), LANES), LOWEST_STATE, np.uint64)
    words = np.zeros((len(tensors), steps * LANES), np.uint16)  # filled from the end: a coder's last word is read first
    free = np.full(len(tensors), steps * LANES)
    rows = np.arange(len(tensors))[:, None]
    for step in reversed(range(steps)):
        active = step * LANES + np.arange(LANES) < counts[:, None]
        frequency = np.where(active, tables[rows, symbols[:, step]], TOTAL).astype(np.uint64)
        start = np.where(active, starts[rows, symbols[:, step]], 0).astype(np.uint64)
        full = active & (states >= frequency << np.uint64(32 - PRECISION_BITS))
        free -= full.sum(1)
        tensor, lane = np.nonzero(full)
        place = free[tensor] + (np.cumsum(full, 1) - 1)[tensor, lane]
        words[tensor, place] = states[tensor, lane] & np.uint64(LOWEST_STATE - 1)
        states[full] >>= np.uint64(WORD_BITS)
        quotient, rest = np.divmod(states, frequency)
        states = (quotient << np.uint64(PRECISION_BITS)) + rest + start
    heads = [table[:count].astype("<u2").tobytes() for table, count in zip(tables, levels, strict=True)]
    return [
        head + state.astype("<u4").tobytes() + row[at:].astype("<u2").tobytes()
        for head, state, row, at in zip(heads, states, words, free, strict=True)
    ]


def _frequencies(codes: Codes, levels: int) -> NDArray[np.int64]:
    """How often each code occurs, out of 4096 and never 0 where it does. Shape: [any] -> [256], zeros beyond the
    levels."""
    seen = np.bincount(codes, minlength=levels)
    table = np.where(seen > 0, np.maximum(1, seen * TOTAL // max(1, seen.sum())), 0)
    if not seen.any():
        table[0] = TOTAL
    while (missing := TOTAL - table.sum()) != 0:  # what rounding left goes to, or comes from, the most frequent
        at = int(table.argmax())
        table[at] += max(missing, 1 - table[at])
    return np.pad(table, (0, 256 - levels))


def decode(streams: Sequence[Stream]) -> list[Codes]:
    """The codes of several tensors, each flat.

    Raises:
        FormatError: a stream that no writer makes.
    """
    if not streams:
        return []
    tables, states, words = (list(part) for part in zip(*(_parts(stream) for stream in streams), strict=True))
    frequencies = np.stack(tables).astype(np.uint64)  # [T, 256]
    starts = np.cumsum(frequencies, 1) - frequencies
    symbol_of = np.stack([np.repeat(np.arange(256, dtype=np.uint8), table) for table in tables])  # [T, 4096]
    counts = np.array([stream.count for stream in streams])
    steps = -(-int(counts.max()) // LANES)
    codes = np.zeros((len(streams), steps, LANES), np.uint8)
    state = np.stack(states).astype(np.uint64)  # [T, 32]
    ends = np.cumsum([len(row) for row in words])
    place = ends - [len(row) for row in words]
    pool = np.concatenate([*words, np.zeros(LANES + 1, np.uint16)]).astype(np.uint64)  # a damaged stream reads on a bit
    rows = np.arange(len(streams))[:, None]
    lanes = np.arange(LANES)
    for step in range(steps):
        active = step * LANES + lanes < counts[:, None]
        slot = state & np.uint64(TOTAL - 1)
        symbol = symbol_of[rows, slot]
        codes[:, step] = symbol
        moved = frequencies[rows, symbol] * (state >> np.uint64(PRECISION_BITS)) + slot - starts[rows, symbol]
        short = active & (moved < LOWEST_STATE)
        index = np.minimum(place[:, None] + np.cumsum(short, 1) - 1, len(pool) - 1)
        moved = np.where(short, (moved << np.uint64(WORD_BITS)) | pool[index], moved)
        state = np.where(active, moved, state)
        place += short.sum(1)
    if (place != ends).any() or (state != LOWEST_STATE).any():
        raise FormatError("a stream of coded codes does not end as it should: the file is damaged.")
    return [row.reshape(-1)[: stream.count] for row, stream in zip(codes, streams, strict=True)]


def _parts(stream: Stream) -> tuple[NDArray[np.int64], NDArray[np.uint32], Words]:
    """Frequencies [256], states [32] and words of a stream, checked."""
    head = 2 * stream.levels + 4 * LANES
    if len(stream.data) < head or (len(stream.data) - head) % 2 or stream.count > CODES_PER_BYTE * len(stream.data):
        raise FormatError(
            f"{len(stream.data)} bytes cannot hold {stream.count} coded codes of {stream.levels} levels: "
            "the file is damaged."
        )
    table = np.frombuffer(stream.data, "<u2", stream.levels).astype(np.int64)
    if table.sum() != TOTAL:
        raise FormatError(f"frequencies of coded codes sum up to {table.sum()}, not {TOTAL}: the file is damaged.")
    states = np.frombuffer(stream.data, "<u4", LANES, 2 * stream.levels)
    words = np.frombuffer(stream.data, "<u2", -1, head)
    return np.pad(table, (0, 256 - stream.levels)), states, words
