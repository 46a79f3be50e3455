"""A voice out of a sound that is still going on: chunks in, the voice out, a fixed time later.

    chunk -> the model's rate (resampling.py) -> no offset (offset.py) -> model -> the caller's rate
          -> the band above the model's (highband_stream.py) (-> others.py)

The model is a causal one, or an offline one that may wait (buffered.py).

All that happens in blocks of one hop, so the output depends on the samples alone, not on how they were cut into chunks.
The level needs no care: causal norms make a network deaf to it, except for sounds so quiet that they drown in the
constants that keep logarithms and divisions finite. So everything is heard 30 times louder than it is. (A buffered
stream sets its level itself.)
Letters: C channels.
"""

from __future__ import annotations

import math

import numpy as np

from ..audio import LOUDEST, whole_numbers
from ..config import ModelConfig
from ..errors import AudioError, StreamError
from .buffered import check_delay
from .highband_stream import HighbandStream
from .model import PackedModel, RuntimeStream
from .offset import RunningOffset
from .others import let_through
from .resampling import LowDelayResampler

GAIN = np.float32(30.0)


def check_streams(model: PackedModel, delay_s: float | None) -> None:
    """Before a voice is enrolled for a stream.

    Raises:
        StreamError: an offline model without a delay, or a causal one with one.
        ConfigError: a delay that no stream can have.
    """
    if delay_s is not None:
        check_delay(delay_s)
    if model.config.causal and delay_s is not None:
        raise StreamError(
            f"the model '{model.name}' is causal: it waits as long as it needs. Leave the delay out, or take an "
            "offline model, such as 'default'."
        )
    if not model.config.causal and delay_s is None:
        raise StreamError(
            f"the model '{model.name}' is offline: it has to wait for what comes after. Say how long (delay_s, or "
            "--delay 0.5), or use a causal model; 'live' is bundled."
        )


class VoiceStream:
    """One sound from its beginning to its end; make one by `Extractor.stream`.

    Sample n of the output belongs to sample n of the input and comes at most `latency_samples` after it.
    """

    def __init__(
        self,
        stream: RuntimeStream,
        config: ModelConfig,
        sample_rate_hz: int,
        *,
        others_gain: np.float32,
        highband: bool,
    ) -> None:
        own_hz, latency = config.sample_rate_hz, stream.latency_samples
        self._stream = stream
        self.sample_rate_hz = sample_rate_hz
        self._inwards = LowDelayResampler(sample_rate_hz, own_hz)
        self._outwards = LowDelayResampler(own_hz, sample_rate_hz)
        self._hop = config.hop
        self._others_gain = others_gain
        self._offset = RunningOffset(self._hop / own_hz)
        self._above = HighbandStream(self._inwards) if highband and sample_rate_hz > own_hz else None
        found_s = self._inwards.delay_s + (latency + 1) / own_hz
        waits = (
            latency if sample_rate_hz == own_hz else math.ceil((found_s + self._outwards.delay_s) * sample_rate_hz) + 1
        )
        self.latency_samples = waits if self._above is None else max(waits, self._above.waits(found_s))
        self.step_samples = math.ceil(stream.step_samples * sample_rate_hz / own_hz)  # it computes so much at once
        self._clear()

    def _clear(self) -> None:
        self._waiting = np.zeros(0, np.float32)  # at the model's rate, less than a hop
        self._heard = np.zeros(0, np.float32)  # whose voice is not given yet, where others are let through
        self._fed = self._given = 0
        self._ended = False

    def reset(self) -> None:
        """Back to silence, with the same voice."""
        for part in (self._stream, self._inwards, self._outwards, self._offset, self._above):
            if part is not None:
                part.reset()
        self._clear()

    @property
    def latency_s(self) -> float:
        """How long after a sound it comes out, without the time for computing."""
        return self.latency_samples / self.sample_rate_hz

    @property
    def activity(self) -> float:
        """How active the voice is in the newest finished frame, 0..1."""
        return self._stream.activity

    def feed(self, chunk: np.ndarray) -> np.ndarray:
        """The samples of the voice that `chunk` completes; several channels are averaged.

        Shape: [any] or [any, C], floats or integers -> float32 [any]

        Raises:
            AudioError: another shape, or values that are not finite.
            StreamError: the stream was flushed and not reset.
        """
        if self._ended:
            raise StreamError("this stream has ended: it was flushed. Call reset() before feeding the next sound.")
        samples = _one_channel(chunk)
        self._fed += len(samples)
        if self._others_gain:
            self._heard = np.concatenate([self._heard, samples])
        if self._above is not None:
            self._above.hear(samples)
        return self._counted(self._whole(self._outwards.feed(self._advance(self._inwards.feed(samples)))))

    def flush(self) -> np.ndarray:
        """The rest of the voice once the sound has ended: all output together is as long as all input. Shape: -> [any].

        Raises:
            StreamError: the stream was flushed before.
        """
        if self._ended:
            raise StreamError("this stream has ended: it was flushed before. Call reset() to begin again.")
        found = [self._advance(self._inwards.flush())]
        if len(self._waiting):  # no whole hop
            found.append(self._separated([self._offset.take_from(self._waiting)]))
        found.append(self._stream.flush() / GAIN)
        if self._above is not None:
            self._above.learn(found[-1][:0], found[-1])
            self._above.end()
        parts = [self._outwards.feed(part) for part in found]
        rest = self._whole(np.concatenate([*parts, self._outwards.flush()]))[: self._fed - self._given]
        self._ended = True
        return self._counted(np.pad(rest, (0, self._fed - self._given - len(rest))))

    def _advance(self, samples: np.ndarray) -> np.ndarray:
        """At the model's rate: as many whole hops as there are. Shape: [any] -> [any]."""
        samples = np.concatenate([self._waiting, samples])
        whole = len(samples) // self._hop * self._hop
        self._waiting = samples[whole:]
        hops = (samples[start : start + self._hop] for start in range(0, whole, self._hop))
        return self._separated([self._offset.take_from(hop) for hop in hops])

    def _separated(self, hops: list[np.ndarray]) -> np.ndarray:
        """Without their offset. Shape: [any] each -> [any]."""
        if not hops:
            return np.zeros(0, np.float32)
        mixture = np.concatenate(hops)
        estimate = self._stream.feed(mixture * GAIN) / GAIN
        if self._above is not None:
            self._above.learn(mixture, estimate)
        return estimate

    def _whole(self, voice: np.ndarray) -> np.ndarray:
        """As much of it as there is with the band above the model's. Shape: [any] -> [any]."""
        return voice if self._above is None else self._above.added(voice)

    def _counted(self, voice: np.ndarray) -> np.ndarray:
        self._given += len(voice)
        if not self._others_gain:
            return voice
        heard, self._heard = self._heard[: len(voice)], self._heard[len(voice) :]
        return let_through(heard, voice, self._others_gain)[0]


def _one_channel(chunk: np.ndarray) -> np.ndarray:
    """Shape: [any] or [any, C] -> float32 [any]."""
    array = np.asarray(chunk)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise AudioError(
            f"a chunk of shape {array.shape}, {array.dtype}: expected numbers, [samples] or [samples, channels]."
        )
    if array.dtype.kind in "iu":
        array = whole_numbers(array)
    samples = array.astype(np.float32) if array.ndim == 1 else array.mean(axis=1, dtype=np.float32)
    if not (np.abs(samples) <= LOUDEST).all():  # NaN neither
        raise AudioError(f"a chunk has values that are not finite or beyond {LOUDEST:g}: expected -1..1 or about that.")
    return samples
