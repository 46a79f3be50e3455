"""From an enrollment to a voiceprint in plain numpy: what `models/voiceprint.py` is to training (docs/model.md 1).

Letters: T samples, F frames, C channels, H hidden units, K inputs, D dimensions of the voiceprint.
"""

from __future__ import annotations

import numpy as np

from ..config import ModelConfig, VoiceprintConfig
from ..filters import mel_filters
from .framing import analyse, log_power, pad_to_frames
from .layers import Activation, Array, BlockState, ConvBlock, NormState, Weights, sigmoid

DEVIATION_FLOOR = np.float32(1e-6)


def encode_voiceprint(model: ModelConfig, weights: Weights, enrollment: Array) -> Array:
    """The voiceprint of a prepared enrollment. Shape: [T] -> [D]."""
    config = model.voiceprint
    if config.filterbank == "mel":
        filters = mel_filters(config.filters // 2, config.window, model.sample_rate_hz)[:, None]
    else:
        filters = weights["voiceprint_encoder.filterbank.weight"]
    frames = analyse(pad_to_frames(enrollment, config.window, config.hop, config.hop), filters, config.hop)
    return (_lstm_voiceprint if config.kind == "lstm" else _tcn_voiceprint)(config, weights, frames)


def _tcn_voiceprint(config: VoiceprintConfig, w: Weights, pairs: Array) -> Array:
    """Log power, convolution blocks, mean and deviation over frames, linear, length sqrt(D). Shape: [C, F] -> [D]."""
    x = w.norm("voiceprint_encoder.norm")(log_power(pairs), NormState())
    x = w.conv("voiceprint_encoder.bottleneck").pointwise(Activation(x))
    skips = np.zeros_like(x)
    for i in range(config.layers):
        x, skip = ConvBlock(w, f"voiceprint_encoder.blocks.{i}", 2**i)(x, BlockState())
        skips += skip
    mean = skips.mean(1)
    deviation = np.sqrt(np.square(skips - mean[:, None]).mean(1) + DEVIATION_FLOOR)
    pooled = Activation(np.concatenate([mean, deviation])[:, None])
    voiceprint = w.conv("voiceprint_encoder.linear").pointwise(pooled)[:, 0]
    length = max(float(np.linalg.norm(voiceprint)), 1e-12)
    return voiceprint * np.float32(config.dimensions**0.5 / length)


def _lstm_voiceprint(config: VoiceprintConfig, w: Weights, frames: Array) -> Array:
    """Bidirectional LSTM layers, mean over frames, linear. Shape: [C, F] -> [D]."""
    x = frames
    for layer in range(config.layers):
        forward = _lstm(w, f"l{layer}", x)
        backward = _lstm(w, f"l{layer}_reverse", x[:, ::-1])[:, ::-1]
        x = np.concatenate([forward, backward])
    return w.conv("voiceprint_encoder.linear").pointwise(Activation(x.mean(1)[:, None]))[:, 0]


def _lstm(w: Weights, suffix: str, x: Array) -> Array:
    """One direction of one layer; gates in torch's order: input, forget, cell, output. Shape: [K, F] -> [H, F]."""
    prefix = "voiceprint_encoder.rnn."
    recurrent = w[f"{prefix}weight_hh_{suffix}"]
    bias = w[f"{prefix}bias_ih_{suffix}"] + w[f"{prefix}bias_hh_{suffix}"]
    inputs = (w[f"{prefix}weight_ih_{suffix}"] @ x + bias[:, None]).T  # [F, 4 H]
    hidden = cell = np.zeros(recurrent.shape[1], np.float32)
    outputs = np.empty((len(inputs), len(hidden)), np.float32)
    for frame, row in enumerate(inputs):
        enter, forget, candidate, leave = np.split(row + recurrent @ hidden, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        outputs[frame] = hidden
    return outputs.T
