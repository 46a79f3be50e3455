"""How many bits for which tensor: measured sensitivity, and the widths that a budget allows.

One tensor at a time is quantized to each candidate width, the rest staying float, and the loss of SI-SDR on some
batches is measured. Then, from the widest everywhere, the tensor gives up bits next that loses least per byte saved,
until the file fits (`max_bytes`) or the sum of the losses is used up (`max_drop_db`). That losses add up is an
approximation: training afterwards recovers most of them, see docs/quantization.md.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..errors import ConfigError
from ..format import to_bytes
from ..layout import ACTIVATION_FIELDS
from ..models import Wase
from ..packing import packed_bytes
from ..quant.attach import attach, attach_weight, weight_quantizers
from ..quant.rules import FLOAT_BITS, QuantConfig, plan_activations, plan_weights
from ..records import ALIGNMENT_BYTES, RECORD
from .export import packed_model
from .losses import si_snr

WIDTHS = (1, 2, 3, 4, 6, 8)
CARD_BYTES = 4096  # a card is not longer
Drops = dict[str, dict[int, float]]  # tensor -> bits -> loss of SI-SDR in dB


@dataclass(frozen=True)
class Budget:
    """What the student may cost; one of the two."""

    max_bytes: int | None = None  # of the file
    max_drop_db: float | None = None  # by the measured sensitivities

    def __post_init__(self) -> None:
        if (self.max_bytes is None) == (self.max_drop_db is None):
            raise ConfigError("a budget is a largest size or a largest drop: give one of the two.")


@dataclass(frozen=True)
class Widths:
    """Bits per tensor, and what they are expected to cost."""

    bits: dict[str, int]
    file_bytes: int
    drop_db: float

    @property
    def overrides(self) -> tuple[tuple[str, int], ...]:
        """As `QuantConfig.overrides` takes them."""
        return tuple(self.bits.items())


@torch.no_grad()
def measure(
    model: Wase,
    batches: Sequence[Mapping[str, Tensor]],
    config: QuantConfig,
    *,
    widths: Sequence[int] = WIDTHS,
    progress: Callable[[float], None] = lambda done: None,
) -> Drops:
    """The loss of SI-SDR of every tensor that `config` quantizes, at every width, alone.

    Raises:
        ConfigError: no target of the batches is among others.
    """
    if not any(bool(_among_others(batch).any()) for batch in batches):
        raise ConfigError(
            "no mixture to measure the sensitivity on: all targets drawn are alone or absent, expected some among "
            "others. Lower mix.single and mix.absent, or raise calibration_batches."
        )
    model = copy.deepcopy(model).eval()
    names = list(plan_weights({n: tuple(p.shape) for n, p in model.named_parameters()}, config))
    before = _si_snr_db(model, batches)
    drops: Drops = {}
    for done, name in enumerate(names):
        drops[name] = {}
        path, _, leaf = name.rpartition(".")
        for bits in widths:
            attach_weight(model, name, replace(config.plan(bits), method="lsq"))
            drops[name][bits] = before - _si_snr_db(model, batches)
            parametrize.remove_parametrizations(model.get_submodule(path), leaf, leave_parametrized=False)
        progress((done + 1) / len(names))
    return drops


def _si_snr_db(model: Wase, batches: Sequence[Mapping[str, Tensor]]) -> float:
    """Mean SI-SNR of the estimates of targets that are among others: absent and lone ones measure something else."""
    values = []
    for batch in batches:
        estimate, target = model(batch["mixture"], model.enroll(batch["enrollment"])).estimate, batch["target"]
        values.append(si_snr(estimate, target)[_among_others(batch)])
    return float(torch.cat(values).mean())


def _among_others(batch: Mapping[str, Tensor]) -> Tensor:
    """Whether a target speaks, and something else sounds. Shape: -> bool [S]."""
    return batch["target"].any(-1) & (batch["mixture"] != batch["target"]).any(-1)


def choose_widths(
    drops: Drops, shapes: Mapping[str, tuple[int, ...]], budget: Budget, *, other_bytes: int, per_channel: bool = False
) -> Widths:
    """Bits of every tensor in `drops` under a budget.

    Args:
        drops: what `measure` found.
        shapes: of the tensors, by name.
        other_bytes: bytes of the file that do not depend on the choice.

    Raises:
        ConfigError: a budget that cannot be met; says the smallest that can.
    """
    sizes = {
        name: {bits: code_bytes(shapes[name], bits, per_channel=per_channel) for bits in at}
        for name, at in drops.items()
    }
    drops = {name: _falling(at) for name, at in drops.items()}
    bits = {name: max(at) for name, at in drops.items()}
    steps = {name: dict(pairwise(sorted(at, reverse=True))) for name, at in drops.items()}  # width -> next narrower

    def total_bytes() -> int:
        return other_bytes + sum(sizes[name][width] for name, width in bits.items())

    def total_drop() -> float:
        return sum(drops[name][width] for name, width in bits.items())

    if budget.max_drop_db is not None and total_drop() > budget.max_drop_db:
        raise ConfigError(
            f"--max-drop {budget.max_drop_db:g} dB cannot be met: even the widest weights lose {total_drop():.2f} dB. "
            f"Give at least {total_drop():.2f} dB."
        )
    while budget.max_bytes is None or total_bytes() > budget.max_bytes:
        moves = []
        for name, width in bits.items():
            if width in steps[name]:
                narrower = steps[name][width]
                loss = drops[name][narrower] - drops[name][width]
                if budget.max_drop_db is None or total_drop() + loss <= budget.max_drop_db:
                    moves.append((loss / (sizes[name][width] - sizes[name][narrower]), name, narrower))
        if not moves:
            break
        _, name, bits[name] = min(moves)
    if budget.max_bytes is not None and total_bytes() > budget.max_bytes:
        raise ConfigError(
            f"--max-size {budget.max_bytes} bytes cannot be met: the smallest file takes {total_bytes()} bytes. "
            "Give at least that, share the stacks (--share), or quantize the codec and the voiceprint encoder too."
        )
    return Widths(bits, total_bytes(), total_drop())


def _falling(drops: Mapping[int, float]) -> dict[int, float]:
    """Drops that never fall with fewer bits: measured on few batches, noise may say so. Widest first."""
    worst, cleaned = float("-inf"), {}
    for bits in sorted(drops, reverse=True):
        worst = max(worst, drops[bits], 0.0)
        cleaned[bits] = worst
    return cleaned


def code_bytes(shape: tuple[int, ...], bits: int, *, per_channel: bool) -> int:
    """Bytes of codes, levels and scales, packed plainly; entropy coding only makes the file smaller."""
    return packed_bytes(math.prod(shape), bits) + 4 * (2**bits + (shape[0] if per_channel else 1))


def other_bytes(model: Wase, config: QuantConfig, *, float_kind: str = "float32") -> int:
    """Bytes of the file without the data of the tensors that `config` quantizes; room for the card included."""
    probe = copy.deepcopy(model)
    points = [name for name, module in model.named_modules() if type(module) is nn.Identity]
    ranges = len(plan_activations(points, config)) * len(ACTIVATION_FIELDS) * (RECORD.size + ALIGNMENT_BYTES)
    attach(probe, replace(config, method="lsq", activation_bits=FLOAT_BITS, overrides=()))
    file = packed_model(probe, card={}, float_kind=float_kind)
    codes = sum(tensor.stored_bytes for name, tensor in file.tensors.items() if name in weight_quantizers(probe))
    return len(to_bytes(file)) - codes + ranges + CARD_BYTES
