"""Codes to bytes and back, at every width and length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinywase.errors import FormatError
from tinywase.packing import pack, packed_bytes, unpack

WIDTHS = st.integers(1, 8)


@st.composite
def coded(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    bits = draw(WIDTHS)
    codes = draw(st.lists(st.integers(0, 2**bits - 1), max_size=100))
    return np.array(codes, np.uint8), bits


def bit_by_bit(codes: np.ndarray, bits: int) -> bytes:
    """The layout as its definition says it, one bit at a time."""
    stream = [(int(code) >> k) & 1 for code in codes for k in range(bits)]
    stream += [0] * (-len(stream) % 8)
    return bytes(sum(bit << k for k, bit in enumerate(stream[i : i + 8])) for i in range(0, len(stream), 8))


@given(coded())
def test_unpacking_gives_back_what_was_packed(given_codes: tuple[np.ndarray, int]) -> None:
    codes, bits = given_codes
    np.testing.assert_array_equal(unpack(pack(codes, bits), bits, len(codes)), codes)


@given(coded())
def test_bytes_are_the_defined_bit_stream(given_codes: tuple[np.ndarray, int]) -> None:
    codes, bits = given_codes
    assert pack(codes, bits) == bit_by_bit(codes, bits)


@given(WIDTHS, st.integers(0, 1000))
def test_eight_codes_take_as_many_bytes_as_one_code_has_bits(bits: int, eights: int) -> None:
    assert packed_bytes(8 * eights, bits) == bits * eights


def test_known_bytes() -> None:
    assert pack(np.arange(8), 3).hex() == "88c6fa"
    assert pack(np.array([[1, 0, 1], [1, 0, 0]]), 1).hex() == "0d"


@given(st.binary(min_size=1, max_size=40), WIDTHS)
def test_every_byte_stream_with_zero_padding_unpacks_to_codes_that_pack_to_it(data: bytes, bits: int) -> None:
    count = len(data) * 8 // bits
    if packed_bytes(count, bits) != len(data):
        return
    unused = len(data) * 8 - count * bits
    data = data[:-1] + bytes([data[-1] & (0xFF >> unused)])
    assert pack(unpack(data, bits, count), bits) == data


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_width_outside_1_to_8_is_refused(bits: int) -> None:
    with pytest.raises(FormatError, match=f"bit width {bits}: expected 1 to 8"):
        pack(np.zeros(3), bits)
    with pytest.raises(FormatError, match=f"bit width {bits}: expected 1 to 8"):
        unpack(b"\0", bits, 1)


@pytest.mark.parametrize("code", [8, -1])
def test_code_beyond_its_width_is_refused(code: int) -> None:
    with pytest.raises(FormatError, match=rf"code {code} does not fit into 3 bits: expected 0\.\.7"):
        pack(np.array([0, code]), 3)


@pytest.mark.parametrize("length", [2, 4])
def test_wrong_number_of_bytes_is_refused(length: int) -> None:
    with pytest.raises(FormatError, match=f"8 codes of 3 bits take 3 bytes, got {length}"):
        unpack(bytes(length), 3, 8)


def test_unused_bits_that_are_not_zero_are_refused() -> None:
    with pytest.raises(FormatError, match="7 unused bits after 3 codes of 3 bits are not zero"):
        unpack(b"\xff\x03", 3, 3)
