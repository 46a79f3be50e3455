"""The band above the model's: how much of it is the voice, by what the model found below.

A model of 8 kHz hears nothing above 4 kHz, a recording has it. Who is loud there shows below: in the levels of the
estimate and of what it leaves over, at the moment and around it, and in the upper band's own. A small convolutional
network (assets/highband.npz, made by tools/train_highband.py) turns these into gains of 0 to 1 for six bands of the
recording: nothing is made up, what is not there stays away. What it gives: docs/experiments.md 37. Letters: T samples,
C channels, F frames, K frequencies, L levels, H hidden channels, B bands.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from ..stft import HOPS_PER_WINDOW, analyze, synthesize
from .layers import sigmoid

WEIGHTS = Path(__file__).resolve().parent.parent / "assets" / "highband.npz"
WINDOW_S = 0.032
LOW_HZ = (100, 200, 300, 450, 600, 800, 1000, 1250, 1500, 1750, 2000, 2300, 2600, 2900, 3200, 3500, 3800)
HIGH_HZ = (3650, 4500, 5200, 6000, 6800, 7500, 8000)  # from where 8 kHz models end; the last gain is for all above
LEVELS = 2 * (len(LOW_HZ) - 1) + len(HIGH_HZ) - 1
FLOOR = 2e-9  # of a band's power, over the recording's
TAPS, DILATIONS = 5, (1, 2, 4, 8)
CONTEXT = TAPS // 2 * sum(DILATIONS)  # frames on either side of one that its gains depend on
BODY = 250  # frames at once: two seconds


def extended(pieces: Iterable[np.ndarray], *, sample_rate_hz: int, rms: float) -> Iterator[np.ndarray]:
    """Estimates with their band above the model's, sample for sample, in pieces of other sizes.

    Args:
        pieces: recording, that band of it, the rest of it, estimate of the rest. Shape: float32 [any, 4, C] each.
        rms: of the recording as a whole.

    Returns:
        Recording and estimate. Shape: float32 [any, 2, C] each.
    """
    hop = window_at(sample_rate_hz) // HOPS_PER_WINDOW
    margin, body = (CONTEXT + HOPS_PER_WINDOW) * hop, BODY * hop
    held: np.ndarray | None = None
    for piece in pieces:
        before = np.zeros((margin, *piece.shape[1:]), np.float32) if held is None else held
        held = np.concatenate([before, piece])
        while len(held) >= body + 2 * margin:
            yield _extended(held[: body + 2 * margin], margin, sample_rate_hz, rms)
            held = held[body:]
    if held is not None and len(held) > margin:
        held = np.concatenate([held, np.zeros((margin, *held.shape[1:]), np.float32)])
        yield _extended(held, margin, sample_rate_hz, rms)


def _extended(signals: np.ndarray, margin: int, sample_rate_hz: int, rms: float) -> np.ndarray:
    """What lies between the margins. Shape: float32 [T, 4, C] -> [T - 2 margin, 2, C]."""
    window = window_at(sample_rate_hz)
    band = band_of_bins(window, sample_rate_hz)
    result = signals[margin : len(signals) - margin, [0, 3]]
    for c in range(signals.shape[2]):
        upper, lower, voice = np.ascontiguousarray(signals[:, 1:, c].T)
        if not upper.any():
            continue
        upper = analyze(upper, window)
        levels = band_levels(analyze(voice, window), analyze(lower - voice, window), upper, sample_rate_hz, rms)
        upper[:, band < 0] = 0
        upper[CONTEXT:-CONTEXT, band >= 0] *= network(levels, weights())[:, band[band >= 0]]
        result[:, 1, c] += synthesize(upper, window, len(voice))[margin : len(voice) - margin]
    return result


def window_at(sample_rate_hz: int) -> int:
    """Samples next to `WINDOW_S` whose Fourier transform is quick: 1408 of 44.1 kHz, not 1412 = 4 x 353."""
    return 8 * HOPS_PER_WINDOW * max(1, round(WINDOW_S * sample_rate_hz / (8 * HOPS_PER_WINDOW)))


def band_of_bins(window: int, sample_rate_hz: int) -> np.ndarray:
    """For every frequency the upper band it lies in, the last one above them all, -1 below. Shape: -> [K]."""
    frequencies_hz = np.arange(window // 2 + 1) * sample_rate_hz / window
    return np.searchsorted(HIGH_HZ[:-1], frequencies_hz, side="right") - 1


def band_levels(voice: np.ndarray, rest: np.ndarray, upper: np.ndarray, sample_rate_hz: int, rms: float) -> np.ndarray:
    """Powers of voice and rest in the bands of `LOW_HZ`, of the recording in those of `HIGH_HZ`, over its power, as
    decimal logarithms. Shape: complex [F, K] three times -> float32 [F, L]

    The recording is the sum of the three: what a model of a higher rate hears itself is seen here all the same.
    """
    window = 2 * (voice.shape[1] - 1)
    scale = 1 / (np.float32(window) ** 2 * np.float32(max(rms, 1e-10)) ** 2)
    powers = [
        band_powers(spectra, edges_hz, sample_rate_hz)
        for spectra, edges_hz in ((voice, LOW_HZ), (rest, LOW_HZ), (voice + rest + upper, HIGH_HZ))
    ]
    levels: np.ndarray = np.log10(np.concatenate(powers, axis=1) * scale + np.float32(FLOOR))
    return levels


def band_powers(spectra: np.ndarray, edges_hz: tuple[int, ...], sample_rate_hz: int) -> np.ndarray:
    """Sums of squares between neighbouring edges, nothing above what the rate can hold. Shape: [F, K] -> [F, B]."""
    window = 2 * (spectra.shape[1] - 1)
    edges = [round(edge_hz * window / sample_rate_hz) for edge_hz in edges_hz]
    squares = spectra.real**2 + spectra.imag**2
    return np.stack([squares[:, start:stop].sum(1) for start, stop in itertools.pairwise(edges)], axis=1)


def network(levels: np.ndarray, w: Mapping[str, np.ndarray]) -> np.ndarray:
    """Gains of frames with `CONTEXT` frames on either side. Shape: float32 [F + 2 CONTEXT, L] -> [F, B].

    Residual blocks of a convolution over time in each channel and one over channels, dilated.
    """
    hidden = np.maximum(levels @ w["inner"] + w["inner_bias"], 0)
    for block, dilation in enumerate(DILATIONS):
        length = len(hidden) - dilation * (TAPS - 1)
        taps = (hidden[k * dilation : k * dilation + length] * w["time"][block, k] for k in range(TAPS))
        heard = np.maximum(sum(taps, w["time_bias"][block]), 0)
        reach = dilation * (TAPS // 2)
        hidden = hidden[reach:-reach] + np.maximum(heard @ w["mix"][block] + w["mix_bias"][block], 0)
    return sigmoid(hidden @ w["outer"] + w["outer_bias"])


@cache
def weights() -> Mapping[str, np.ndarray]:
    """Of the network, as float32: inner [L, H], time [blocks, TAPS, H], mix [blocks, H, H], outer [H, B], biases."""
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
