"""How large a model is, counted two ways: as the paper counts, and as the bytes that are really stored [Huang22].

The paper counts the core (speech encoder, separator, decoder) and leaves out the voiceprint encoder. Quantized are
the weights of the separator's convolutions; everything else is float32, and each quantized tensor brings two numbers
(alpha, beta):

    paper core bytes = sum over quantized of elements * bits / 8 + 8 per quantized tensor + 4 * (the rest of the core)

The stored bytes are those of the file: codes, level tables, scales, floats of either width. Ratios are against the
float32 core of the same network with separate stacks: sharing them is part of the compression."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from .config import ModelConfig
from .layout import CORE, expected_tensors

FLOAT_BITS = 32
SCALARS_BYTES = 8  # alpha and beta of a quantized tensor


@dataclass(frozen=True)
class Sizes:
    """Sizes of one model."""

    parameters: int
    core_parameters: int
    quantized_parameters: int  # of the core, in the paper's sense
    quantized_tensors: int
    float_core_bytes: int  # stacks separate
    paper_core_bytes: int
    paper_ratio: float
    core_bytes: int
    core_ratio: float


def is_core(name: str) -> bool:
    """Whether the paper counts this tensor at all."""
    return name.startswith(CORE)


def paper_quantizes(name: str, shape: tuple[int, ...]) -> bool:
    """Whether the paper quantizes this tensor: a convolution's weight inside the separator."""
    return name.startswith("separator.") and len(shape) > 1


def count_sizes(config: ModelConfig, *, bits: Mapping[str, int], stored_bytes: Mapping[str, int]) -> Sizes:
    """Sizes of a model.

    Args:
        config: says which tensors there are. bits: width of every tensor that is stored as codes, by name.
        stored_bytes: bytes of every tensor of the file, by name; activation ranges count with the core or not by
        theirs.
    """
    shapes = expected_tensors(config)
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    core = sum(count for name, count in counts.items() if is_core(name))
    quantized = [name for name, shape in shapes.items() if name in bits and paper_quantizes(name, shape)]
    of_codes = sum(counts[name] for name in quantized)
    code_bits = sum(counts[name] * bits[name] for name in quantized)
    paper = math.ceil(code_bits / 8) + SCALARS_BYTES * len(quantized) + FLOAT_BITS // 8 * (core - of_codes)
    stored = sum(size for name, size in stored_bytes.items() if is_core(name))
    separate = expected_tensors(dataclasses.replace(config, distinct_stacks=0))
    whole = FLOAT_BITS // 8 * sum(math.prod(shape) for name, shape in separate.items() if is_core(name))
    return Sizes(
        parameters=sum(counts.values()),
        core_parameters=core,
        quantized_parameters=of_codes,
        quantized_tensors=len(quantized),
        float_core_bytes=whole,
        paper_core_bytes=paper,
        paper_ratio=whole / paper,
        core_bytes=stored,
        core_ratio=whole / max(1, stored),
    )
