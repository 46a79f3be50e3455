"""The native runtime behind the interface that every runtime has: a thin adapter over `tinywase._native`.

Arrays are float32 at the model's rate: mixture [T], enrollment [T], voiceprint [D] -> estimate [T], activity [F].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig
from ..errors import AudioError, FormatError, OutOfMemoryError, StreamError, TinyWaseError
from ..format import parse_config, read_bytes
from .reference import checked_voiceprint, one_channel
from .threads import chosen_threads

Array = NDArray[np.float32]


@contextmanager
def _refusing(kind: type[TinyWaseError], what: str = "") -> Iterator[None]:
    """The core's refusals as ours, in its words, which do not say of what."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError(f"{what}{error}") from error
    except RuntimeError as error:
        raise kind(f"{what}{error}") from error


class NativeModel:
    """A model file, open in the native runtime; safe to use from several threads."""

    def __init__(self, path: str | Path, *, data: memoryview | None = None, threads: int | None = 1) -> None:
        """Open a model file.

        Args:
            data: the file's bytes where they have been read already (`read_bytes`); the core keeps none of them.
            threads: for `extract` of an offline model; see `chosen_threads`.

        Raises:
            ConfigError: an impossible number of threads.
            FormatError: the file is damaged or foreign, or TINYWASE_ISA names kernels that this processor lacks.
            ImportError: the package was installed without its native part.
            OutOfMemoryError: the model does not fit.
        """
        from tinywase import _native

        self.threads = chosen_threads(threads)
        data = read_bytes(path) if data is None else data
        self.config: ModelConfig = parse_config(data, path)
        with _refusing(FormatError, f"model '{path}': "):
            self._model = _native.Model(data)

    @property
    def isa(self) -> str:
        """The kernels in use: scalar, sse41, avx2, avxvnni, avx512, neon, neondot."""
        return str(self._model.isa)

    @property
    def weight_bytes(self) -> int:
        """Memory that the open model's weights take."""
        return int(self._model.weight_bytes)

    @property
    def integer_layers(self) -> int:
        """1x1 convolutions that run on integers: quantized activations times integer levels."""
        return int(self._model.integer_layers)

    @property
    def float_layers(self) -> int:
        """1x1 convolutions that run on float32."""
        return int(self._model.float_layers)

    def enroll(self, enrollment: Array) -> Array:
        """The voiceprint of a prepared enrollment. Shape: [T] -> [D].

        Raises:
            AudioError: an empty enrollment.
            OutOfMemoryError: it is too long for this machine.
        """
        signal = one_channel(enrollment, "enrollment")
        if not len(signal):
            raise AudioError("the enrollment is empty: expected some seconds of the wanted voice.")
        with _refusing(TinyWaseError):
            return np.asarray(self._model.enroll(np.ascontiguousarray(signal)))

    def extract(self, mixture: Array, voiceprint: Array) -> tuple[Array, Array]:
        """Estimate and activity (0..1) of a whole recording. Shape: [T], [D] -> [T], [F].

        Raises:
            OutOfMemoryError: it is too long for this machine.
        """
        vector = checked_voiceprint(voiceprint, self.config)
        with _refusing(TinyWaseError):
            signal = np.ascontiguousarray(one_channel(mixture, "mixture"))
            estimate, activity = self._model.extract(signal, vector, self.threads)
        return np.asarray(estimate), np.asarray(activity)

    def stream(self, voiceprint: Array) -> NativeStream:
        """A stream from silence.

        Raises:
            StreamError: the model is offline; it needs the whole recording.
            OutOfMemoryError: its memory does not fit.
        """
        from tinywase import _native

        vector = checked_voiceprint(voiceprint, self.config)
        with _refusing(StreamError):
            return NativeStream(self._model, _native.Stream(self._model, vector), self.config.hop)


class NativeStream:
    """One recording in chunks of any size; the output depends on the samples alone, not on the chunks."""

    def __init__(self, model: Any, stream: Any, hop: int) -> None:
        self._stream = stream
        self.latency_samples = int(model.latency_samples)
        self.step_samples = hop
        self.state_bytes = int(model.state_bytes)

    @property
    def activity(self) -> float:
        """How active the target is in the newest finished frame, 0..1."""
        return float(self._stream.activity)

    def feed(self, chunk: Array) -> Array:
        """The samples of the estimate that `chunk` completes. Shape: [any] -> [any].

        Raises:
            StreamError: the stream was flushed and not reset.
        """
        with _refusing(StreamError):
            return np.asarray(self._stream.feed(np.ascontiguousarray(one_channel(chunk, "chunk"))))

    def flush(self) -> Array:
        """The rest of the estimate once the recording has ended; then only `reset` is possible. Shape: -> [any].

        Raises:
            StreamError: the stream was flushed before.
        """
        with _refusing(StreamError):
            return np.asarray(self._stream.flush())

    def reset(self) -> None:
        """Back to silence, with the same voiceprint."""
        self._stream.reset()
