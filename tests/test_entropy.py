"""The range coder of codes: exact, close to the entropy, and firm against damaged streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.entropy import LANES, Stream, decode, encode
from tinywase.errors import FormatError


def bell(count: int, levels: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal((levels - 1) / 2, levels / 5, count)), 0, levels - 1).astype(np.uint8)


def streams(tensors: list[np.ndarray], levels: list[int]) -> list[Stream]:
    data = encode(tensors, levels)
    return [Stream(d, len(t), k) for d, t, k in zip(data, tensors, levels, strict=True)]


@given(
    st.lists(
        st.tuples(st.integers(1, 256), st.integers(1, 400), st.integers(0, 2**32 - 1), st.booleans()),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_codes_come_back_exactly(cases: list[tuple[int, int, int, bool]]) -> None:
    levels = [case[0] for case in cases]
    tensors = [
        np.random.default_rng(seed).integers(0, k, count).astype(np.uint8) if flat else bell(count, k, seed)
        for k, count, seed, flat in cases
    ]
    for got, want in zip(decode(streams(tensors, levels)), tensors, strict=True):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("count", [1, LANES - 1, LANES, LANES + 1, 1000, 65_536])
@pytest.mark.parametrize("levels", [2, 3, 7, 255])
def test_lengths_around_the_lanes(count: int, levels: int) -> None:
    codes = bell(count, levels)
    assert np.array_equal(decode(streams([codes], [levels]))[0], codes)


@pytest.mark.parametrize("levels", [3, 7, 15, 255])
def test_size_is_within_two_percent_of_the_entropy(levels: int) -> None:
    codes = bell(65_536, levels)
    share = np.bincount(codes, minlength=levels) / len(codes)
    entropy_bytes = -(share[share > 0] * np.log2(share[share > 0])).sum() * len(codes) / 8
    assert len(encode([codes], [levels])[0]) <= 1.02 * entropy_bytes + 2 * levels


def test_no_tensors_are_no_streams() -> None:
    assert encode([], []) == []
    assert decode([]) == []


def test_every_damaged_byte_is_noticed_or_changes_no_code() -> None:
    codes = bell(300, 7)
    (stream,) = streams([codes], [7])
    noticed = 0
    for at in range(len(stream.data)):
        data = bytearray(stream.data)
        data[at] ^= 0x41
        try:
            decode([Stream(bytes(data), 300, 7)])
        except FormatError:
            noticed += 1
    assert noticed == len(stream.data)


@pytest.mark.parametrize("cut", [1, 2, 100, 141])
def test_a_short_stream_is_refused(cut: int) -> None:
    (stream,) = streams([bell(300, 7)], [7])
    with pytest.raises(FormatError, match="damaged"):
        decode([Stream(stream.data[:-cut], 300, 7)])


def test_a_small_stream_cannot_ask_for_much_work() -> None:
    (stream,) = streams([np.zeros(100_000, np.uint8)], [3])
    with pytest.raises(FormatError, match="cannot hold 100000 coded codes"):
        decode([stream])


def test_frequencies_that_do_not_add_up_are_named() -> None:
    (stream,) = streams([bell(300, 7)], [7])
    data = b"\xff\x00" + stream.data[2:]
    with pytest.raises(FormatError, match=r"frequencies of coded codes sum up to \d+, not 4096"):
        decode([Stream(data, 300, 7)])
