"""What a training is: a TOML file holds the differences from these defaults.

objective = "extraction"                  # or "voiceprint": the voiceprint encoder alone, by speaker classification
init = ["runs/small-voiceprint/state.pt"]  # with its speaker classifier; weights alone: weights/small.safetensors
[model]
name = "small"
[data]
sources = ["../shared/speech/manifest.csv"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import SMALL, ModelConfig, from_dict, model_config, one_of
from ..data.mixing import MixConfig
from ..errors import ConfigError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class DataConfig:
    """Which speech; paths are relative to the folder the command runs in."""

    bank: str = "runs/bank"  # made from the sources if it is not there
    sources: tuple[str, ...] = ()  # trees <speaker>/*.wav or manifests
    noise: str = ""  # a bank of noise recordings; "": noise is made
    split: str = "train,train-interference"  # of sources that name splits, those that are there; "": all
    dev: tuple[str, ...] = ()  # lists to choose by
    dev_root: str = ""  # where their relative paths begin
    dev_trials: int = 40  # per list


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses; see losses.py."""

    signal: str = "snr"  # or "si_snr", the paper's
    ceiling_db: float = 30.0  # snr: no more is rewarded, which bounds the gradient of segments that are easy
    lone: float = 1.0  # weight of segments in which the target, or everybody else, is all but silent
    residual: float = 0.5  # share of the residual against the estimate (the paper: 0.5)
    views: float = 0.0  # share of what two views of a mixture make of it together (pairs.py) against either alone
    activity: float = 1.0
    speaker: float = 0.5  # classification of the enrolled voices; 0 switches it off
    speaker_margin: float = 0.2
    speaker_extra: int = 16  # enrollments a step beside those of the mixtures (voiceprint objective: all of them)

    def __post_init__(self) -> None:
        if self.signal not in ("snr", "si_snr"):
            raise ConfigError(f"loss.signal = {self.signal!r}: expected 'snr' or 'si_snr'.")
        if not 0 <= self.views <= 1:
            raise ConfigError(f"loss.views = {self.views}: expected a share between 0 and 1.")


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up, a long plateau and a decay; weights are averaged for use."""

    learning_rate: float = 1e-3
    voiceprint_learning_rate: float = 1e-3  # of the voiceprint encoder
    classifier_learning_rate: float = 0.0  # of the speaker classifier; 0: as the voiceprint encoder
    weight_decay: float = 0.01
    batch: int = 8  # segments a step and process
    clip: float = 5.0  # norm of the gradient
    steps: int = 100_000
    warmup: int = 500
    decay: int = 10_000  # last steps, linearly to zero
    average: float = 0.999  # of the weights
    reuse: int = 1  # steps of a drawn batch, from the second on with its voices mixed anew (remix.py): for a GPU

    def __post_init__(self) -> None:
        for name in ("batch", "reuse"):
            if getattr(self, name) < 1:
                raise ConfigError(f"optimizer.{name} = {getattr(self, name)}: expected 1 or more.")
        if self.reuse > 1 and (self.batch % 2 or self.batch < 4):
            raise ConfigError(
                f"optimizer.batch = {self.batch}: to use batches again, expected an even number from 4 on. "
                "Set optimizer.reuse = 1, or another batch."
            )


@dataclass(frozen=True)
class Recipe:
    """One training, whole."""

    name: str = "small"
    objective: str = "extraction"
    init: tuple[str, ...] = ()  # float checkpoints to begin with, later ones over earlier; the rest begins at random
    out: str = ""  # folder for checkpoints and curves; "" is runs/<name>
    seed: int = 0
    device: str = "auto"  # one of DEVICES
    precision: str = "auto"  # one of PRECISIONS; auto: bfloat16 where the device has it, AVX-512 in the stacks
    threads: int = 1  # of torch, on a CPU
    compile: bool = False  # fuse the network with torch.compile: minutes at the start, several times the speed on a GPU
    loader_processes: int = 0  # that make batches; 0: a thread, enough for a CPU
    minutes: float = 0.0  # of training, over all runs of the recipe; 0: until the optimizer's steps are made
    checkpoint_minutes: float = 5.0
    dev_minutes: float = 15.0
    model: ModelConfig = SMALL
    data: DataConfig = field(default_factory=DataConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        if self.objective not in ("extraction", "voiceprint"):
            raise ConfigError(f"objective = {self.objective!r}: expected 'extraction' or 'voiceprint'.")
        if self.objective == "voiceprint" and self.optimizer.reuse > 1:
            raise ConfigError("optimizer.reuse: enrollments alone cannot be mixed anew. Leave it at 1.")
        one_of("device", self.device, DEVICES)
        one_of("precision", self.precision, PRECISIONS)
        for name in ("loader_processes", "minutes", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)}: expected 0 or more.")
        if self.threads < 1:
            raise ConfigError(f"threads = {self.threads}: expected 1 or more.")

    @property
    def folder(self) -> Path:
        """Where checkpoints and curves go."""
        return Path(self.out or f"runs/{self.name}")


def load_recipe(path: Path | str, changes: Iterable[str] = ()) -> Recipe:
    """Read a TOML recipe, and apply changes such as "optimizer.batch=4".

    Raises:
        ConfigError: no such file, not TOML, an unknown key or a value of the wrong type.
    """
    values = read_values(path, changes)
    model = model_config(values.pop("model", {"name": "small"}))
    recipe: Recipe = from_dict(Recipe, values, base=Recipe(model=model))
    if recipe.optimizer.steps < 1:  # a compression may do without
        raise ConfigError(f"optimizer.steps = {recipe.optimizer.steps}: expected 1 or more.")
    return recipe


def read_values(path: Path | str, changes: Iterable[str] = ()) -> dict[str, Any]:
    """The plain values of a recipe, named like its file unless it says otherwise.

    Raises:
        ConfigError: no such file, or not TOML.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        message = f"{path}: cannot read the recipe ({error.strerror}). Recipes are in recipes/*.toml."
        raise ConfigError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML in UTF-8: {error}.") from error
    values.setdefault("name", path.stem)
    apply_changes(values, changes)
    return values


def apply_changes(values: dict[str, Any], changes: Iterable[str]) -> None:
    """Put every "table.key=value" into nested tables."""
    for change in changes:
        _apply(values, change)


def _apply(values: dict[str, Any], change: str) -> None:
    """Put "table.key=value" into nested tables; a value that is not TOML is taken as text."""
    key, equals, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"--set {change}: expected KEY=VALUE, such as optimizer.batch=4.")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {change}: '{table}' is not a table.")
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text
