"""A stream of an offline model: the last seconds of a sound through it again and again, and what is new of them given.

    sound   ....|<-------- left context -------->|<-- step -->|<- right context ->|   now
    given                                         ^^^^^^^^^^^^

An offline network hears what comes before and after a sound, as many seconds of it as there are. Here it hears the left
context that was, and waits for the right one, at the cost of about one decibel for half a second, where a causal
network costs three (docs/experiments.md 36). Speech recognizers call it buffered streaming. Letters: T samples.
"""

from __future__ import annotations

import numpy as np

from ..arguments import real_number
from ..errors import ConfigError
from .model import RuntimeModel
from .windows import WORKING_RMS, one_window

SHORTEST_LEFT_S, LONGEST_LEFT_S = 3.0, 5.0
LEFT_PER_DELAY = 10.0  # the left context in delays, within these: longer steps leave more time
STEP_SHARE = 1 / 3  # of the delay; the rest is right context
MOST_VIEWS = 2  # where nobody says how many: more cost more than they add
FADE_S = 0.01  # from one step's window to the next one's
QUIETEST_RMS = 1e-6  # what is quieter stays quieter than the network is used to
SHORTEST_S, LONGEST_S = 0.1, 5.0


def check_delay(delay_s: float) -> float:
    """The delay itself.

    Raises:
        ConfigError: one that a buffered stream cannot have.
    """
    expected = f"{SHORTEST_S:g} to {LONGEST_S:g} s; 0.2 suits a conversation, 1 captions"
    return real_number("delay_s", delay_s, expected, SHORTEST_S, LONGEST_S)


def left_context_s(delay_s: float) -> float:
    """How much of what was is heard again at every step (docs/experiments.md 45).

    >>> [left_context_s(delay_s) for delay_s in (0.1, 0.4, 2.0)]
    [3.0, 4.0, 5.0]
    """
    return min(max(LEFT_PER_DELAY * delay_s, SHORTEST_LEFT_S), LONGEST_LEFT_S)


class BufferedStream:
    """See `RuntimeStream`: sample n comes at most `latency_samples` after it, the time for computing aside."""

    def __init__(self, model: RuntimeModel, voiceprint: np.ndarray, delay_s: float) -> None:
        """A fresh stream at the model's rate.

        Raises:
            ConfigError: a delay that it cannot have.
        """
        rate_hz, hop = model.config.sample_rate_hz, model.config.hop
        self._model, self._voiceprint = model, voiceprint
        delay = round(check_delay(delay_s) * rate_hz / hop)
        if delay < 1:  # of a model whose hop is long
            raise ConfigError(f"delay_s = {delay_s}: expected {hop / rate_hz:.3g} s, a hop of this model, or more.")
        step = max(1, round(STEP_SHARE * delay))
        self.step_samples = hop * step
        self._right = hop * (delay - step)
        self._left = round(left_context_s(delay_s) * rate_hz)
        self._fade = min(round(FADE_S * rate_hz), self._right)
        self._rise = (np.arange(self._fade, dtype=np.float32) + 0.5) / max(1, self._fade)
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._buffer = np.zeros(0, np.float32)  # the last that was heard
        self._given = 0  # samples of the buffer whose voice was given: its left context
        self._tail = np.zeros(0, np.float32)  # what the window before says about the samples after those
        self._activity = 0.0

    @property
    def latency_samples(self) -> int:
        """A step that is gathered and the right context it waits for."""
        return self.step_samples + self._right

    @property
    def activity(self) -> float:
        """How active the target was at the end of the newest step, 0..1."""
        return self._activity

    @property
    def state_bytes(self) -> int:
        """Bytes remembered between chunks."""
        return self._buffer.nbytes + self._tail.nbytes

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        """The samples of the estimate that `chunk` completes. Shape: [any] -> [any]."""
        found = [chunk[:0]]
        while len(chunk):
            missing = self._given + self.latency_samples - len(self._buffer)
            self._buffer = np.concatenate([self._buffer, chunk[:missing]])
            if len(chunk) < missing:
                break
            chunk = chunk[missing:]
            found.append(self._next(self.step_samples))
        return np.concatenate(found)

    def flush(self) -> np.ndarray:
        """The rest, once the mixture has ended. Shape: -> [any]."""
        left = len(self._buffer) - self._given
        return self._next(left) if left else self._buffer[:0]

    def _next(self, count: int) -> np.ndarray:
        """The estimate of the `count` samples after those given. Shape: -> [count]."""
        estimate, activity = self._heard().T
        found = estimate[self._given :]
        fade = min(len(self._tail), len(found))
        found[:fade] += (1 - self._rise[:fade]) * (self._tail[:fade] - found[:fade])
        found, self._tail = found[:count], found[count : count + self._fade]
        self._given += count
        self._activity = float(activity[self._given - 1])
        forgotten = max(0, self._given - self._left)
        self._buffer, self._given = self._buffer[forgotten:], self._given - forgotten
        return found

    def _heard(self) -> np.ndarray:
        """What the model makes of the buffer, at the buffer's level. Shape: -> [T, 2], estimate and activity."""
        rms = float(np.sqrt(np.mean(np.square(self._buffer, dtype=np.float64))))
        scale = np.float32(WORKING_RMS / max(rms, QUIETEST_RMS))
        result = one_window(self._model, self._voiceprint, self._buffer * scale)
        result[:, 0] /= scale
        return result
