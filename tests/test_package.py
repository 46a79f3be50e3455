"""The package's face: public names, loaded when first used."""

from __future__ import annotations

import importlib

import pytest

import tinywase


@pytest.mark.parametrize("name", tinywase.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(tinywase)
    assert getattr(tinywase, name) is not None


def test_names_are_the_objects_of_their_homes() -> None:
    home = importlib.import_module("tinywase.runtime.extractor")
    assert tinywase.Extractor is home.Extractor
    assert issubclass(tinywase.AudioError, tinywase.TinyWaseError)


def test_unknown_names_are_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="module 'tinywase' has no attribute 'Extracter'"):
        _ = tinywase.Extracter


@pytest.mark.parametrize("name", ["Evidence", "Segment", "VoiceStream"])
def test_what_public_names_give_back_is_public_too(name: str) -> None:
    assert name in tinywase.__all__
