"""What a network's filters let through: how much of each lies far from its own band, and what ideal masks would reach.

    python bench/filters.py weights/small.safetensors small --list docs/lists/dev.csv --root SPEECH --limit 40

For networks that hear power. A filter's stray energy is what lies more than `--far` Hz from its loudest frequency; next
to it that of the filters it began as. Ideal masks of the target's power over both powers (Wiener) and of its projection
on the mixture (phase-sensitive, 0 to 1) are applied between the network's own encoder and decoder (docs/experiments.md
31).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tinywase.data.lists import read_trials
from tinywase.data.rendering import render_trial
from tinywase.filters import fourier_filters, mel_filters
from tinywase.metrics import si_sdr
from tinywase.models import Wase
from tinywase.models.voiceprint import TcnVoiceprint, pad_to_frames
from tinywase.train.checkpoint import load_checkpoint

BINS = 4096  # of the spectra that stray energy is counted in


def stray_shares(filters: np.ndarray, sample_rate_hz: int, far_hz: float) -> np.ndarray:
    """Of each filter's energy what lies further than `far_hz` from its loudest frequency. Shape: [N, L] -> [N]."""
    power = np.abs(np.fft.rfft(filters, BINS, axis=1)) ** 2
    frequency_hz = np.fft.rfftfreq(BINS, 1 / sample_rate_hz)
    far = np.abs(frequency_hz - frequency_hz[power.argmax(1)][:, None]) > far_hz
    return np.asarray((power * far).sum(1) / power.sum(1))


def print_stray(model: Wase, far_hz: float) -> None:
    """A line for the speech encoder and one for the voiceprint encoder: median and 90th percentile, in percent."""
    config = model.config
    bands, rate_hz = config.voiceprint.filters // 2, config.sample_rate_hz
    voiceprint = cast(TcnVoiceprint, model.voiceprint_encoder)
    for label, weight, begun in (
        ("speech encoder", model.encoder.weight, fourier_filters(config.filters // 2, config.window)),
        ("voiceprint encoder", voiceprint.filterbank.weight, mel_filters(bands, config.voiceprint.window, rate_hz)),
    ):
        now, then = (stray_shares(w, rate_hz, far_hz) for w in (weight.detach().float().numpy()[:, 0], begun))
        parts = (f"{100 * np.quantile(shares, q):.1f}" for shares in (now, then) for q in (0.5, 0.9))
        print("| {} | {}, {} % | {}, {} % |".format(label, *parts))


def ideal_masks(latents: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names and masks of a trial's latents. Shape: target, other and mixture [1, N, F] -> [1, N, F] each."""
    target, other, mixture = (latents[name] for name in ("target", "other", "mixture"))

    def over_pairs(x: Tensor) -> Tensor:
        return x.unflatten(1, (2, -1)).sum(1).repeat(1, 2, 1)

    powers = over_pairs(target.square()), over_pairs(other.square()), over_pairs(mixture.square())
    return {
        "Wiener": powers[0] / (powers[0] + powers[1]).clamp_min(1e-12),
        "phase-sensitive": (over_pairs(target * mixture) / powers[2].clamp_min(1e-12)).clamp(0, 1),
    }


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="checkpoints or model files")
    parser.add_argument("--list", type=Path, required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--limit", type=int, help="only the first trials")
    parser.add_argument("--far", type=float, default=250.0, help="Hz")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trials = read_trials(options.list, root=options.root)[: options.limit]
    for path in options.models:
        model = load_checkpoint(path).eval()
        config = model.config
        print(f"\n{path}\n\n| filters of | stray energy, median, 90 % | of those they began as |\n|---|---|---|")
        print_stray(model, options.far)
        gains: dict[str, list[float]] = {}
        for trial in trials:
            audio = render_trial(trial, config.sample_rate_hz)
            signals = {"mixture": audio.mixture, "target": audio.target, "other": audio.mixture - audio.target}
            latents = {
                name: model._encode(
                    pad_to_frames(torch.from_numpy(signal)[None], config.window, config.hop, config.edge)
                )
                for name, signal in signals.items()
            }
            before_db = si_sdr(reference=audio.target, estimate=audio.mixture)
            for name, mask in ideal_masks(latents).items():
                estimate = model._decode(latents["mixture"] * mask, len(audio.mixture))[0].numpy()
                gains.setdefault(name, []).append(si_sdr(reference=audio.target, estimate=estimate) - before_db)
        found = "; ".join(f"{name} {np.mean(values):.2f}" for name, values in gains.items())
        print(f"\nIdeal masks, SI-SDR improvement over {len(trials)} trials, dB: {found}")


if __name__ == "__main__":
    main()
