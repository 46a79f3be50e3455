"""The tensor table of a model file and the data it points to; format.py has the specification."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import entropy
from .errors import FormatError
from .packing import MAX_BITS, pack, packed_bytes, unpack
from .tensors import KIND_BITS, KINDS, MAX_DIMENSIONS, MAX_ELEMENTS, Array, PackedTensor, ramp

RECORD = struct.Struct("<60s4B4I4I")
NAME = re.compile(rb"[a-z0-9_.]{1,59}\0+")
ALIGNMENT_BYTES = 16
CODED, RAMP = 1, 2  # bits of a record's encoding


@dataclass(frozen=True)
class Record:
    """One row of the table."""

    name: str
    kind: str
    bits: int
    shape: tuple[int, ...]
    levels: int
    scales: int
    offset: int  # bytes, from the beginning of the file
    length: int  # bytes
    encoding: int = 0

    @property
    def elements(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    @property
    def table_bytes(self) -> int:
        """Bytes of its levels and scales."""
        return 4 * ((2 if self.encoding & RAMP else self.levels) + self.scales)


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


def write_tensors(
    tensors: Mapping[str, PackedTensor], order: Sequence[str], payload_at: int, *, compact: bool
) -> tuple[bytes, bytes]:
    """Table and payload of `tensors`, in that order; the payload will lie at `payload_at`.

    `compact`: codes go through the range coder and level tables shrink to two numbers, wherever that is shorter.
    """
    table, payload = bytearray(), bytearray()
    streams = _streams([tensors[name] for name in order]) if compact else {}
    for name in order:
        payload += bytes(-len(payload) % ALIGNMENT_BYTES)
        tensor = tensors[name]
        encoding = CODED * (name in streams) + RAMP * (compact and _is_ramp(tensor.levels))
        tables = _tables(tensor, encoding)
        data = tables + streams[name] if name in streams else _data(tensor) + tables
        table += _row(tensor, encoding, payload_at + len(payload), len(data))
        payload += data
    return bytes(table), bytes(payload)


def read_records(data: memoryview, table_at: int, count: int) -> list[Record]:
    """The table's rows, each possible in itself.

    Raises:
        FormatError: names the tensor and its kind, encoding, bit width, shape or size.
    """
    return [_read_row(data, table_at + RECORD.size * i) for i in range(count)]


def check_places(data: memoryview, records: Sequence[Record], *, table_end: int, payload_at: int, end: int) -> None:
    """Data lies one after the other: no overlap, no hole, nothing outside, zeros between.

    Raises:
        FormatError: names the tensor.
    """
    free, expected = table_end, payload_at
    for record in records:
        last = record.offset + record.length
        if last > end:
            raise FormatError(
                f"tensor '{record.name}' lies outside the payload: bytes {record.offset} to {last} of {end}."
            )
        if record.offset != expected:
            what = "overlaps the part before it" if record.offset < expected else "leaves a hole before it"
            raise FormatError(f"tensor '{record.name}' at offset {record.offset} {what}: expected offset {expected}.")
        if any(data[free:expected]):
            raise FormatError(f"the padding before tensor '{record.name}' is not zero.")
        free, expected = last, round_up(last, ALIGNMENT_BYTES)
    if free != end:
        raise FormatError(f"{end - free} bytes of the payload belong to no tensor (a hole at its end).")


def read_tensors(data: memoryview, records: Sequence[Record]) -> dict[str, PackedTensor]:
    """The tensors that checked rows point to, by name.

    Raises:
        FormatError: contents that are not possible: a code outside its levels, NaN, padding that is not zero.
    """
    raws = {record.name: data[record.offset : record.offset + record.length] for record in records}
    coded = [record for record in records if record.encoding & CODED]
    streams = [entropy.Stream(raws[r.name][r.table_bytes :], r.elements, r.levels) for r in coded]
    codes = {record.name: flat for record, flat in zip(coded, entropy.decode(streams), strict=True)}
    return {record.name: _read_tensor(raws[record.name], record, codes.get(record.name)) for record in records}


def _read_tensor(raw: memoryview, record: Record, codes: NDArray[np.uint8] | None) -> PackedTensor:
    """A tensor from its data; `codes` [elements] if they were coded."""
    name, shape, bits = record.name, record.shape, record.bits
    if record.kind != "codes":
        stored = np.frombuffer(raw, np.dtype(record.kind).newbyteorder("<"))
        return PackedTensor(name, shape, record.kind, bits, values=stored.astype(record.kind).reshape(shape))
    tables_at = 0
    if codes is None:
        used = packed_bytes(record.elements, bits)
        tables_at = round_up(used, 4)
        if any(raw[used:tables_at]):
            raise FormatError(f"tensor '{name}': the padding after its codes is not zero.")
        codes = unpack(raw[:used], bits, record.elements)
    tables = np.frombuffer(raw[tables_at : tables_at + record.table_bytes], "<f4").astype(np.float32)
    stored, scales = np.split(tables, [len(tables) - record.scales])
    levels = ramp(stored[0], stored[1], record.levels) if record.encoding & RAMP else stored
    return PackedTensor(name, shape, "codes", bits, codes=codes.reshape(shape), levels=levels, scales=scales)


def _streams(tensors: Sequence[PackedTensor]) -> dict[str, bytes]:
    """The coded codes of those tensors for which coding is worth it, by name."""
    with_codes = [(tensor, tensor.codes.ravel()) for tensor in tensors if tensor.codes is not None]
    levels = [0 if tensor.levels is None else len(tensor.levels) for tensor, _ in with_codes]
    coded = entropy.encode([codes for _, codes in with_codes], levels)
    return {
        tensor.name: stream
        for (tensor, codes), stream in zip(with_codes, coded, strict=True)
        if len(stream) < packed_bytes(len(codes), tensor.bits) and len(codes) <= entropy.CODES_PER_BYTE * len(stream)
    }


def _data(tensor: PackedTensor) -> bytes:
    if tensor.values is not None:
        return tensor.values.astype(tensor.values.dtype.newbyteorder("<")).tobytes()
    assert tensor.codes is not None
    codes = pack(tensor.codes, tensor.bits)
    return codes + bytes(-len(codes) % 4)


def _tables(tensor: PackedTensor, encoding: int) -> bytes:
    """Levels, or the ramp's first level and step, then scales."""
    levels, scales = tensor.levels, tensor.scales
    if levels is None or scales is None:
        return b""
    stored = [levels[0], levels[1] - levels[0]] if encoding & RAMP else levels
    return np.concatenate([stored, scales]).astype("<f4").tobytes()


def _is_ramp(levels: Array | None) -> bool:
    """Whether two numbers say the same as the table, in fewer bytes."""
    if levels is None or len(levels) < 3:
        return False
    return np.array_equal(ramp(levels[0], levels[1] - levels[0], len(levels)), levels)


def _row(tensor: PackedTensor, encoding: int, offset: int, length: int) -> bytes:
    shape = (*tensor.shape, *[0] * (MAX_DIMENSIONS - len(tensor.shape)))
    counts = [0 if array is None else len(array) for array in (tensor.levels, tensor.scales)]
    head = (tensor.name.encode(), KINDS.index(tensor.kind), tensor.bits, encoding, len(tensor.shape))
    return RECORD.pack(*head, *shape, *counts, offset, length)


def _read_row(data: memoryview, at: int) -> Record:
    raw, kind_index, bits, encoding, dimensions, *numbers = RECORD.unpack_from(data, at)
    if not NAME.fullmatch(raw):
        raise FormatError(
            f"the tensor record at byte {at} has the name {raw!r}: expected small letters, digits, '_' and '.'."
        )
    name = raw.rstrip(b"\0").decode()
    label = f"tensor '{name}'"
    if kind_index >= len(KINDS):
        raise FormatError(f"{label} has the unknown kind {kind_index}: expected 0 to {len(KINDS) - 1}.")
    kind = KINDS[kind_index]
    top = CODED | RAMP if kind == "codes" else 0
    if encoding > top:
        raise FormatError(f"{label} has the unknown encoding {encoding}: expected {top} at most for {kind}.")
    widths = range(1, MAX_BITS + 1) if kind == "codes" else (KIND_BITS[kind],)
    if bits not in widths:
        wanted = f"1 to {MAX_BITS}" if kind == "codes" else str(widths[0])
        raise FormatError(f"{label} has a bit width of {bits}: expected {wanted} for {kind}.")
    shape, (levels, scales, offset, length) = tuple(numbers[:dimensions]), numbers[4:]
    if not 1 <= dimensions <= MAX_DIMENSIONS or min(shape) < 1 or any(numbers[dimensions:4]):
        raise FormatError(f"{label} has the impossible shape {numbers[:4]} with {dimensions} dimensions.")
    record = Record(name, kind, bits, shape, levels, scales, offset, length, encoding)
    _check_sizes(record, label)
    return record


def _check_sizes(record: Record, label: str) -> None:
    if record.kind == "codes":
        least = 3 if record.encoding & RAMP else 1
        fits = least <= record.levels <= 1 << record.bits and record.scales in (1, record.shape[0])
    else:
        fits = record.levels == record.scales == 0
    if record.elements > MAX_ELEMENTS or not fits:
        raise FormatError(
            f"{label}: {record.elements} elements with {record.levels} levels and {record.scales} scales are not "
            f"possible for {record.kind} of {record.bits} bits."
        )
    if record.encoding & CODED:
        _check_stream(record, label)
        return
    whole = record.elements * record.bits // 8
    codes = round_up(packed_bytes(record.elements, record.bits), 4) if record.kind == "codes" else whole
    if record.length != codes + record.table_bytes:
        raise FormatError(f"{label} has {record.length} bytes of data: expected {codes + record.table_bytes}.")


def _check_stream(record: Record, label: str) -> None:
    """A coded stream may have any length within reason."""
    stream = record.length - record.table_bytes
    most = packed_bytes(record.elements, record.bits)
    if not record.elements <= entropy.CODES_PER_BYTE * max(0, stream) or stream >= most:
        raise FormatError(
            f"{label} has {stream} bytes for {record.elements} coded codes: expected fewer than {most}, "
            f"and at most {entropy.CODES_PER_BYTE} codes a byte."
        )
