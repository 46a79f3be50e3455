"""Weights of a network with half the hop, which compute the mean of two runs that lie half a hop apart.

    python tools/interleave.py weights/small.safetensors runs/interleaved.safetensors
    tinywase train recipes/small.toml --set 'init=["runs/interleaved.safetensors"]' \\
        --set model.overlap=4 --set model.blocks=7

Twice the frames, every dilation twice as long: even frames hear what they heard, odd ones what a run on the mixture
delayed by half a hop would hear, and the decoder adds both. Only the norms are common to the two. A first block of
dilation 1 in every stack is where they can learn from each other; it begins silent (docs/experiments.md 32).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from tinywase.models import Wase
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights


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
    old = float_state(model)
    state = {name: old.get(name, value) for name, value in new.state_dict().items()}
    for place, block in enumerate(new.separator.blocks):
        stack, number = divmod(place, new.config.blocks)
        source = f"separator.blocks.{stack * config.blocks + number - 1}."
        for name, value in block.state_dict().items():
            silent = torch.zeros_like(value) if name.startswith(("residual.", "skip.")) else value
            state[f"separator.blocks.{place}.{name}"] = old[source + name] if number else silent
    state["decoder.weight"] = old["decoder.weight"] / 2
    new.load_state_dict(state)
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
