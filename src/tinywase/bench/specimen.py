"""Model files to measure with: any configuration at any width, with random weights of the bell shape that trained ones
have. They extract nothing useful and take exactly the time that a trained model of that size takes.

Weights of the separator are whole levels times a scale that loses least (as post-training quantization finds it), all
activation points have 8 bits; width 32 means float32 and no quantized activation.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig
from ..format import ModelFile, write_model
from ..layout import VOICEPRINT, activation_points, expected_tensors
from ..tensors import PackedTensor, float_tensor

FLOAT_BITS = 32
ACTIVATION_BITS = 8
ACTIVATION_RANGE = 6.0  # of normalized values: -3 to 3


def write_specimen(path: Path, config: ModelConfig, bits: int, *, seed: int = 0) -> Path:
    """Write a model file of random weights; returns `path`."""
    rng = np.random.default_rng(seed)
    tensors = {name: _tensor(name, shape, bits, rng) for name, shape in expected_tensors(config).items()}
    if bits < FLOAT_BITS:
        tensors |= {tensor.name: tensor for point in activation_points(config) for tensor in _point(point)}
    card = {"data": "none: random weights, to measure speed with"}
    write_model(path, ModelFile(config, tensors, card), force=True)
    return path


def multiply_adds_per_second(config: ModelConfig) -> int:
    """Of the core, for one second of audio: encoder, separator, decoder; norms and cues are left out (below 1 %)."""
    block = config.bottleneck * config.hidden + config.hidden * config.kernel + 2 * config.hidden * config.bottleneck
    ends = config.filters * config.bottleneck * 2 + config.filters * config.window * 2  # bottleneck, mask; codec
    return (config.blocks * config.stacks * block + ends) * config.sample_rate_hz // config.hop


def _tensor(name: str, shape: tuple[int, ...], bits: int, rng: np.random.Generator) -> PackedTensor:
    if "norm" in name and name.endswith(".weight"):
        return float_tensor(name, np.ones(shape, np.float32))
    if name.endswith("slope.weight"):
        return float_tensor(name, np.full(shape, 0.25, np.float32))
    values = rng.normal(0, 1 / math.sqrt(max(1, math.prod(shape[1:]))), shape).astype(np.float32)
    if name.startswith(VOICEPRINT):
        return float_tensor(name, values, "float16")
    if bits == FLOAT_BITS or len(shape) == 1 or not name.startswith("separator."):
        return float_tensor(name, values)
    return _quantized(name, values, bits)


def _quantized(name: str, values: NDArray[np.float32], bits: int) -> PackedTensor:
    """Whole levels times the scale, of seventeen tried, that loses least."""
    top = max(1, 2 ** (bits - 1) - 1)
    levels = np.array([-1, 1] if bits == 1 else np.arange(-top, top + 1), np.float32)
    sample, largest = values.ravel()[:4096], float(np.abs(values).max())
    scales = [largest * part / top for part in np.linspace(0.2, 1, 17)]
    scale = min(scales, key=lambda s: float(np.square(sample - s * levels[_nearest(sample / s, bits)]).mean()))
    codes = _nearest(values / np.float32(scale), bits)
    return PackedTensor(
        name, values.shape, "codes", bits, codes=codes, levels=levels, scales=np.array([scale], np.float32)
    )


def _nearest(scaled: NDArray[np.float32], bits: int) -> NDArray[np.uint8]:
    """Codes of the nearest levels."""
    if bits == 1:
        return (scaled > 0).astype(np.uint8)
    top = 2 ** (bits - 1) - 1
    return (np.clip(np.rint(scaled), -top, top) + top).astype(np.uint8)


def _point(name: str) -> list[PackedTensor]:
    top = 2**ACTIVATION_BITS - 1
    numbers = {"scale": ACTIVATION_RANGE / top, "zero_point": (top + 1) // 2, "bits": ACTIVATION_BITS}
    return [float_tensor(f"{name}.{field}", np.array([number], np.float32)) for field, number in numbers.items()]
