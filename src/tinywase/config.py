"""Model configurations: frozen dataclasses hold every default, TOML and model files hold the differences.

Letters of Conv-TasNet [Luo19] and WASE [Hao21]: N encoder filters, L window, B bottleneck channels, H hidden channels,
P kernel, X blocks per stack, R stacks. `PAPER` is exactly TinyWASE's network [Huang22]; `SMALL` trains on two cores.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args, get_type_hints

from .errors import ConfigError

CUES = ("both", "voiceprint", "activity")
VOICEPRINT_KINDS = ("lstm", "tcn")
FEATURES = ("latent", "log_power")
CODECS = ("learned", "fourier")
OLDER_SHARED = "share_stacks"  # what `distinct_stacks` was: false or true
FILTERBANKS = ("learned", "mel")
T = TypeVar("T")


def one_of(label: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        ConfigError: it is not.
    """
    if value not in allowed:
        raise ConfigError(f"{label} = {value!r}: expected one of {', '.join(allowed)}.")


def _positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} = {getattr(config, name)}: expected 1 or more.")


@dataclass(frozen=True)
class VoiceprintConfig:
    """The encoder that turns an enrollment into a voiceprint.

    `lstm` is the paper's: convolution, two bidirectional LSTM layers, mean over frames, linear.
    `tcn` is ours, several times cheaper to train: log-power filterbank, the separator's own convolution blocks,
    mean and standard deviation over frames, linear.
    """

    kind: str = "lstm"
    dimensions: int = 128  # length of the voiceprint
    filters: int = 128  # channels of the first convolution
    filterbank: str = "learned"  # tcn only, mel: pairs of mel-spaced frequencies, which need no storage
    window: int = 256  # samples (32 ms at 8 kHz)
    hop: int = 64  # samples
    hidden: int = 256  # lstm: units per direction; tcn: H of its blocks
    layers: int = 2  # lstm: layers; tcn: blocks, dilation 2^i
    bottleneck: int = 0  # tcn only: B of its blocks
    dropout: float = 0.5  # between LSTM layers, training only

    def __post_init__(self) -> None:
        one_of("voiceprint.kind", self.kind, VOICEPRINT_KINDS)
        one_of("voiceprint.filterbank", self.filterbank, FILTERBANKS)
        _positive(self, "dimensions", "filters", "window", "hop", "hidden", "layers")
        if self.kind == "tcn":
            _positive(self, "bottleneck")
            if self.filters % 2:
                raise ConfigError(f"voiceprint.filters = {self.filters}: a tcn pairs them, give an even number.")
        elif self.filterbank != "learned":
            raise ConfigError(f"voiceprint.filterbank = '{self.filterbank}': an lstm learns its filters.")


@dataclass(frozen=True)
class ModelConfig:
    """One WASE network: sizes, cues, and whether it may look ahead."""

    name: str = "paper"
    sample_rate_hz: int = 8000
    filters: int = 512  # N
    window: int = 16  # L, samples
    overlap: int = 2  # windows that cover a sample: the hop is L / overlap
    codec: str = "learned"  # encoder and decoder: learned filters, or the Fourier transform, which needs no storage
    bottleneck: int = 128  # B
    hidden: int = 512  # H
    kernel: int = 3  # P
    blocks: int = 8  # X, dilation 2^i
    stacks: int = 3  # R
    distinct_stacks: int = 0  # this many, used in turn until R have run; 0: as many as R
    causal: bool = False  # causal padding and cumulative norms
    lookahead_frames: int = 0  # causal only: the mask of frame f is read off this many frames later
    norm_memory_frames: int = 0  # causal only: norms forget, a frame that many ago counts 1/e; 0: all count alike
    cues: str = "both"  # voiceprint and activity (onset/offset), or one of them
    features: str = "latent"  # what the separator hears: the latent, or the log power of its filter pairs
    mean_skip: bool = False  # divide the skip sum by R*X (WASE does, TinyWASE does not)
    voiceprint: VoiceprintConfig = field(default_factory=VoiceprintConfig)

    def __post_init__(self) -> None:
        _positive(self, "sample_rate_hz", "filters", "window", "bottleneck", "hidden", "kernel", "blocks", "stacks")
        if not 0 <= self.distinct_stacks <= self.stacks:
            raise ConfigError(f"distinct_stacks = {self.distinct_stacks}: expected 0 to {self.stacks}, the stacks.")
        one_of("cues", self.cues, CUES)
        one_of("features", self.features, FEATURES)
        one_of("codec", self.codec, CODECS)
        if self.features == "log_power" and self.filters % 2:
            raise ConfigError(f"filters = {self.filters}: log_power pairs them, give an even number.")
        if self.overlap not in (2, 4, 6, 8):
            raise ConfigError(f"overlap = {self.overlap}: expected 2, 4, 6 or 8 windows.")
        if self.window % self.overlap:
            raise ConfigError(
                f"window = {self.window} samples: expected a multiple of {self.overlap}, the overlap, because the "
                "hop is that part of it."
            )
        if self.codec == "fourier" and self.filters != self.window:
            raise ConfigError(
                f"filters = {self.filters}, window = {self.window}: a Fourier transform has as many filters as samples."
            )
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel = {self.kernel}: expected an odd number of frames.")
        for name in ("lookahead_frames", "norm_memory_frames"):
            value = getattr(self, name)
            if value < 0 or (value and not self.causal):
                raise ConfigError(
                    f"{name} = {value}: expected 0 or more, and 0 unless causal = true (an offline network sees the "
                    "whole clip anyway)."
                )

    @property
    def hop(self) -> int:
        """Samples between encoder frames."""
        return self.window // self.overlap

    @property
    def edge(self) -> int:
        """Samples of a window that other windows cover too: what frames need before and after a signal."""
        return self.window - self.hop

    @property
    def early_frames(self) -> int:
        """Frames that are centred before a signal begins."""
        return self.overlap // 2 - 1

    @property
    def feature_channels(self) -> int:
        """Channels that the separator hears: N, or N / 2 pairs."""
        return self.filters // 2 if self.features == "log_power" else self.filters

    @property
    def block_count(self) -> int:
        """Blocks that are stored: X of every distinct stack. They run in turn, R*X in all: the n-th is n % this one."""
        return self.blocks * (self.distinct_stacks or self.stacks)

    @property
    def latency_samples(self) -> int | None:
        """Algorithmic delay of streaming: window plus lookahead; None for an offline network."""
        return self.window + self.lookahead_frames * self.hop if self.causal else None

    @property
    def norm_keeps(self) -> float:
        """What is left of a causal norm's sums from one frame to the next: 1 - 1 / memory, 1 if it forgets nothing."""
        return 1.0 - 1.0 / self.norm_memory_frames if self.norm_memory_frames else 1.0


PAPER = ModelConfig()
SMALL = ModelConfig(
    name="small",
    filters=256,
    window=256,
    overlap=4,
    bottleneck=128,
    hidden=352,
    blocks=7,
    stacks=4,
    features="log_power",
    voiceprint=VoiceprintConfig(
        kind="tcn", dimensions=128, filters=128, window=256, hop=128, hidden=192, layers=5, bottleneck=96, dropout=0.0
    ),
)
# Frames of 8 ms every 4, a quarter of the paper's: it hears phases, which SMALL does not, and learns on a GPU.
MEDIUM = ModelConfig(
    name="medium",
    filters=256,
    window=64,
    bottleneck=128,
    hidden=384,
    blocks=8,
    stacks=3,
    voiceprint=SMALL.voiceprint,
)
# The paper's separator with the voiceprint encoder of `small`, which learns from less speech and can teach `small`.
PAPER_TCN = dataclasses.replace(PAPER, name="paper-tcn", voiceprint=SMALL.voiceprint)
TINY = ModelConfig(  # for tests and the quick recipe: trains in seconds, says nothing about quality
    name="tiny",
    filters=32,
    window=32,
    bottleneck=16,
    hidden=24,
    blocks=3,
    stacks=2,
    voiceprint=VoiceprintConfig(
        kind="tcn", dimensions=16, filters=32, window=128, hop=64, hidden=24, layers=2, bottleneck=16, dropout=0.0
    ),
)
CONFIGS = {config.name: config for config in (PAPER, PAPER_TCN, MEDIUM, SMALL, TINY)}


def named_config(name: str, **changes: Any) -> ModelConfig:
    """The configuration `name` with some fields changed: `named_config("paper", distinct_stacks=1)`."""
    one_of("config", name, tuple(CONFIGS))
    return dataclasses.replace(CONFIGS[name], **changes)


def from_dict(kind: type[T], values: Mapping[str, Any], *, base: T | None = None, where: str = "") -> T:
    """Build the dataclass `kind` from plain values, `base` supplying what they leave out.

    Raises:
        ConfigError: an unknown key (with the closest known one) or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    fields = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in values.items():
        label = f"{where}{key}"
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(sorted(fields))}."
            raise ConfigError(f"unknown key '{label}'.{hint}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{label} = {value!r}: expected a table [{label}] of keys.")
            inner = getattr(base, key) if base is not None else None
            changes[key] = from_dict(hints[key], value, base=inner, where=f"{label}.")
        else:
            changes[key] = _checked(label, value, hints[key])
    return dataclasses.replace(base, **changes) if base is not None else kind(**changes)  # type: ignore[type-var]


def to_dict(config: Any) -> dict[str, Any]:
    """Plain values of a configuration, for TOML, JSON and model files."""
    return dataclasses.asdict(config)


def model_config(values: Mapping[str, Any]) -> ModelConfig:
    """A model configuration from plain values; `name` picks the one that supplies what they leave out."""
    base = CONFIGS.get(str(values.get("name", "paper")), PAPER)
    return from_dict(ModelConfig, values, base=base, where="model.")


def saved_model_config(values: Mapping[str, Any]) -> ModelConfig:
    """A model configuration that `to_dict` saved. What an older tinywase did not know has its default, which stands for
    what that one did, whatever the configuration of that name says today."""
    values = dict(values)
    if isinstance(values.get(OLDER_SHARED), bool):
        values["distinct_stacks"] = int(values.pop(OLDER_SHARED))
    return from_dict(ModelConfig, values, where="model.")


def _checked_items(label: str, values: Sequence[Any], hints: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list whose items are of the annotated types: all of one (`tuple[X, ...]`), or each of its own."""
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(values)
    if len(values) != len(hints):
        raise ConfigError(f"{label} = {list(values)!r}: expected {len(hints)} values.")
    return tuple(_checked(f"{label}[{i}]", *item) for i, item in enumerate(zip(values, hints, strict=True)))


def _checked(label: str, value: Any, hint: Any) -> Any:
    """`value` if it is of the annotated type; integers pass for floats, lists for tuples."""
    text = str(hint)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if text.startswith("tuple"):
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{label} = {value!r}: expected a list, such as [{json.dumps(value, default=str)}].")
        return _checked_items(label, value, get_args(hint))
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise ConfigError(f"{label} = {value!r}: expected {hint.__name__}, got {type(value).__name__}.")
    return value
