"""The tensor table of a model file and the data it points to; format.py has the specification."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import FormatError
from .packing import MAX_BITS, pack, packed_bytes, unpack
from .tensors import KIND_BITS, KINDS, MAX_DIMENSIONS, MAX_ELEMENTS, PackedTensor

RECORD = struct.Struct("<60s4B4I4I")
ALIGNMENT_BYTES = 16
ENCODING_PLAIN = 0


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


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


def write_tensors(tensors: Mapping[str, PackedTensor], order: Sequence[str], payload_at: int) -> tuple[bytes, bytes]:
    """Table and payload of `tensors`, in that order; the payload will lie at `payload_at`."""
    table, payload = bytearray(), bytearray()
    for name in order:
        payload += bytes(-len(payload) % ALIGNMENT_BYTES)
        data = _data(tensors[name])
        table += _row(tensors[name], payload_at + len(payload), len(data))
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


def read_tensor(data: memoryview, record: Record) -> PackedTensor:
    """The tensor that a checked row points to.

    Raises:
        FormatError: its contents are not possible: a code outside its levels, NaN, padding that is not zero.
    """
    raw = data[record.offset : record.offset + record.length]
    name, shape, bits = record.name, record.shape, record.bits
    if record.kind != "codes":
        stored = np.frombuffer(raw, np.dtype(record.kind).newbyteorder("<"))
        return PackedTensor(name, shape, record.kind, bits, values=stored.astype(record.kind).reshape(shape))
    used = packed_bytes(math.prod(shape), bits)
    tables_at = round_up(used, 4)
    if any(raw[used:tables_at]):
        raise FormatError(f"tensor '{name}': the padding after its codes is not zero.")
    codes = unpack(raw[:used], bits, math.prod(shape)).reshape(shape)
    tables = np.frombuffer(raw[tables_at:], "<f4").astype(np.float32)
    levels, scales = tables[: record.levels], tables[record.levels :]
    return PackedTensor(name, shape, "codes", bits, codes=codes, levels=levels, scales=scales)


def _data(tensor: PackedTensor) -> bytes:
    if tensor.values is not None:
        return tensor.values.astype(tensor.values.dtype.newbyteorder("<")).tobytes()
    assert tensor.codes is not None
    assert tensor.levels is not None
    assert tensor.scales is not None
    codes = pack(tensor.codes, tensor.bits)
    tables = np.concatenate([tensor.levels, tensor.scales]).astype("<f4")
    return codes + bytes(-len(codes) % 4) + tables.tobytes()


def _row(tensor: PackedTensor, offset: int, length: int) -> bytes:
    shape = (*tensor.shape, *[0] * (MAX_DIMENSIONS - len(tensor.shape)))
    counts = [0 if array is None else len(array) for array in (tensor.levels, tensor.scales)]
    head = (tensor.name.encode(), KINDS.index(tensor.kind), tensor.bits, ENCODING_PLAIN, len(tensor.shape))
    return RECORD.pack(*head, *shape, *counts, offset, length)


def _read_row(data: memoryview, at: int) -> Record:
    raw, kind_index, bits, encoding, dimensions, *numbers = RECORD.unpack_from(data, at)
    name = raw.rstrip(b"\0").decode("ascii", "backslashreplace")
    label = f"tensor '{name}'" if name.isprintable() else f"the tensor record at byte {at}"
    if kind_index >= len(KINDS):
        raise FormatError(f"{label} has the unknown kind {kind_index}: expected 0 to {len(KINDS) - 1}.")
    if encoding != ENCODING_PLAIN:
        raise FormatError(f"{label} has the unknown encoding {encoding}: expected {ENCODING_PLAIN}.")
    kind = KINDS[kind_index]
    widths = range(1, MAX_BITS + 1) if kind == "codes" else (KIND_BITS[kind],)
    if bits not in widths:
        wanted = f"1 to {MAX_BITS}" if kind == "codes" else str(widths[0])
        raise FormatError(f"{label} has a bit width of {bits}: expected {wanted} for {kind}.")
    shape, (levels, scales, offset, length) = tuple(numbers[:dimensions]), numbers[4:]
    if not 1 <= dimensions <= MAX_DIMENSIONS or min(shape) < 1 or any(numbers[dimensions:4]):
        raise FormatError(f"{label} has the impossible shape {numbers[:4]} with {dimensions} dimensions.")
    record = Record(name, kind, bits, shape, levels, scales, offset, length)
    _check_sizes(record, label)
    return record


def _check_sizes(record: Record, label: str) -> None:
    elements = math.prod(record.shape)
    if record.kind == "codes":
        fits = 1 <= record.levels <= 1 << record.bits and record.scales in (1, record.shape[0])
        need = round_up(packed_bytes(elements, record.bits), 4) + 4 * (record.levels + record.scales)
    else:
        fits = record.levels == record.scales == 0
        need = elements * record.bits // 8
    if elements > MAX_ELEMENTS or not fits:
        raise FormatError(
            f"{label}: {elements} elements with {record.levels} levels and {record.scales} scales are not possible "
            f"for {record.kind} of {record.bits} bits."
        )
    if record.length != need:
        raise FormatError(f"{label} has {record.length} bytes of data: expected {need}.")
