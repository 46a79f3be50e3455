"""The `.twase` model file: one network with its configuration, at its true bit widths, and a card for people.

All numbers are little-endian; u8, u16, u32 are unsigned, f32 and f64 IEEE floats; offsets count bytes from the file's
beginning. The parts follow each other in this order, and nothing else is in the file:

1. Header, 256 bytes.
      0  4 bytes  magic "TWSE"
      4  u32      version: 4 if distinct_stacks is more than 1, else 3 if codec, overlap or filterbank is not 0, else 2
                  if norm_memory_frames is not, else 1
      8  u32      bytes of the whole file
     12  u32      tensors
     16  u32      payload offset = 256 + 96 * tensors, rounded up to 64
     20  u32      payload bytes, up to the end of the last tensor
     24  u32      card bytes; the card begins where the payload ends and ends where the file does
     28  u32      CRC-32 (zlib's) of the whole file without these four bytes
     32  8 u32    sample_rate_hz, filters, window, bottleneck, hidden, kernel, blocks, stacks
     64  4 u8     distinct_stacks (0: as many as stacks; above 1 since version 4), causal, mean_skip (0 or 1), cues
                  (0 both, 1 voiceprint, 2 activity)
     68  u32      lookahead_frames
     72  8 u32    voiceprint encoder: kind (0 lstm, 1 tcn), dimensions, filters, window, hop, hidden, layers, bottleneck
    104  f64      its dropout (of training; nothing reads it at inference)
    112  64 bytes name of the configuration, UTF-8, zero-padded
    176  u8       features (0 latent, 1 log_power)
    177  u8       codec (0 learned: encoder and decoder are tensors, 1 fourier: they are none), since version 3
    178  u8       overlap: windows that cover a sample, 4, 6 or 8; 0 means 2, since version 3
    179  u8       zero
    180  u32      norm_memory_frames, since version 2
    184  u8       filterbank of the voiceprint encoder (0 learned: a tensor, 1 mel: none), since version 3
    185  71 bytes zero
   No tensor bounds what a network takes in memory, so limits do (header.py has all of them). With p(n) = n rounded up
   to 32: values that a stream remembers, stacks * ((kernel - 1) * (2^blocks - 1) + 4 * blocks) * p(hidden), at most
   2^26; values that a second takes, of a mixture (p(hidden) + 2 p(bottleneck)) * rate / hop, of an enrollment, all of
   the voiceprint encoder, (2 p(filters) + 2 p(bottleneck) + 8 p(hidden)) * rate / hop, at most 2^24 each; fixed
   filters (codec 1, filterbank 1), filters * window, at most 2^22.
2. Tensor records, 96 bytes each.
      0  60 bytes name of small letters, digits, "_" and ".", at most 59, zero-padded
     60  u8       kind: 0 float32, 1 float16, 2 codes
     61  u8       bits per element: 32, 16, or 1 to 8
     62  u8       encoding, a sum: 1 codes are coded (entropy.py), not packed (packing.py); 2 levels are a ramp
     63  u8       dimensions, 1 to 4
     64  4 u32    shape, unused sizes 0
     80  u32      levels (1 to 2^bits, of a ramp at least 3; 0 for floats)
     84  u32      scales (1, or the first size; 0 for floats)
     88  u32      offset of its data, a multiple of 16
     92  u32      bytes of its data
3. Payload: the tensors' data in the records' order, the first at the payload offset, each other at the first multiple
   of 16 after the one before; bytes between are zero. Data of floats: the elements in C order. Data of packed codes:
   the codes (packing.py), zeros to a multiple of 4, the levels as f32, ascending, the scales as f32. Data of coded
   codes: the levels, the scales, the stream (entropy.py), shorter than the packed codes and at most 16 codes a byte.
   Levels of a ramp: only two f32, first and step; level i is first + i * step in f64, rounded to f32.
   An element's value is levels[code] * scale, in float32; the scale is the only one or that of the first index.
4. Card: a JSON object in UTF-8, its numbers within those of f64, for people: data, licences, results. No reader needs
   it to run the model.

Tensor names and shapes follow from the configuration (layout.py), all must be there, in any order. Besides, an
activation point P may have the float32 tensors P.scale, P.zero_point, P.bits of shape [1], all three or none: there the
runtime replaces x by (clip(rint(x / scale) + zero_point, 0, 2^bits - 1) - zero_point) * scale.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from .config import ModelConfig
from .errors import ConfigError, FormatError
from .files import write_whole
from .header import CONFIG_LAYOUT, config_fields, config_from_fields
from .layout import VOICEPRINT, activation_points, canonical_order, check_activations, check_names
from .records import RECORD, Record, check_places, read_records, read_tensors, round_up, write_tensors
from .sizes import Sizes, count_sizes
from .sniff import is_recording
from .tensors import PackedTensor

__all__ = [
    "ModelFile", "PackedTensor", "Report", "inspect", "parse_config", "parse_model", "read_bytes", "read_config",
    "read_model", "to_bytes", "write_model",
]  # fmt: skip

MAGIC = b"TWSE"
VERSION = 4  # the newest; a file has the oldest that can say what is in it
HEADER = struct.Struct("<4s7I" + CONFIG_LAYOUT)
CRC_AT = 28
PAYLOAD_ALIGNMENT_BYTES = 64
MAX_FILE_BYTES = (1 << 32) - 1


@dataclass(frozen=True)
class ModelFile:
    """What a `.twase` file says."""

    config: ModelConfig
    tensors: dict[str, PackedTensor]
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What `tinywase info` tells of a file. The parts add up: core + voiceprint + overhead = file bytes."""

    config: ModelConfig
    card: dict[str, Any]
    sizes: Sizes
    bits: dict[str, int]  # of every tensor of the network
    activation_bits: dict[str, int]  # of every quantized activation point
    voiceprint_parameters: int
    core_bytes: int  # records and data, activation ranges included
    voiceprint_bytes: int
    overhead_bytes: int  # header, padding, card
    card_bytes: int
    file_bytes: int
    latency_samples: int | None  # None: offline

    @property
    def latency_ms(self) -> float | None:
        """Algorithmic delay of streaming."""
        return None if self.latency_samples is None else 1000 * self.latency_samples / self.config.sample_rate_hz


# Writing


def write_model(path: str | Path, model_file: ModelFile, *, compact: bool = False, force: bool = False) -> None:
    """Write a model file, whole or not at all; `compact` makes it smaller and a little slower to load (entropy.py).

    Raises:
        FormatError: a tensor is missing, foreign or misshapen for the configuration, or the card is not JSON.
        OutputError: the file exists and `force` is false, or its folder refuses.
    """
    write_whole(path, to_bytes(model_file, compact=compact), force=force)


def to_bytes(model_file: ModelFile, *, compact: bool = False) -> bytes:
    """The bytes of a model file: equal models have equal bytes."""
    config, tensors = model_file.config, model_file.tensors
    check_names(config, ((name, tensor.shape) for name, tensor in tensors.items()))
    check_activations(config, tensors)
    table_end = HEADER.size + RECORD.size * len(tensors)
    payload_at = round_up(table_end, PAYLOAD_ALIGNMENT_BYTES)
    table, payload = write_tensors(tensors, canonical_order(config, tensors), payload_at, compact=compact)
    card = _card_bytes(model_file.card)
    total = payload_at + len(payload) + len(card)
    if total > MAX_FILE_BYTES:
        raise FormatError(f"the model would take {total} bytes: a model file holds at most {MAX_FILE_BYTES}.")
    sizes = (_version_for(config), total, len(tensors), payload_at, len(payload), len(card), 0)
    head = bytearray(HEADER.pack(MAGIC, *sizes, *config_fields(config)))
    body = table + bytes(payload_at - table_end) + payload + card
    head[CRC_AT : CRC_AT + 4] = struct.pack("<I", _crc(head, body))
    return bytes(head) + body


def _card_bytes(card: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(card, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        _card_values(text)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise FormatError(f"the model card is not JSON: {error}. Keep to text, numbers, lists, tables.") from error


# Reading


def read_model(path: str | Path, *, part: str = "") -> ModelFile:
    """Read and check a model file, and the tensors whose names begin with `part`: decoding the others takes time.

    Raises:
        FormatError: anything that the specification above does not allow, by name.
    """
    return parse_model(read_bytes(path), path, part=part)


def read_bytes(path: str | Path) -> memoryview:
    """The bytes of a model file, as many as its header says: for several readers, who then read the same.

    Raises:
        FormatError: no model file, another version, or more or less of it than it says.
    """
    return _read_whole(Path(path))


def parse_model(data: memoryview, path: str | Path, *, part: str = "") -> ModelFile:
    """`read_model` of a file that `read_bytes` has read; `path` is what it is called.

    Raises:
        FormatError: as `read_model`.
    """
    checked = _check(data, path)
    return ModelFile(checked.config, _tensors(checked, path, part), checked.card)


def parse_config(data: memoryview, path: str | Path) -> ModelConfig:
    """`read_config` of a file that `read_bytes` has read.

    Raises:
        FormatError: an impossible configuration.
    """
    with _naming(path):
        return _config(HEADER.unpack(data[: HEADER.size]))


def read_config(path: str | Path) -> ModelConfig:
    """The configuration alone, from the header; nothing else of the file is looked at.

    Raises:
        FormatError: no model file, another version, or an impossible configuration.
    """
    path = Path(path)
    with _reading(path), path.open("rb") as stream:
        fields = _check_head(path, stream.read(HEADER.size))
    with _naming(path):
        return _config(fields)


def inspect(path: str | Path) -> Report:
    """Sizes, bit widths and card of a model file.

    Raises:
        FormatError: as `read_model`.
    """
    checked = _check(read_bytes(path), path)
    tensors = _tensors(checked, path)
    config, points = checked.config, activation_points(checked.config)
    stored = {record.name: RECORD.size + record.length for record in checked.records}
    bits = {record.name: record.bits for record in checked.records if not record.name.startswith(points)}
    ranges = {point: tensors.get(f"{point}.bits") for point in points}
    sizes = count_sizes(config, bits={k: v for k, v in bits.items() if v <= 8}, stored_bytes=stored)
    voiceprint_bytes = sum(size for name, size in stored.items() if name.startswith(VOICEPRINT))
    return Report(
        config=config,
        card=checked.card,
        sizes=sizes,
        bits=bits,
        activation_bits={point: int(width.dequantize()[0]) for point, width in ranges.items() if width is not None},
        voiceprint_parameters=sizes.parameters - sizes.core_parameters,
        core_bytes=sizes.core_bytes,
        voiceprint_bytes=voiceprint_bytes,
        overhead_bytes=len(checked.data) - sizes.core_bytes - voiceprint_bytes,
        card_bytes=checked.card_bytes,
        file_bytes=len(checked.data),
        latency_samples=config.latency_samples,
    )


@dataclass(frozen=True)
class _Checked:
    """A file whose structure is sound; the tensors' contents are not yet looked at."""

    data: memoryview
    config: ModelConfig
    records: list[Record]
    card: dict[str, Any]
    card_bytes: int


def _check(data: memoryview, path: str | Path) -> _Checked:
    fields = HEADER.unpack(data[: HEADER.size])
    count, payload_at, payload_bytes, card_bytes, crc = fields[3:8]
    table_end = HEADER.size + RECORD.size * count
    payload_end = payload_at + payload_bytes
    with _naming(path):
        if payload_at != round_up(table_end, PAYLOAD_ALIGNMENT_BYTES) or payload_end + card_bytes != len(data):
            raise FormatError(
                f"its parts ({count} tensors, payload at offset {payload_at} with {payload_bytes} bytes, card of "
                f"{card_bytes} bytes) do not add up to its {len(data)} bytes."
            )
        config = _config(fields)
        records = read_records(data, HEADER.size, count)
        check_names(config, ((record.name, record.shape) for record in records))
        check_places(data, records, table_end=table_end, payload_at=payload_at, end=payload_end)
        if _crc(data[: HEADER.size], data[HEADER.size :]) != crc:
            raise FormatError("its checksum (CRC-32) does not match its contents.")
        return _Checked(data, config, records, _read_card(data[payload_end:]), card_bytes)


def _tensors(checked: _Checked, path: str | Path, part: str = "") -> dict[str, PackedTensor]:
    """Those whose names begin with `part`."""
    with _naming(path):
        wanted = [record for record in checked.records if record.name.startswith(part)]
        tensors = read_tensors(checked.data, wanted)
        check_activations(checked.config, tensors)
        return tensors


def _read_whole(path: Path) -> memoryview:
    """The file's bytes; it is read no further than its header says and the file is long."""
    with _reading(path), path.open("rb") as stream:
        head = stream.read(HEADER.size)
        fields = _check_head(path, head)
        size = min(fields[2], os.fstat(stream.fileno()).st_size)  # read() sets aside what it is asked for
        stream.seek(0)  # joining what follows to the header would take it twice
        data = stream.read(max(size, len(head)))
        rest = stream.read(1)
    with _naming(path):
        if len(data) < fields[2]:
            raise FormatError(f"it is cut short: {len(data)} bytes, its header says {fields[2]}.")
        if rest or len(data) > fields[2]:
            raise FormatError(f"bytes follow after the {fields[2]} that its header says (trailing bytes).")
    return memoryview(data)


def _check_head(path: Path, head: bytes) -> tuple[Any, ...]:
    if not head or head[:4] != MAGIC[: len(head)]:
        why = "this is a recording; a model ends in .twase" if is_recording(head) else "give a .twase file"
        raise FormatError(f"'{path}' is not a tinywase model: it begins with {head[:4]!r}, expected {MAGIC!r}: {why}.")
    if len(head) < HEADER.size:
        with _naming(path):
            raise FormatError(f"it is cut short: {len(head)} bytes, less than its header of {HEADER.size}.")
    fields = HEADER.unpack(head)
    if not 1 <= fields[1] <= VERSION:
        raise FormatError(
            f"model '{path}' has the format version {fields[1]}, this tinywase reads 1 to {VERSION}: update tinywase, "
            "or export the model again."
        )
    return fields


def _config(fields: tuple[Any, ...]) -> ModelConfig:
    config = config_from_fields(fields[8:])
    if fields[1] != _version_for(config):
        raise FormatError(
            f"its version is {fields[1]}, but what it says of the configuration needs version {_version_for(config)}."
        )
    return config


def _version_for(config: ModelConfig) -> int:
    if config.distinct_stacks > 1:
        return 4
    if config.codec != "learned" or config.overlap != 2 or config.voiceprint.filterbank != "learned":
        return 3
    return 2 if config.norm_memory_frames else 1


def _read_card(raw: memoryview) -> dict[str, Any]:
    try:
        card = _card_values(bytes(raw).decode())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its card is not JSON: {error}.") from error
    if not isinstance(card, dict):
        raise FormatError(f"its card is a JSON {type(card).__name__}: expected an object.")
    return card


def _card_values(text: str) -> Any:
    """What a card says.

    Raises:
        ValueError: it is not JSON, or holds a number that no float takes.
    """
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    """JSON's numbers are of any size, and whoever reads a card makes floats of them."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text if len(text) < 20 else text[:20] + '...'} is beyond what a float holds")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _crc(head: bytes | bytearray | memoryview, body: bytes | memoryview) -> int:
    return zlib.crc32(body, zlib.crc32(head[CRC_AT + 4 :], zlib.crc32(head[:CRC_AT])))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """The system's refusals as ours."""
    try:
        yield
    except OSError as error:
        raise FormatError(f"cannot read model '{path}': {error.strerror or error}. Expected a .twase file.") from error


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Refusals of a file's contents, with its name and what to do."""
    try:
        yield
    except (FormatError, ConfigError) as error:
        raise FormatError(f"model '{path}' is damaged: {error} Download or export it again.") from error
