"""One tensor as a model file holds it: float32, float16, or codes into a codebook.

A quantized tensor is `levels[codes] * scales`: levels are the values a weight may take before scaling, ascending;
scales are one per tensor or per output channel (the first dimension). Dequantizing is one float32 multiplication per
element, so that every runtime and the fake quantizer of training agree bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from .errors import FormatError
from .packing import MAX_BITS, packed_bytes

Array = NDArray[np.float32]
KIND_BITS = {"float32": 32, "float16": 16}
KINDS = ("float32", "float16", "codes")
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 28
EXACT = 1 << 20  # whole numbers, and 256 more, that float32 holds exactly with room to spare


@dataclass(frozen=True, eq=False)
class PackedTensor:
    """A named tensor at its stored width; building one checks it.

    Raises:
        FormatError: names the tensor and what is wrong with it.
    """

    name: str
    shape: tuple[int, ...]
    kind: str  # float32 | float16 | codes
    bits: int  # 1..8 for codes, 16, 32
    codes: NDArray[np.uint8] | None = None  # [shape], C order
    levels: Array | None = None  # [<= 2^bits], ascending
    scales: Array | None = None  # [1] or [shape[0]]
    values: NDArray[np.floating] | None = None  # [shape]

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= MAX_DIMENSIONS or min(self.shape) < 1 or self.elements > MAX_ELEMENTS:
            self._refuse(f"shape {self.shape}: expected 1 to {MAX_DIMENSIONS} sizes of 1 or more")
        if self.kind not in KINDS:
            self._refuse(f"kind {self.kind!r}: expected one of {', '.join(KINDS)}")
        if self.kind == "codes":
            self._check_codes()
        else:
            self._check_values()

    @property
    def elements(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    @property
    def stored_bytes(self) -> int:
        """Bytes of codes, levels and scales, or of the values, without padding."""
        if self.levels is None or self.scales is None:
            return self.elements * self.bits // 8
        return packed_bytes(self.elements, self.bits) + 4 * (len(self.levels) + len(self.scales))

    def dequantize(self) -> Array:
        """The tensor as float32, [shape]."""
        if self.values is not None:
            return self.values.astype(np.float32)
        assert self.codes is not None
        assert self.levels is not None
        assert self.scales is not None
        scales = self.scales.reshape(-1, *[1] * (len(self.shape) - 1))
        return self.levels[self.codes] * scales

    def _check_values(self) -> None:
        if self.bits != KIND_BITS[self.kind]:
            self._refuse(f"{self.kind} with a bit width of {self.bits}: expected {KIND_BITS[self.kind]}")
        if self.values is None or self.values.shape != self.shape or self.values.dtype != np.dtype(self.kind):
            self._refuse(f"values do not match {self.kind} {self.shape}")
        self._check_finite(self.values, "values")

    def _check_codes(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            self._refuse(f"bit width {self.bits}: expected 1 to {MAX_BITS}")
        codes, levels, scales = self.codes, self.levels, self.scales
        if codes is None or codes.shape != self.shape or codes.dtype != np.uint8:
            self._refuse(f"codes do not match uint8 {self.shape}")
        if levels is None or levels.dtype != np.float32 or levels.ndim != 1 or not 1 <= len(levels) <= 1 << self.bits:
            self._refuse(f"levels: expected 1 to {1 << self.bits} float32 for {self.bits} bits")
        if scales is None or scales.dtype != np.float32 or scales.shape not in ((1,), self.shape[:1]):
            self._refuse(f"scales: expected 1 or {self.shape[0]} float32")
        self._check_finite(levels, "levels")
        self._check_finite(scales, "scales")
        if (np.diff(levels) <= 0).any():
            self._refuse("levels are not ascending")
        if int(codes.max()) >= len(levels):
            self._refuse(f"code {int(codes.max())} is outside its {len(levels)} levels")
        if float(np.abs(levels).max()) * float(np.abs(scales).max()) > float(np.finfo(np.float32).max):
            self._refuse("levels times scales overflow float32")

    def _check_finite(self, array: NDArray[np.floating] | None, what: str) -> None:
        if array is None or not np.isfinite(array).all():
            self._refuse(f"{what} hold NaN or infinity")

    def _refuse(self, why: str) -> NoReturn:
        raise FormatError(f"tensor '{self.name}': {why}.")


def float_tensor(name: str, values: NDArray[np.floating], kind: str = "float32") -> PackedTensor:
    """A tensor kept as float32 or float16.

    Raises:
        FormatError: NaN or infinity, also where a value is too large for float16.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype=kind)
    return PackedTensor(name, stored.shape, kind, KIND_BITS[kind], values=stored)


def ramp(first: float | np.floating, step: float | np.floating, count: int) -> Array:
    """Evenly spaced levels: first + i * step in float64, rounded to float32. Shape: [count]."""
    return (float(first) + np.arange(count) * float(step)).astype(np.float32)


def ramp_tensor(name: str, values: NDArray[np.floating], bits: int = 8) -> PackedTensor:
    """A tensor on evenly spaced levels, whole multiples of a step, from its least to its largest value.

    It stays float16 where that is no longer or its values hardly differ.

    Raises:
        FormatError: NaN or infinity.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    step = np.float32((float(values.max()) - float(values.min())) / (2**bits - 1))
    if values.size <= 16 or not np.isfinite(step) or not float(np.abs(values).max()) < EXACT * float(step):
        return float_tensor(name, values, "float16")
    lowest = np.rint(values.min() / step)
    codes = np.clip(np.rint(values / step) - lowest, 0, 2**bits - 1).astype(np.uint8)
    levels, scales = ramp(lowest, 1, 2**bits), np.array([step], np.float32)
    return PackedTensor(name, values.shape, "codes", bits, codes=codes, levels=levels, scales=scales)
