"""The kernels that train on a GPU give what the blocks give, gradients of everything included: in Triton's interpreter,
which needs no GPU, and so only where Triton is installed (it comes with torch for GPUs)."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from tinywase.models import fused
from tinywase.models.layers import ConvBlock
from tinywase.quant.attach import attach
from tinywase.quant.rules import QuantConfig

os.environ.setdefault("TRITON_INTERPRET", "1")  # read when kernels are defined
pytest.importorskip("triton", reason="Triton is not installed")
FRAMES = 150


class Stack(nn.Module):
    """Blocks of dilations 1, 2, 4 under the name that quantization rules know."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.separator = nn.ModuleList(ConvBlock(8, 12, 3, dilation=2**i, **options) for i in range(3))
        for parameter in self.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)

    @property
    def blocks(self) -> list[ConvBlock]:
        return [cast(ConvBlock, block) for block in self.separator]


def judged(x: Tensor, skips: Tensor) -> Tensor:
    """One number that depends on everything that leaves the blocks."""
    return (skips * torch.linspace(-1, 2, FRAMES)).square().mean() + (x * torch.linspace(1, -1, FRAMES)).square().mean()


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"causal": True, "norm_keeps": 0.97}])
def test_values_and_gradients_are_those_of_the_blocks(
    monkeypatch: pytest.MonkeyPatch, quantized: bool, options: dict[str, Any]
) -> None:
    from tinywase.models import gpu_block

    monkeypatch.setattr(gpu_block, "BLOCK", 64)
    monkeypatch.setattr(gpu_block, "ROUNDED", torch.float32)
    stack, x = Stack(**options), torch.randn(2, 8, FRAMES, requires_grad=True)
    if quantized:
        attach(stack, QuantConfig(bits=3, method="lsq", levels="even", per_channel=True, activation_bits=32))
    stack.train()
    names, parameters = zip(*stack.named_parameters(), strict=True)
    try:
        found = judged(*gpu_block.run_on_gpu(stack.blocks, x))
    except Exception as error:  # its own, around whatever numpy said
        if "only 0-dimensional arrays" in str(error):
            pytest.skip("this Triton's interpreter does not know this numpy")
        raise
    expected = judged(*fused.run_blocks(stack.blocks, x))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    gradients = [torch.autograd.grad(value, [*parameters, x]) for value in (expected, found)]
    for name, one, other in zip((*names, "x"), *gradients, strict=True):
        assert (one - other).norm() <= 1e-4 * one.norm() + 1e-7, name
