"""Weights of a network with more stacks, which compute what they did: something larger to train on; or with fewer.

    python tools/grow.py weights/small.safetensors weights/grown.safetensors
    python tools/grow.py weights/grown.safetensors weights/cut.safetensors --stacks -1

New stacks stand after the old ones and begin silent: their blocks' residual and skip convolutions are zero. The cue
on the summed skips moves to its new place, and a new stack's own cue is that of the last old stack. With `--stacks -1`
the last stack is cut off; what is left computes something else, unless that stack was idle. What each stack of the
given network adds is printed: the norm of its skips beside that of all of them summed, on noise. With another number of
stacks a student gives its weights before quantization; with `--stacks 0` it stays one, with its steps and ranges.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from tinywase.models import Wase
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights
from tinywase.train.cues import with_cues_moved


def plain(model: Wase) -> Wase:
    """The network without quantizers."""
    result = Wase(model.config)
    result.load_state_dict(float_state(model))
    return result.eval()


def resized(model: Wase, stacks: int) -> Wase:
    """The network with `stacks` stacks: the same function if they are more, its first ones if they are fewer."""
    before = model.config.stacks
    new = Wase(dataclasses.replace(model.config, stacks=stacks))
    state = new.state_dict()
    moved = with_cues_moved(model.state_dict(), before, stacks)
    kept = {name: value for name, value in moved.items() if name in state}
    for name, value in state.items():
        if name not in kept:
            silent = ".residual." in name or ".skip." in name
            last = re.sub(r"cue_projections\.\d+\.", f"cue_projections.{before - 1}.", name)
            kept[name] = torch.zeros_like(value) if silent else kept.get(last, value)
    new.load_state_dict(kept)
    return new.eval()


@torch.no_grad()
def stack_shares(model: Wase, mixture: Tensor, voiceprint: Tensor) -> list[float]:
    """Norm of every stack's skips over that of their sum. Shape: mixture [1, T], voiceprint [1, D] -> [R]."""
    skips: list[Tensor] = []

    def keep(block: nn.Module, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, Tensor]) -> None:
        skips.append(outputs[1])

    hooks = [block.register_forward_hook(keep) for block in model.separator.blocks]
    model(mixture, voiceprint)
    for hook in hooks:
        hook.remove()
    blocks = model.config.blocks
    of_stacks = [torch.stack(skips[first : first + blocks]).sum(0) for first in range(0, len(skips), blocks)]
    whole = torch.stack(of_stacks).sum(0).norm().clamp_min(1e-12)
    return [float(of.norm() / whole) for of in of_stacks]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stacks", type=int, default=1, help="more than before; below 0: fewer, the last are cut off")
    options = parser.parse_args()
    model = load_checkpoint(options.weights)
    if options.stacks:
        model = plain(model)
    before = model.config.stacks
    if before + options.stacks < 1:
        raise SystemExit(f"--stacks {options.stacks}: the network has {before} stacks, at least one has to be left.")
    other = resized(model, before + options.stacks) if options.stacks else model
    mixture, enrollment = 0.05 * torch.randn(1, 16000), 0.05 * torch.randn(1, 16000)
    voiceprint = model.enroll(enrollment)
    shares = " ".join(f"{share:.3f}" for share in stack_shares(model, mixture, voiceprint))
    print(f"{options.weights}: norm of each stack's skips over that of their sum: {shares}")
    first, second = (net(mixture, voiceprint).estimate for net in (model, other))
    if options.stacks > 0 and not torch.allclose(first, second, atol=1e-5):
        raise SystemExit("the grown network computes something else: shared stacks and mean skips cannot grow.")
    save_weights(other, options.output, {})
    count = [sum(p.numel() for p in net.parameters()) for net in (model, other)]
    print(f"{options.output}: {count[0]:,} parameters have become {count[1]:,}.")


if __name__ == "__main__":
    main()
