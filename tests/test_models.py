"""The network: the paper's parameter counts, gradients, causality, and streams that equal one pass."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional  # noqa: E402

from tinywase.config import ModelConfig, VoiceprintConfig, named_config  # noqa: E402
from tinywase.errors import StreamError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.models.gradients import DilatedDepthwise, SharedSlope  # noqa: E402
from tinywase.models.layers import Norm, running_sums  # noqa: E402

TOLERANCE = 2e-5  # float32, sums in another order


def build(name: str = "tiny", **changes: Any) -> Wase:
    torch.manual_seed(0)
    return Wase(named_config(name, **changes)).eval()


def counts(model: Wase) -> tuple[int, int]:
    voiceprint = sum(p.numel() for p in model.voiceprint_encoder.parameters())
    return sum(p.numel() for p in model.parameters()) - voiceprint, voiceprint


@pytest.mark.parametrize(("share", "core"), [(False, 5_050_674), (True, 1_827_090)])
def test_paper_has_exactly_the_papers_parameters(share: bool, core: int) -> None:
    assert counts(build("paper", distinct_stacks=int(share))) == (core, 2_465_920)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 31, 32, 33, 4000])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"causal": True},
        {"causal": True, "norm_memory_frames": 5, "lookahead_frames": 3},
        {"cues": "voiceprint"},
        {"features": "log_power"},
        {"codec": "fourier", "overlap": 4},
        {"causal": True, "overlap": 8, "lookahead_frames": 2},
    ],
)
def test_estimate_and_residual_are_as_long_as_the_mixture(length: int, changes: dict[str, Any]) -> None:
    model = build(**changes)
    with torch.no_grad():
        result = model(torch.randn(2, length), torch.randn(2, 16))
    assert result.estimate.shape == result.residual.shape == (2, length)
    assert (result.activity is None) == (changes.get("cues") == "voiceprint")


def test_activity_cue_alone_needs_no_voiceprint() -> None:
    model = build(cues="activity")
    assert model(torch.randn(1, 400), None).estimate.shape == (1, 400)


def test_estimate_and_residual_add_up_to_what_the_decoder_makes_of_the_whole_latent() -> None:
    model = build()
    mixture, voiceprint = torch.randn(1, 800), torch.randn(1, 16)
    result = model(mixture, voiceprint)
    model.separator.mask.weight.data.zero_()
    torch.nn.init.constant_(model.separator.mask.bias, 50.0)  # mask 1: the estimate is everything
    whole = model(mixture, voiceprint).estimate
    assert torch.allclose(result.estimate + result.residual, whole, atol=TOLERANCE)


@pytest.mark.parametrize("overlap", [2, 4, 8])
@pytest.mark.parametrize("length", [1, 17, 4001])
def test_a_fourier_codec_gives_back_what_it_takes(overlap: int, length: int) -> None:
    model = build(codec="fourier", overlap=overlap)
    mixture = torch.randn(1, length)
    result = model(mixture, torch.randn(1, 16))
    assert torch.allclose(result.estimate + result.residual, mixture, atol=TOLERANCE)
    assert not any("coder.weight" in name for name in model.state_dict() if "voiceprint" not in name)


@pytest.mark.parametrize("overlap", [2, 4, 8])
def test_frames_of_the_activity_are_centred_on_their_samples(overlap: int) -> None:
    model = build(codec="fourier", overlap=overlap)
    hop, early = model.config.hop, model.config.early_frames
    click = torch.zeros(1, 40 * hop)
    click[:, 11 * hop] = 1.0
    padded = functional.pad(click, (model.config.edge, model.config.window))
    heard = model._encode(padded).square().sum(1)[0]
    assert int(heard.argmax()) == 11 + early
    assert model(click, torch.randn(1, 16)).activity.shape[-1] >= 40


def test_level_of_the_mixture_is_the_level_of_the_estimate() -> None:
    model = build()
    mixture, voiceprint = torch.randn(1, 4000), torch.randn(1, 16)
    loud, soft = model(mixture, voiceprint).estimate, model(mixture * 0.1, voiceprint).estimate
    assert torch.allclose(loud * 0.1, soft, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        *({"lookahead_frames": ahead, "distinct_stacks": distinct} for ahead in (0, 1, 4) for distinct in (0, 1)),
        {"lookahead_frames": 1, "stacks": 3, "distinct_stacks": 2},
        {"lookahead_frames": 1, "norm_memory_frames": 9},
        {"lookahead_frames": 1, "codec": "fourier"},
        {"overlap": 4},
        {"lookahead_frames": 3, "codec": "fourier", "overlap": 8},
        {"kernel": 1},
        {"kernel": 1, "lookahead_frames": 1},
    ],
    ids=str,
)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_stream_of_any_chunks_equals_one_pass(changes: dict[str, Any], data: st.DataObject) -> None:
    model = build(causal=True, **changes)
    chunks = data.draw(st.lists(st.integers(0, 150), min_size=1, max_size=12))
    mixture, voiceprint = torch.randn(2, max(1, sum(chunks))), torch.randn(2, 16)
    with torch.no_grad():
        whole = model(mixture, voiceprint).estimate
    stream, parts, at = model.start(voiceprint, batch=2), [], 0
    for size in chunks:
        parts.append(model.feed(stream, mixture[:, at : at + size]))
        at += size
    if not sum(chunks):
        parts.append(model.feed(stream, mixture))
    parts.append(model.flush(stream))
    streamed = torch.cat(parts, -1)
    assert streamed.shape == whole.shape
    assert (streamed - whole).abs().max() < TOLERANCE


@pytest.mark.parametrize(("lookahead", "overlap"), [(0, 2), (2, 2), (5, 2), (0, 4), (3, 8)])
def test_the_future_beyond_the_latency_changes_nothing(lookahead: int, overlap: int) -> None:
    model = build(causal=True, lookahead_frames=lookahead, overlap=overlap)
    mixture, voiceprint = torch.randn(1, 2000), torch.randn(1, 16)
    changed = mixture.clone()
    changed[:, 1000:] += torch.randn(1, 1000)
    with torch.no_grad():
        before, after = model(mixture, voiceprint).estimate, model(changed, voiceprint).estimate
    latency = model.config.latency_samples
    assert latency is not None
    settled = 1000 - latency + 1
    assert torch.equal(before[:, :settled], after[:, :settled])
    assert not torch.equal(before[:, settled : 1000 + 1], after[:, settled : 1000 + 1])


def test_offline_model_refuses_to_stream() -> None:
    with pytest.raises(StreamError, match="offline: it needs the whole recording. Use a causal model"):
        build().start(torch.randn(1, 16))


@pytest.mark.parametrize("kind", ["lstm", "tcn"])
def test_voiceprint_does_not_depend_on_batch_neighbours(kind: str) -> None:
    config = VoiceprintConfig(
        kind=kind, dimensions=8, filters=16, window=64, hop=32, hidden=12, layers=2, bottleneck=8, dropout=0.5
    )
    torch.manual_seed(0)
    model = Wase(
        ModelConfig(name="tiny", filters=16, window=16, bottleneck=8, hidden=8, blocks=1, voiceprint=config)
    ).eval()
    enrollments = torch.randn(3, 3000)
    with torch.no_grad():
        together = model.enroll(enrollments)
        alone = torch.cat([model.enroll(enrollment[None]) for enrollment in enrollments])
    assert torch.allclose(together, alone, atol=TOLERANCE)


def test_written_gradients_are_the_true_ones() -> None:
    x = torch.randn(2, 3, 20, dtype=torch.double, requires_grad=True)
    weight = torch.randn(3, 1, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(3, dtype=torch.double, requires_grad=True)
    slope = torch.tensor([0.3], dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *a: DilatedDepthwise.apply(*a, 4), (x, weight, bias))
    assert torch.autograd.gradcheck(SharedSlope.apply, (x, slope))


def test_shifted_depthwise_is_the_grouped_convolution() -> None:
    x, weight, bias = torch.randn(2, 5, 30), torch.randn(5, 1, 3), torch.randn(5)
    expected = torch.nn.functional.conv1d(x, weight, bias, dilation=7, groups=5)
    assert torch.allclose(DilatedDepthwise.apply(x, weight, bias, 7), expected, atol=1e-5)


def test_a_compiled_network_is_one_graph_with_the_same_values_and_gradients() -> None:
    model, mixture, enrollment = build(blocks=1, stacks=1).train(), torch.randn(2, 800), torch.randn(2, 1000)
    compiled = torch.compile(lambda m, e: model(m, model.enroll(e)).estimate, backend="aot_eager", fullgraph=True)
    results = []
    for estimate in (model(mixture, model.enroll(enrollment)).estimate, compiled(mixture, enrollment)):
        model.zero_grad()
        estimate.square().sum().backward()
        results.append((estimate, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}))
    (expected, gradients), (estimate, compiled_gradients) = results
    assert torch.allclose(estimate, expected, atol=1e-5)
    assert gradients.keys() == compiled_gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(compiled_gradients[name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.norm())), name


@pytest.mark.parametrize("keeps", [0.0, 0.5, 0.99])
def test_forgetting_sums_are_the_recursion_across_any_parts(keeps: float) -> None:
    values = torch.randn(3, 700, dtype=torch.float64)
    expected, so_far = [], torch.zeros(3, dtype=torch.float64)
    for frame in range(700):
        so_far = keeps * so_far + values[:, frame]
        expected.append(so_far)
    first = running_sums(values[:, :300], 0.0, keeps)
    second = running_sums(values[:, 300:], first[:, -1:], keeps)
    assert torch.allclose(torch.cat([first, second], -1), torch.stack(expected, -1), atol=1e-9)


def test_norms_that_forget_are_deaf_to_what_was_long_ago() -> None:
    torch.manual_seed(1)
    ago, now = 0.001 * torch.randn(1, 8, 3000), torch.randn(1, 8, 200)
    alone = Norm(8, causal=True)(now)
    forgets, remembers = (
        Norm(8, causal=True, keeps=keeps)(torch.cat([ago, now], -1))[..., 3000:] for keeps in (1 - 1 / 20, 1.0)
    )
    late = slice(100, None)
    assert (forgets - alone)[..., late].abs().mean() < 0.1 < 1 < (remembers - alone)[..., late].abs().mean()
