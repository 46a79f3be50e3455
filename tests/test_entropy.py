"""The range coder of codes: exact, close to the entropy, and firm against damaged streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase import entropy
from tinywase.compiled import find_compiled
from tinywase.entropy import Stream, encode, lane_count
from tinywase.errors import FormatError

Decoder = Callable[[Sequence[Stream]], list[np.ndarray]]
MODULE, MISSING = find_compiled()
INSTRUCTION_SETS = MODULE.instruction_sets() if MODULE else ["compiled"]


@pytest.fixture(params=["numpy", *INSTRUCTION_SETS], scope="module")
def decode(request: pytest.FixtureRequest) -> Iterator[Decoder]:
    """Each reader: they give the same codes and refuse the same streams."""
    if request.param == "numpy":
        yield entropy.decode_by_numpy
        return
    if MISSING:
        pytest.skip(f"the package was installed without its native part: {MISSING}")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TINYWASE_ISA", request.param)
        yield entropy.decode


def bell(count: int, levels: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal((levels - 1) / 2, levels / 5, count)), 0, levels - 1).astype(np.uint8)


def streams(tensors: list[np.ndarray], levels: list[int]) -> list[Stream]:
    data = encode(tensors, levels)
    return [Stream(d, len(t), k) for d, t, k in zip(data, tensors, levels, strict=True)]


@given(st.lists(st.tuples(st.integers(2, 256), st.integers(1, 200), st.integers(0, 2**32 - 1)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_codes_come_back_exactly(decode: Decoder, cases: list[tuple[int, int, int]]) -> None:
    levels = [case[0] for case in cases]
    tensors = [np.random.default_rng(seed).integers(0, k, count).astype(np.uint8) for k, count, seed in cases]
    for got, want in zip(decode(streams(tensors, levels)), tensors, strict=True):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8191, 8192, 8193, 16_385, 32_769, 70_000, 2_100_001])
@pytest.mark.parametrize("levels", [2, 3, 7, 255])
def test_lengths_around_the_number_of_lanes(count: int, levels: int, decode: Decoder) -> None:
    codes = bell(count, levels)
    assert np.array_equal(decode(streams([codes], [levels]))[0], codes)


@pytest.mark.parametrize("levels", [3, 7, 15, 255])
def test_size_is_within_two_percent_of_the_entropy(levels: int) -> None:
    codes = bell(65_536, levels)
    share = np.bincount(codes, minlength=levels) / len(codes)
    entropy_bytes = -(share[share > 0] * np.log2(share[share > 0])).sum() * len(codes) / 8
    assert len(encode([codes], [levels])[0]) <= 1.02 * entropy_bytes + 2 * levels


def test_no_tensors_are_no_streams(decode: Decoder) -> None:
    assert encode([], []) == []
    assert decode([]) == []


def test_every_damaged_byte_is_noticed_or_changes_no_code(decode: Decoder) -> None:
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


@pytest.mark.parametrize("cut", [1, 2, 30, 100])
def test_a_short_stream_is_refused(cut: int, decode: Decoder) -> None:
    (stream,) = streams([bell(300, 7)], [7])
    with pytest.raises(FormatError, match="coded codes"):
        decode([Stream(stream.data[:-cut], 300, 7)])


def test_a_small_stream_cannot_ask_for_much_work(decode: Decoder) -> None:
    (stream,) = streams([np.zeros(100_000, np.uint8)], [3])
    with pytest.raises(FormatError, match="hold no 100000 coded codes"):
        decode([stream])


def test_frequencies_that_do_not_add_up_are_named(decode: Decoder) -> None:
    (stream,) = streams([bell(300, 7)], [7])
    data = b"\xff\x00" + stream.data[2:]
    with pytest.raises(FormatError, match=r"frequencies of coded codes sum up to \d+: expected 4096"):
        decode([Stream(data, 300, 7)])


def test_lanes_grow_with_the_tensor() -> None:
    assert [lane_count(n) for n in (1, 8192, 8193, 65_536, 524_288, 1 << 24)] == [4, 4, 8, 32, 256, 1024]
