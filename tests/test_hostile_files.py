"""Model files that are cut, damaged or made to harm: each is refused by name, quickly, and without much memory."""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_format import SMALLEST, quantized_file

from tinywase.errors import FormatError
from tinywase.format import read_model, to_bytes

# Positions as the specification in format.py gives them.
FILE_BYTES, COUNT, PAYLOAD_AT, PAYLOAD_BYTES, CARD_BYTES, CRC = 8, 12, 16, 20, 24, 28
WINDOW, BLOCKS, STACKS, CAUSAL, CUES, LOOKAHEAD, KIND, DROPOUT, NAME, FEATURES, RESERVED = (
    40,
    56,
    60,
    65,
    67,
    68,
    72,
    104,
    112,
    176,
    179,
)
HIDDEN, KERNEL = 48, 52
NORM_MEMORY, CODEC, OVERLAP, FILTERBANK = 180, 177, 178, 184
TABLE, ROW = 256, 96
ROW_KIND, ROW_BITS, ROW_ENCODING, ROW_DIMENSIONS, ROW_SHAPE, ROW_LEVELS, ROW_SCALES, ROW_OFFSET, ROW_LENGTH = (
    60, 61, 62, 63, 64, 80, 84, 88, 92,
)  # fmt: skip
HUGE = 2**32 - 1
GOOD = to_bytes(quantized_file(SMALLEST, np.random.default_rng(2), data="none"))


def rows() -> list[tuple[str, int]]:
    """Name and position of every row of the table."""
    (count,) = struct.unpack_from("<I", GOOD, COUNT)
    positions = [TABLE + ROW * i for i in range(count)]
    return [(GOOD[at : at + 60].rstrip(b"\0").decode(), at) for at in positions]


def row_of(kind: int, *, skip: int = 1) -> int:
    """A row of that kind, not the first one."""
    return [at for _, at in rows() if GOOD[at + ROW_KIND] == kind][skip]


CODES, FLOATS = row_of(2), row_of(0)


def field(at: int) -> int:
    value: int = struct.unpack_from("<I", GOOD, at)[0]
    return value


def sealed(data: bytes | bytearray) -> bytes:
    """With the checksum that belongs to it, as an attacker would send it."""
    crc = zlib.crc32(data[CRC + 4 :], zlib.crc32(data[:CRC]))
    return bytes(data[:CRC]) + struct.pack("<I", crc) + bytes(data[CRC + 4 :])


def changed(at: int, layout: str, value: object) -> bytes:
    data = bytearray(GOOD)
    struct.pack_into("<" + layout, data, at, value)
    return sealed(data)


def refusal(data: bytes, tmp_path: Path) -> str:
    path = tmp_path / "bad.twase"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_model(path)
    message = str(caught.value)
    assert "bad.twase" in message, "names the file"
    return message


def test_the_file_that_all_others_are_made_from_is_read(tmp_path: Path) -> None:
    (tmp_path / "good.twase").write_bytes(sealed(GOOD))
    assert read_model(tmp_path / "good.twase").config == SMALLEST


def test_a_file_cut_at_any_byte_is_refused_as_cut(tmp_path: Path) -> None:
    path = tmp_path / "bad.twase"
    path.write_bytes(to_bytes(quantized_file(SMALLEST, np.random.default_rng(2), ranges=False)))
    for length in range(path.stat().st_size - 1, 0, -1):
        os.truncate(path, length)
        try:
            read_model(path)
        except FormatError as error:
            message = str(error)
        else:
            message = ""
        assert f"bad.twase' is damaged: it is cut short: {length} bytes" in message


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVEfmt ", b"\x80\x04pickle", b"{}"])
def test_a_file_of_another_kind_is_refused_by_its_beginning(content: bytes, tmp_path: Path) -> None:
    message = refusal(content, tmp_path)
    assert "is not a tinywase model" in message
    assert "expected b'TWSE'" in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot read model '.*none\.twase': No such file.*Expected a \.twase file"):
        read_model(tmp_path / "none.twase")
    with pytest.raises(FormatError, match=r"cannot read model .*directory"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (changed(0, "4s", b"GGUF"), "begins with b'GGUF', expected b'TWSE'"),
        (changed(4, "I", 0), "format version 0, this tinywase reads 1 to 4: update tinywase"),
        (changed(4, "I", 5), "format version 5, this tinywase reads 1 to 4: update tinywase"),
        (changed(4, "I", 2), "its version is 2, but what it says of the configuration needs version 1"),
        (changed(FILTERBANK, "B", 1), "its version is 1, but what it says of the configuration needs version 3"),
        (changed(FILE_BYTES, "I", len(GOOD) + 1), "cut short"),
        (changed(FILE_BYTES, "I", 10), "bytes follow after the 10"),
        (sealed(GOOD + b"\0"), "trailing bytes"),
        (changed(COUNT, "I", HUGE), "do not add up"),
        (changed(COUNT, "I", 0), "do not add up"),
        (changed(PAYLOAD_AT, "I", field(PAYLOAD_AT) + 64), "do not add up"),
        (changed(PAYLOAD_BYTES, "I", HUGE), "do not add up"),
        (changed(CARD_BYTES, "I", field(CARD_BYTES) + 1), "do not add up"),
        (bytes(GOOD[:CRC]) + b"\0\0\0\0" + GOOD[CRC + 4 :], "checksum (CRC-32) does not match"),
    ],
)
def test_wrong_header_is_refused(data: bytes, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(data, tmp_path)


@pytest.mark.parametrize(
    ("at", "layout", "value", "expected"),
    [
        (WINDOW, "I", 7, "window = 7 samples: expected a multiple of 2"),
        (BLOCKS, "I", 0, "blocks = 0: expected 1 or more"),
        (BLOCKS, "I", HUGE, f"blocks = {HUGE}: a model file takes at most 16"),
        (STACKS, "I", HUGE, f"stacks = {HUGE}: a model file takes at most 64"),
        (CAUSAL - 1, "B", 2, "distinct_stacks = 2: expected 0 to 1"),
        (CAUSAL, "B", 2, "causal = 2: expected 0 to 1"),
        (CUES, "B", 3, "cues = 3: expected 0 to 2"),
        (LOOKAHEAD, "I", 1, "lookahead_frames = 1: expected 0 or more, and 0 unless causal"),
        (NORM_MEMORY, "I", 1, "norm_memory_frames = 1: expected 0 or more, and 0 unless causal"),
        (KIND, "I", 2, "voiceprint.kind = 2: expected 0 to 1"),
        (DROPOUT, "d", float("nan"), "dropout = nan"),
        (NAME, "4s", b"\xff\xfe\0\0", "is not 1 to 63 bytes of UTF-8"),
        (FEATURES, "B", 2, "features = 2: expected 0 to 1"),
        (RESERVED, "B", 1, "a reserved byte is not 0"),
        (FILTERBANK + 1, "B", 1, "a reserved byte is not 0"),
        (CODEC, "B", 2, "codec = 2: expected 0 to 1"),
        (CODEC, "B", 1, "a Fourier transform has as many filters as samples"),
        (OVERLAP, "B", 2, "overlap = 2: a file says 0 for the usual one"),
        (OVERLAP, "B", 3, "overlap = 3: expected 2, 4, 6 or 8 windows"),
        (OVERLAP, "B", 255, "overlap = 255: expected 2, 4, 6 or 8 windows"),
        (FILTERBANK, "B", 2, "voiceprint.filterbank = 2: expected 0 to 1"),
        (STACKS, "I", 2, "separator.blocks.1.expand.weight'"),
    ],
)
def test_wrong_configuration_is_refused(at: int, layout: str, value: object, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(changed(at, layout, value), tmp_path)


@pytest.mark.parametrize("part", ["codec", "filterbank"])
def test_a_small_file_makes_no_reader_build_large_filters(part: str, tmp_path: Path) -> None:
    """Fixed filters have no tensor whose bytes would bound them."""
    data = bytearray(GOOD)
    struct.pack_into("<I", data, 4, 3)
    if part == "codec":
        struct.pack_into("<II", data, WINDOW - 4, 1 << 16, 1 << 16)
        data[CODEC] = 1
    else:
        struct.pack_into("<II", data, KIND + 8, 1 << 16, 1 << 16)
        data[FILTERBANK] = 1
    assert "values of fixed filters" in refusal(sealed(data), tmp_path)
    native = pytest.importorskip("tinywase._native", reason="the native part is not built")
    with pytest.raises(Exception, match="values of fixed filters"):
        native.Model(sealed(data))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (
            {HIDDEN: 1 << 16, KERNEL: 3, BLOCKS: 16, CAUSAL: 1},
            "hidden = 65536, kernel = 3, blocks = 16, stacks = 1: a stream remembers 8593997824 values in memory, "
            "expected at most 67108864.",
        ),
        (
            {HIDDEN: 1 << 15, BLOCKS: 16, STACKS: 64, KERNEL: 1},
            "hidden = 32768, kernel = 1, blocks = 16, stacks = 64: a stream remembers 134217728 values in memory, "
            "expected at most 67108864.",
        ),
        (
            {HIDDEN: 1 << 14, WINDOW: 2},
            "hidden = 16384, bottleneck = 4, window = 2: a second of a mixture takes 131584000 values in memory, "
            "expected at most 16777216.",
        ),
        (
            {4: 3, KIND + 8: 1 << 16, KIND + 12: 64, FILTERBANK: 1},
            "voiceprint.filters = 65536, voiceprint.hidden = 4: a second of an enrollment takes 262784000 values in "
            "memory, expected at most 16777216.",
        ),
    ],
)
def test_a_small_file_makes_no_reader_take_much_memory(sizes: dict[int, int], expected: str, tmp_path: Path) -> None:
    """Both readers refuse it, in the same words, before they look for its tensors."""
    data = bytearray(GOOD)
    for at, value in sizes.items():
        struct.pack_into("<B" if at in (CAUSAL, FILTERBANK) else "<I", data, at, value)
    assert expected in refusal(sealed(data), tmp_path)
    native = pytest.importorskip("tinywase._native", reason="the native part is not built")
    with pytest.raises(RuntimeError, match=re.escape(expected)):
        native.Model(sealed(data))


@pytest.mark.parametrize(
    ("at", "layout", "value", "expected"),
    [
        (CODES + ROW_KIND, "B", 9, "unknown kind 9: expected 0 to 2"),
        (CODES + ROW_BITS, "B", 9, "bit width of 9: expected 1 to 8 for codes"),
        (CODES + ROW_BITS, "B", 0, "bit width of 0: expected 1 to 8 for codes"),
        (FLOATS + ROW_BITS, "B", 16, "bit width of 16: expected 32 for float32"),
        (CODES + ROW_ENCODING, "B", 255, "unknown encoding 255"),
        (CODES + ROW_DIMENSIONS, "B", 0, "impossible shape"),
        (CODES + ROW_DIMENSIONS, "B", 5, "impossible shape"),
        (CODES + ROW_SHAPE, "I", 0, "impossible shape"),
        (CODES + ROW_SHAPE, "I", HUGE, "are not possible"),
        (CODES + ROW_SHAPE, "I", 5, "bytes of data: expected"),
        (CODES + ROW_LEVELS, "I", 0, "0 levels"),
        (CODES + ROW_LEVELS, "I", 257, "257 levels"),
        (CODES + ROW_SCALES, "I", 3, "3 scales"),
        (FLOATS + ROW_LEVELS, "I", 1, "1 levels"),
        (CODES + ROW_OFFSET, "I", field(CODES + ROW_OFFSET) - 16, "overlaps the part before it: expected offset"),
        (CODES + ROW_OFFSET, "I", field(CODES + ROW_OFFSET) + 16, "leaves a hole before it: expected offset"),
        (CODES + ROW_OFFSET, "I", HUGE, "lies outside the payload"),
        (CODES + ROW_LENGTH, "I", field(CODES + ROW_LENGTH) + 16, "bytes of data: expected"),
        (CODES, "4s", b"evil", "is unknown to the configuration"),
        (CODES, "4s", b"\xff\x1b[2", "expected small letters, digits, '_' and '.'"),
        (CODES + 5, "B", 0, "expected small letters, digits, '_' and '.'"),
        (CODES + 59, "B", 120, "expected small letters, digits, '_' and '.'"),
        (TABLE + ROW, "60s", rows()[0][0].encode(), "is there twice: expected once"),
    ],
)
def test_wrong_row_of_the_table_is_refused(at: int, layout: str, value: object, expected: str, tmp_path: Path) -> None:
    message = refusal(changed(at, layout, value), tmp_path)
    assert expected in message
    assert message.isprintable()


def test_missing_tensor_is_refused(tmp_path: Path) -> None:
    """The last row's name becomes that of an optional tensor, so that one is missing and none is foreign."""
    needed = next(at for name, at in rows() if name == "voiceprint_encoder.linear.bias")
    free = bytearray(changed(needed, "60s", b"separator.mask_input.scale"))
    assert "'separator.mask_input.scale'" in refusal(sealed(free), tmp_path)


def data_of(row: int) -> int:
    return field(row + ROW_OFFSET)


def tables_of(row: int) -> int:
    """Where the levels begin."""
    return data_of(row) + field(row + ROW_LENGTH) - 4 * (field(row + ROW_LEVELS) + field(row + ROW_SCALES))


def test_code_outside_its_levels_is_refused(tmp_path: Path) -> None:
    """A 2-bit tensor with 3 levels whose codes all say 3."""
    tensor_file = quantized_file(SMALLEST, np.random.default_rng(2))
    name, tensor = next((n, t) for n, t in tensor_file.tensors.items() if t.bits == 2)
    assert tensor.codes is not None
    assert tensor.levels is not None
    small = type(tensor)(
        name, tensor.shape, "codes", 2, codes=tensor.codes % 3, levels=tensor.levels[:3], scales=tensor.scales
    )
    tensor_file.tensors[name] = small
    data = bytearray(to_bytes(tensor_file))
    (count,) = struct.unpack_from("<I", data, COUNT)
    at = next(TABLE + ROW * i for i in range(count) if data[TABLE + ROW * i :].startswith(name.encode() + b"\0"))
    (offset,) = struct.unpack_from("<I", data, at + ROW_OFFSET)
    data[offset] = 0xFF
    assert f"tensor '{name}': code 3 is outside its 3 levels" in refusal(sealed(data), tmp_path)


@pytest.mark.parametrize(
    ("at", "value", "expected"),
    [
        (data_of(FLOATS), float("nan"), "values hold NaN or infinity"),
        (data_of(FLOATS), float("inf"), "values hold NaN or infinity"),
        (tables_of(CODES), float("nan"), "levels hold NaN or infinity"),
        (tables_of(CODES), 1e9, "levels are not ascending"),
        (tables_of(CODES) + 4 * field(CODES + ROW_LEVELS), float("inf"), "scales hold NaN or infinity"),
    ],
)
def test_wrong_numbers_are_refused(at: int, value: float, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(changed(at, "f", value), tmp_path)


def test_padding_that_is_not_zero_is_refused(tmp_path: Path) -> None:
    """Nothing can be hidden between tensors."""
    row = next(at for _, at in rows() if field(at + ROW_LENGTH) % 16)
    assert "the padding before tensor" in refusal(changed(data_of(row) + field(row + ROW_LENGTH), "B", 1), tmp_path)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (b"[1]", "its card is a JSON list: expected an object"),
        (b"{", "its card is not JSON"),
        (b'{"a":NaN}', "NaN is no number of JSON"),
        (b'{"hours":1' + b"0" * 400 + b"}", "10000000000000000000... is beyond what a float holds"),
        (b'{"presence":{"bias":-1e999}}', "-1e999 is beyond what a float holds"),
        (b"\xff", "its card is not JSON"),
        (b"[" * 100_000, "its card is not JSON"),
        (b"", "its card is not JSON"),
    ],
)
def test_card_that_is_no_object_is_refused(card: bytes, expected: str, tmp_path: Path) -> None:
    data = bytearray(GOOD[: len(GOOD) - field(CARD_BYTES)] + card)
    struct.pack_into("<I", data, FILE_BYTES, len(data))
    struct.pack_into("<I", data, CARD_BYTES, len(card))
    assert expected in refusal(sealed(data), tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(position: int, bit: int, tmp_path: Path) -> None:
    data = bytearray(GOOD)
    data[position] ^= 1 << bit
    refusal(bytes(data), tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 4), st.sampled_from([0, 1, 255, 2**31, HUGE, 7])), max_size=4),
    tail=st.binary(max_size=8),
)
@example(edits=[(10, 255)], tail=b"")  # a header that says 16 MB
def test_crafted_files_are_read_or_refused_and_never_ask_for_much_memory(
    edits: list[tuple[int, int]], tail: bytes, tmp_path: Path
) -> None:
    data = bytearray(GOOD)
    for at, value in edits:
        struct.pack_into("<I", data, at, value)
    path = tmp_path / "crafted.twase"
    path.write_bytes(sealed(data + tail))
    tracemalloc.start()
    try:
        read_model(path)
    except FormatError:
        pass
    finally:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 20 * len(GOOD)
