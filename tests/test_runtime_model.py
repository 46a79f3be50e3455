"""Models by name or path, and the choice of the runtime that computes them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from native_models import float_model, noise

from tinywase.compiled import find_compiled
from tinywase.config import TINY
from tinywase.errors import ConfigError, FormatError
from tinywase.format import read_bytes, write_model
from tinywase.runtime import model as model_module
from tinywase.runtime import registry
from tinywase.runtime.model import choose_runtime, open_model
from tinywase.runtime.native import NativeModel
from tinywase.runtime.registry import find_model

# Models by name


@pytest.fixture
def bundled(tmp_path: Path, tiny_model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the models `small` and `causal`."""
    for name in ("small", "causal"):
        (tmp_path / f"{name}.twase").write_bytes(tiny_model_path.read_bytes())
    monkeypatch.setattr(registry, "MODELS", tmp_path)
    return tmp_path


def test_names_and_paths_are_found(bundled: Path, tiny_model_path: Path) -> None:
    assert find_model("causal") == bundled / "causal.twase"
    assert find_model("default") == bundled / f"{registry.ALIASES['default']}.twase"
    assert find_model(tiny_model_path) == tiny_model_path
    assert find_model(str(tiny_model_path)) == tiny_model_path
    assert find_model(Path("causal")) == bundled / "causal.twase"
    assert open_model("small", runtime="reference").config == TINY


@pytest.mark.parametrize("name", ["cuasal", "causal.twase", "models/causal"])
def test_an_unknown_model_is_answered_with_the_names_and_the_closest(bundled: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no model .* Did you mean 'causal'\? Known names: default, causal, small\."):
        find_model(name)


def test_a_folder_is_no_model(bundled: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder: give one of its \.twase files"):
        find_model(bundled)


# Files


@pytest.mark.parametrize("runtime", ["native", "reference"])
def test_a_path_that_is_no_text_is_a_path(runtime: str, tmp_path: Path, tiny_model_path: Path) -> None:
    needs(runtime)
    path = tmp_path / os.fsdecode(b"m\xff.twase")
    try:
        path.write_bytes(tiny_model_path.read_bytes())
    except OSError:
        pytest.skip("this system's names are text")
    assert open_model(path, runtime=runtime).config == TINY


@pytest.mark.parametrize("runtime", ["native", "reference"])
def test_a_file_replaced_while_it_is_opened_is_one_model(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Voiceprint encoder, configuration and core come from the same bytes: the file is read once."""
    needs(runtime)
    path = tmp_path / "model.twase"
    old, new = (float_model(TINY, seed=seed) for seed in (1, 2))
    write_model(path, old)
    expected = open_model(path, runtime=runtime)

    def read_and_replace(source: Path) -> memoryview:
        data = read_bytes(source)
        write_model(path, new, force=True)
        return data

    monkeypatch.setattr(model_module, "read_bytes", read_and_replace)
    mixed = open_model(path, runtime=runtime)
    assert mixed.fingerprint == expected.fingerprint
    for sound in (lambda model: model.enroll(noise(4000)), lambda model: model.extract(noise(4000), noise(16, 1))[0]):
        np.testing.assert_array_equal(sound(mixed), sound(expected))


def test_what_the_core_refuses_is_said_of_its_file(tiny_model_path: Path) -> None:
    needs("native")
    data = read_bytes(tiny_model_path)
    with pytest.raises(
        FormatError, match=r"model '.*tiny\.twase': this model cannot be used: it is cut short.* again\."
    ):
        NativeModel(tiny_model_path, data=data[:-1])


def needs(runtime: str) -> None:
    if runtime == "native":
        pytest.importorskip("tinywase._native", reason="the package was installed without its native part")


# Runtimes


def test_a_compiled_part_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinywase.compiled.import_module", lambda name: ModuleType(name))
    assert find_compiled.__wrapped__() == (None, "its compiled module is of another version")


def test_an_unknown_runtime_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="runtime = 'fast': expected one of auto, native, reference"):
        choose_runtime("fast")
    monkeypatch.setenv("TINYWASE_RUNTIME", "slow")
    with pytest.raises(ConfigError, match="TINYWASE_RUNTIME=slow: expected one of auto, native, reference"):
        choose_runtime()


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYWASE_RUNTIME", "native")
    assert choose_runtime("reference") == "reference"
    monkeypatch.setenv("TINYWASE_RUNTIME", "reference")
    assert choose_runtime() == "reference"


def test_without_the_native_part_the_reference_computes_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TINYWASE_RUNTIME", raising=False)
    monkeypatch.setattr(model_module, "find_compiled", lambda: (None, "it was not compiled"))
    model_module._note_fallback.cache_clear()
    with caplog.at_level(logging.WARNING, "tinywase"):
        assert [choose_runtime(), choose_runtime()] == ["reference", "reference"]
    assert caplog.messages == [
        "the native runtime is not there (it was not compiled): the slower numpy reference computes instead, with the "
        "same results. Reinstall tinywase with a C++17 compiler at hand for speed."
    ]
    with pytest.raises(ConfigError, match=r"is not there \(it was not compiled\)\. Reinstall tinywase"):
        choose_runtime("native")
