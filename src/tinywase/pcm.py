"""Raw samples of one channel, little-endian, as pipes and sockets carry them."""

from __future__ import annotations

import numpy as np

KINDS: dict[str, tuple[str, float]] = {"s16": ("<i2", 32768.0), "f32": ("<f4", 1.0)}  # numpy's name, full scale


def sample_bytes(kind: str) -> int:
    """Bytes of a sample."""
    return np.dtype(KINDS[kind][0]).itemsize


def decoded(raw: bytes, kind: str) -> np.ndarray:
    """Samples in -1..1; bytes that are no whole sample are left out at the end. Shape: float32 [T]."""
    dtype, scale = KINDS[kind]
    whole = len(raw) // sample_bytes(kind) * sample_bytes(kind)
    return np.frombuffer(raw[:whole], dtype).astype(np.float32) / np.float32(scale)


def encoded(samples: np.ndarray, kind: str) -> bytes:
    """Samples in -1..1 as bytes; integers round and stop at full scale. Shape: [T]."""
    dtype, scale = KINDS[kind]
    scaled = samples * np.float32(scale)
    return (scaled if kind == "f32" else np.clip(np.rint(scaled), -scale, scale - 1)).astype(dtype).tobytes()
