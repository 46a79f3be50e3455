"""Windows that overlap more, and filters that are fixed: the two ends of a training with `settle`.

    python tools/refit.py weights/small.safetensors runs/begin.safetensors --window 512 --overlap 4
    tinywase train recipes/small.toml --set 'init=["runs/begin.safetensors"]' --set settle=0.6 \
        --set model.window=512 --set model.filters=512 --set model.overlap=4
    python tools/refit.py runs/small/last.safetensors runs/fixed.safetensors --fix

Learned filters collect noise (docs/experiments.md 31). The first command stretches the window of a network that hears
power, at the same hop: silence on both sides of every filter, and every band as often as it takes to fill the window.
It computes what it did, but for norms at the edges. The training moves encoder and filterbank to fixed filters; the
last command leaves those out of the weights: `codec = "fourier_encoder"`, `filterbank = "mel"`.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tinywase.filters import fourier_filters
from tinywase.models import Wase
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights
from tinywase.train.settling import can_settle, fixed_filters

NOT_LEARNED = (
    "expected a network that hears log_power, with a tcn voiceprint encoder, learned filters, and as many of them as a "
    "window has samples."
)
AS_GOOD_AS_FIXED = 1e-3  # relative to the largest value; float16 rounds to half of it


def stretched(model: Wase, window: int, overlap: int) -> Wase:
    """The network with a longer window.

    Raises:
        SystemExit: it has no pairs of learned filters, or the hop would be another.
    """
    config = model.config
    if not can_settle(model):
        raise SystemExit(NOT_LEARNED)
    if window // overlap != config.hop or window % config.window:
        raise SystemExit(
            f"--window {window} --overlap {overlap}: expected a hop of {config.hop} samples, the network's, and a "
            f"multiple of its window of {config.window}."
        )
    new = Wase(dataclasses.replace(config, window=window, filters=window, overlap=overlap)).eval()
    old, times = float_state(model), window // config.window
    band = torch.arange(window // 2) // times  # of the old one that a new one lies in
    state = {name: old.get(name, value) for name, value in new.state_dict().items()}
    edge = (window - config.window) // 2
    wide = {side: functional.pad(_over(old[f"{side}.weight"], band), (edge, edge)) for side in ("encoder", "decoder")}
    # A sign that both sides have changes nothing, and spares the way to the transform a passage through zero.
    target = torch.from_numpy(fourier_filters(window // 2, window))[:, None]
    sign = torch.where((wide["encoder"] * target).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    state["encoder.weight"], state["decoder.weight"] = sign * wide["encoder"], sign * wide["decoder"] / times
    state["separator.bottleneck.weight"] = old["separator.bottleneck.weight"][:, band] / times
    for name in ("separator.norm.weight", "separator.norm.bias"):
        state[name] = old[name][band]
    for name in ("separator.mask.weight", "separator.mask.bias"):
        state[name] = _over(old[name], band)
    new.load_state_dict(state)
    return new


def _over(values: Tensor, band: Tensor) -> Tensor:
    """Rows of cosines and rows of sines, each by its band."""
    return torch.cat([half[band] for half in values.chunk(2)])


def fixed(model: Wase) -> Wase:
    """The network without the filters that have settled.

    Raises:
        SystemExit: they have not.
    """
    state = float_state(model)
    if not can_settle(model):
        raise SystemExit(NOT_LEARNED)
    for name, values in fixed_filters(model).items():
        apart = float((state[name] - values).abs().max() / values.abs().max())
        if apart > AS_GOOD_AS_FIXED:
            raise SystemExit(
                f"'{name}' is {apart:.3f} away from its fixed filters. Train with settle until it is there."
            )
    voiceprint = dataclasses.replace(model.config.voiceprint, filterbank="mel")
    new = Wase(dataclasses.replace(model.config, codec="fourier_encoder", voiceprint=voiceprint)).eval()
    new.load_state_dict({name: state[name] for name in new.state_dict()})
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--window", type=int, help="samples")
    parser.add_argument("--overlap", type=int, default=2, help="windows that cover a sample")
    parser.add_argument("--fix", action="store_true", help="leave out what has settled")
    options = parser.parse_args()
    if options.fix == (options.window is not None):
        raise SystemExit("what is to be done? Give --window and --overlap, or --fix.")
    model = load_checkpoint(options.weights).eval()
    new = fixed(model) if options.fix else stretched(model, options.window, options.overlap)
    save_weights(new, options.output, {})
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    print(f"{options.output}: {before:,} parameters have become {after:,}.")


if __name__ == "__main__":
    main()
