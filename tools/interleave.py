"""Weights of a network with half the hop, which compute the mean of two runs that lie half a hop apart.

    python tools/interleave.py small.twase runs/interleaved.safetensors
    tinywase compress runs/interleaved.safetensors --strategy qat --recipe recipes/compress-small.toml -o new.twase

Twice the frames, every dilation twice as long: even frames hear what they heard, odd ones what a run on the mixture
delayed by half a hop would hear, and the decoder adds both. Only the norms are common to the two. A first block of
dilation 1 in every stack is where they can learn from each other; it begins as the next one, but all but silent
(docs/experiments.md 32). A student, such as a model file, stays one, with its steps and ranges.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from tinywase.models import Wase
from tinywase.quant.adopt import attach_like
from tinywase.quant.attach import load_quantized, scale_weight
from tinywase.train.checkpoint import load_checkpoint, save_weights

WHISPER = 2.0**-6  # of a new block; levels without a zero cannot be silent


@torch.no_grad()
def interleaved(model: Wase) -> Wase:
    """The network with twice the overlap and one more block a stack.

    Raises:
        ConfigError: windows would overlap more often than networks can.
    """
    config = model.config
    new = Wase(
        dataclasses.replace(
            config,
            overlap=2 * config.overlap,
            blocks=config.blocks + 1,
            lookahead_frames=2 * config.lookahead_frames,
            norm_memory_frames=2 * config.norm_memory_frames,
        )
    ).eval()
    attach_like(new, model)
    old, quieter = model.state_dict(), {"decoder.weight": 0.5}
    state = {name: value for name, value in old.items() if not name.startswith("separator.blocks.")}
    for place in range(len(new.separator.blocks)):
        stack, number = divmod(place, new.config.blocks)
        own, source = (f"separator.blocks.{i}." for i in (place, stack * config.blocks + max(0, number - 1)))
        state |= {own + name.removeprefix(source): old[name] for name in old if name.startswith(source)}
        if number == 0:
            quieter |= {f"{own}{part}.{leaf}": WHISPER for part in ("residual", "skip") for leaf in ("weight", "bias")}
    load_quantized(new, state)
    for name, factor in quieter.items():
        scale_weight(new, name, factor)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    model = load_checkpoint(options.weights)
    new = interleaved(model)
    save_weights(new, options.output, {})
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    print(f"{options.output}: {before:,} parameters have become {after:,}.")


if __name__ == "__main__":
    main()
