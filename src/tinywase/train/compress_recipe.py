"""What a compression is: a training recipe with quantizers, a teacher, and one of five strategies.

strategy = "daq"
[model]                  # differences of the student from its teacher, if any
distinct_stacks = 1
[quant]
bits = 3
[distill]
estimate = 0.2

ptq            quantize, calibrate, done: no training; by lsq unless a method is given
qat            quantized from the first step, learning from the true targets alone
kd             not quantized; learning from the teacher too (shared stacks, narrower or causal students)
qat-then-kd    qat, and for the second half of the steps the teacher too
daq            both at once: distillation-aware quantization [Huang22]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import ModelConfig, from_dict, one_of
from ..errors import ConfigError
from ..quant.rules import FLOAT_BITS, QuantConfig
from .distill import DistillConfig
from .recipe import LossConfig, OptimizerConfig, Recipe, apply_changes, read_values

SILENT_TEACHER = {"ptq": 1.0, "qat": 1.0, "kd": 0.0, "qat-then-kd": 0.5, "daq": 0.0}  # strategy: distill.begin
STRATEGIES = tuple(SILENT_TEACHER)
RANGES = ("dynamic", "learned")
FLOAT = QuantConfig(bits=FLOAT_BITS, activation_bits=FLOAT_BITS)


@dataclass(frozen=True)
class CompressRecipe(Recipe):
    """One compression, whole. The model is the student's."""

    name: str = "student"
    strategy: str = "daq"
    ranges: str = "dynamic"  # of activations until they are frozen: dynamic is the paper's, learned is ours
    freeze_from: float = 0.8  # part of the steps after which activation ranges are constants
    sharp_from: float = 0.8  # part of the steps after which soft staircases have their last temperature
    calibration_batches: int = 8
    max_size_bytes: int = 0  # of the file; chooses bits per tensor by sensitivity (0: quant.bits for all)
    max_drop_db: float = 0.0  # of SI-SDR before training; the same the other way round
    quant: QuantConfig = field(default_factory=QuantConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    loss: LossConfig = field(default_factory=lambda: LossConfig(speaker=0.0))
    optimizer: OptimizerConfig = field(
        default_factory=lambda: OptimizerConfig(
            learning_rate=5e-4, voiceprint_learning_rate=1e-4, weight_decay=0.0, steps=20_000, warmup=100, decay=8_000
        )
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("strategy", self.strategy, STRATEGIES)
        one_of("ranges", self.ranges, RANGES)
        for name in ("freeze_from", "sharp_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: expected a part of the steps between 0 and 1.")
        if self.calibration_batches < 1:
            raise ConfigError(f"calibration_batches = {self.calibration_batches}: expected 1 or more.")
        if self.max_size_bytes < 0 or self.max_drop_db < 0 or (self.max_size_bytes and self.max_drop_db):
            raise ConfigError("a budget is a largest size or a largest drop of SI-SDR, above 0: give one of the two.")
        alone = self.objective == "voiceprint"
        if (self.loss.speaker or alone) and self.voiceprint_rests:
            told = f"objective = {self.objective!r}" if alone else f"loss.speaker = {self.loss.speaker}"
            raise ConfigError(
                f"{told}: the voiceprint encoder does not learn unless it is quantized and has a learning rate. Give "
                "quant.voiceprint_bits and optimizer.voiceprint_learning_rate, or leave "
                f"{'objective out' if alone else 'loss.speaker at 0'}."
            )

    @property
    def voiceprint_rests(self) -> bool:
        """Whether the voiceprint encoder stays as it is."""
        return self.quant.voiceprint_bits == FLOAT_BITS or self.optimizer.voiceprint_learning_rate == 0

    def resolved(self) -> CompressRecipe:
        """The recipe with what its strategy implies."""
        begin = SILENT_TEACHER[self.strategy]
        distill = replace(self.distill, begin=max(begin, self.distill.begin))
        if self.strategy == "ptq":
            return replace(self, distill=distill, optimizer=replace(self.optimizer, steps=0))
        if self.strategy == "kd":
            return replace(self, distill=distill, quant=FLOAT)
        return replace(self, distill=distill)


def compress_recipe(
    teacher: ModelConfig, *, path: Path | str | None = None, changes: Iterable[str] = (), **options: Any
) -> CompressRecipe:
    """A recipe from a TOML file (or none), changes such as "optimizer.steps=100", and options of the command line.

    Raises:
        ConfigError: an unreadable recipe, an unknown key or an impossible value.
    """
    values = read_values(path) if path is not None else {}
    apply_changes(values, changes)
    for key, value in options.items():
        _merge(values, key, value)
    if values.get("strategy") == "ptq" and isinstance(values.setdefault("quant", {}), dict):
        values["quant"].setdefault("method", "lsq")  # a soft staircase fits its weights only after training
    model = from_dict(ModelConfig, values.pop("model", {}), base=teacher, where="model.")
    return from_dict(CompressRecipe, values, base=CompressRecipe(model=model)).resolved()


def _merge(values: dict[str, Any], key: str, value: Any) -> None:
    """An option over the recipe's value; tables are merged."""
    if isinstance(value, dict):
        table = values.setdefault(key, {})
        for inner, content in value.items():
            _merge(table, inner, content)
    elif value is not None:
        values[key] = value
