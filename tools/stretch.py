"""Weights of a network whose windows overlap more, which compute what they did: more bands to hear and to mask.

    python tools/stretch.py weights/small.safetensors runs/stretched.safetensors --window 512 --overlap 4
    tinywase train recipes/small.toml --set 'init=["runs/stretched.safetensors"]' \\
        --set model.window=512 --set model.filters=512 --set model.overlap=4

For networks that hear power. The hop stays. Every filter gets silence on both sides, and every band comes as often as
it takes to fill the window; what differs is how much silence the norms hear at the edges (docs/experiments.md 31).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tinywase.models import Wase
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights


def stretched(model: Wase, window: int, overlap: int) -> Wase:
    """The network with a longer window.

    Raises:
        SystemExit: it has no pairs of learned filters, or the hop would be another.
    """
    config = model.config
    if config.features != "log_power" or config.codec != "learned":
        raise SystemExit("expected a network that hears log_power by a learned codec: others have no bands to repeat.")
    if window // overlap != config.hop or window % config.window:
        raise SystemExit(
            f"--window {window} --overlap {overlap}: expected a hop of {config.hop} samples, the network's, and a "
            f"multiple of its window of {config.window}."
        )
    times = window // config.window
    filters = times * config.filters
    new = Wase(dataclasses.replace(config, window=window, filters=filters, overlap=overlap)).eval()
    old, band = float_state(model), torch.arange(filters // 2) // times  # of the old one that a new one repeats
    state = {name: old.get(name, value) for name, value in new.state_dict().items()}
    edge = (window - config.window) // 2
    for side, share in (("encoder.weight", 1), ("decoder.weight", times)):
        state[side] = functional.pad(_repeated(old[side], band), (edge, edge)) / share
    state["separator.bottleneck.weight"] = old["separator.bottleneck.weight"][:, band] / times
    for name in ("separator.norm.weight", "separator.norm.bias"):
        state[name] = old[name][band]
    for name in ("separator.mask.weight", "separator.mask.bias"):
        state[name] = _repeated(old[name], band)
    new.load_state_dict(state)
    return new


def _repeated(rows: Tensor, band: Tensor) -> Tensor:
    """Rows of cosines and rows of sines, each by its band."""
    return torch.cat([half[band] for half in rows.chunk(2)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--window", type=int, required=True, help="samples")
    parser.add_argument("--overlap", type=int, required=True, help="windows that cover a sample")
    options = parser.parse_args()
    model = load_checkpoint(options.weights).eval()
    new = stretched(model, options.window, options.overlap)
    save_weights(new, options.output, {})
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    print(f"{options.output}: {before:,} parameters have become {after:,}.")


if __name__ == "__main__":
    main()
