"""Weights of a network that hears power, with fixed filters in place of its learned ones: something to train on from.

    python tools/refit.py weights/small.safetensors runs/fixed.safetensors --bank runs/bank --window 512 --overlap 4

Learned filters collect noise (docs/experiments.md 31). The speech codec becomes the Fourier transform, its window a
multiple of the old one at the same hop, and the voiceprint encoder's filterbank the mel pairs it began as. A new band
takes the weights of the old one it lies in, and the norms behind the filters take gains and biases that give every band
the mean and deviation it had, on mixtures and utterances of the bank. What comes out computes something else: half
of the improvement or so is left until it is trained.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tinywase.config import ModelConfig
from tinywase.data.activity import prepare_enrollment, scale_to_rms
from tinywase.data.bank import SpeechBank
from tinywase.errors import AudioError
from tinywase.models import Wase
from tinywase.models.filterbank import log_power
from tinywase.models.operations import analyze
from tinywase.models.voiceprint import TcnVoiceprint, pad_to_frames
from tinywase.quant.attach import float_state
from tinywase.train.checkpoint import load_checkpoint, save_weights

RECORDINGS = 64
LEAST_S = 2.0  # of a recording that is heard
RMS = 0.05


def refitted_config(config: ModelConfig, window: int, overlap: int) -> ModelConfig:
    """The configuration with fixed filters.

    Raises:
        SystemExit: networks whose filters are no pairs, or another hop.
    """
    if config.features != "log_power" or config.voiceprint.kind != "tcn":
        raise SystemExit("only a network that hears log_power, with a tcn voiceprint encoder, has pairs of filters.")
    if window // overlap != config.hop or window % config.filters:
        raise SystemExit(
            f"--window {window} --overlap {overlap}: expected a hop of {config.hop} samples, the network's, and a "
            f"multiple of its {config.filters} filters."
        )
    voiceprint = dataclasses.replace(config.voiceprint, filterbank="mel")
    return dataclasses.replace(
        config, window=window, overlap=overlap, filters=window, codec="fourier", voiceprint=voiceprint
    )


@torch.no_grad()
def refitted(model: Wase, config: ModelConfig, utterances: Sequence[np.ndarray]) -> Wase:
    """The network with the filters of `config`. Utterances: [T] each, at its sample rate."""
    new, old = Wase(config).eval(), float_state(model)
    times = config.filters // model.config.filters
    band = torch.arange(config.filters // 2) // times  # of the old one that a new one lies in
    state = {name: value for name, value in old.items() if name in new.state_dict()}
    bottleneck, mask = "separator.bottleneck.weight", "separator.mask."
    state[bottleneck] = old[bottleneck][:, band] / times
    for name in (f"{mask}weight", f"{mask}bias"):
        state[name] = torch.cat([half[band] for half in old[name].chunk(2)])
    enrollments = [torch.from_numpy(prepare_enrollment(audio, config.sample_rate_hz))[None] for audio in utterances]
    mixtures = [_mixture(one, other) for one, other in zip(utterances, [*utterances[1:], utterances[0]], strict=True)]
    state |= _matched("separator.norm", old, _codec_bands, (model, new), mixtures, band)
    bands = torch.arange(config.voiceprint.filters // 2)
    state |= _matched("voiceprint_encoder.norm", old, _voiceprint_bands, (model, new), enrollments, bands)
    new.load_state_dict(state)
    return new


def _mixture(one: np.ndarray, other: np.ndarray) -> Tensor:
    length = min(len(one), len(other))
    return torch.from_numpy(scale_to_rms(one[:length], RMS) + scale_to_rms(other[:length], RMS))[None]


def _codec_bands(model: Wase, signal: Tensor) -> Tensor:
    """Log power as the separator hears it. Shape: [1, T] -> [C, F]."""
    config = model.config
    return log_power(model._encode(pad_to_frames(signal, config.window, config.hop, config.edge)))[0]


def _voiceprint_bands(model: Wase, signal: Tensor) -> Tensor:
    """Log power as the voiceprint encoder hears it. Shape: [1, T] -> [C, F]."""
    config, weight = model.config.voiceprint, cast(TcnVoiceprint, model.voiceprint_encoder).filterbank.weight
    return log_power(analyze(pad_to_frames(signal, config.window, config.hop, config.hop), weight, config.hop))[0]


def _matched(
    norm: str,
    old: dict[str, Tensor],
    bands_of: Callable[[Wase, Tensor], Tensor],
    models: tuple[Wase, Wase],
    signals: Sequence[Tensor],
    band: Tensor,
) -> dict[str, Tensor]:
    """Gain and bias of a norm that make every new band what the old one was, in mean and deviation."""
    heard = [torch.cat([_normalized(bands_of(model, signal)) for signal in signals], 1) for model in models]
    (mean, deviation), (new_mean, new_deviation) = ((x.mean(1), x.std(1).clamp_min(1e-3)) for x in heard)
    gain, bias = old[f"{norm}.weight"][band], old[f"{norm}.bias"][band]
    new_gain = gain * deviation[band] / new_deviation
    return {f"{norm}.weight": new_gain, f"{norm}.bias": bias + gain * mean[band] - new_gain * new_mean}


def _normalized(x: Tensor) -> Tensor:
    return (x - x.mean()) / x.std()


def drawn_utterances(bank: SpeechBank) -> list[np.ndarray]:
    """With enough speech each, the same ones every time."""
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = []
    for index in rng.permutation(len(bank.utterances)):
        audio = bank.audio(int(index))
        try:
            if len(prepare_enrollment(audio, bank.sample_rate_hz)) >= LEAST_S * bank.sample_rate_hz:
                found.append(audio)
        except AudioError:  # hardly any speech
            continue
        if len(found) == RECORDINGS:
            break
    if len(found) < 2:
        raise SystemExit(f"the bank has {len(found)} utterances of {LEAST_S:g} s: expected two or more.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--bank", type=Path, required=True, help="speech to match the bands on, made by 'data pack'")
    parser.add_argument("--window", type=int, required=True, help="samples")
    parser.add_argument("--overlap", type=int, required=True, help="windows that cover a sample")
    options = parser.parse_args()
    model, bank = load_checkpoint(options.weights).eval(), SpeechBank.load(options.bank)
    if bank.sample_rate_hz != model.config.sample_rate_hz:
        raise SystemExit(
            f"{options.bank} is at {bank.sample_rate_hz} Hz, the network at {model.config.sample_rate_hz}: pack it "
            f"with --rate {model.config.sample_rate_hz}."
        )
    config = refitted_config(model.config, options.window, options.overlap)
    new = refitted(model, config, drawn_utterances(bank))
    save_weights(new, options.output, {})
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, new))
    print(f"{options.output}: {before:,} parameters have become {after:,}.")


if __name__ == "__main__":
    main()
