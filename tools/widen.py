"""Weights of a network with more hidden channels, which compute what they did, but for what the norms make of it.

    python tools/widen.py small.twase runs/wide.safetensors --hidden 352
    tinywase compress runs/wide.safetensors --strategy qat --recipe recipes/compress-small.toml -o new.twase

In every block some channels, drawn at random, come twice, each at half of its gain. What is behind them weighs one of
the two a level more and the other a level less, so that they learn to differ; in a network of floats one gets a random
share. A student, such as a model file, stays one, with its steps and ranges: every weight is still on a level
(docs/experiments.md 43).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from tinywase.models import Wase
from tinywase.quant.adopt import attach_like
from tinywase.quant.attach import load_quantized, weight_quantizers
from tinywase.quant.base import WeightQuantizer
from tinywase.quant.levels import spread
from tinywase.train.checkpoint import load_checkpoint, save_weights


@torch.no_grad()
def widened(model: Wase, hidden: int, generator: torch.Generator) -> Wase:
    """The network with `hidden` hidden channels.

    Raises:
        SystemExit: fewer than it has, or more than twice as many.
    """
    before = model.config.hidden
    if not before <= hidden <= 2 * before:
        raise SystemExit(f"--hidden {hidden}: expected {before} to {2 * before}, once or twice what the network has.")
    new = Wase(dataclasses.replace(model.config, hidden=hidden)).eval()
    attach_like(new, model)
    quantizers, state, wanted = weight_quantizers(model), dict(model.state_dict()), new.state_dict()
    for place in range(len(model.separator.blocks)):
        block = f"separator.blocks.{place}."
        twice = torch.randperm(before, generator=generator)[: hidden - before]
        for name, value in [(name, value) for name, value in state.items() if name.startswith(block)]:
            if name not in wanted or wanted[name].shape == value.shape:
                continue
            if len(wanted[name]) == hidden:
                state[name] = torch.cat([value, value[twice]])
            else:
                plain = name.replace("parametrizations.", "").removesuffix(".original")
                state[name] = split_columns(value, twice, quantizers.get(plain), generator)
        for leaf in ("weight", "bias"):
            gain = state[f"{block}depthwise_norm.{leaf}"]
            gain[twice] /= 2
            gain[before:] /= 2
    load_quantized(new, state)
    return new


def split_columns(
    weight: Tensor, twice: Tensor, quantizer: WeightQuantizer | None, generator: torch.Generator
) -> Tensor:
    """Columns for channels that come twice, at half of their gain: pairs that add up to twice what was there.

    Shape: [O, H, 1] -> [O, H + twice, 1].
    """
    if quantizer is None:
        change = weight * (2 * torch.rand(weight.shape, generator=generator) - 1)
        first, second = weight + change, weight - change
    else:
        first, second = level_pairs(weight, quantizer, generator)
    result = weight.clone()
    result[:, twice] = first[:, twice]
    return torch.cat([result, second[:, twice]], 1)


def level_pairs(weight: Tensor, quantizer: WeightQuantizer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Of every weight the levels below and above its own, in either order, or its own twice. Shape: the weight's."""
    found = quantizer.encode(weight)
    code, scale = found.codes.long(), spread(found.scales, weight)
    aside = torch.randint(-1, 2, code.shape, generator=generator)  # levels up or down
    codes = [(code + up).clamp(0, len(found.levels) - 1) for up in (aside, -aside)]
    moved = [found.levels[wanted] * scale for wanted in codes]
    there = [quantizer.encode(value).codes == code + up for value, up in zip(moved, (aside, -aside), strict=True)]
    first, second = (torch.where(there[0] & there[1], value, weight) for value in moved)
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--hidden", type=int, required=True, help="channels, at most twice what they were")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_checkpoint(options.weights)
    new = widened(model, options.hidden, torch.Generator().manual_seed(options.seed))
    save_weights(new, options.output, {})
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    print(f"{options.output}: {before:,} parameters have become {after:,}.")


if __name__ == "__main__":
    main()
