"""Models by name or path, and the choice of the runtime that computes them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tinywase.config import TINY
from tinywase.errors import ConfigError
from tinywase.runtime import model as model_module
from tinywase.runtime import registry
from tinywase.runtime.model import choose_runtime, open_model
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


# Runtimes


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
