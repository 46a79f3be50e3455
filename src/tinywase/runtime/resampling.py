"""Another sampling rate for a sound that is still going on, 3 ms later: files are resampled by soxr (blocks.py), whose
streams hold back 40 to 170 ms.

A sinc under a Kaiser window, one row of taps for every position between two input samples. At 8 kHz it is flat to
3.4 kHz, and what would fold back is 60 dB down from 4 kHz on. Letters: T samples.
"""

from __future__ import annotations

import math

import numpy as np

from ..audio import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from ..errors import ConfigError

HALF_TAPS = 24  # at the lower of the two rates, on either side
KAISER_BETA = 5.7  # 60 dB
PASSED = 0.925  # where the sinc cuts, as a part of the lower rate's half
AT_ONCE = 4096  # outputs: their taps lie side by side in memory
LARGEST_TABLE = 1 << 22  # taps, 16 MB: rates without a common divisor have as many rows as samples a second


class LowDelayResampler:
    """Chunks of any size at one rate to chunks at another; what comes out depends on the samples alone.

    Sample m of the output stands where m * from / to stands in the input: nothing is shifted, it only comes later.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        for rate_hz in (from_hz, to_hz):
            if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
                raise ConfigError(f"sampling rate {rate_hz} Hz: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}.")
        self.from_hz, self.to_hz = from_hz, to_hz
        divisor = math.gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._half = 0 if from_hz == to_hz else math.ceil(HALF_TAPS * from_hz / min(from_hz, to_hz))
        if self._up * 2 * self._half > LARGEST_TABLE:
            raise ConfigError(f"{from_hz} Hz has too little in common with {to_hz} Hz. Choose a usual sampling rate.")
        self._kernel = self._taps(min(from_hz, to_hz) / from_hz)
        self.delay_s = self._half / from_hz
        self.reset()

    def reset(self) -> None:
        """Back to silence."""
        self._samples = np.zeros(max(0, self._half - 1), np.float32)  # what the next outputs still need
        self._first = -len(self._samples)  # which sample of the input that begins with
        self._fed = self._given = 0

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        """What `chunk` completes. Shape: float32 [any] -> float32 [any]."""
        self._fed += len(chunk)
        if not self._half:
            self._given += len(chunk)
            return chunk
        self._samples = np.concatenate([self._samples, chunk])
        ready = -(-(self._fed - self._half) * self._up // self._down)  # outputs whose last tap is there
        return self._outputs(max(ready, self._given))

    def flush(self) -> np.ndarray:
        """The rest, as if silence followed; then only `reset` is possible. Shape: -> float32 [any]."""
        self._samples = np.concatenate([self._samples, np.zeros(self._half, np.float32)])
        return self._outputs(-(-self._fed * self._up // self._down)) if self._half else self._samples[:0]

    def response(self, frequencies_hz: np.ndarray) -> np.ndarray:
        """What is left of tones. Shape: [any] -> [any], 1 where nothing is taken away."""
        if not self._half:
            return np.ones(len(frequencies_hz))
        at_s = (np.arange(2 * self._half) - (self._half - 1)) / self.from_hz
        return np.asarray(np.cos(2 * np.pi * frequencies_hz[:, None] * at_s) @ self._kernel[0])

    def _outputs(self, until: int) -> np.ndarray:
        """Outputs up to number `until`, and forget the input that no later one needs."""
        starts = range(self._given, until, AT_ONCE)
        parts = [self._some(start, min(start + AT_ONCE, until)) for start in starts]
        result = np.concatenate([np.zeros(0, np.float32), *parts])
        self._given = until
        needed = until * self._down // self._up - (self._half - 1) - self._first
        self._samples, self._first = self._samples[needed:].copy(), self._first + max(0, needed)
        return result

    def _some(self, start: int, stop: int) -> np.ndarray:
        """Outputs number `start` to `stop`. Shape: -> float32 [stop - start]."""
        at = np.arange(start, stop) * self._down
        first = at // self._up - (self._half - 1) - self._first  # in self._samples, the first tap of every output
        taps = np.lib.stride_tricks.sliding_window_view(self._samples, 2 * self._half)[first]
        return np.einsum("mk,mk->m", taps, self._kernel[at % self._up])

    def _taps(self, lower: float) -> np.ndarray:
        """`lower`: the lower of the rates over the input's. Shape: -> float32 [up, 2 half]."""
        if not self._half:
            return np.zeros((1, 0), np.float32)
        position = np.arange(2 * self._half) - (self._half - 1) - np.arange(self._up)[:, None] / self._up
        window = np.i0(KAISER_BETA * np.sqrt(np.maximum(0.0, 1 - (position / self._half) ** 2)))
        taps = np.sinc(PASSED * lower * position) * window
        return (taps / taps.sum(1, keepdims=True)).astype(np.float32)
