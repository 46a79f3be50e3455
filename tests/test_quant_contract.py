"""What every weight quantizer promises, over every method, width, shape and granularity; and their formulae."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from tinywase.errors import ConfigError  # noqa: E402
from tinywase.quant.base import WeightQuantizer  # noqa: E402
from tinywase.quant.collect import pack_codes  # noqa: E402
from tinywase.quant.levels import fit_scale, kmeans_centres, level_table, midpoints  # noqa: E402
from tinywase.quant.lsq import Lsq  # noqa: E402
from tinywase.quant.soft_sigmoid import SoftSigmoid, SoftStaircase, temperature_at  # noqa: E402

SHAPES = [(12, 7, 1), (8, 1, 3), (1, 16, 1), (5, 3), (1, 1)]
WIDTHS = range(1, 9)
METHODS = [(SoftSigmoid, "symmetric"), (Lsq, "symmetric"), (Lsq, "even")]


def some_weight(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32))


def every_quantizer(weight: Tensor, *, fit: bool = True) -> list[WeightQuantizer]:
    """All methods, widths and granularities on one weight."""
    return [
        method(weight, bits=bits, per_channel=per_channel, table=table, fit=fit)
        for method, table in METHODS
        for bits in WIDTHS
        for per_channel in (False, True)
        if not (table == "even" and bits == 8)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_eval_forward_equals_codebook_of_codes_bit_for_bit(shape: tuple[int, ...]) -> None:
    weight = some_weight(shape)
    for quantizer in every_quantizer(weight):
        quantizer.eval()
        codes = quantizer.encode(weight)
        packed = pack_codes("w", codes)
        forward = quantizer(weight).numpy()
        assert np.array_equal(forward, codes.dequantize().numpy())
        assert np.array_equal(forward, packed.dequantize()), quantizer
        assert packed.dequantize().dtype == np.float32
        assert len(codes.levels) <= 2**codes.bits
        assert len(codes.scales) == (shape[0] if quantizer.per_channel else 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_state_makes_an_unfitted_quantizer_the_fitted_one(shape: tuple[int, ...]) -> None:
    weight = some_weight(shape)
    for fitted, bare in zip(every_quantizer(weight), every_quantizer(weight, fit=False), strict=True):
        assert torch.equal(bare.scales, torch.ones_like(fitted.scales))
        bare.load_state_dict(fitted.state_dict())
        assert torch.equal(bare.eval()(weight), fitted.eval()(weight))


@pytest.mark.parametrize("some", [0.0, 0.3])
@pytest.mark.parametrize(("method", "bits"), [(method, bits) for method in (SoftSigmoid, Lsq) for bits in (2, 3, 8)])
def test_weights_that_begin_at_zero_stay_there(method: Callable[..., WeightQuantizer], bits: int, some: float) -> None:
    weight = torch.zeros(8, 16, 1)
    weight[:, 0] = some
    found = method(weight, bits=bits).eval()(weight)
    assert (found[:, 1:] == 0).all()
    assert torch.allclose(found[:, 0], weight[:, 0], rtol=0.5)


@pytest.mark.parametrize("factor", [0.5, 4.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_weight_that_is_multiplied_keeps_its_codes(shape: tuple[int, ...], factor: float) -> None:
    weight = some_weight(shape)
    for quantizer in every_quantizer(weight):
        before = quantizer.encode(weight)
        quantizer.rescale(factor)
        after = quantizer.encode(weight * factor)
        assert torch.equal(before.codes, after.codes)
        assert torch.equal(after.scales, before.scales * factor)  # a power of two: no rounding


@pytest.mark.parametrize("shape", SHAPES)
def test_codes_rise_with_the_weight(shape: tuple[int, ...]) -> None:
    weight = some_weight(shape)
    ramp = torch.linspace(-0.5, 0.5, 4001).expand(shape[0], -1).contiguous()
    for quantizer in every_quantizer(weight):
        codes = quantizer.encode(ramp).codes.long()
        assert (codes.diff(dim=1) >= 0).all(), quantizer
        assert int(codes.max()) == len(quantizer.levels) - 1


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_finite_and_reach_everything_learned(shape: tuple[int, ...]) -> None:
    for quantizer in every_quantizer(some_weight(shape)):
        weight = some_weight(shape, seed=1).requires_grad_()
        quantizer.train()
        quantizer(weight).square().sum().backward()
        for name, tensor in [("weight", weight), *quantizer.named_parameters()]:
            assert tensor.grad is not None, (quantizer, name)
            assert torch.isfinite(tensor.grad).all(), (quantizer, name)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e-30])
def test_constant_weights_stay_finite(value: float) -> None:
    weight = torch.full((4, 3), value)
    for quantizer in every_quantizer(weight):
        for training in (True, False):
            quantizer.train(training)
            learned = weight.clone().requires_grad_()
            quantizer(learned).sum().backward() if training else None
            assert torch.isfinite(quantizer(weight)).all(), quantizer
            assert learned.grad is None or torch.isfinite(learned.grad).all()


def test_state_is_saved_and_restored_by_name() -> None:
    weight, other = some_weight((6, 5, 1)), some_weight((6, 5, 1), seed=9) * 3
    for trained, fresh in zip(every_quantizer(weight), every_quantizer(other), strict=True):
        with torch.no_grad():
            for parameter in trained.parameters():
                parameter.mul_(1.1)
        if isinstance(trained, SoftSigmoid):
            trained.sharpen(77.0)
        fresh.load_state_dict(trained.state_dict())
        for training in (False, True):
            assert torch.equal(fresh.train(training)(weight), trained.train(training)(weight))


def test_a_scale_that_crosses_zero_keeps_the_law_and_the_order() -> None:
    weight = some_weight((4, 6))
    for quantizer in every_quantizer(weight):
        with torch.no_grad():
            next(quantizer.parameters()).neg_()
        quantizer.eval()
        assert np.array_equal(quantizer(weight).numpy(), pack_codes("w", quantizer.encode(weight)).dequantize())
        with torch.no_grad():
            next(quantizer.parameters()).zero_()
        assert torch.isfinite(quantizer(weight)).all()


@pytest.mark.parametrize("bits", WIDTHS)
def test_level_tables(bits: int) -> None:
    symmetric = level_table(bits)
    assert len(symmetric) == (2 if bits == 1 else 2**bits - 1)
    assert np.array_equal(symmetric, -symmetric[::-1])
    assert symmetric[-1] == max(1, 2 ** (bits - 1) - 1)
    if bits < 8:
        even = level_table(bits, "even")
        assert len(even) == 2**bits
        assert np.abs(even).max() <= 127


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_impossible_widths_are_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match=rf"bits = {bits}: expected 1 to 8"):
        level_table(bits)


def test_even_levels_at_eight_bits_are_refused() -> None:
    with pytest.raises(ConfigError, match="beyond int8: use 'symmetric'"):
        level_table(8, "even")


def test_kmeans_finds_separated_clusters_and_is_deterministic() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([-4.0, -1.0, 0.5, 3.0])
    values = (truth[:, None] + rng.normal(0, 0.01, (4, 50))).ravel()
    centres = kmeans_centres(values, 4)
    assert np.allclose(centres, truth, atol=0.01)
    assert np.array_equal(centres, kmeans_centres(rng.permutation(values), 4))


def test_kmeans_of_a_gaussian_is_the_known_optimum() -> None:
    """Lloyd-Max levels of a unit Gaussian for 7 levels: 0, 0.5606, 1.188, 2.033."""
    values = np.random.default_rng(0).normal(size=400_000)
    assert np.allclose(kmeans_centres(values, 7)[3:], [0, 0.5606, 1.1881, 2.0334], atol=0.02)


# The paper's quantizer


def published_staircase(q: SoftSigmoid, weight: Tensor) -> Tensor:
    """The formula of [Huang22], term by term, for autograd."""
    gaps, total = q.levels.diff(), torch.zeros_like(weight)
    for threshold, gap in zip(q.thresholds, gaps, strict=True):
        total = total + gap * torch.sigmoid(q.temperature * (q.beta * weight - threshold))
    return q.alpha * (total - (-q.levels[0]))


@pytest.mark.parametrize("temperature", [3.0, 50.0, 2000.0])
@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_soft_sigmoid_and_its_gradients_equal_the_published_formula(bits: int, temperature: float) -> None:
    weight = some_weight((60, 90)).double()
    quantizer = SoftSigmoid(weight, bits=bits).double()
    quantizer.sharpen(temperature)
    ours, theirs = weight.clone().requires_grad_(), weight.clone().requires_grad_()
    upstream = some_weight((60, 90), seed=4).double()
    value = quantizer(ours)
    gradients = torch.autograd.grad(value, [ours, quantizer.alpha, quantizer.beta], upstream)
    expected = published_staircase(quantizer, theirs)
    wanted = torch.autograd.grad(expected, [theirs, quantizer.alpha, quantizer.beta], upstream)
    assert torch.allclose(value, expected)
    for got, want in zip(gradients, wanted, strict=True):
        assert torch.allclose(got, want, rtol=1e-5, atol=1e-7)


def test_soft_staircase_passes_a_numerical_gradient_check() -> None:
    x = some_weight((5, 4)).double().mul(20).requires_grad_()
    thresholds, gaps = torch.tensor([-1.0, 0.2, 1.5]).double(), torch.tensor([1.0, 1.0, 2.0]).double()
    assert torch.autograd.gradcheck(
        lambda v: SoftStaircase.apply(v, thresholds, gaps, torch.tensor(2.0).double(), False), [x]
    )


def test_soft_sigmoid_starts_as_the_paper_says() -> None:
    weight = some_weight((20, 30))
    quantizer = SoftSigmoid(weight, bits=3)
    assert torch.allclose(quantizer.beta, 1.25 * 3 / weight.abs().max())
    assert torch.allclose(quantizer.alpha * quantizer.beta, torch.ones(1))
    assert len(quantizer.thresholds) == 6
    assert float(quantizer.temperature) == 10.0
    assert [temperature_at(epoch) for epoch in (1, 7, 200, 1000)] == [10.0, 70.0, 2000.0, 2000.0]


def test_a_hot_staircase_is_the_step_it_is_evaluated_with() -> None:
    weight = some_weight((40, 40))
    quantizer = SoftSigmoid(weight, bits=3)
    quantizer.sharpen(1e9)
    assert torch.allclose(quantizer.train()(weight), quantizer.eval()(weight), atol=1e-6)


# Learned step size


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
@pytest.mark.parametrize("per_channel", [False, True])
def test_lsq_gradients_equal_the_published_formula(bits: int, per_channel: bool) -> None:
    weight = some_weight((4, 25)).requires_grad_()
    quantizer = Lsq(weight, bits=bits, per_channel=per_channel)
    with torch.no_grad():
        quantizer.step.mul_(0.7)  # so that some weights lie outside the table's range
    upstream = some_weight((4, 25), seed=8)
    (quantizer(weight) * upstream).sum().backward()
    w, step = weight.detach().double().numpy(), quantizer.step.detach().double().numpy().reshape(-1, 1)
    levels = level_table(bits).astype(np.float64)
    ratio = w / step
    nearest = levels[np.abs(ratio[..., None] - levels).argmin(-1)]
    inside = (ratio > levels[0]) & (ratio < levels[-1])
    assert not inside.all()
    towards = np.where(inside, nearest - ratio, np.sign(ratio) * levels[-1]) * upstream.numpy()
    per_scale = 25 if per_channel else 100
    wanted = (towards.sum(1) if per_channel else towards.sum(keepdims=True)[0]) / np.sqrt(per_scale * levels[-1])
    assert weight.grad is not None
    assert quantizer.step.grad is not None
    assert np.allclose(weight.grad.numpy(), inside * upstream.numpy())
    assert np.allclose(quantizer.step.grad.numpy(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bits", WIDTHS)
def test_lsq_starts_near_the_least_squared_error(bits: int) -> None:
    weight = some_weight((30, 30))
    levels = torch.from_numpy(level_table(bits))
    scale = fit_scale(weight, levels, per_channel=False)

    def error(candidate: Tensor) -> float:
        chosen = levels[torch.bucketize(weight / candidate, midpoints(levels))]
        return float((chosen * candidate - weight).square().sum())

    top = float(weight.abs().max() / levels[-1])
    finest = min(error(torch.tensor(fraction * top)) for fraction in np.linspace(0.02, 1.2, 300))
    assert error(scale) <= 1.05 * finest


def test_one_bit_lsq_is_the_mean_magnitude() -> None:
    """For signs, the least squares scale is mean |w| [XNOR-Net]."""
    weight = some_weight((16, 16))
    assert torch.allclose(Lsq(weight, bits=1).step, weight.abs().mean(), rtol=1e-4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_lsq_finds_the_levels_of_several_weights_together_as_of_each(per_channel: bool) -> None:
    weights = [some_weight((rows, 5, 1), seed).requires_grad_() for seed, rows in enumerate((3, 8))]
    quantizers = [Lsq(weight, bits=3, per_channel=per_channel, table="even") for weight in weights]
    learned = [*weights, *(quantizer.step for quantizer in quantizers)]
    apart = [quantizer.soft(weight) for quantizer, weight in zip(quantizers, weights, strict=True)]
    together = list(Lsq.together(quantizers, weights))
    for one, other in zip(apart, together, strict=True):
        assert torch.equal(one, other)
    gradients = [torch.autograd.grad(sum(x.square().sum() for x in found), learned) for found in (apart, together)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-5)
