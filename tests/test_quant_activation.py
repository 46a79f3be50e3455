"""Activation quantizers: file formula, straight-through gradients, independent of batch neighbours once frozen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from tinywase.errors import ConfigError  # noqa: E402
from tinywase.quant.activation import DynamicRange, FrozenRange, LearnedRange, affine_range  # noqa: E402

RANGES = [(-1.5, 2.5), (0.0, 3.0), (-2.0, 0.0), (0.5, 3.0), (-3.0, -1.0)]


def some_activation(shape: tuple[int, ...] = (3, 8, 20), seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.2, 1, shape).astype(np.float32))


def constants(bits: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    return affine_range(torch.tensor([low]), torch.tensor([high]), torch.tensor([float(bits)]))


def as_in_the_file(x: np.ndarray, scale: np.float32, zero_point: np.float32, bits: int) -> np.ndarray:
    """The formula of the packed file, in float32."""
    return (np.clip(np.rint(x / scale) + zero_point, 0, 2**bits - 1) - zero_point) * scale


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_frozen_range_is_the_file_formula_bit_for_bit(bits: int, low: float, high: float) -> None:
    scale, zero_point = constants(bits, low, high)
    x = some_activation() * 3
    ours = FrozenRange(bits, scale, zero_point)(x).numpy()
    assert np.array_equal(ours, as_in_the_file(x.numpy(), scale.numpy()[0], zero_point.numpy()[0], bits))
    assert len(np.unique(ours)) <= 2**bits


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_zero_stays_zero_and_the_error_stays_within_a_step(bits: int, low: float, high: float) -> None:
    scale, zero_point = constants(bits, low, high)
    quantizer = FrozenRange(bits, scale, zero_point)
    assert float(zero_point) == round(float(zero_point))
    assert 0 <= float(zero_point) <= 2**bits - 1
    assert float(quantizer(torch.zeros(1))) == 0.0
    x = torch.linspace(min(low, 0), max(high, 0), 1001)
    assert float((quantizer(x) - x).abs().max()) <= float(scale) * 1.001


def test_gradient_is_one_inside_and_zero_where_clipped() -> None:
    quantizer = FrozenRange(8, *constants(8, -1.0, 1.0))
    x = torch.tensor([-3.0, -0.5, 0.0, 0.7, 2.0], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_learned_scale_has_the_gradient_of_learned_step_size() -> None:
    quantizer = LearnedRange(4, *constants(4, -1.0, 1.0))
    x, upstream = some_activation((50,)), some_activation((50,), seed=2)
    (quantizer(x) * upstream).sum().backward()
    scale, zero_point = float(quantizer.scale.detach()), float(quantizer.zero_point)
    ratio = x.double().numpy() / scale
    steps = np.rint(ratio) + zero_point
    inside = (steps >= 0) & (steps <= 15)
    assert not inside.all()
    towards = np.where(inside, np.rint(ratio) - ratio, np.clip(steps, 0, 15) - zero_point)
    wanted = (towards * upstream.numpy()).sum() / np.sqrt(50 * 15)
    assert quantizer.scale.grad is not None
    assert float(quantizer.scale.grad) == pytest.approx(wanted, rel=1e-4)


def test_a_dynamic_range_depends_on_batch_neighbours_and_a_frozen_one_does_not() -> None:
    item, loud = some_activation((1, 8, 20)), some_activation((1, 8, 20), seed=1) * 50
    dynamic = DynamicRange(8)
    assert not torch.equal(dynamic(torch.cat([item, loud]))[:1], dynamic(item))
    for frozen in (FrozenRange(8, *constants(8, -2, 2)), LearnedRange(8, *constants(8, -2, 2))):
        assert torch.equal(frozen(torch.cat([item, loud]))[:1], frozen(item))


def test_a_record_is_the_widest_range_seen_while_recording() -> None:
    dynamic = DynamicRange(8)
    dynamic(torch.tensor([-100.0, 100.0]))
    with pytest.raises(ConfigError, match=r"point\.x: no range was recorded\. Calibrate"):
        dynamic.recorded("point.x")
    dynamic.recording = True
    dynamic(torch.tensor([-1.0, 2.0]))
    dynamic(torch.tensor([-0.5, 4.1]))
    scale, zero_point = dynamic.recorded("point.x")
    assert float(scale) == pytest.approx(5.1 / 255)
    assert float(zero_point) == 50


def test_silence_has_a_range_too() -> None:
    silence = torch.zeros(2, 3)
    dynamic = DynamicRange(8)
    dynamic.recording = True
    assert torch.equal(dynamic(silence), silence)
    assert [float(v) for v in dynamic.recorded("p")] == [1.0, 0.0]
