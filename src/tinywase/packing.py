"""Codes of 1 to 8 bits, packed without gaps.

The layout is one little-endian bit stream per tensor, in C order: code i takes the stream's bits i * bits to
(i + 1) * bits - 1, lowest first, and bit k of the stream is bit k % 8 of byte k // 8. So 8 codes fill exactly `bits`
bytes, and a reader decodes the g-th eight from one little-endian 64-bit word:

    word = bytes g * bits to (g + 1) * bits - 1, zero-extended
    code j of the eight = (word >> (j * bits)) & (2^bits - 1)

Every eighth code starts on a byte, hence every row of a matrix whose rows are a multiple of 8 long. The last byte's
unused high bits are zero, so equal codes have equal bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError

MAX_BITS = 8


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take.

    >>> packed_bytes(9, 3)
    4
    """
    return (count * bits + 7) // 8


def pack(codes: NDArray[Any], bits: int) -> bytes:
    """Codes of any shape -> bytes.

    Raises:
        FormatError: a width outside 1..8, or a code that does not fit into it.

    >>> pack(np.array([1, 2, 3]), 2).hex()
    '39'
    """
    _check_bits(bits)
    flat = np.ravel(codes)
    if flat.size and (flat.min() < 0 or flat.max() >= 1 << bits):
        worst = int(flat.min()) if flat.min() < 0 else int(flat.max())
        raise FormatError(f"code {worst} does not fit into {bits} bits: expected 0..{(1 << bits) - 1}.")
    eights = np.zeros((-(-flat.size // 8), 8), np.uint8)
    eights.reshape(-1)[: flat.size] = flat
    words = np.zeros(len(eights), "<u8")
    for j in range(8):
        words |= eights[:, j].astype("<u8") << np.uint64(j * bits)
    stream = words.view(np.uint8).reshape(-1, 8)[:, :bits]
    return stream.tobytes()[: packed_bytes(flat.size, bits)]


def unpack(data: bytes | memoryview, bits: int, count: int) -> NDArray[np.uint8]:
    """Bytes -> `count` codes, flat.

    Raises:
        FormatError: a width outside 1..8, too few or too many bytes, or unused bits that are not zero.
    """
    _check_bits(bits)
    if len(data) != packed_bytes(count, bits):
        raise FormatError(
            f"{count} codes of {bits} bits take {packed_bytes(count, bits)} bytes, got {len(data)}: damaged data."
        )
    unused = len(data) * 8 - count * bits
    if unused and data[-1] >> (8 - unused):
        raise FormatError(f"the {unused} unused bits after {count} codes of {bits} bits are not zero: damaged data.")
    groups = -(-count // 8)
    stream = np.zeros(groups * bits, np.uint8)
    stream[: len(data)] = np.frombuffer(data, np.uint8)
    words = np.zeros((groups, 8), np.uint8)
    words[:, :bits] = stream.reshape(groups, bits)
    word = words.view("<u8")[:, 0]
    codes = np.empty((groups, 8), np.uint8)
    mask = np.uint64((1 << bits) - 1)
    for j in range(8):
        codes[:, j] = (word >> np.uint64(j * bits)) & mask
    return codes.reshape(-1)[:count]


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MAX_BITS:
        raise FormatError(f"bit width {bits}: expected 1 to {MAX_BITS}.")
