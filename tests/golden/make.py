"""Make the golden files: three models of some kB, what goes in and what comes out (`python tests/golden/make.py`).

They hold the format and the arithmetic still. Make them anew only when either changes on purpose, and say so in
CHANGELOG.md. The tests read them; nothing here runs in a test.

    causal.twase       3-bit weights per channel, 8-bit activations, lookahead, convolutional voiceprint encoder
    forgetting.twase   the same with norms that forget, format version 2
    offline.twase      float16, shared stacks, mean skip, LSTM voiceprint encoder
    NAME.npz           enrollment, mixture -> voiceprint, estimate, activity of the numpy reference
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import random_tensors

from tinywase.config import ModelConfig, VoiceprintConfig
from tinywase.format import ModelFile, write_model
from tinywase.layout import ACTIVATION_FIELDS, activation_points
from tinywase.runtime.reference import ReferenceModel
from tinywase.tensors import PackedTensor, float_tensor

HERE = Path(__file__).parent
CAUSAL = ModelConfig(
    name="causal", filters=16, window=16, bottleneck=8, hidden=12, blocks=2, stacks=1, causal=True, lookahead_frames=3,
    voiceprint=VoiceprintConfig(
        kind="tcn", dimensions=8, filters=8, window=32, hop=16, hidden=8, layers=1, bottleneck=8, dropout=0.0
    ),
)  # fmt: skip
FORGETTING = dataclasses.replace(CAUSAL, name="forgetting", norm_memory_frames=5)
OFFLINE = ModelConfig(
    name="offline", filters=12, window=16, bottleneck=8, hidden=10, blocks=2, stacks=2, distinct_stacks=1,
    mean_skip=True,
    voiceprint=VoiceprintConfig(kind="lstm", dimensions=6, filters=8, window=32, hop=8, hidden=5, layers=2),
)  # fmt: skip


def quantized(name: str, values: np.ndarray) -> PackedTensor:
    """3 bits, a scale per output channel."""
    levels = np.arange(-3, 4, dtype=np.float32)
    scales = (np.abs(values).reshape(len(values), -1).max(1) / 3).astype(np.float32)
    codes = np.clip(np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1))), -3, 3) + 3
    return PackedTensor(name, values.shape, "codes", 3, codes=codes.astype(np.uint8), levels=levels, scales=scales)


def model_file(config: ModelConfig, rng: np.random.Generator) -> ModelFile:
    """Random weights; those of causal networks quantized."""
    tensors = {}
    for name, values in random_tensors(config, rng).items():
        coded = config.causal and values.ndim > 1 and not name.startswith(("encoder.", "decoder."))
        kind = "float16" if config is OFFLINE else "float32"
        tensors[name] = quantized(name, values) if coded else float_tensor(name, values, kind)
    for point in activation_points(config) if config.causal else ():
        for field, number in zip(ACTIVATION_FIELDS, (1 / 32, 128, 8), strict=True):
            tensors[f"{point}.{field}"] = float_tensor(f"{point}.{field}", np.array([number]))
    return ModelFile(config, tensors, {"data": "none: random weights", "licence": "Apache-2.0"})


def main() -> None:
    """Write everything."""
    for config, seed in ((CAUSAL, 1), (OFFLINE, 2), (FORGETTING, 3)):
        rng = np.random.default_rng(seed)
        model = model_file(config, rng)
        write_model(HERE / f"{config.name}.twase", model, force=True)
        enrollment = (0.05 * rng.standard_normal(400)).astype(np.float32)
        mixture = (0.05 * rng.standard_normal(501)).astype(np.float32)
        reference = ReferenceModel(model)
        voiceprint = reference.enroll(enrollment)
        estimate, activity = reference.extract(mixture, voiceprint)
        np.savez_compressed(
            HERE / f"{config.name}.npz", enrollment=enrollment, mixture=mixture, voiceprint=voiceprint,
            estimate=estimate, activity=activity,
        )  # fmt: skip


if __name__ == "__main__":
    main()
