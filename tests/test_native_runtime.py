"""The native runtime: equal to the numpy reference for every kind of model, every instruction set, every chunking."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_models import CAUSAL, CONFIGS, float_model, integer_model, noise

from tinywase.config import ModelConfig, named_config
from tinywase.errors import AudioError, ConfigError, FormatError, StreamError
from tinywase.format import ModelFile, write_model
from tinywase.runtime.model import open_model
from tinywase.runtime.native import NativeModel
from tinywase.runtime.reference import ReferenceModel

native = pytest.importorskip("tinywase._native", reason="the package was installed without its native part")
ISAS = native.instruction_sets()
LENGTHS = (0, 1, 15, 16, 33, 1000, 5000)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TINYWASE_ISA", request.param)
    return str(request.param)


def opened(model_file: ModelFile, folder: Path, *, compact: bool = False) -> NativeModel:
    path = folder / "model.twase"
    write_model(path, model_file, compact=compact, force=True)
    return NativeModel(path)


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max(initial=0) / max(float(np.abs(expected).max(initial=0)), 1e-9))


def relative_power(got: np.ndarray, expected: np.ndarray) -> float:
    """For quantized activations, where a rounding falls on the other side here and there: not the worst sample."""
    return float(np.sum((got - expected) ** 2) / max(float(np.sum(expected**2)), 1e-12))


# Against the reference


@pytest.mark.parametrize("kind", ["float32", "float16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_floats_equal_the_reference_within_rounding(name: str, kind: str, isa: str, tmp_path: Path) -> None:
    model_file = float_model(CONFIGS[name], kind=kind)
    fast, slow = opened(model_file, tmp_path), ReferenceModel(model_file)
    assert fast.isa == isa
    enrollment = noise(2000, seed=1)
    voiceprint = slow.enroll(enrollment)
    assert relative_error(fast.enroll(enrollment), voiceprint) < 1e-4
    assert relative_error(fast.enroll(enrollment[:1]), slow.enroll(enrollment[:1])) < 1e-4
    for length in LENGTHS:
        estimate, activity = fast.extract(noise(length), voiceprint)
        expected = slow.extract(noise(length), voiceprint)
        assert estimate.shape == expected[0].shape
        assert activity.shape == expected[1].shape
        np.testing.assert_allclose(activity, expected[1], atol=1e-5)
        if length > 1:  # one sample may be almost zero
            assert relative_error(estimate, expected[0]) < 1e-4


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", ["tiny", "lookahead", "shared causal", "kernel 5", "widths of no lane", "log power"])
def test_integers_equal_the_reference(name: str, bits: int, isa: str, tmp_path: Path) -> None:
    model_file = integer_model(CONFIGS[name], bits)
    fast, slow = opened(model_file, tmp_path, compact=bits % 2 == 0), ReferenceModel(model_file)
    assert fast.integer_layers > 0
    assert fast.float_layers <= 2 + 2 * CONFIGS[name].voiceprint.layers, "only the voiceprint encoder is float"
    voiceprint = noise(CONFIGS[name].voiceprint.dimensions, seed=1) * 20
    for length in LENGTHS:
        estimate, activity = fast.extract(noise(length), voiceprint)
        expected = slow.extract(noise(length), voiceprint)
        np.testing.assert_allclose(activity, expected[1], atol=0.02)
        if length > 1:
            assert relative_power(estimate, expected[0]) < 1e-3


@pytest.mark.parametrize("activation_bits", [1, 4, 7, 9, 12])
def test_every_width_of_activations_equals_the_reference(activation_bits: int, isa: str, tmp_path: Path) -> None:
    model_file = integer_model(CAUSAL, 3, activation_bits=activation_bits)
    fast, slow = opened(model_file, tmp_path), ReferenceModel(model_file)
    assert (fast.integer_layers > 0) == (activation_bits <= 8)
    voiceprint = noise(CAUSAL.voiceprint.dimensions, seed=1) * 20
    expected = slow.extract(noise(3000), voiceprint)[0]
    assert relative_power(fast.extract(noise(3000), voiceprint)[0], expected) < 1e-2


def test_coded_weights_without_quantized_activations_run_on_floats(isa: str, tmp_path: Path) -> None:
    model_file = integer_model(CAUSAL, 3, activations=False)
    fast, slow = opened(model_file, tmp_path), ReferenceModel(model_file)
    assert fast.integer_layers == 0
    voiceprint = noise(CAUSAL.voiceprint.dimensions, seed=1) * 20
    expected = slow.extract(noise(3000), voiceprint)[0]
    assert relative_error(fast.extract(noise(3000), voiceprint)[0], expected) < 1e-4


# Streaming


@pytest.fixture(scope="module")
def causal_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NativeModel]:
    folder = tmp_path_factory.mktemp("causal")
    found = {name: config for name, config in CONFIGS.items() if config.causal}
    models = {name: opened(float_model(config), folder) for name, config in found.items()}
    return models | {f"{name}, 3 bits": opened(integer_model(config, 3), folder) for name, config in found.items()}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), chunks=st.lists(st.one_of(st.integers(0, 40), st.integers(0, 3000)), max_size=12))
def test_streaming_is_one_pass_bit_for_bit_for_any_chunks(
    causal_models: dict[str, NativeModel], data: st.DataObject, chunks: list[int]
) -> None:
    model = causal_models[data.draw(st.sampled_from(sorted(causal_models)))]
    mixture, voiceprint = noise(sum(chunks)), noise(model.config.voiceprint.dimensions, seed=1) * 20
    stream = model.stream(voiceprint)
    for _ in range(2):  # and again after a reset
        pieces = [stream.feed(piece) for piece in np.split(mixture, np.cumsum(chunks))]
        np.testing.assert_array_equal(np.concatenate([*pieces, stream.flush()]), model.extract(mixture, voiceprint)[0])
        stream.reset()


def test_a_stream_is_never_later_than_its_latency(causal_models: dict[str, NativeModel]) -> None:
    for model in causal_models.values():
        stream = model.stream(np.ones(model.config.voiceprint.dimensions, np.float32))
        fed = given_back = 0
        for _ in range(3000):
            fed, given_back = fed + 1, given_back + len(stream.feed(np.ones(1, np.float32)))
            assert fed - given_back < stream.latency_samples
        assert fed - given_back > stream.latency_samples - model.config.window


def test_a_sample_reaches_no_further_back_than_the_latency(causal_models: dict[str, NativeModel]) -> None:
    for model in causal_models.values():
        voiceprint = noise(model.config.voiceprint.dimensions, seed=1) * 20
        at, mixture = 2500, noise(4000)
        changed = mixture.copy()
        changed[at] += 0.5
        one, other = model.extract(mixture, voiceprint)[0], model.extract(changed, voiceprint)[0]
        latency = model.config.latency_samples
        assert latency is not None
        first = int(np.flatnonzero(one != other)[0])
        assert at - latency < first, "the future beyond the latency is not looked at"
        assert first <= at - model.config.lookahead_frames * model.config.hop, "what the file says is not too much"


def test_the_activity_of_a_stream_is_that_of_its_newest_frame(causal_models: dict[str, NativeModel]) -> None:
    for model in causal_models.values():
        voiceprint = noise(model.config.voiceprint.dimensions, seed=1) * 20
        stream, mixture = model.stream(voiceprint), noise(3000)
        newest = len(stream.feed(mixture)) // model.config.hop + model.config.overlap // 2 - 1
        assert stream.activity == model.extract(mixture, voiceprint)[1][newest]


def test_hostile_samples_do_not_poison_a_stream(causal_models: dict[str, NativeModel]) -> None:
    model = causal_models["causal"]
    stream = model.stream(np.ones(16, np.float32))
    bad = np.array([np.nan, np.inf, -np.inf, 1e38, 3e38, 1e-45], np.float32)
    for piece in (np.tile(bad, 50), noise(2000)):
        assert np.isfinite(stream.feed(piece)).all()
    assert np.isfinite(model.extract(np.tile(bad, 300), np.ones(16, np.float32))[0]).all()


def test_no_memory_is_kept_over_many_chunks(causal_models: dict[str, NativeModel]) -> None:
    stream = causal_models["causal"].stream(np.ones(16, np.float32))
    chunk = noise(16)

    def resident_bytes() -> int:
        status = Path("/proc/self/statm")
        if not status.exists():
            pytest.skip("this system does not tell the memory of a process in /proc")
        return int(status.read_text().split()[1]) * 4096

    for _ in range(2000):
        stream.feed(chunk)
    before = resident_bytes()
    for _ in range(100_000):
        stream.feed(chunk)
    assert resident_bytes() - before < 1 << 20


# Threads


def test_threads_share_a_model(tmp_path: Path) -> None:
    model = opened(integer_model(CAUSAL, 3), tmp_path)
    voiceprints = [noise(16, seed=seed) * 20 for seed in range(6)]
    expected = [model.extract(noise(4000, seed), v)[0] for seed, v in enumerate(voiceprints)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(10):
            stream = model.stream(voiceprints[seed])
            pieces = [stream.feed(piece) for piece in np.array_split(noise(4000, seed), 9)]
            offline, _ = model.extract(noise(4000, seed), voiceprints[seed])
            estimates = (np.concatenate([*pieces, stream.flush()]), offline)
            if not all(np.array_equal(estimate, expected[seed]) for estimate in estimates):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", ["tiny", "widths of no lane", "shared stacks", "causal"])
def test_several_threads_give_the_same_bits(name: str, isa: str, tmp_path: Path) -> None:
    path, voiceprint = tmp_path / "model.twase", noise(CONFIGS[name].voiceprint.dimensions, seed=1) * 20
    write_model(path, integer_model(CONFIGS[name], 3))
    for length in (*LENGTHS, 100_000):
        models = [NativeModel(path, threads=threads) for threads in (1, 2, 5)]
        one, two, many = (model.extract(noise(length), voiceprint) for model in models)
        for other in (two, many):
            np.testing.assert_array_equal(other[0], one[0])
            np.testing.assert_array_equal(other[1], one[1])


def test_the_number_of_threads_is_checked(tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for impossible in (0, -1, 65, 1.5):
        with pytest.raises(ConfigError, match=f"threads = {impossible}: expected 1 to 64"):
            NativeModel(tiny_model_path, threads=impossible)  # type: ignore[arg-type]
        for runtime in ("native", "reference"):
            with pytest.raises(ConfigError, match=f"threads = {impossible}"):
                open_model(tiny_model_path, runtime, threads=impossible)  # type: ignore[arg-type]
    for processors, chosen in ((1, 1), (2, 2), (8, 2)):
        monkeypatch.setattr("tinywase.runtime.threads.allowed_processors", lambda count=processors: list(range(count)))
        assert NativeModel(tiny_model_path, threads=None).threads == chosen


def test_threads_may_even_share_a_stream(tmp_path: Path) -> None:
    stream = opened(float_model(CAUSAL), tmp_path).stream(np.ones(16, np.float32))
    given_back = []
    threads = [
        threading.Thread(target=lambda: given_back.append(sum(len(stream.feed(noise(50))) for _ in range(200))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(given_back) + len(stream.flush()) == 4 * 200 * 50


# Refusals


def test_an_unknown_instruction_set_is_refused(tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYWASE_ISA", "mmx")
    with pytest.raises(FormatError, match=r"TINYWASE_ISA is 'mmx': this processor runs .*scalar\. Name one of these"):
        NativeModel(tiny_model_path)


def test_wrong_arrays_are_refused(tiny_model_path: Path) -> None:
    model = NativeModel(tiny_model_path)
    with pytest.raises(AudioError, match=r"enrollment is empty: expected some seconds"):
        model.enroll(np.zeros(0, np.float32))
    with pytest.raises(AudioError, match=r"mixture of shape \(2, 100\): expected one channel"):
        model.extract(np.zeros((2, 100), np.float32), np.zeros(16, np.float32))
    for voiceprint in (np.zeros(3, np.float32), np.full(16, np.nan, np.float32)):
        with pytest.raises(ConfigError, match=r"this model expects \(16,\) finite numbers"):
            model.extract(np.zeros(100, np.float32), voiceprint)


def test_an_offline_model_refuses_to_stream(tiny_model_path: Path) -> None:
    with pytest.raises(StreamError, match="needs the whole recording. Use a causal model"):
        NativeModel(tiny_model_path).stream(np.zeros(16, np.float32))


def test_a_flushed_stream_must_be_reset(tmp_path: Path) -> None:
    stream = opened(float_model(CAUSAL), tmp_path).stream(np.zeros(16, np.float32))
    stream.flush()
    for call in (stream.flush, lambda: stream.feed(noise(10))):
        with pytest.raises(StreamError, match=r"was flushed.* Call tw_stream_reset first"):
            call()


@pytest.mark.parametrize(
    ("room_mb", "message"),
    [(50, "for the result: got no 100000000 bytes"), (300, "for this model and recording: got no")],
)
def test_memory_that_is_not_there_is_refused_in_words(room_mb: int, message: str, tiny_model_path: Path) -> None:
    """The result does not fit, or what the core works on."""
    pytest.importorskip("resource", reason="this system limits no process")
    code = f"""
import resource, sys
import numpy as np
from tinywase.errors import OutOfMemoryError, TinyWaseError
from tinywase.runtime.native import NativeModel
model, mixture = NativeModel({str(tiny_model_path)!r}), np.zeros(25_000_000, np.float32)
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + ({room_mb} << 20), resource.RLIM_INFINITY))
try:
    model.extract(mixture, np.ones(16, np.float32))
except TinyWaseError as error:
    assert isinstance(error, OutOfMemoryError) and isinstance(error, MemoryError)
    print(error)
"""
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell the memory of a process in /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(rf"not enough memory {message}.* Use shorter pieces", done.stdout), done.stdout


def test_a_small_state_is_reported(tmp_path: Path) -> None:
    config: ModelConfig = named_config("paper", causal=True)
    stream = opened(integer_model(config, 3), tmp_path).stream(np.zeros(128, np.float32))
    assert stream.state_bytes < 1.5e6, "3 stacks of 510 frames of 512 codes, and a tile of 48 frames"
