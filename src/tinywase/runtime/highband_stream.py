"""The band above the model's in a sound that is still going on (highband.py), at no further delay.

What the model finds comes some time after the sound, and a hop is given as soon as everything before it was found:

    recording          ... [h o p][ ][ ][ ]     the window of the levels above, and of the bands themselves
    estimate    ... [    ]                      the window of the levels below
                    -> gains of the hop's bands

The recording is cut into bands first and the gains come last, hop by hop: gains of spectra would speak for whole
windows, a hop's length and a half later on average (docs/experiments.md 40). Everything is computed frame by frame, so
it depends on the samples alone. Letters: T samples, K frequencies, L levels, B bands.
"""

from __future__ import annotations

import math

import numpy as np

from ..stft import HOPS_PER_WINDOW, inverse, transform
from .highband import BANDS, CausalNetwork, band_levels, band_of_bins, weights, window_at
from .resampling import LowDelayResampler

WEIGHTS = "highband-stream"
LOW_HOPS = 2  # of a window of estimate and rest: it is short, because it is late
RISE_SHARE = 4  # a gain begins with a ramp over this part of its hop
MEMORY_S = 10.0  # of the power that levels are relative to

Frame = tuple[np.ndarray, np.ndarray]  # levels, float32 [L]; spectrum of the recording, complex64 [K]


class LevelStream:
    """What decides about a hop, and the window that begins with it, one hop after the other.

    The first hops are before the sound, as many as a window holds but one.
    """

    early_hops = HOPS_PER_WINDOW - 1

    def __init__(self, sample_rate_hz: int, model_rate_hz: int) -> None:
        self.window = window_at(sample_rate_hz)
        self.hop = self.window // HOPS_PER_WINDOW
        self._rate_hz, self._model_rate_hz = sample_rate_hz, model_rate_hz
        self._low_window = LOW_HOPS * window_at(model_rate_hz) // HOPS_PER_WINDOW
        self.reset()

    def reset(self) -> None:
        """Nothing has been heard."""
        self._begin = -self.early_hops * self.hop
        self._recording = _Tape(self._begin)
        first = self._below(self._begin) - self._low_window
        self._mixture, self._estimate = _Tape(first), _Tape(first)
        self._power = self._heard_s = 0.0

    def waits(self, model_latency_s: float) -> int:
        """Samples from the first one of a hop until it can be told, if estimates are so late."""
        late_s = model_latency_s + 1 / self._model_rate_hz  # windows end at the next sample
        return max(math.ceil(late_s * self._rate_hz), self.window)

    def hear(self, recording: np.ndarray) -> None:
        """More of it. Shape: float32 [any]."""
        self._recording.append(recording)

    def learn(self, mixture: np.ndarray, estimate: np.ndarray) -> None:
        """More of the same and what the model makes of it, at the model's rate. Shape: float32 [any] each."""
        self._mixture.append(mixture)
        self._estimate.append(estimate)

    def end(self) -> None:
        """Silence follows, for as long as windows reach."""
        self.hear(np.zeros(self.window + self.hop, np.float32))
        below = np.zeros(self._below(self.window + self.hop), np.float32)
        self.learn(below, below)

    def next(self) -> Frame | None:
        """The next hop's, if all of it is there."""
        stop = self._below(self._begin)
        if self._estimate.stop < stop or self._recording.stop < self._begin + self.window:
            return None
        mixture, estimate = (tape.take(stop - self._low_window, stop) for tape in (self._mixture, self._estimate))
        spectrum = transform(self._recording.take(self._begin, self._begin + self.window)[None])
        voice, rest = transform(np.stack([estimate, mixture - estimate]))
        self._remember(mixture[self._low_window - self._low_window // LOW_HOPS :])
        levels = band_levels(
            (voice[None], self._model_rate_hz),
            (rest[None], self._model_rate_hz),
            (spectrum, self._rate_hz),
            math.sqrt(self._power),
        )
        self._begin += self.hop
        return levels[0], spectrum[0]

    def _below(self, samples: int) -> int:
        """The same time in samples of the model's rate."""
        return round(samples * self._model_rate_hz / self._rate_hz)

    def _remember(self, hop: np.ndarray) -> None:
        """How loud the sound is, to which digital silence says nothing. Shape: [any]."""
        power = float(np.mean(np.square(hop, dtype=np.float64)))
        if power:
            hop_s = self.hop / self._rate_hz
            self._heard_s = min(self._heard_s + hop_s, MEMORY_S)
            self._power += hop_s / self._heard_s * (power - self._power)


class HighbandStream(LevelStream):
    """The band above the model's of the voice, hop by hop."""

    def __init__(self, inwards: LowDelayResampler) -> None:
        """`inwards`: what takes the recording to the model's rate."""
        self._network = CausalNetwork(weights(WEIGHTS))
        super().__init__(inwards.from_hz, inwards.to_hz)
        self._shapes = shapes_of_bands(self.window, inwards)
        self._rise = np.ones((1, self.hop), np.float32)  # from the gain before to the new one
        ramp = self.hop // RISE_SHARE
        self._rise[0, :ramp] = (np.arange(ramp) + 0.5) / ramp

    def reset(self) -> None:
        """Nothing has been heard."""
        super().reset()
        self._network.reset()
        self._unfinished = np.zeros((BANDS, self.window), np.float32)
        self._gains = np.zeros((BANDS, 1), np.float32)
        self._early = self.early_hops
        self._voice = self._band = np.zeros(0, np.float32)  # either waits for the other

    def added(self, voice: np.ndarray) -> np.ndarray:
        """More of the voice below, and as much of it as there is with the band above. Shape: float32 [any] -> [any]."""
        hops = [self._hop(*frame) for frame in iter(self.next, None)]
        early = min(self._early, len(hops))
        self._early -= early
        self._voice = np.concatenate([self._voice, voice])
        self._band = np.concatenate([self._band, *hops[early:]])
        both = min(len(self._voice), len(self._band))
        whole = self._voice[:both] + self._band[:both]
        self._voice, self._band = self._voice[both:], self._band[both:]
        return whole

    def _hop(self, levels: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        """The hop that the window begins with. Shape: float32 [L], complex64 [K] -> float32 [hop]."""
        hop = self.hop
        self._unfinished += inverse(spectrum * self._shapes, self.window)
        before, self._gains = self._gains, self._network.step(levels)[:, None]
        gains = before + self._rise * (self._gains - before)
        result: np.ndarray = (gains * self._unfinished[:, :hop]).sum(0)
        self._unfinished[:, :-hop] = self._unfinished[:, hop:]
        self._unfinished[:, -hop:] = 0
        return result


def shapes_of_bands(window: int, inwards: LowDelayResampler) -> np.ndarray:
    """The upper bands, which together are what an estimate lacks that went to the model's rate and back.
    Shape: -> float32 [B, K]
    """
    frequencies_hz = np.arange(window // 2 + 1) * inwards.from_hz / window
    lacks = np.clip(1 - np.square(inwards.response(frequencies_hz)), 0, 1)
    band = np.maximum(band_of_bins(window, inwards.from_hz), 0)  # the first one begins where the estimate falls
    return (lacks * (band == np.arange(BANDS)[:, None])).astype(np.float32)


class _Tape:
    """Samples that come bit by bit, and are read forwards only; before the first one there is silence."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._samples = np.zeros(-start, np.float32)

    @property
    def stop(self) -> int:
        """Behind the last one."""
        return self._start + len(self._samples)

    def append(self, samples: np.ndarray) -> None:
        """Shape: float32 [any]."""
        self._samples = np.concatenate([self._samples, samples])

    def take(self, start: int, stop: int) -> np.ndarray:
        """Whatever is before `start` is not asked for again. Shape: -> float32 [stop - start]."""
        self._samples, self._start = self._samples[start - self._start :], start
        return self._samples[: stop - start]
