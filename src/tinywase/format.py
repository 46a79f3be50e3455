"""The `.twase` model file: one network with its configuration, at its true bit widths, and a card for people.

All numbers are little-endian; u8, u16, u32 are unsigned, f32 and f64 IEEE floats; offsets count bytes from the file's
beginning. The parts follow each other in this order, and nothing else is in the file:

1. Header, 256 bytes.
      0  4 bytes  magic "TWSE"
      4  u32      version, 1
      8  u32      bytes of the whole file
     12  u32      tensors
     16  u32      payload offset = 256 + 96 * tensors, rounded up to 64
     20  u32      payload bytes, up to the end of the last tensor
     24  u32      card bytes; the card begins where the payload ends and ends where the file does
     28  u32      CRC-32 (zlib's) of the whole file without these four bytes
     32  8 u32    sample_rate_hz, filters, window, bottleneck, hidden, kernel, blocks, stacks
     64  4 u8     share_stacks, causal, mean_skip (0 or 1), cues (0 both, 1 voiceprint, 2 activity)
     68  u32      lookahead_frames
     72  8 u32    voiceprint encoder: kind (0 lstm, 1 tcn), dimensions, filters, window, hop, hidden, layers, bottleneck
    104  f64      its dropout (of training; nothing reads it at inference)
    112  64 bytes name of the configuration, UTF-8, zero-padded
    176  80 bytes zero
2. Tensor records, 96 bytes each.
      0  60 bytes name, ASCII, zero-padded (59 characters at most)
     60  u8       kind: 0 float32, 1 float16, 2 codes
     61  u8       bits per element: 32, 16, or 1 to 8
     62  u8       encoding of the codes: 0 as packing.py says; others are reserved for entropy coding
     63  u8       dimensions, 1 to 4
     64  4 u32    shape, unused sizes 0
     80  u32      levels (1 to 2^bits; 0 for floats)
     84  u32      scales (1, or the first size; 0 for floats)
     88  u32      offset of its data, a multiple of 16
     92  u32      bytes of its data
3. Payload: the tensors' data in the records' order, the first at the payload offset, each other at the first multiple of
   16 after the one before; bytes between are zero. Data of floats: the elements in C order. Data of codes: the packed
   codes (packing.py), zeros to a multiple of 4, the levels as f32, ascending, the scales as f32.
   An element's value is levels[code] * scale, in float32; the scale is the only one or that of the first index.
4. Card: a JSON object in UTF-8, for people: data, licences, results. No reader needs it to run the model.

Tensor names and shapes follow from the configuration (layout.py), all must be there, in any order. Besides, an
activation point P may have the float32 tensors P.scale, P.zero_point, P.bits of shape [1], all three or none: there the
runtime replaces x by (clip(rint(x / scale) + zero_point, 0, 2^bits - 1) - zero_point) * scale.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .config import ModelConfig
from .errors import ConfigError, FormatError
from .files import write_whole
from .header import CONFIG_LAYOUT, config_fields, config_from_fields
from .layout import canonical_order, check_activations, check_names
from .packing import pack, packed_bytes, unpack
from .tensors import KIND_BITS, KINDS, MAX_DIMENSIONS, MAX_ELEMENTS, PackedTensor

__all__ = ["ModelFile", "PackedTensor", "Record", "read_model", "read_records", "write_model"]

MAGIC = b"TWSE"
VERSION = 1
HEADER = struct.Struct("<4s7I" + CONFIG_LAYOUT)
RECORD = struct.Struct("<60s4B4I4I")
CRC_AT = 28
ALIGNMENT_BYTES = 16
PAYLOAD_ALIGNMENT_BYTES = 64
MAX_FILE_BYTES = (1 << 32) - 1
ENCODING_PLAIN = 0


@dataclass(frozen=True)
class ModelFile:
    """What a `.twase` file says."""

    config: ModelConfig
    tensors: dict[str, PackedTensor]
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """One row of the tensor table, checked against the file but not yet read."""

    name: str
    kind: str
    bits: int
    shape: tuple[int, ...]
    levels: int
    scales: int
    offset: int
    length: int  # bytes


# Writing


def write_model(path: str | Path, model_file: ModelFile, *, force: bool = False) -> None:
    """Write a model file, whole or not at all.

    Raises:
        FormatError: a tensor is missing, foreign or misshapen for the configuration, or the card is not JSON.
        OutputError: the file exists and `force` is false, or its folder refuses.
    """
    write_whole(path, to_bytes(model_file), force=force)


def to_bytes(model_file: ModelFile) -> bytes:
    """The bytes of a model file: equal models have equal bytes."""
    config, tensors = model_file.config, model_file.tensors
    check_names(config, ((name, tensor.shape) for name, tensor in tensors.items()))
    check_activations(config, tensors)
    table, payload = bytearray(), bytearray()
    start = _round_up(HEADER.size + RECORD.size * len(tensors), PAYLOAD_ALIGNMENT_BYTES)
    for name in canonical_order(config, tensors):
        payload += bytes(-len(payload) % ALIGNMENT_BYTES)
        data = _tensor_bytes(tensors[name])
        table += _record_bytes(name, tensors[name], start + len(payload), len(data))
        payload += data
    card = _card_bytes(model_file.card)
    gap = bytes(start - HEADER.size - len(table))
    total = start + len(payload) + len(card)
    if total > MAX_FILE_BYTES:
        raise FormatError(f"the model would take {total} bytes: a model file holds at most {MAX_FILE_BYTES}.")
    sizes = (VERSION, total, len(tensors), start, len(payload), len(card), 0)
    head = bytearray(HEADER.pack(MAGIC, *sizes, *config_fields(config)))
    body = table + gap + payload + card
    head[CRC_AT : CRC_AT + 4] = struct.pack("<I", _crc(bytes(head), body))
    return bytes(head + body)


def _tensor_bytes(tensor: PackedTensor) -> bytes:
    if tensor.values is not None:
        return tensor.values.astype(tensor.values.dtype.newbyteorder("<")).tobytes()
    assert tensor.codes is not None
    assert tensor.levels is not None
    assert tensor.scales is not None
    codes = pack(tensor.codes, tensor.bits)
    tables = np.concatenate([tensor.levels, tensor.scales]).astype("<f4")
    return codes + bytes(-len(codes) % 4) + tables.tobytes()


def _record_bytes(name: str, tensor: PackedTensor, offset: int, length: int) -> bytes:
    shape = (*tensor.shape, *[0] * (MAX_DIMENSIONS - len(tensor.shape)))
    counts = [0 if array is None else len(array) for array in (tensor.levels, tensor.scales)]
    kind = KINDS.index(tensor.kind)
    return RECORD.pack(
        name.encode(), kind, tensor.bits, ENCODING_PLAIN, len(tensor.shape), *shape, *counts, offset, length
    )


def _card_bytes(card: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"the model card is not plain JSON: {error}. Keep to text, numbers, lists and tables."
        ) from error


# Reading


def read_model(path: str | Path) -> ModelFile:
    """Read and check a whole model file.

    Raises:
        FormatError: anything that the specification above does not allow, by name.
    """
    data, config, records, card = _read_checked(Path(path))
    tensors = {record.name: _read_tensor(data, record, path) for record in records}
    try:
        check_activations(config, tensors)
    except FormatError as error:
        _refuse(path, str(error))
    return ModelFile(config, tensors, card)


def read_records(path: str | Path) -> tuple[ModelConfig, list[Record], dict[str, Any]]:
    """Configuration, tensor table and card, without unpacking the tensors.

    Raises:
        FormatError: as `read_model`, but for the tensors' contents.
    """
    return _read_checked(Path(path))[1:]


def _read_checked(path: Path) -> tuple[memoryview, ModelConfig, list[Record], dict[str, Any]]:
    data, fields = _read_whole(path)
    count, payload_at, payload_bytes, card_bytes = fields[3:7]
    table_end = HEADER.size + RECORD.size * count
    if payload_at != _round_up(table_end, PAYLOAD_ALIGNMENT_BYTES) or payload_at + payload_bytes + card_bytes != len(
        data
    ):
        _refuse(path, f"its parts ({count} tensors, payload {payload_at} + {payload_bytes}, card {card_bytes} bytes) "
                f"do not add up to its {len(data)} bytes")  # fmt: skip
    try:
        config = config_from_fields(fields[8:])
    except (ConfigError, FormatError) as error:
        _refuse(path, f"its configuration is impossible: {error}")
    records = [_read_record(path, data, HEADER.size + RECORD.size * i) for i in range(count)]
    try:
        check_names(config, ((record.name, record.shape) for record in records))
    except FormatError as error:
        _refuse(path, str(error))
    payload_end = payload_at + payload_bytes
    _check_places(path, data, records, (table_end, payload_at, payload_end))
    if _crc(bytes(data[: HEADER.size]), data[HEADER.size :]) != fields[7]:
        _refuse(path, "its checksum (CRC-32) does not match its contents")
    return data, config, records, _read_card(path, data[payload_end:])


def _read_whole(path: Path) -> tuple[memoryview, tuple[Any, ...]]:
    """The file's bytes and its header's fields; nothing beyond the header is read before its length is plausible."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEADER.size)
            if head[:4] != MAGIC[: len(head)] or not head:
                _refuse(path, f"it begins with {head[:4]!r}, expected {MAGIC!r}: not a tinywase model", damaged=False)
            if len(head) < HEADER.size:
                _refuse(path, f"it is cut short: {len(head)} bytes, less than its header of {HEADER.size}")
            fields = HEADER.unpack(head)
            if fields[1] != VERSION:
                _refuse(path, f"its format version is {fields[1]}, this tinywase reads {VERSION}: update tinywase or "
                        "export the model again", damaged=False)  # fmt: skip
            data = head + stream.read(max(0, fields[2] - len(head)))
            rest = stream.read(1)
    except OSError as error:
        raise FormatError(f"cannot read model '{path}': {error.strerror or error}. Expected a .twase file.") from error
    if len(data) < fields[2]:
        _refuse(path, f"it is cut short: {len(data)} bytes, its header says {fields[2]}")
    if rest or len(data) > fields[2]:
        _refuse(path, f"bytes follow after the {fields[2]} that its header says (trailing bytes)")
    return memoryview(data), fields


def _read_record(path: Path, data: memoryview, at: int) -> Record:
    raw, kind, bits, encoding, dimensions, *numbers = RECORD.unpack_from(data, at)
    name = raw.rstrip(b"\0").decode("ascii", "backslashreplace")
    label = f"tensor '{name}'" if name.isprintable() else f"the tensor record at byte {at}"
    if kind >= len(KINDS):
        _refuse(path, f"{label} has the unknown kind {kind}: expected 0 to {len(KINDS) - 1}")
    if encoding != ENCODING_PLAIN:
        _refuse(path, f"{label} has the unknown encoding {encoding}: expected {ENCODING_PLAIN}")
    kind_name = KINDS[kind]
    if (bits != KIND_BITS[kind_name]) if kind_name in KIND_BITS else not 1 <= bits <= 8:
        _refuse(
            path, f"{label} has a bit width of {bits}: expected {KIND_BITS.get(kind_name, '1 to 8')} for {kind_name}"
        )
    shape, (levels, scales, offset, length) = tuple(numbers[:dimensions]), numbers[4:]
    if not 1 <= dimensions <= MAX_DIMENSIONS or min(shape) < 1 or any(numbers[dimensions:4]):
        _refuse(path, f"{label} has the impossible shape {numbers[:4]} with {dimensions} dimensions")
    elements = 1
    for size in shape:
        elements *= size
    most = 1 << bits if kind_name == "codes" else 0
    if elements > MAX_ELEMENTS or not min(1, most) <= levels <= most or scales not in ((1, shape[0]) if most else (0,)):
        _refuse(
            path,
            f"{label}: {elements} elements with {levels} levels and {scales} scales at {bits} bits are not possible",
        )
    need = _round_up(packed_bytes(elements, bits), 4) + 4 * (levels + scales) if most else elements * bits // 8
    if length != need:
        _refuse(path, f"{label} has {length} bytes of data: expected {need} for {shape} at {bits} bits")
    return Record(name, kind_name, bits, shape, levels, scales, offset, length)


def _check_places(path: Path, data: memoryview, records: list[Record], bounds: tuple[int, int, int]) -> None:
    """Data lies one after the other: no overlap, no hole, nothing outside, zeros between."""
    free, expected, end = bounds
    for record in records:
        if record.offset + record.length > end:
            _refuse(path, f"tensor '{record.name}' lies outside the payload: "
                    f"bytes {record.offset} to {record.offset + record.length} of {end}")  # fmt: skip
        if record.offset != expected:
            what = "overlaps the part before it" if record.offset < expected else "leaves a hole before it"
            _refuse(path, f"tensor '{record.name}' at offset {record.offset} {what}: expected offset {expected}")
        if any(data[free:expected]):
            _refuse(path, f"the padding before tensor '{record.name}' is not zero")
        free = record.offset + record.length
        expected = _round_up(free, ALIGNMENT_BYTES)
    if free != end:
        _refuse(path, f"{end - free} bytes of the payload belong to no tensor (a hole at its end)")


def _read_tensor(data: memoryview, record: Record, path: str | Path) -> PackedTensor:
    raw = data[record.offset : record.offset + record.length]
    try:
        if record.kind != "codes":
            values = (
                np.frombuffer(raw, np.dtype(record.kind).newbyteorder("<")).astype(record.kind).reshape(record.shape)
            )
            return PackedTensor(record.name, record.shape, record.kind, record.bits, values=values)
        count = int(np.prod(record.shape))
        used = packed_bytes(count, record.bits)
        if any(raw[used : _round_up(used, 4)]):
            raise FormatError(f"tensor '{record.name}': the padding after its codes is not zero.")
        tables = np.frombuffer(raw[_round_up(used, 4) :], "<f4").astype(np.float32)
        codes = unpack(raw[:used], record.bits, count).reshape(record.shape)
        levels, scales = tables[: record.levels], tables[record.levels :]
        return PackedTensor(record.name, record.shape, "codes", record.bits, codes=codes, levels=levels, scales=scales)
    except FormatError as error:
        _refuse(path, f"{error}")


def _read_card(path: Path, raw: memoryview) -> dict[str, Any]:
    def refuse_constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is not JSON")

    try:
        card = json.loads(bytes(raw).decode(), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        _refuse(path, f"its card is not JSON: {error}")
    if not isinstance(card, dict):
        _refuse(path, f"its card is a JSON {type(card).__name__}: expected an object")
    return card


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _crc(head: bytes, body: bytes | bytearray | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(head[CRC_AT + 4 :], zlib.crc32(head[:CRC_AT])))


def _refuse(path: str | Path, why: str, *, damaged: bool = True) -> NoReturn:
    remedy = ": the file is damaged, download or export it again." if damaged else "."
    raise FormatError(f"model '{path}': {why.rstrip('.')}{remedy}")
