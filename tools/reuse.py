"""Weights of a network that uses its stacks again, in turn: deeper, in as many bytes but for the new places' cues.

    python tools/reuse.py live.twase runs/reused.safetensors --stacks 6
    tinywase compress small.twase --recipe recipes/compress-live.toml --set 'init=["runs/reused.safetensors"]'
        --set model.stacks=6 --set model.distinct_stacks=3 -o new.twase

The cue before a stack's second use is that before its first, the cue on the summed skips moves to its new place. What
it computes is another estimate, worse by less than a decibel before any training (docs/experiments.md 46). A student,
such as a model file, stays one, with its steps and ranges.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from tinywase.models import Wase
from tinywase.quant.adopt import attach_like
from tinywase.quant.attach import load_quantized
from tinywase.train.checkpoint import load_checkpoint, save_weights
from tinywase.train.cues import CUE, at_place, with_cues_moved


@torch.no_grad()
def reused(model: Wase, stacks: int) -> Wase:
    """The network with `stacks` uses of the stacks it has.

    Raises:
        ConfigError: fewer uses than distinct stacks.
    """
    config = model.config
    distinct = config.distinct_stacks or config.stacks
    new = Wase(dataclasses.replace(config, stacks=stacks, distinct_stacks=distinct)).eval()
    attach_like(new, model)
    old = model.state_dict()
    state = with_cues_moved(old, config.stacks, stacks)
    for place in range(config.stacks, stacks):
        state |= {
            at_place(cue, place): value
            for name, value in old.items()
            if (cue := CUE.fullmatch(name)) and int(cue[2]) == place % distinct
        }
    load_quantized(new, state)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stacks", type=int, required=True, help="uses in all")
    options = parser.parse_args()
    model = load_checkpoint(options.weights)
    new = reused(model, options.stacks)
    save_weights(new, options.output, {})
    distinct = new.config.distinct_stacks
    print(f"{options.output}: {model.config.stacks} uses of {distinct} stacks have become {options.stacks}.")


if __name__ == "__main__":
    main()
