"""A model file that runs: one interface, two runtimes.

`native` is the compiled core (tinywase._native), `reference` the numpy one; both compute the same. `auto` takes the
native one where it is there and says once where it is not. Letters: T samples, D voiceprint dimensions, F frames.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

try:
    from _blake2 import blake2b  # hashlib's own, without OpenSSL, whose loading costs 3.5 MB and 8 ms
except ImportError:
    from hashlib import blake2b

from ..compiled import find_compiled
from ..config import ModelConfig
from ..errors import ConfigError
from ..format import ModelFile, PackedTensor, parse_model, read_bytes, read_model
from ..layout import VOICEPRINT
from .likeness import common_of
from .native import NativeModel
from .reference import ReferenceModel
from .registry import ALIASES, DEFAULT, find_model, model_names
from .threads import chosen_threads
from .views import Views, check_views
from .voiceprint import Voiceprint

Array = NDArray[np.float32]
RUNTIMES = ("auto", "native", "reference")
ENVIRONMENT = "TINYWASE_RUNTIME"  # overrides "auto"


class RuntimeStream(Protocol):
    """A causal model fed with chunks of any size."""

    @property
    def latency_samples(self) -> int:
        """Algorithmic delay."""

    @property
    def step_samples(self) -> int:
        """How much sound is gathered before any of it is computed."""

    @property
    def activity(self) -> float:
        """How active the target is in the newest finished frame, 0..1."""

    @property
    def state_bytes(self) -> int:
        """Bytes remembered between chunks."""

    def feed(self, chunk: Array) -> Array:
        """The samples of the estimate that `chunk` completes."""

    def flush(self) -> Array:
        """The rest, once the mixture has ended."""

    def reset(self) -> None:
        """Begin again."""


class RuntimeModel(Protocol):
    """What every runtime offers, at the model's own rate."""

    @property
    def config(self) -> ModelConfig:
        """The network."""

    def enroll(self, enrollment: Array) -> Array:
        """The voiceprint of a prepared enrollment (activity.py). Shape: [T] -> [D]."""

    def extract(self, mixture: Array, voiceprint: Array) -> tuple[Array, Array]:
        """A whole clip. Shape: [T], [D] -> estimate [T], activity [F] in 0..1 (ones where the cue is off)."""

    def stream(self, voiceprint: Array) -> RuntimeStream:
        """A fresh stream; StreamError for an offline model."""


class PackedModel:
    """A model file, its card, and the runtime that computes it."""

    def __init__(
        self, model_file: ModelFile, runtime: RuntimeModel, *, runtime_name: str, path: Path, views: int | None = None
    ) -> None:
        self.path, self.runtime_name = path, runtime_name
        self.name = path.stem  # "nano"; its configuration may be called otherwise
        self.config: ModelConfig = model_file.config
        self.card: dict[str, Any] = model_file.card
        self.views = check_views(self.card.get("views", 1) if views is None else views, self.config)
        self.common: Array = common_of(self.card, self.config.voiceprint.dimensions)  # of voiceprints (likeness.py)
        self.others: Array | None = None
        self.fingerprint = fingerprint(model_file.config, model_file.tensors)
        self._runtime = runtime

    @classmethod
    def load(
        cls, path: str | Path, *, runtime: str = "auto", views: int | None = None, threads: int | None = 1
    ) -> PackedModel:
        """Read a `.twase` file and set up a runtime for it.

        Args:
            views: runs over a clip, averaged (views.py); None: as many as the model's card advises.
            threads: of the native runtime, for a whole recording; None: what suits most.

        Raises:
            FormatError: the file is damaged or foreign.
            ConfigError: an unknown runtime, `native` where there is none, views that the model cannot have, or an
                impossible number of threads.
        """
        path = Path(path)
        chosen, threads = choose_runtime(runtime), chosen_threads(threads)
        data = read_bytes(path)  # once, for both readers
        if chosen == "native":  # which decodes the core itself
            model_file, native = parse_model(data, path, part=VOICEPRINT), NativeModel(path, data=data, threads=threads)
            return cls(model_file, native, runtime_name=chosen, path=path, views=views)
        model_file = parse_model(data, path)
        return cls(model_file, ReferenceModel(model_file), runtime_name=chosen, path=path, views=views)

    def with_views(self, views: int) -> PackedModel:
        """The same model with another number of views; both share one runtime.

        Raises:
            ConfigError: views that the model cannot have, or one where it was told of the others.
        """
        other = copy.copy(self)
        other.views = check_views(views, self.config)
        return other._checked()

    def with_others(self, voiceprint: Array) -> PackedModel:
        """The same model, told what everybody else in the recordings sounds like; both share one runtime.

        Raises:
            ConfigError: a model of one view, which never listens for the others.
        """
        other = copy.copy(self)
        other.others = voiceprint
        return other._checked()

    def with_common(self, common: Array) -> PackedModel:
        """The same model, told what all of its voiceprints have in common (likeness.py); both share one runtime."""
        other = copy.copy(self)
        other.common = common
        return other

    def _checked(self) -> PackedModel:
        if self.others is not None and self.views == 1:
            raise ConfigError(
                f"'{self.name}' takes one view of a recording and never listens for the others: leave their sample "
                "out, or take an offline model with two views or more."
            )
        return self

    def enroll(self, enrollment: Array) -> Array:
        """See `RuntimeModel`."""
        return self._runtime.enroll(enrollment)

    def extract(self, mixture: Array, voiceprint: Array) -> tuple[Array, Array]:
        """See `RuntimeModel`; of several views, if there are (views.py)."""
        views = Views(self._runtime.extract, self._runtime.enroll, self.config, self.views, self.others)
        return views.extracted(mixture, voiceprint)

    def stream(self, voiceprint: Array) -> RuntimeStream:
        """See `RuntimeModel`."""
        return self._runtime.stream(voiceprint)


def open_model(
    path_or_name: str | Path = "default",
    runtime: str = "auto",
    *,
    views: int | None = None,
    threads: int | None = 1,
) -> PackedModel:
    """The bundled model of that name, or a `.twase` file, ready to run; see `find_model` and `PackedModel.load`."""
    return PackedModel.load(find_model(path_or_name), runtime=runtime, views=views, threads=threads)


def choose_runtime(runtime: str = "auto") -> str:
    """`native` or `reference`: what was asked for, else the environment's, else native where it is there.

    Raises:
        ConfigError: an unknown name, or `native` where there is none.
    """
    asked = os.environ.get(ENVIRONMENT, "auto") if runtime == "auto" else runtime
    if asked not in RUNTIMES:
        where = f"{ENVIRONMENT}={asked}" if runtime == "auto" else f"runtime = {asked!r}"
        raise ConfigError(f"{where}: expected one of {', '.join(RUNTIMES)}.")
    missing = "" if asked == "reference" else find_compiled()[1]
    if asked == "native" and missing:
        raise ConfigError(
            f"the native runtime is not there ({missing}). Reinstall tinywase with a C++17 compiler at hand."
        )
    if asked == "auto" and missing:
        _note_fallback(missing)
    return "reference" if missing or asked == "reference" else "native"


def fingerprint(config: ModelConfig, tensors: Mapping[str, PackedTensor]) -> str:
    """16 hex digits that say whose voiceprints a model understands: its voiceprint encoder's sizes and tensors.

    A model whose core alone was quantized or trained on has the same fingerprint, so old voiceprints stay valid.
    """
    voiceprint = config.voiceprint
    sizes = (voiceprint.kind, voiceprint.dimensions, voiceprint.window, voiceprint.hop, config.sample_rate_hz)
    digest = blake2b(repr(sizes).encode(), digest_size=8)
    for name in sorted(name for name in tensors if name.startswith(VOICEPRINT)):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.shape} {tensor.kind}".encode())
        for array in (tensor.codes, tensor.levels, tensor.scales, tensor.values):
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def models_for(voice: Voiceprint) -> list[str]:
    """Names of the bundled models that understand a voiceprint, the default first."""
    files = {name: read_model(find_model(name)) for name in model_names()}
    found = [name for name, file in files.items() if fingerprint(file.config, file.tensors) == voice.fingerprint]
    return sorted(found, key=lambda name: name != ALIASES[DEFAULT])


@cache
def _note_fallback(missing: str) -> None:
    logging.getLogger("tinywase").warning(
        "the native runtime is not there (%s): the slower numpy reference computes instead, with the same results. "
        "Reinstall tinywase with a C++17 compiler at hand for speed.",
        missing,
    )
