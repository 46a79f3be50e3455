"""The band above the model's: how much of it is the voice, by what the model found below.

A model of 8 kHz hears nothing above 4 kHz, a recording has it. Who is loud there shows below: in the levels of the
estimate and of what it leaves over, at the moment and around it, and in the upper band's own. Small convolutional
networks (assets/highband.npz for recordings, assets/highband-stream.npz for streams, made by tools/train_highband.py)
turn these into gains of 0 to 1 for six bands of the recording: nothing is made up, what is not there stays away. What
they give: docs/experiments.md 37, 40. Here is what a network hears and what it computes; highband_file.py and
highband_stream.py apply it. Letters: F frames, K frequencies, L levels, H hidden channels, B bands.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from ..stft import HOPS_PER_WINDOW
from .layers import sigmoid

ASSETS = Path(__file__).resolve().parent.parent / "assets"
WINDOW_S = 0.032
LOW_HZ = (100, 200, 300, 450, 600, 800, 1000, 1250, 1500, 1750, 2000, 2300, 2600, 2900, 3200, 3500, 3800)
HIGH_HZ = (3650, 4500, 5200, 6000, 6800, 7500, 8000)  # from where 8 kHz models end; the last gain is for all above
BANDS = len(HIGH_HZ) - 1
LEVELS = 2 * (len(LOW_HZ) - 1) + BANDS
FLOOR = 2e-9  # of a band's power, over the recording's
TAPS, DILATIONS = 5, (1, 2, 4, 8)
SILENCE = np.full(LEVELS, np.log10(FLOOR), np.float32)
REACH = (TAPS - 1) * sum(DILATIONS)  # frames beside one that its gains depend on

Spectra = tuple[np.ndarray, int]  # complex [F, K], and the rate of what they are of
Weights = Mapping[str, np.ndarray]


def window_at(sample_rate_hz: int) -> int:
    """Samples next to `WINDOW_S` whose Fourier transform is quick: 1408 of 44.1 kHz, not 1412 = 4 x 353."""
    return 8 * HOPS_PER_WINDOW * max(1, round(WINDOW_S * sample_rate_hz / (8 * HOPS_PER_WINDOW)))


def band_of_bins(window: int, sample_rate_hz: int) -> np.ndarray:
    """For every frequency the upper band it lies in, the last one above them all, -1 below. Shape: -> [K]."""
    frequencies_hz = np.arange(window // 2 + 1) * sample_rate_hz / window
    return np.searchsorted(HIGH_HZ[:-1], frequencies_hz, side="right") - 1


def band_levels(voice: Spectra, rest: Spectra, recording: Spectra, rms: float) -> np.ndarray:
    """Powers of voice and rest in the bands of `LOW_HZ`, of the recording in those of `HIGH_HZ`, over its power, as
    decimal logarithms. Shape: complex [F, K] three times, each with its rate -> float32 [F, L]
    """
    parts = (voice, LOW_HZ), (rest, LOW_HZ), (recording, HIGH_HZ)
    powers = np.concatenate([band_powers(spectra, edges_hz) for spectra, edges_hz in parts], axis=1)
    levels: np.ndarray = np.log10(powers / np.float32(max(rms, 1e-10)) ** 2 + np.float32(FLOOR))
    return levels


def band_powers(of: Spectra, edges_hz: tuple[int, ...]) -> np.ndarray:
    """Between neighbouring edges, nothing above what the rate can hold. Shape: complex [F, K] -> float32 [F, B]."""
    spectra, rate_hz = of
    return (spectra.real**2 + spectra.imag**2) @ _bins_of_bands(2 * (spectra.shape[1] - 1), rate_hz, edges_hz)


@lru_cache(maxsize=16)  # of a few rates: those of a service are its clients' choice
def _bins_of_bands(window: int, rate_hz: int, edges_hz: tuple[int, ...]) -> np.ndarray:
    """What of a bin's square is a band's power. Shape: -> float32 [K, B]."""
    edges = [round(edge_hz * window / rate_hz) for edge_hz in edges_hz]
    shares = np.zeros((window // 2 + 1, len(edges) - 1), np.float32)
    for band, (start, stop) in enumerate(itertools.pairwise(edges)):
        shares[start:stop, band] = 1 / window**2
    return shares


def network(levels: np.ndarray, w: Weights) -> np.ndarray:
    """Gains of frames with half of `REACH` on either side. Shape: float32 [F + REACH, L] -> [F, B].

    Residual blocks of a convolution over time in each channel and one over channels, dilated.
    """
    hidden = np.maximum(levels @ w["inner"] + w["inner_bias"], 0)
    for block, dilation in enumerate(DILATIONS):
        length = len(hidden) - dilation * (TAPS - 1)
        taps = (hidden[k * dilation : k * dilation + length] * w["time"][block, k] for k in range(TAPS))
        heard = np.maximum(sum(taps, w["time_bias"][block]), 0)
        side = dilation * (TAPS // 2)
        hidden = hidden[side:-side] + np.maximum(heard @ w["mix"][block] + w["mix_bias"][block], 0)
    return sigmoid(hidden @ w["outer"] + w["outer_bias"])


class CausalNetwork:
    """The same for a sound that is still going on: the gains of a frame from it and the `REACH` frames before it."""

    def __init__(self, w: Weights) -> None:
        self._w = w
        hidden = w["inner"].shape[1]
        self._before = [np.zeros((dilation * (TAPS - 1) + 1, hidden), np.float32) for dilation in DILATIONS]
        for _ in range(REACH):
            self.step(SILENCE)
        self._after_silence = self._before
        self.reset()

    def reset(self) -> None:
        """Nothing but silence has been heard."""
        self._before = [before.copy() for before in self._after_silence]

    def step(self, levels: np.ndarray) -> np.ndarray:
        """The next frame. Shape: float32 [L] -> [B]."""
        w = self._w
        hidden = np.maximum(levels @ w["inner"] + w["inner_bias"], 0)
        for block, (dilation, before) in enumerate(zip(DILATIONS, self._before, strict=True)):
            before[:-1] = before[1:]
            before[-1] = hidden
            heard = np.maximum((before[::dilation] * w["time"][block]).sum(0) + w["time_bias"][block], 0)
            hidden = hidden + np.maximum(heard @ w["mix"][block] + w["mix_bias"][block], 0)
        return sigmoid(hidden @ w["outer"] + w["outer_bias"])


@cache
def weights(name: str) -> Weights:
    """Of a network, as float32: inner [L, H], time [blocks, TAPS, H], mix [blocks, H, H], outer [H, B], biases."""
    with np.load(ASSETS / f"{name}.npz") as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}
