"""The native training kernels against the blocks they stand for, run in float32: values, gradients, awkward shapes."""

from __future__ import annotations

from typing import Any, cast

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tinywase.config import named_config  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.models import Wase, fused  # noqa: E402
from tinywase.models.layers import ConvBlock  # noqa: E402
from tinywase.quant.activation import DynamicRange, FrozenRange, LearnedRange  # noqa: E402

KERNELS: list[Any] = list(fused.all_kernels()) or [
    pytest.param("none", marks=pytest.mark.skip(reason="the training kernels want AVX-512"))
]
# bfloat16 keeps 8 bits and a stack rounds at every layer, so nothing is nearer to float32 than a few percent of a norm:
# the kernels may be no farther from it than torch's own bfloat16, with room for chance: little where PReLUs are
# straight lines, more where rounding decides on which side of their kink a value falls.
ROOM = {"straight": (1.5, 0.01), "bent": (2.0, 0.1)}


@pytest.fixture(params=KERNELS, autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TINYWASE_TRAINING_KERNELS", request.param)
    return str(request.param)


def stack(
    channels: int,
    hidden: int,
    dilations: tuple[int, ...],
    *,
    causal: bool,
    slopes: str = "bent",
    norm_keeps: float = 1.0,
) -> nn.ModuleList:
    torch.manual_seed(1)
    blocks = nn.ModuleList(
        ConvBlock(channels, hidden, 3, dilation=d, causal=causal, norm_keeps=norm_keeps) for d in dilations
    )
    with torch.no_grad():
        for name, parameter in blocks.named_parameters():
            if "slope" in name and slopes == "straight":
                parameter.fill_(1.0)
            elif parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return blocks


def run(blocks: nn.ModuleList, x: Tensor) -> tuple[Tensor, Tensor]:
    return fused.run_blocks([cast(ConvBlock, block) for block in blocks], x)


def gradient(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad.clone()


def values_and_gradients(blocks: nn.ModuleList, x: Tensor, *, lowered: bool) -> dict[str, Tensor]:
    """Outputs and the gradients of their energies, by kind; those of the slopes, single numbers, as one tensor."""
    x = x.clone().requires_grad_()
    blocks.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
        out, skip = run(blocks, x)
    (out.float().square().sum() + skip.float().square().sum()).backward()
    gradients = {name: gradient(parameter) for name, parameter in blocks.named_parameters()}
    slopes = torch.cat([gradients.pop(name) for name in list(gradients) if "slope" in name])
    return {"out": out.detach(), "skip": skip.detach(), "x": gradient(x), "slopes": slopes, **gradients}


@pytest.mark.parametrize(("causal", "keeps"), [(False, 1.0), (True, 1.0), (True, 0.9)])
@pytest.mark.parametrize(
    ("slopes", "frames"), [*(("straight", frames) for frames in (1, 2, 11, 12, 13, 37, 157)), ("bent", 157)]
)
@pytest.mark.parametrize(
    ("channels", "hidden", "dilations"), [(32, 32, (1,)), (64, 96, (1, 2, 4)), (128, 256, (32, 1))], ids=str
)
def test_a_stack_equals_its_blocks(
    channels: int,
    hidden: int,
    dilations: tuple[int, ...],
    slopes: str,
    frames: int,
    causal: bool,
    keeps: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks = stack(channels, hidden, dilations, causal=causal, slopes=slopes, norm_keeps=keeps)
    x = torch.randn(2, channels, frames)
    native = values_and_gradients(blocks, x, lowered=True)
    monkeypatch.setattr(fused, "can_fuse", lambda blocks, x: False)
    lowered = values_and_gradients(blocks, x, lowered=True)
    assert not torch.equal(lowered["out"], native["out"])  # two implementations, not one twice
    for name, exact in values_and_gradients(blocks, x, lowered=False).items():
        factor, least = ROOM[slopes]
        size = exact.norm() if name != "slopes" else 2 * native["0.expand_norm.weight"].norm()  # sums that cancel
        error, usual = ((found[name] - exact).norm() for found in (native, lowered))
        assert error <= factor * usual + least * size, name


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [FrozenRange, LearnedRange])
@pytest.mark.parametrize("reach", [1.0, 4.0], ids=["clipping", "wide"])
def test_quantized_activations(
    kind: type[FrozenRange] | type[LearnedRange], reach: float, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = stack(64, 96, (1, 2), causal=causal, slopes="straight")
    zero_point = torch.tensor([120.0])
    for block in blocks:
        for name in ("expand_input", "depthwise_input", "output_input"):
            setattr(block, name, kind(8, torch.tensor([reach / 127]), zero_point))
    x = torch.randn(2, 64, 40)
    native = values_and_gradients(blocks, x, lowered=True)
    monkeypatch.setattr(fused, "can_fuse", lambda blocks, x: False)
    lowered, exact = (values_and_gradients(blocks, x, lowered=kept) for kept in (True, False))
    assert ("0.output_input.scale" in exact) == (kind is LearnedRange)
    for name in exact:
        cancels = "slope" in name or "scale" in name  # a sum of both signs: measured by a larger tensor's norm
        size = 2 * exact["0.expand_norm.weight"].norm() if cancels else exact[name].norm()
        error, usual = ((found[name] - exact[name]).norm() for found in (native, lowered))
        assert error <= 2 * usual + 0.03 * size, name


def test_a_segment_does_not_depend_on_its_neighbours() -> None:
    blocks = stack(32, 64, (1, 2), causal=False)
    x = torch.randn(3, 32, 20)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        together = run(blocks, x)
        alone = run(blocks, x[1:2])
    for many, one in zip(together, alone, strict=True):
        assert torch.equal(many[1:2], one)


def test_stacks_alone_may_be_lowered() -> None:
    blocks = stack(32, 64, (1, 2), causal=False)
    x = torch.randn(2, 32, 20)
    with fused.stacks_in_bfloat16():
        assert fused.can_fuse(list(blocks), x)
        alone = run(blocks, x)
    assert not fused.can_fuse(list(blocks), x)
    with torch.autocast("cpu", torch.bfloat16):
        usual = run(blocks, x)
    assert all(torch.equal(a, b) for a, b in zip(alone, usual, strict=True))


def test_kernels_that_are_not_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYWASE_TRAINING_KERNELS", "of another processor")
    with pytest.raises(ConfigError, match="expected one of 0"):
        fused.kernels()


@pytest.mark.parametrize("what", ["float32", "quantized", "watched", "channels"])
def test_what_the_kernels_cannot_do_runs_block_by_block(what: str) -> None:
    channels = 48 if what == "channels" else 32
    blocks = stack(channels, 32, (1,), causal=False)
    if what == "quantized":
        blocks[0].output_input = DynamicRange(8)
    if what == "watched":
        blocks[0].register_forward_hook(lambda *_: None)
    with torch.autocast("cpu", torch.bfloat16, enabled=what != "float32"):
        assert not fused.can_fuse(list(blocks), torch.zeros(1, channels, 4))


@pytest.mark.parametrize("causal", [False, True])
def test_the_whole_network_learns_the_same(causal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    config = named_config("small", causal=causal, lookahead_frames=1 if causal else 0)
    model = Wase(config)
    mixture, enrollment = 0.05 * torch.randn(2, 8000), 0.05 * torch.randn(2, 8000)

    def gradients() -> Tensor:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            extraction = model(mixture, model.enroll(enrollment))
        extraction.estimate.float().square().sum().backward()
        return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])

    native = gradients()
    monkeypatch.setenv("TINYWASE_TRAINING_KERNELS", "0")
    plain = gradients()
    assert nn.functional.cosine_similarity(native, plain, dim=0) > 0.995
