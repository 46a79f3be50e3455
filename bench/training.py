"""Training speed of a configuration on this processor, with and without the native training kernels, interleaved.

    taskset -c 0 python bench/training.py --config small --batch 16

A step is one pass forward and backward and one update of the weights, on noise: the speed does not depend on the sound.
Times are CPU time of this process, medians over the rounds; what else the machine does is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from tinywase.config import CONFIGS, named_config
from tinywase.data.mixing import Mixer
from tinywase.models import Wase, fused
from tinywase.train.hardware import prepare_hardware
from tinywase.train.objectives import ExtractionObjective, TrainedSystem
from tinywase.train.recipe import LossConfig, Recipe

VOICES = [f"voice {index}" for index in range(2000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=sorted(CONFIGS), default="small")
    parser.add_argument("--batch", type=int, default=16, help="segments a step")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a segment")
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    step = Step(options)
    ways = {**{f"kernels, {name}": name for name in fused.all_kernels()}, "torch": "0"}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(options.rounds + 1):  # the first round warms up
        for way, switch in ways.items():
            os.environ["TINYWASE_TRAINING_KERNELS"] = switch
            begun = time.process_time()
            step()
            seconds[way].append(time.process_time() - begun)
    medians = {way: statistics.median(times[1:]) for way, times in seconds.items()}
    audio_s = options.batch * options.seconds
    print("| way | s a step | s of audio per s |\n|---|---:|---:|")
    for way, median in medians.items():
        print(f"| {way} | {median:.3f} | {audio_s / median:.1f} |")
    for way in list(medians)[:-1]:
        print(f"\n{way}: {medians['torch'] / medians[way]:.2f} times as fast as torch")


class Step:
    """One update of a network on the same batch of noise."""

    def __init__(self, options: argparse.Namespace) -> None:
        config = named_config(options.config, causal=options.causal)
        recipe = Recipe(model=config, loss=LossConfig(speaker=0.0), device="cpu")
        self.hardware = prepare_hardware(recipe)
        self.system = TrainedSystem(Wase(config), VOICES, margin=0.2)
        self.objective = ExtractionObjective(cast(Mixer, SimpleNamespace()), recipe)
        self.optimizer = torch.optim.AdamW(self.system.parameters(), lr=1e-4, fused=True)
        generator = torch.Generator().manual_seed(0)
        length = round(options.seconds * config.sample_rate_hz)

        def noise(count: int) -> Tensor:
            return 0.05 * torch.randn(options.batch, count, generator=generator)

        target, interference = noise(length), noise(length)
        frames = length // config.hop
        self.batch: dict[str, Any] = {
            "mixture": target + interference,
            "target": target,
            "enrollment": noise(2 * config.sample_rate_hz),
            "activity": torch.ones(options.batch, frames),
        }

    def __call__(self) -> None:
        with self.hardware.arithmetic():
            loss, _ = self.objective.loss(self.system, self.batch, 0)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


if __name__ == "__main__":
    main()
