"""Weights of a network with another one's voiceprint encoder, so that one enrolled voice is for both.

    python tools/share_voiceprint.py live.twase small.twase runs/shared.safetensors --bank runs/bank
    tinywase compress small.twase --strategy qat --recipe recipes/compress-live.toml -o new.twase \
      --set 'init=["runs/shared.safetensors"]' --set optimizer.voiceprint_learning_rate=0

What the two encoders say of the same recordings is related by least squares, and the cues read the other's voiceprints
through that relation. What is lost so, and at the new levels of the cues, is learned again while the encoder rests: a
rate of nothing keeps every bit of it, and with them the fingerprint of voiceprints (docs/experiments.md 45). A student,
such as a model file, stays one, with its steps and ranges.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tinywase.data.mixing import MixConfig
from tinywase.errors import ConfigError
from tinywase.models import Wase
from tinywase.quant.adopt import adopt_ranges, adopt_steps, configuration
from tinywase.quant.attach import activation_quantizers, attach, float_state, weight_quantizers
from tinywase.train.checkpoint import load_checkpoint, save_weights
from tinywase.train.recipe import DataConfig
from tinywase.train.source import open_mixer

ENCODER, INPUT, CUES = "voiceprint_encoder.", "separator.voiceprint_input", "separator.cue_projections."
BATCH = 64  # enrollments
RIDGE = 1e-3  # of a voiceprint's mean square


@torch.no_grad()
def sharing(model: Wase, lender: Wase, relation: Tensor) -> Wase:
    """The network of `model` with the encoder of `lender`; `relation` makes the model's voiceprints of the lender's.

    Shape: relation [D + 1, D], its last row the offset.

    Raises:
        ConfigError: encoders of different sizes.
    """
    if (
        model.config.voiceprint != lender.config.voiceprint
        or model.config.sample_rate_hz != lender.config.sample_rate_hz
    ):
        raise ConfigError("the two voiceprint encoders differ in size: expected networks with the same [voiceprint].")
    state = float_state(model) | {n: value for n, value in float_state(lender).items() if n.startswith(ENCODER)}
    matrix, offset = relation[:-1].T, relation[-1]
    for place in range(model.config.stacks + 1):
        weight, bias = (f"{CUES}{place}.{leaf}" for leaf in ("weight", "bias"))
        state[bias] = state[bias] + state[weight][..., 0] @ offset
        state[weight] = (state[weight][..., 0] @ matrix)[..., None]
    new = Wase(model.config).eval()
    new.load_state_dict(state)
    quant = configuration(model)
    if quant:
        attach(new, quant)
        steps, lent = weight_quantizers(model), weight_quantizers(lender)
        kept = {name: steps[name] for name in steps if not name.startswith((ENCODER, CUES))}
        adopt_steps(new, kept | {name: lent[name] for name in lent if name.startswith(ENCODER)})
        ranges, lent_ranges = activation_quantizers(model), activation_quantizers(lender)
        adopt_ranges(new, ranges | {n: lent_ranges[n] for n in lent_ranges if n.startswith((ENCODER, INPUT))})
    return new


@torch.no_grad()
def relate(lender: Wase, model: Wase, enrollments: Tensor) -> tuple[Tensor, float]:
    """What makes the model's voiceprints of the lender's, and the cosine that it reaches on every tenth recording,
    which then was left out.

    Shape: [count, E] -> [D + 1, D], scalar.
    """
    theirs, ours = (torch.cat([net.enroll(part) for part in enrollments.split(BATCH)]) for net in (lender, model))
    aside = torch.arange(len(theirs)) % 10 == 0
    guess = _with_one(theirs[aside]) @ _least_squares(theirs[~aside], ours[~aside])
    cosine = functional.cosine_similarity(guess, ours[aside]).mean()
    return _least_squares(theirs, ours), float(cosine)


def _least_squares(theirs: Tensor, ours: Tensor) -> Tensor:
    known = _with_one(theirs)
    ridge = RIDGE * len(known) * known.square().mean() * torch.eye(known.shape[1])
    return torch.linalg.solve(known.T @ known + ridge, known.T @ ours)


def _with_one(voiceprints: Tensor) -> Tensor:
    return torch.cat([voiceprints, torch.ones(len(voiceprints), 1)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("lender", type=Path, help="whose voiceprint encoder it is to be")
    parser.add_argument("output", type=Path)
    parser.add_argument("--bank", type=Path, required=True, help="speech to relate the two encoders on")
    parser.add_argument("--count", type=int, default=6400, help="recordings of it")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model, lender = load_checkpoint(options.weights), load_checkpoint(options.lender)
    mixer = open_mixer(DataConfig(bank=str(options.bank)), MixConfig(), model.config.sample_rate_hz)
    _, clean, _ = mixer.enrollments(options.count, np.random.default_rng(options.seed))
    relation, cosine = relate(lender, model, torch.from_numpy(clean))
    save_weights(sharing(model, lender, relation), options.output, {})
    print(f"{options.output}: old voiceprints, made of those of {options.lender}, have a cosine of {cosine:.2f}.")


if __name__ == "__main__":
    main()
