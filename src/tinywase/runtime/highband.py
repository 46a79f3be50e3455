"""The band above the model's: how much of it is the voice, by what the model found below.

A model of 8 kHz hears nothing above 4 kHz, a recording has it. Who is loud there shows below: in the levels of the
estimate and of what it leaves over, at the moment and around it, and in the upper band's own. A small convolutional
network (assets/highband.npz, made by tools/train_highband.py) turns these into gains of 0 to 1 for six bands of the
recording: nothing is made up, what is not there stays away. What it gives: docs/experiments.md 37. Letters: T samples,
C channels, F frames, K frequencies, L levels, H hidden channels, B bands.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..stft import HOPS_PER_WINDOW, analyze, spectra_at, synthesize
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
CROSSING = (0.925, 0.975)  # of half the model's rate: where soxr's filters fall

Read = Callable[[int, int], np.ndarray]  # (start, stop) -> float32 [stop - start, 2, C]
Spectra = tuple[np.ndarray, int]  # complex [F, K], and the rate of what they are of


def extended(
    pieces: Iterable[np.ndarray], lower: Read, *, sample_rate_hz: int, model_rate_hz: int, rms: float
) -> Iterator[np.ndarray]:
    """Estimates with the band above the model's, sample for sample, in pieces of other sizes.

    Args:
        pieces: the recording beside its estimate. Shape: float32 [any, 2, C] each.
        lower: estimate and what it leaves over at the model's rate; silence outside of the recording.
        rms: of the recording as a whole.

    Returns:
        The same with that band. Shape: float32 [any, 2, C] each.
    """
    hop = window_at(sample_rate_hz) // HOPS_PER_WINDOW
    margin, body = (CONTEXT + HOPS_PER_WINDOW) * hop, BODY * hop
    above = _Above(lower, sample_rate_hz, model_rate_hz, rms)
    held, first = None, -margin  # what is not finished, and where it begins
    for piece in pieces:
        before = np.zeros((margin, *piece.shape[1:]), np.float32) if held is None else held
        held = np.concatenate([before, piece])
        while len(held) >= body + 2 * margin:
            yield above.added(held[: body + 2 * margin], first, margin)
            held, first = held[body:], first + body
    if held is not None and len(held) > margin:
        yield above.added(np.concatenate([held, np.zeros((margin, *held.shape[1:]), np.float32)]), first, margin)


@dataclass(frozen=True)
class _Above:
    """The upper band of one recording."""

    lower: Read
    sample_rate_hz: int
    model_rate_hz: int
    rms: float

    def added(self, signals: np.ndarray, first: int, margin: int) -> np.ndarray:
        """Recording and estimate from sample `first` on -> what lies between the margins, the estimate with its band.

        Shape: float32 [T, 2, C] -> [T - 2 margin, 2, C]
        """
        window = window_at(self.sample_rate_hz)
        result = signals[margin : len(signals) - margin].copy()
        band = band_of_bins(window, self.sample_rate_hz)
        rise = rise_of_bins(window, self.sample_rate_hz, self.model_rate_hz)
        frames = (len(signals) + window) // (window // HOPS_PER_WINDOW) + 1
        voices, rests = self._below(first - window, frames)
        for c, (voice, rest) in enumerate(zip(voices, rests, strict=True)):
            spectra = analyze(np.ascontiguousarray(signals[:, 0, c]), window)
            levels = band_levels(
                (voice, self.model_rate_hz), (rest, self.model_rate_hz), (spectra, self.sample_rate_hz), self.rms
            )
            spectra[:, band < 0] = 0
            spectra[CONTEXT:-CONTEXT, band >= 0] *= network(levels, weights())[:, band[band >= 0]] * rise[band >= 0]
            result[:, 1, c] += synthesize(spectra, window, len(signals))[margin : len(signals) - margin]
        return result

    def _below(self, first: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Spectra of estimate and rest at the model's rate, at the same times. Shape: -> complex [C, F, K] twice."""
        hop = window_at(self.sample_rate_hz) // HOPS_PER_WINDOW
        window = window_at(self.model_rate_hz)
        begins = np.rint((first + hop * np.arange(frames)) * (self.model_rate_hz / self.sample_rate_hz)).astype(int)
        both = self.lower(int(begins[0]), int(begins[-1]) + window)  # [n, 2, C]
        spectra = [
            [spectra_at(signal, begins - begins[0], window) for signal in part.T] for part in both.swapaxes(0, 1)
        ]
        return np.array(spectra[0]), np.array(spectra[1])


def window_at(sample_rate_hz: int) -> int:
    """Samples next to `WINDOW_S` whose Fourier transform is quick: 1408 of 44.1 kHz, not 1412 = 4 x 353."""
    return 8 * HOPS_PER_WINDOW * max(1, round(WINDOW_S * sample_rate_hz / (8 * HOPS_PER_WINDOW)))


def band_of_bins(window: int, sample_rate_hz: int) -> np.ndarray:
    """For every frequency the upper band it lies in, the last one above them all, -1 below. Shape: -> [K]."""
    frequencies_hz = np.arange(window // 2 + 1) * sample_rate_hz / window
    return np.searchsorted(HIGH_HZ[:-1], frequencies_hz, side="right") - 1


def rise_of_bins(window: int, sample_rate_hz: int, model_rate_hz: int) -> np.ndarray:
    """What a resampled estimate lacks of every frequency: 0 in the model's band, 1 above. Shape: -> float32 [K]."""
    frequencies_hz = np.arange(window // 2 + 1) * sample_rate_hz / window
    start_hz, stop_hz = (part * model_rate_hz / 2 for part in CROSSING)
    part = np.clip((frequencies_hz - start_hz) / (stop_hz - start_hz), 0, 1)
    return np.square(np.sin(np.pi / 2 * part)).astype(np.float32)


def band_levels(voice: Spectra, rest: Spectra, recording: Spectra, rms: float) -> np.ndarray:
    """Powers of voice and rest in the bands of `LOW_HZ`, of the recording in those of `HIGH_HZ`, over its power, as
    decimal logarithms. Shape: complex [F, K] three times, each with its rate -> float32 [F, L]
    """
    bands = [
        band_powers(spectra, edges_hz, rate_hz) / np.float32(2 * (spectra.shape[1] - 1)) ** 2
        for (spectra, rate_hz), edges_hz in ((voice, LOW_HZ), (rest, LOW_HZ), (recording, HIGH_HZ))
    ]
    powers = np.concatenate(bands, axis=1) / np.float32(max(rms, 1e-10)) ** 2
    levels: np.ndarray = np.log10(powers + np.float32(FLOOR))
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
