"""Model files with every kind of arithmetic that the native runtime has, for its tests."""

from __future__ import annotations

import dataclasses

import numpy as np
from conftest import random_tensors

from tinywase.config import ModelConfig, VoiceprintConfig, named_config
from tinywase.format import ModelFile
from tinywase.layout import activation_points
from tinywase.runtime.offset import RunningOffset
from tinywase.tensors import PackedTensor, float_tensor

MEL = dataclasses.replace(named_config("tiny").voiceprint, filterbank="mel")
LSTM = VoiceprintConfig(kind="lstm", dimensions=20, filters=12, window=32, hop=8, hidden=9, layers=2)
CAUSAL = named_config("tiny", causal=True)
CONFIGS = {
    "tiny": named_config("tiny"),
    "lstm voiceprint": named_config("tiny", voiceprint=LSTM),
    "one lstm layer": named_config("tiny", voiceprint=dataclasses.replace(LSTM, layers=1, hidden=32)),
    "causal": CAUSAL,
    "lookahead": dataclasses.replace(CAUSAL, lookahead_frames=5),
    "much lookahead": dataclasses.replace(CAUSAL, lookahead_frames=60),
    "shared stacks": named_config("tiny", distinct_stacks=1, stacks=3),
    "shared causal": dataclasses.replace(CAUSAL, distinct_stacks=1, mean_skip=True),
    "stacks in turn": named_config("tiny", distinct_stacks=2, stacks=5),
    "causal stacks in turn": dataclasses.replace(CAUSAL, distinct_stacks=2, stacks=3, lookahead_frames=2),
    "mean skip": named_config("tiny", mean_skip=True),
    "voiceprint cue": named_config("tiny", cues="voiceprint"),
    "activity cue": named_config("tiny", cues="activity"),
    "log power": named_config("tiny", features="log_power"),
    "causal log power": dataclasses.replace(CAUSAL, features="log_power", filters=40, lookahead_frames=2),
    "forgetting norms": dataclasses.replace(CAUSAL, norm_memory_frames=7, lookahead_frames=1),
    "fourier": named_config("tiny", features="log_power", codec="fourier", overlap=4, voiceprint=MEL),
    "fourier of halves": named_config("tiny", codec="fourier"),
    "causal fourier": dataclasses.replace(CAUSAL, codec="fourier", overlap=4, lookahead_frames=2),
    "overlap 8": dataclasses.replace(CAUSAL, features="log_power", overlap=8),
    "kernel 5": dataclasses.replace(CAUSAL, kernel=5, lookahead_frames=1),
    "kernel 1": named_config("tiny", kernel=1),
    "widths of no lane": named_config("tiny", filters=33, bottleneck=17, hidden=65, window=10),
}


def varied_tensors(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random weights whose norms, slopes and biases are not the trivial ones."""
    tensors = random_tensors(config, rng)
    vectors = {name: values for name, values in tensors.items() if values.ndim == 1}
    varied = {name: values + 0.1 * rng.standard_normal(values.shape) for name, values in vectors.items()}
    return tensors | {name: values.astype(np.float32) for name, values in varied.items()}


def float_model(config: ModelConfig, seed: int = 0, kind: str = "float32") -> ModelFile:
    """Every tensor as floats."""
    tensors = varied_tensors(config, np.random.default_rng(seed))
    return ModelFile(config, {name: float_tensor(name, values, kind) for name, values in tensors.items()})


def integer_model(
    config: ModelConfig, bits: int, seed: int = 0, *, activation_bits: int = 8, activations: bool = True
) -> ModelFile:
    """Matrices of the separator at `bits` bits, a scale per tensor or per row, activations quantized."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, values in varied_tensors(config, rng).items():
        if values.ndim > 1 and name.startswith("separator."):
            tensors[name] = integer_tensor(name, values, bits, per_row=bool(rng.integers(2)))
        else:
            tensors[name] = float_tensor(name, values)
    for point in activation_points(config) if activations else ():
        top = 2**activation_bits - 1
        for field, number in (("scale", 6 / top), ("zero_point", top // 2), ("bits", activation_bits)):
            tensors[f"{point}.{field}"] = float_tensor(f"{point}.{field}", np.array([number]))
    return ModelFile(config, tensors)


def mixed_model(config: ModelConfig, bits: int, *, floats: str = "", slope: str = "") -> ModelFile:
    """An integer model with one tensor in floats, or one slope so steep that its layer computes in floats."""
    model_file = integer_model(config, bits)
    tensors = dict(model_file.tensors)
    if floats:
        tensors[floats] = float_tensor(floats, tensors[floats].dequantize())
    if slope:
        tensors[slope] = float_tensor(slope, np.array([1.25], np.float32))
    return dataclasses.replace(model_file, tensors=tensors)


def integer_tensor(name: str, values: np.ndarray, bits: int, *, per_row: bool) -> PackedTensor:
    """The nearest of the integer levels of this width."""
    top = 2 ** (bits - 1) - 1
    levels = np.array([-1, 1] if bits == 1 else np.arange(-top, top + 1), np.float32)
    rows = np.abs(values.reshape(len(values), -1)).max(1)
    scales = ((rows if per_row else rows.max(keepdims=True)) / levels[-1]).astype(np.float32)
    scaled = values / scales.reshape(-1, *[1] * (values.ndim - 1))
    codes = np.abs(scaled[..., None] - levels).argmin(-1).astype(np.uint8)
    return PackedTensor(name, values.shape, "codes", bits, codes=codes, levels=levels, scales=scales)


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Samples at the level of speech."""
    return (0.05 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def without_running_offset(samples: np.ndarray, block: int, rate_hz: int) -> np.ndarray:
    """As a stream gets to hear them that takes so many samples at a time. Shape: [T] -> [T]."""
    offset = RunningOffset(block / rate_hz)
    return np.concatenate([offset.take_from(samples[at : at + block]) for at in range(0, len(samples), block)])
