"""The network's layers in plain numpy: what `models/layers.py` is to training, for the packed model.

Letters: C channels, H hidden channels, F frames, P kernel, K inputs of one output. There is no batch. Causal layers
take an explicit state and continue where it ends, so that a stream and one pass run the same code.

Integer arithmetic: where a convolution's input is quantized (`Range`) and its levels are whole numbers, its sum runs
over whole numbers and is exact, however a runtime orders it:

    total[c, f] = sum_k level[code[c, k]] * (q[k, f] - zero_point)          exact
    y[c, f]     = float32(total) * float32(weight_scale[c] * input_scale) + bias[c]     three float32 roundings

Everything else is float32 and agrees between runtimes within rounding.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..tensors import PackedTensor

Array = NDArray[np.float32]
EPSILON = np.float32(1e-8)  # docs/model.md
EXACT_FLOAT32 = 1 << 24  # whole numbers up to here are exact in float32, up to 2^53 in float64


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-x))


def prelu(x: Array, slope: Array) -> Array:
    """max(x, 0) + a min(x, 0)."""
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


@dataclass(frozen=True)
class Activation:
    """Values `whole * scale`: whole numbers where the point is quantized, the values themselves (scale 1) where not."""

    whole: Array  # [C, F]
    scale: np.float32 | None = None
    reach: float = 0.0  # the largest whole number that its quantizer gives

    @property
    def values(self) -> Array:
        """As float32."""
        return self.whole if self.scale is None else self.whole * self.scale


@dataclass(frozen=True)
class Range:
    """The frozen quantizer of one activation point, or none (format.py, last paragraph)."""

    scale: np.float32 | None = None
    zero_point: float = 0.0
    top: float = 0.0

    def __call__(self, x: Array) -> Activation:
        """Quantize. Shape: [C, F]."""
        if self.scale is None:
            return Activation(x)
        steps = np.rint(x / self.scale) + np.float32(self.zero_point)
        whole = np.clip(steps, 0, self.top) - np.float32(self.zero_point)
        return Activation(whole, self.scale, max(abs(self.zero_point), abs(self.top - self.zero_point)))


@dataclass(frozen=True)
class Conv:
    """A convolution's weight: whole levels beside a scale per output where its codebook allows it, else float32."""

    weight: Array  # [C, K] or [C, P]; levels where `scale` is there
    bias: Array  # [C, 1]
    scale: Array | None = None  # [C, 1]
    reach: float = 0.0  # the largest sum of a row's levels without their signs

    def pointwise(self, x: Activation) -> Array:
        """A 1x1 convolution. Shape: [K, F] -> [C, F]."""
        if self.scale is None or x.scale is None:
            return self._float_weight() @ x.values + self.bias
        if self.reach * x.reach < EXACT_FLOAT32:
            return self._rescale(self.weight @ x.whole, x.scale)
        total = self.weight.astype(np.float64) @ x.whole.astype(np.float64)
        return self._rescale(total.astype(np.float32), x.scale)

    def depthwise(self, x: Activation, dilation: int) -> Array:
        """One filter per channel, without padding. Shape: [C, F + (P-1) dilation] -> [C, F]."""
        if self.scale is None or x.scale is None:
            return self._taps(self._float_weight(), x.values, dilation) + self.bias
        return self._rescale(self._taps(self.weight, x.whole, dilation), x.scale)

    @staticmethod
    def _taps(weight: Array, values: Array, dilation: int) -> Array:
        kernel = weight.shape[1]
        frames = values.shape[1] - (kernel - 1) * dilation
        total = weight[:, :1] * values[:, :frames]
        for tap in range(1, kernel):
            total += weight[:, tap : tap + 1] * values[:, tap * dilation : tap * dilation + frames]
        return total

    def _float_weight(self) -> Array:
        return self.weight if self.scale is None else self.weight * self.scale

    def _rescale(self, total: Array, input_scale: np.float32) -> Array:
        assert self.scale is not None
        return total * (self.scale * input_scale) + self.bias


@dataclass
class NormState:
    """Running sums of a cumulative norm over the frames so far, in float64 so that hours do not drift."""

    count: float = 0.0  # of frames, each by how much of it is left
    total: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True)
class Norm:
    """Layer norm over channels and time; causal: over frames 0..f for every frame f, the old ones fading."""

    gain: Array  # [C, 1]
    bias: Array  # [C, 1]
    causal: bool
    keeps: float  # causal: what is left of the sums from one frame to the next

    def __call__(self, x: Array, state: NormState) -> Array:
        """Shape: [C, F] -> [C, F]."""
        if self.causal:
            mean, variance = self._cumulative(x, state)
            return (x - mean) / np.sqrt(variance + EPSILON) * self.gain + self.bias
        centred = x - x.mean()
        flat = centred.reshape(-1)
        variance = flat @ flat / np.float32(flat.size)
        return centred * (self.gain / np.sqrt(variance + EPSILON)) + self.bias

    def _cumulative(self, x: Array, state: NormState) -> tuple[Array, Array]:
        """Mean and variance of everything up to each frame, [1, F]; the sums move on in `state`."""
        channels, frames = x.shape
        total = self._running(state.total, x.sum(0, dtype=np.float64))
        squares = self._running(state.squares, np.square(x).sum(0, dtype=np.float64))
        count = self._running(state.count, np.ones(frames))
        mean = total / (channels * count)
        variance = np.maximum(squares / (channels * count) - np.square(mean), 0)
        if frames:
            state.total, state.squares, state.count = float(total[-1]), float(squares[-1]), float(count[-1])
        return mean.astype(np.float32)[None], variance.astype(np.float32)[None]

    def _running(self, before: float, values: np.ndarray) -> np.ndarray:
        """sum[f] = keeps * sum[f - 1] + values[f]. Shape: float64 [F] -> [F]."""
        if self.keeps == 1.0:
            return np.cumsum(np.append(before, values))[1:]
        sums = itertools.accumulate(values.tolist(), lambda so_far, value: self.keeps * so_far + value, initial=before)
        return np.fromiter(sums, np.float64, len(values) + 1)[1:]


@dataclass
class BlockState:
    """What a causal block remembers between chunks."""

    expand: NormState = field(default_factory=NormState)
    depthwise: NormState = field(default_factory=NormState)
    past: Array | None = None  # [H, (P-1) dilation] whole numbers before the chunk


@dataclass(frozen=True)
class ConvBlock:
    """1x1 expand, PReLU, norm, depthwise, PReLU, norm, then two 1x1: residual and skip (docs/model.md 3)."""

    weights: Weights
    name: str
    dilation: int
    causal: bool = False
    norm_keeps: float = 1.0

    def __call__(self, x: Array, state: BlockState) -> tuple[Array, Array]:
        """Shape: [C, F] -> x + residual [C, F], skip [C, F]."""
        w, name = self.weights, self.name
        h = w.conv(f"{name}.expand").pointwise(w.range(f"{name}.expand_input")(x))
        h = w.norm(f"{name}.expand_norm", self.causal, self.norm_keeps)(
            prelu(h, w[f"{name}.expand_slope.weight"]), state.expand
        )
        depthwise = w.conv(f"{name}.depthwise")
        quantized = self._padded(w.range(f"{name}.depthwise_input")(h), depthwise.weight.shape[1], state)
        h = prelu(depthwise.depthwise(quantized, self.dilation), w[f"{name}.depthwise_slope.weight"])
        h = w.norm(f"{name}.depthwise_norm", self.causal, self.norm_keeps)(h, state.depthwise)
        output = w.range(f"{name}.output_input")(h)
        return x + w.conv(f"{name}.residual").pointwise(output), w.conv(f"{name}.skip").pointwise(output)

    def _padded(self, x: Activation, kernel: int, state: BlockState) -> Activation:
        """Frames around x: zeros on both sides, or causally what came before."""
        memory = (kernel - 1) * self.dilation
        if not self.causal:
            return Activation(np.pad(x.whole, ((0, 0), (memory // 2, memory // 2))), x.scale, x.reach)
        past = np.zeros((len(x.whole), memory), np.float32) if state.past is None else state.past
        whole = np.concatenate([past, x.whole], 1)
        state.past = whole[:, whole.shape[1] - memory :].copy()
        return Activation(whole, x.scale, x.reach)


class Weights:
    """The tensors of a model file, ready for use and found by name."""

    def __init__(self, tensors: Mapping[str, PackedTensor]) -> None:
        self._floats: dict[str, Array] = {}
        self._convs: dict[str, Conv] = {}
        for name, tensor in tensors.items():
            layer = name.removesuffix(".weight")
            if layer != name and len(tensor.shape) > 1 and f"{layer}.bias" in tensors:
                self._convs[layer] = _prepare(tensor, tensors[f"{layer}.bias"].dequantize())
            else:
                self._floats[name] = tensor.dequantize()

    def __getitem__(self, name: str) -> Array:
        """A tensor as float32."""
        return self._floats[name]

    def conv(self, name: str) -> Conv:
        """The 1x1 or depthwise convolution, or linear layer, `name`."""
        return self._convs[name]

    def norm(self, name: str, causal: bool = False, keeps: float = 1.0) -> Norm:
        """The norm `name`."""
        return Norm(self[f"{name}.weight"][:, None], self[f"{name}.bias"][:, None], causal, keeps)

    def range(self, point: str) -> Range:
        """The quantizer of the activation point `point`; none where the file has none."""
        if f"{point}.scale" not in self._floats:
            return Range()
        scale, zero_point, bits = (self[f"{point}.{name}"][0] for name in ("scale", "zero_point", "bits"))
        return Range(scale, float(zero_point), float(2 ** int(bits) - 1))


def _prepare(tensor: PackedTensor, bias: Array) -> Conv:
    rows = (tensor.shape[0], -1)
    levels, scales = tensor.levels, tensor.scales
    if tensor.codes is None or levels is None or scales is None or (levels != np.rint(levels)).any():
        return Conv(tensor.dequantize().reshape(rows), bias[:, None])
    weight = levels[tensor.codes].reshape(rows)
    scale = np.broadcast_to(scales[:, None], (tensor.shape[0], 1))
    return Conv(weight, bias[:, None], scale, float(np.abs(weight).sum(1).max()))
