"""Model files: what goes in comes out, sizes add up, the layout is that of the network, foreign tensors are refused."""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st

from tinywase.config import CUES, FEATURES, TINY, ModelConfig, VoiceprintConfig, named_config
from tinywase.errors import FormatError, OutputError
from tinywase.format import ModelFile, inspect, read_config, read_model, to_bytes, write_model
from tinywase.header import config_fields
from tinywase.layout import ACTIVATION_FIELDS, activation_points, expected_tensors
from tinywase.tensors import PackedTensor, float_tensor

LSTM = VoiceprintConfig(kind="lstm", dimensions=6, filters=8, window=32, hop=8, hidden=5, layers=2)
SMALLEST = ModelConfig(
    name="smallest", filters=4, window=8, bottleneck=4, hidden=4, blocks=1, stacks=1,
    voiceprint=VoiceprintConfig(kind="tcn", dimensions=4, filters=4, window=8, hop=4, hidden=4, layers=1, bottleneck=4),
)  # fmt: skip


def coded_tensor(name: str, shape: tuple[int, ...], bits: int, rng: np.random.Generator, *, rows: bool) -> PackedTensor:
    levels = np.sort(rng.choice(np.arange(-200, 200), 2**bits, replace=False)).astype(np.float32)
    codes = rng.integers(0, len(levels), shape, dtype=np.uint8)
    scales = rng.uniform(0.01, 1, shape[0] if rows else 1).astype(np.float32)
    return PackedTensor(name, shape, "codes", bits, codes=codes, levels=levels, scales=scales)


def quantized_file(config: ModelConfig, rng: np.random.Generator, *, ranges: bool = True, **card: Any) -> ModelFile:
    """Every matrix at a random width, the rest float32 or float16, every activation point with a range."""
    tensors = {}
    for name, values in random_tensors(config, rng).items():
        if values.ndim > 1:
            rows = bool(rng.integers(2))
            tensors[name] = coded_tensor(name, values.shape, int(rng.integers(1, 9)), rng, rows=rows)
        else:
            tensors[name] = float_tensor(name, values, str(rng.choice(["float32", "float16"])))
    for point in activation_points(config) if ranges else ():
        for field, number in zip(ACTIVATION_FIELDS, (0.05, 120, 8), strict=True):
            tensors[f"{point}.{field}"] = float_tensor(f"{point}.{field}", np.array([number]))
    return ModelFile(config, tensors, card)


def float_file(config: ModelConfig = TINY, changes: Mapping[str, np.ndarray] | None = None) -> ModelFile:
    tensors = random_tensors(config, np.random.default_rng(0)) | dict(changes or {})
    return ModelFile(config, {name: float_tensor(name, values) for name, values in tensors.items()})


def assert_same(a: PackedTensor, b: PackedTensor) -> None:
    assert (a.name, a.shape, a.kind, a.bits) == (b.name, b.shape, b.kind, b.bits)
    for field in ("codes", "levels", "scales", "values"):
        left, right = getattr(a, field), getattr(b, field)
        assert (left is None) == (right is None)
        if left is not None:
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype


configs = st.builds(
    ModelConfig,
    name=st.text(min_size=1, max_size=15).filter(lambda text: "\0" not in text and text.isprintable()),
    sample_rate_hz=st.sampled_from([8000, 16000, 44100]),
    filters=st.sampled_from([2, 6, 8]),
    window=st.sampled_from([2, 8, 16]),
    bottleneck=st.integers(1, 7),
    hidden=st.integers(1, 7),
    kernel=st.sampled_from([1, 3, 5]),
    blocks=st.integers(1, 3),
    stacks=st.integers(1, 3),
    distinct_stacks=st.integers(0, 1),
    cues=st.sampled_from(CUES),
    features=st.sampled_from(FEATURES),
    mean_skip=st.booleans(),
    causal=st.just(True),
    lookahead_frames=st.integers(0, 9),
    norm_memory_frames=st.integers(0, 9),
    voiceprint=st.sampled_from([LSTM, TINY.voiceprint, SMALLEST.voiceprint]),
)


@settings(max_examples=25, deadline=None)
@given(configs, st.integers(0, 2**32 - 1), st.dictionaries(st.text(max_size=9), st.integers() | st.text(max_size=9)))
def test_reading_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, config: ModelConfig, seed: int, card: dict[str, Any]
) -> None:
    written = quantized_file(config, np.random.default_rng(seed), **{})
    written = dataclasses.replace(written, card=card)
    path = tmp_path_factory.mktemp("model") / "model.twase"
    write_model(path, written)
    read = read_model(path)
    assert read.config == config
    assert read.card == card
    assert read.tensors.keys() == written.tensors.keys()
    for name, tensor in written.tensors.items():
        assert_same(read.tensors[name], tensor)


def test_the_configuration_is_read_from_the_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.twase"
    path.write_bytes(to_bytes(float_file())[:256])
    assert read_config(path) == TINY
    path.write_bytes(path.read_bytes()[:255])
    with pytest.raises(FormatError, match="cut short: 255 bytes, less than its header of 256"):
        read_config(path)


def test_equal_models_have_equal_bytes_whatever_the_order_of_their_tensors() -> None:
    model = quantized_file(TINY, np.random.default_rng(0), licence="Apache-2.0")
    shuffled = dataclasses.replace(model, tensors=dict(reversed(model.tensors.items())))
    assert to_bytes(shuffled) == to_bytes(model)


def test_dequantizing_is_one_float32_multiplication() -> None:
    tensor = coded_tensor("x", (3, 2, 5), 5, np.random.default_rng(0), rows=True)
    assert tensor.codes is not None
    assert tensor.levels is not None
    assert tensor.scales is not None
    for index in np.ndindex(3, 2, 5):
        expected = np.float32(tensor.levels[tensor.codes[index]]) * np.float32(tensor.scales[index[0]])
        assert tensor.dequantize()[index] == expected


@pytest.mark.parametrize("name", ["tiny", "small", "paper"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distinct_stacks": 1},
        {"distinct_stacks": 2, "stacks": 5},
        {"causal": True, "lookahead_frames": 3},
        {"cues": "voiceprint"},
        {"features": "log_power"},
        {"features": "log_power", "codec": "fourier", "window": 64, "filters": 64, "overlap": 4},
        {"voiceprint": dataclasses.replace(TINY.voiceprint, filterbank="mel")},
    ],
)
def test_layout_is_the_state_dict_of_the_network(name: str, changes: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    from tinywase.models import Wase

    config = named_config(name, **changes)
    state = Wase(config).state_dict()
    assert [(key, tuple(value.shape)) for key, value in state.items()] == list(expected_tensors(config).items())


@pytest.mark.parametrize(
    "config", [TINY, named_config("tiny", cues="voiceprint"), named_config("paper", cues="activity")]
)
def test_activation_points_are_the_identities_of_the_network(config: ModelConfig) -> None:
    pytest.importorskip("torch")
    from torch import nn

    from tinywase.models import Wase

    points = [name for name, module in Wase(config).named_modules() if type(module) is nn.Identity]
    assert sorted(points) == sorted(activation_points(config))


def test_sizes_of_a_file_add_up_to_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.twase"
    model = quantized_file(TINY, np.random.default_rng(1), note="x" * 100)
    write_model(path, model)
    report = inspect(path)
    assert report.file_bytes == path.stat().st_size
    assert report.core_bytes + report.voiceprint_bytes + report.overhead_bytes == report.file_bytes
    assert report.sizes.parameters == report.sizes.core_parameters + report.voiceprint_parameters
    assert report.bits == {n: t.bits for n, t in model.tensors.items() if n in expected_tensors(TINY)}
    assert report.activation_bits == dict.fromkeys(activation_points(TINY), 8)
    assert report.card_bytes == len(json.dumps({"note": "x" * 100}, separators=(",", ":")))
    assert report.latency_samples is None


def test_latency_of_a_causal_model_is_told(tmp_path: Path) -> None:
    config = named_config("tiny", causal=True, lookahead_frames=4)
    write_model(tmp_path / "model.twase", float_file(config))
    report = inspect(tmp_path / "model.twase")
    assert report.latency_samples == 32 + 4 * 16
    assert report.latency_ms == 1000 * 96 / 8000


def test_low_bits_make_a_small_file(tmp_path: Path) -> None:
    """3-bit `paper`: the core's real bytes stay within 4 % of the paper's accounting, tables and names included."""
    config, rng = named_config("paper"), np.random.default_rng(0)
    tensors = {}
    for name, shape in expected_tensors(config).items():
        if len(shape) > 1 and name.startswith("separator."):
            codes, levels = rng.integers(0, 7, shape, dtype=np.uint8), np.arange(-3, 4, dtype=np.float32)
            tensors[name] = PackedTensor(name, shape, "codes", 3, codes=codes, levels=levels, scales=np.ones(1, "f4"))
        else:
            tensors[name] = float_tensor(name, np.zeros(shape), "float32" if "separator" in name else "float16")
    write_model(tmp_path / "model.twase", ModelFile(config, tensors))
    report = inspect(tmp_path / "model.twase")
    assert f"{report.sizes.paper_core_bytes / 2**20:.2f}" == "2.15"
    assert report.core_bytes < 1.04 * report.sizes.paper_core_bytes


# Refusals when writing


def test_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "model.twase"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"model\.twase' exists already.*--force"):
        write_model(path, float_file())
    assert path.read_bytes() == b"precious"
    write_model(path, float_file(), force=True)
    assert read_model(path).config == TINY


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"folder .* does not exist: create it"):
        write_model(tmp_path / "none" / "model.twase", float_file())


def test_failed_writing_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.link", refuse)
    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OutputError, match=r"cannot write '.*model\.twase': No space left on device"):
        write_model(tmp_path / "model.twase", float_file())
    assert list(tmp_path.iterdir()) == []


def test_read_only_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        (folder / "probe").touch()
        pytest.skip("this user may write anywhere")
    except PermissionError:
        pass
    with pytest.raises(OutputError, match=r"cannot write .*Permission denied.*Choose another folder"):
        write_model(folder / "model.twase", float_file())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(FormatError, match=r"tensor 'encoder\.weight': values hold NaN or infinity"):
        float_file(changes={"encoder.weight": np.full((32, 1, 32), value)})


def test_weights_too_large_for_float16_are_refused() -> None:
    with pytest.raises(FormatError, match="tensor 'x': values hold NaN or infinity"):
        float_tensor("x", np.array([70000.0]), "float16")


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    model = float_file()
    del model.tensors["separator.mask.weight"]
    with pytest.raises(
        FormatError, match=r"tensor 'separator\.mask\.weight' is missing: the configuration 'tiny' needs it"
    ):
        to_bytes(model)


def test_unknown_tensor_is_named() -> None:
    model = float_file()
    model.tensors["separator.extra"] = float_tensor("separator.extra", np.zeros(3))
    with pytest.raises(FormatError, match=r"tensor 'separator\.extra' is unknown"):
        to_bytes(model)


def test_wrong_shape_is_named() -> None:
    model = float_file(changes={"separator.mask.bias": np.zeros(31)})
    with pytest.raises(
        FormatError, match=r"'separator\.mask\.bias' has shape \(31,\): its configuration expects \(32,\)"
    ):
        to_bytes(model)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0.1, 3, None), "expected float32 scale, zero_point and bits, all three"),
        ((0.0, 3, 8), "expected a positive scale"),
        ((0.1, 3.5, 8), "zero point 3.5"),
        ((0.1, 3, 0), "0 bits"),
        ((0.1, 3, 17), "17 bits"),
    ],
)
def test_activation_range_that_makes_no_sense_is_refused(numbers: tuple[float | None, ...], message: str) -> None:
    model = float_file()
    for field, number in zip(ACTIVATION_FIELDS, numbers, strict=True):
        if number is not None:
            name = f"separator.mask_input.{field}"
            model.tensors[name] = float_tensor(name, np.array([number]))
    with pytest.raises(FormatError, match=rf"activation 'separator\.mask_input'.*{message}"):
        to_bytes(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "float8"}, "kind 'float8': expected one of float32, float16, codes"),
        ({"bits": 9}, "bit width 9: expected 1 to 8"),
        ({"shape": ()}, r"shape \(\): expected 1 to 4 sizes"),
        ({"shape": (2, 3)}, r"codes do not match uint8 \(2, 3\)"),
        ({"levels": np.array([1, 0], np.float32)}, "levels are not ascending"),
        ({"levels": np.arange(5, dtype=np.float32)}, "levels: expected 1 to 4 float32 for 2 bits"),
        ({"levels": np.arange(3, dtype=np.float32)}, "code 3 is outside its 3 levels"),
        ({"levels": np.array([0, 1, 2, np.inf], np.float32)}, "levels hold NaN or infinity"),
        ({"scales": np.ones(3, np.float32)}, "scales: expected 1 or 4 float32"),
        ({"scales": np.array([np.nan], np.float32)}, "scales hold NaN or infinity"),
        ({"scales": np.array([3e38], np.float32)}, "levels times scales overflow float32"),
    ],
)
def test_impossible_tensor_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    right: dict[str, Any] = {"name": "mask", "shape": (4,), "kind": "codes", "bits": 2}
    right |= {"codes": np.arange(4, dtype=np.uint8), "levels": np.arange(4, dtype=np.float32)}
    right |= {"scales": np.ones(1, np.float32)}
    PackedTensor(**right)
    with pytest.raises(FormatError, match=f"tensor 'mask': {message}"):
        PackedTensor(**right | changes)


@pytest.mark.parametrize("card", [{"score": float("nan")}, {"path": Path("x")}, {"hours": 10**400}])
def test_card_that_is_no_json_is_refused(card: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=r"the model card is not JSON: .*Keep to text, numbers, lists, tables"):
        to_bytes(dataclasses.replace(float_file(), card=card))


@pytest.mark.parametrize("changes", [{"filters": 1 << 17}, {"blocks": 17}, {"name": "x" * 64}, {"name": "a\0b"}])
def test_configuration_beyond_the_limits_is_refused(changes: dict[str, Any]) -> None:
    config = dataclasses.replace(TINY, **changes)
    with pytest.raises(FormatError, match="a model file takes"):
        config_fields(config)
