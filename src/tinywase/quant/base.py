"""What every quantizer promises: the contracts that tests run over all of them.

The law: in eval mode, `forward(w) == codebook[codes]` bit for bit, where `codebook = levels * scale` is one float32
multiplication, exactly as `PackedTensor.dequantize` does it. So what was trained is what is packed and what runs.

Shapes: K levels, O output channels (the first axis of a weight).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .levels import spread

SMALLEST_SCALE = 1e-12  # a learned scale may not reach zero, where its gradient ends


@dataclass(frozen=True)
class Codes:
    """A quantized weight: what the packed file holds."""

    codes: Tensor  # uint8, the weight's shape
    levels: Tensor  # float32 [K], ascending
    scales: Tensor  # float32 [1] or [O]
    bits: int

    def dequantize(self) -> Tensor:
        """levels[codes] * scale, one float32 multiplication. Shape: the weight's."""
        return self.levels[self.codes.long()] * spread(self.scales, self.codes)


class WeightQuantizer(nn.Module, ABC):
    """A weight tensor in, the same tensor on few levels out; attached with `torch.nn.utils.parametrize`.

    In training `forward` may be soft and has gradients for the weight and the quantizer's own parameters; in eval
    mode it obeys the law above. Everything it has learned is in its state_dict."""

    levels: Tensor

    def __init__(self, levels: Tensor, *, bits: int, per_channel: bool) -> None:
        super().__init__()
        self.bits = bits
        self.per_channel = per_channel
        self.register_buffer("levels", levels)

    @property
    @abstractmethod
    def scales(self) -> Tensor:
        """The positive scale between levels and weights. Shape: [1] or [O]."""

    @abstractmethod
    def choose(self, weight: Tensor) -> Tensor:
        """The code of every weight. Shape: [O, ...] -> int64 [O, ...]."""

    @abstractmethod
    def rescale(self, factor: float) -> None:
        """Give a weight that was multiplied by a positive number the codes that it had."""

    @abstractmethod
    def soft(self, weight: Tensor) -> Tensor:
        """The training form of `forward`, with gradients. Shape: [O, ...] -> [O, ...]."""

    def encode(self, weight: Tensor) -> Codes:
        """Codes and codebook of a weight, free of gradients."""
        with torch.no_grad():
            codes = self.choose(weight).to(torch.uint8)
            return Codes(codes, self.levels.clone(), self.scales.detach().float().clone(), self.bits)

    def forward(self, weight: Tensor) -> Tensor:
        """Fake-quantize. Shape: [O, ...] -> [O, ...]."""
        return self.soft(weight) if self.training else self.encode(weight).dequantize()

    def extra_repr(self) -> str:
        return f"bits={self.bits}, levels={len(self.levels)}" + (", per_channel=True" if self.per_channel else "")


def positive(parameter: Tensor) -> Tensor:
    """A learned scale as it is used: never zero, never negative, so that codes keep their order."""
    return parameter.abs().clamp_min(SMALLEST_SCALE)
