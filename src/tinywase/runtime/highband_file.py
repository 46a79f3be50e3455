"""The band above the model's in a whole recording (highband.py): gains that hear what comes as well as what was.

Letters: T samples, C channels, F frames, K frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ..stft import HOPS_PER_WINDOW, analyze, spectra_at, synthesize
from .highband import REACH, band_levels, band_of_bins, network, weights, window_at

WEIGHTS = "highband"
CONTEXT = REACH // 2  # frames on either side
BODY = 125  # frames at once: one second
CROSSING = (0.925, 0.975)  # of half the model's rate: where soxr's filters fall

Read = Callable[[int, int], np.ndarray]  # (start, stop) -> float32 [stop - start, 2, C]


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
            gains = network(levels, weights(WEIGHTS))
            spectra[:, band < 0] = 0
            spectra[CONTEXT:-CONTEXT, band >= 0] *= gains[:, band[band >= 0]] * rise[band >= 0]
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


def rise_of_bins(window: int, sample_rate_hz: int, model_rate_hz: int) -> np.ndarray:
    """What a resampled estimate lacks of every frequency: 0 in the model's band, 1 above. Shape: -> float32 [K]."""
    frequencies_hz = np.arange(window // 2 + 1) * sample_rate_hz / window
    start_hz, stop_hz = (part * model_rate_hz / 2 for part in CROSSING)
    part = np.clip((frequencies_hz - start_hz) / (stop_hz - start_hz), 0, 1)
    return np.square(np.sin(np.pi / 2 * part)).astype(np.float32)
