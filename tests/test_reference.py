"""The numpy runtime: equal to torch, streaming equal to one pass, exact where it computes with whole numbers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from test_format import LSTM, quantized_file

from tinywase.config import ModelConfig, named_config
from tinywase.errors import AudioError, ConfigError, StreamError
from tinywase.format import ModelFile, read_model, to_bytes
from tinywase.layout import ACTIVATION_FIELDS
from tinywase.runtime.layers import Activation, Conv, Range
from tinywase.runtime.reference import ReferenceModel
from tinywase.tensors import float_tensor

GOLDEN = Path(__file__).parent / "golden"
MEL = dataclasses.replace(named_config("tiny").voiceprint, filterbank="mel")
CAUSAL = named_config("tiny", causal=True, lookahead_frames=5)
CONFIGS = {
    "tcn voiceprint": named_config("tiny"),
    "lstm voiceprint": named_config("tiny", voiceprint=LSTM),
    "three lstm layers": named_config("tiny", voiceprint=dataclasses.replace(LSTM, layers=3)),
    "causal": named_config("tiny", causal=True),
    "lookahead": CAUSAL,
    "shared stacks": named_config("tiny", distinct_stacks=1, stacks=3),
    "stacks in turn": named_config("tiny", distinct_stacks=2, stacks=5),
    "mean skip": named_config("tiny", mean_skip=True),
    "voiceprint cue": named_config("tiny", cues="voiceprint"),
    "activity cue": named_config("tiny", cues="activity"),
    "log power": named_config("tiny", features="log_power"),
    "causal log power": named_config("tiny", features="log_power", causal=True, lookahead_frames=2),
    "forgetting norms": named_config("tiny", causal=True, norm_memory_frames=7),
    "norms of one frame": named_config("tiny", causal=True, norm_memory_frames=1),
    "fourier": named_config("tiny", features="log_power", codec="fourier", overlap=4, voiceprint=MEL),
    "causal fourier": named_config("tiny", codec="fourier", overlap=4, causal=True, lookahead_frames=2),
    "overlap 8": named_config("tiny", overlap=8, causal=True),
    "kernel 5": named_config("tiny", kernel=5, causal=True, distinct_stacks=1, lookahead_frames=1),
    "paper's shape": named_config(
        "paper", filters=64, bottleneck=16, hidden=32, voiceprint=dataclasses.replace(LSTM, window=256, hop=64)
    ),
}


def noise(length: int, seed: int = 0) -> np.ndarray:
    return (0.05 * np.random.default_rng(seed).standard_normal(length)).astype(np.float32)


def reference(config: ModelConfig) -> ReferenceModel:
    tensors = random_tensors(config, np.random.default_rng(0))
    return ReferenceModel(ModelFile(config, {name: float_tensor(name, value) for name, value in tensors.items()}))


def relative_power(got: np.ndarray, expected: np.ndarray) -> float:
    """For quantized activations, where a rounding may fall on the other side here and there: not the worst sample."""
    return float(np.sum((got - expected) ** 2) / max(float(np.sum(expected**2)), 1e-12))


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


# Against torch


def torch_model(config: ModelConfig) -> Any:
    """A network whose norms, slopes and biases are not the trivial ones."""
    torch = pytest.importorskip("torch")
    from tinywase.models import Wase

    torch.manual_seed(0)  # whatever ran before: one sample of a network may be next to nothing, and rounding all of it
    generator = torch.Generator().manual_seed(0)
    model = Wase(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 33, 1000])
def test_it_equals_torch_within_rounding(name: str, length: int) -> None:
    model = torch_model(CONFIGS[name])
    import torch

    packed = ReferenceModel(
        ModelFile(model.config, {key: float_tensor(key, value.numpy()) for key, value in model.state_dict().items()})
    )
    mixture, enrollment = noise(length), noise(2000, seed=1)
    with torch.inference_mode():
        voiceprint = model.enroll(torch.from_numpy(enrollment)[None])
        expected = model(torch.from_numpy(mixture)[None], voiceprint)
    assert relative_error(packed.enroll(enrollment), voiceprint[0].numpy()) < 1e-4
    estimate, activity = packed.extract(mixture, voiceprint[0].numpy())
    assert estimate.shape == mixture.shape
    if length:
        assert relative_error(estimate, expected.estimate[0].numpy()) < 1e-4
    if expected.activity is None:
        assert (activity == 1).all()
    else:
        np.testing.assert_allclose(activity, torch.sigmoid(expected.activity.mean(1))[0].numpy(), atol=1e-4)


# Streaming


@pytest.mark.parametrize("name", ["causal", "lookahead", "causal log power", "kernel 5", "forgetting norms"])
@settings(max_examples=15, deadline=None)
@given(chunks=st.lists(st.integers(0, 300), max_size=12))
def test_streaming_equals_one_pass_for_any_chunks(name: str, chunks: list[int]) -> None:
    model = reference(CONFIGS[name])
    mixture, voiceprint = noise(sum(chunks)), noise(16, seed=1) * 20
    stream = model.stream(voiceprint)
    pieces = [stream.feed(piece) for piece in np.split(mixture, np.cumsum(chunks))]
    estimate, _ = model.extract(mixture, voiceprint)
    np.testing.assert_allclose(np.concatenate([*pieces, stream.flush()]), estimate, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(chunks=st.lists(st.integers(1, 200), min_size=1, max_size=10))
def test_streaming_a_quantized_model_equals_one_pass(chunks: list[int]) -> None:
    model = ReferenceModel(read_model(GOLDEN / "causal.twase"))
    mixture, voiceprint = noise(sum(chunks)), noise(8, seed=1) * 20
    stream = model.stream(voiceprint)
    pieces = [stream.feed(piece) for piece in np.split(mixture, np.cumsum(chunks))]
    estimate, _ = model.extract(mixture, voiceprint)
    assert relative_power(np.concatenate([*pieces, stream.flush()]), estimate) < 1e-4


def test_samples_come_no_later_than_the_stated_latency() -> None:
    model = reference(CAUSAL)
    stream = model.stream(noise(16))
    given_samples = 0
    for fed in range(1, 600):
        given_samples += len(stream.feed(noise(1, seed=fed)))
        assert fed - given_samples < stream.latency_samples == 32 + 5 * 16


def test_activity_of_a_stream_is_that_of_the_newest_finished_frame() -> None:
    model, mixture, voiceprint = reference(CAUSAL), noise(320), noise(16, seed=1)
    _, activity = model.extract(mixture, voiceprint)
    stream = model.stream(voiceprint)
    assert stream.activity == 0.0
    stream.feed(mixture)
    finished = 320 // 16 - CAUSAL.lookahead_frames
    assert stream.activity == pytest.approx(activity[finished - 1], abs=1e-6)


def test_state_does_not_grow() -> None:
    stream = reference(CAUSAL).stream(noise(16))
    stream.feed(noise(2000))
    before = stream.state_bytes
    for seed in range(10):
        stream.feed(noise(160, seed))
    assert stream.state_bytes == before


def test_a_stream_can_be_reset_and_says_when_it_has_ended() -> None:
    stream = reference(CAUSAL).stream(noise(16))
    first = np.concatenate([stream.feed(noise(500)), stream.flush()])
    with pytest.raises(StreamError, match=r"has ended: it was flushed\. Call reset\(\)"):
        stream.feed(noise(5))
    with pytest.raises(StreamError, match=r"flushed before\. Call reset\(\)"):
        stream.flush()
    stream.reset()
    np.testing.assert_array_equal(np.concatenate([stream.feed(noise(500)), stream.flush()]), first)


def test_an_offline_model_does_not_stream() -> None:
    with pytest.raises(StreamError, match=r"is offline: it needs the whole recording\. Use a causal model to stream"):
        reference(named_config("tiny")).stream(noise(16))


# Arithmetic


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(2, 16), inputs=st.sampled_from([3, 128, 2000]))
def test_quantized_convolutions_sum_whole_numbers_exactly(seed: int, bits: int, inputs: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(-127, 128, (4, inputs))
    zero_point = int(rng.integers(0, 2**bits))
    quantize = Range(np.float32(0.01), zero_point, 2**bits - 1)
    x = quantize(rng.normal(0, 0.01 * 2**bits, (inputs, 9)).astype(np.float32))
    scale, bias = rng.uniform(0.1, 1, (4, 1)).astype(np.float32), rng.normal(size=(4, 1)).astype(np.float32)
    conv = Conv(levels.astype(np.float32), bias, scale, float(np.abs(levels).sum(1).max()))
    total = (levels @ x.whole.astype(np.int64)).astype(np.float32)
    np.testing.assert_array_equal(conv.pointwise(x), total * (scale * np.float32(0.01)) + bias)


def test_a_range_rounds_half_to_even_and_clips() -> None:
    quantize = Range(np.float32(0.5), 2.0, 7.0)
    x = np.array([[-9.0, -0.75, -0.25, 0.0, 0.25, 0.75, 9.0]], np.float32)
    np.testing.assert_array_equal(quantize(x).values, [[-1, -1, 0, 0, 0, 1, 2.5]])


def test_levels_that_are_not_whole_are_computed_in_float() -> None:
    x = Range(np.float32(0.5), 0.0, 7.0)(np.array([[1.0], [2.0]], np.float32))
    conv = Conv(np.array([[0.3, 0.7]], np.float32), np.zeros((1, 1), np.float32))
    np.testing.assert_allclose(conv.pointwise(x), [[1.7]], rtol=1e-6)
    np.testing.assert_allclose(conv.pointwise(Activation(x.values)), [[1.7]], rtol=1e-6)


def test_activation_ranges_take_effect() -> None:
    """A 1-bit mask input leaves the mask two values per filter at most."""
    config = named_config("tiny")
    tensors = {n: float_tensor(n, v) for n, v in random_tensors(config, np.random.default_rng(0)).items()}
    for field, number in zip(ACTIVATION_FIELDS, (1e9, 0, 1), strict=True):
        name = f"separator.mask_input.{field}"
        tensors[name] = float_tensor(name, np.array([number]))
    model = ReferenceModel(ModelFile(config, tensors))
    mask, _ = model.separate(model.encode(noise(3200)), noise(16))
    assert np.ptp(mask, axis=1).max() < 1e-6


@pytest.mark.parametrize("config", [named_config("tiny"), CAUSAL])
def test_fake_quantized_torch_and_packed_codes_agree(config: ModelConfig) -> None:
    model = torch_model(config)
    import torch

    from tinywase.quant.attach import attach, freeze, recording
    from tinywase.quant.rules import QuantConfig
    from tinywase.train.export import packed_model

    attach(model, QuantConfig(bits=4, method="lsq", voiceprint_bits=4, codec_bits=8, per_channel=True))
    mixture, enrollment = torch.from_numpy(noise(4000))[None], torch.from_numpy(noise(8000, seed=1))[None]
    with torch.inference_mode(), recording(model):
        model(mixture, model.enroll(enrollment))
    freeze(model)
    with torch.inference_mode():
        voiceprint = model.enroll(enrollment)
        expected = model(mixture, voiceprint).estimate[0].numpy()
    packed = ReferenceModel(packed_model(model, card={}))
    estimate, _ = packed.extract(mixture[0].numpy(), voiceprint[0].numpy())
    assert relative_power(estimate, expected) < 1e-4
    assert relative_power(packed.enroll(enrollment[0].numpy()), voiceprint[0].numpy()) < 1e-3


# Bad input


def test_a_voiceprint_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"voiceprint of shape \(3,\): this model expects \(16,\) finite numbers"):
        reference(named_config("tiny")).extract(noise(100), noise(3))


def test_a_voiceprint_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"16,.*finite numbers\. Enroll again with the model"):
        reference(named_config("tiny")).extract(noise(100), np.full(16, np.nan, np.float32))


def test_several_channels_are_refused() -> None:
    with pytest.raises(AudioError, match=r"mixture of shape \(100, 2\): expected one channel of samples"):
        reference(named_config("tiny")).extract(np.zeros((100, 2), np.float32), noise(16))


def test_an_empty_enrollment_is_refused() -> None:
    with pytest.raises(AudioError, match="the enrollment is empty: expected some seconds"):
        reference(named_config("tiny")).enroll(noise(0))


# Golden files


@pytest.mark.parametrize("name", ["causal", "offline", "forgetting"])
def test_golden_models_give_what_they_gave(name: str) -> None:
    model, golden = ReferenceModel(read_model(GOLDEN / f"{name}.twase")), np.load(GOLDEN / f"{name}.npz")
    estimate, activity = model.extract(golden["mixture"], golden["voiceprint"])
    assert relative_power(model.enroll(golden["enrollment"]), golden["voiceprint"]) < 1e-3
    assert relative_power(estimate, golden["estimate"]) < 1e-4
    assert relative_power(activity, golden["activity"]) < 1e-4


@pytest.mark.parametrize("name", ["causal", "offline", "forgetting"])
def test_golden_bytes_are_what_is_written_today(name: str) -> None:
    path = GOLDEN / f"{name}.twase"
    assert to_bytes(read_model(path)) == path.read_bytes()


def test_every_width_and_kind_runs() -> None:
    model = ReferenceModel(quantized_file(CAUSAL, np.random.default_rng(3)))
    estimate, activity = model.extract(noise(500), model.enroll(noise(3000)))
    assert np.isfinite(estimate).all()
    assert ((activity >= 0) & (activity <= 1)).all()
