"""Weights of a network with one stack more, which compute what they did: something larger to go on training.

    python tools/grow.py weights/small.safetensors weights/grown.safetensors
    python tools/grow.py runs/live/last.safetensors runs/begin.safetensors --voiceprint weights/small.safetensors

The new stack stands after the old ones and begins silent: its blocks' residual and skip convolutions are zero. The cue
on the summed skips moves one place on, and the new stack's own cue is that of the stack before it. A student gives its
weights before quantization.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path

import torch
from torch import Tensor

from tinywase.models import Wase
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights


def plain(model: Wase) -> Wase:
    """The network without quantizers."""
    result = Wase(model.config)
    result.load_state_dict(float_state(model))
    return result.eval()


def grown(model: Wase) -> Wase:
    """The same function in one stack more."""
    old = model.config
    new = Wase(dataclasses.replace(old, stacks=old.stacks + 1))
    state = new.state_dict()
    cue = re.compile(rf"(separator\.(?:cue_projections|activity_inputs))\.{old.stacks}\.(.*)")
    kept: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        last = cue.fullmatch(name)
        kept[f"{last[1]}.{old.stacks + 1}.{last[2]}" if last else name] = value
    for name, value in state.items():
        if name not in kept:
            silent = ".residual." in name or ".skip." in name
            before = name.replace(f"cue_projections.{old.stacks}.", f"cue_projections.{old.stacks - 1}.")
            kept[name] = torch.zeros_like(value) if silent else kept.get(before, value)
    new.load_state_dict(kept)
    return new.eval()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--stacks", type=int, choices=(0, 1), default=1, help="more than before")
    parser.add_argument("--voiceprint", type=Path, help="weights whose voiceprint encoder takes the place of the own")
    options = parser.parse_args()
    model = plain(load_checkpoint(options.weights))
    larger = grown(model) if options.stacks else model
    mixture, enrollment = 0.05 * torch.randn(1, 16000), 0.05 * torch.randn(1, 16000)
    voiceprint = model.enroll(enrollment)
    before, after = (net(mixture, voiceprint).estimate for net in (model, larger))
    if not torch.allclose(before, after, atol=1e-5):
        raise SystemExit("the grown network computes something else: shared stacks cannot grow.")
    if options.voiceprint:
        larger.voiceprint_encoder.load_state_dict(
            plain(load_checkpoint(options.voiceprint)).voiceprint_encoder.state_dict()
        )
    save_weights(larger, options.output, {})
    count = [sum(p.numel() for p in net.parameters()) for net in (model, larger)]
    print(f"{options.output}: {count[0]:,} parameters have become {count[1]:,}.")


if __name__ == "__main__":
    main()
