"""Voiceprint files: what is saved is loaded, models only take their own, hostile files are refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import random_tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tinywase.config import TINY, named_config
from tinywase.errors import FormatError, OutputError
from tinywase.runtime.model import PackedModel, fingerprint
from tinywase.runtime.voiceprint import Voiceprint
from tinywase.tensors import PackedTensor, float_tensor

VECTOR = np.linspace(-1, 1, 16, dtype=np.float32)


def voiceprint(**changes: Any) -> Voiceprint:
    known: dict[str, Any] = {"vector": VECTOR, "model": "tiny", "fingerprint": "0123456789abcdef"}
    return Voiceprint(**known | {"active_s": 3.25, "level_db": -21.5, "clipped": 0.001, "consistency": 0.75} | changes)


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_loading_gives_back_every_bit(tmp_path_factory: pytest.TempPathFactory, vector: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("voice") / "me.voice"
    saved = voiceprint(vector=vector)
    saved.save(path)
    loaded = Voiceprint.load(path)
    assert loaded.vector.tobytes() == saved.vector.tobytes()
    for field in ("model", "fingerprint", "active_s", "level_db", "clipped", "consistency"):
        assert getattr(loaded, field) == getattr(saved, field)


def test_a_file_from_before_consistency_was_measured_is_read(tmp_path: Path) -> None:
    changed(tmp_path / "old.voice", consistency=...)
    assert Voiceprint.load(tmp_path / "old.voice").consistency == 1.0


def test_an_existing_voiceprint_is_kept_unless_forced(tmp_path: Path) -> None:
    voiceprint().save(tmp_path / "me.voice")
    with pytest.raises(OutputError, match="exists already"):
        voiceprint(active_s=9).save(tmp_path / "me.voice")
    assert Voiceprint.load(tmp_path / "me.voice").active_s == 3.25
    voiceprint(active_s=9).save(tmp_path / "me.voice", force=True)
    assert Voiceprint.load(tmp_path / "me.voice").active_s == 9


def test_a_voiceprint_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        voiceprint().vector[0] = 1


# The model it belongs to


def packed(changes: dict[str, np.ndarray] | None = None) -> dict[str, PackedTensor]:
    tensors = random_tensors(TINY, np.random.default_rng(0)) | (changes or {})
    return {name: float_tensor(name, values) for name, values in tensors.items()}


def test_the_model_that_made_it_takes_it(tiny_model_path: Path) -> None:
    model = PackedModel.load(tiny_model_path, runtime="reference")
    np.testing.assert_array_equal(voiceprint(fingerprint=model.fingerprint).vector_for(model), VECTOR)


def test_another_model_refuses_it_and_says_so(tiny_model_path: Path) -> None:
    model = PackedModel.load(tiny_model_path, runtime="reference")
    with pytest.raises(
        FormatError,
        match=r"made by the model 'small' \(0123.*not by the model 'tiny'.*Enroll again with 'tiny', "
        "or extract a recording with 'small'",
    ):
        voiceprint(model="small").vector_for(model)


def test_fingerprint_depends_on_the_voiceprint_encoder_alone() -> None:
    before = fingerprint(TINY, packed())
    assert fingerprint(TINY, packed({"separator.mask.bias": np.ones(32)})) == before
    assert fingerprint(named_config("tiny", causal=True), packed()) == before
    assert fingerprint(TINY, dict(reversed(packed().items()))) == before
    assert fingerprint(TINY, packed({"voiceprint_encoder.linear.bias": np.ones(16)})) != before
    assert fingerprint(named_config("tiny", sample_rate_hz=16000), packed()) != before
    faster = dataclasses.replace(TINY.voiceprint, hop=32)
    assert fingerprint(named_config("tiny", voiceprint=faster), packed()) != before


# Hostile files


def changed(path: Path, **changes: Any) -> None:
    voiceprint().save(path)
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, 'it is not a voiceprint: expected "format": "tinywase voiceprint"'),
        ({"version": 2}, "its version is 2: this tinywase reads 1"),
        ({"vector": ...}, "missing or unknown: vector"),
        ({"extra": 1}, "missing or unknown: extra"),
        ({"vector": "abc"}, "its vector or its notes are not numbers"),
        ({"vector": [1, None]}, "its vector or its notes are not numbers"),
        ({"vector": [True] * 16}, "its vector or its notes are not numbers"),
        ({"vector": [10**400]}, "its vector or its notes are not numbers"),
        ({"vector": [float("nan")] * 16}, "its vector or its notes are not numbers"),
        ({"vector": [1e39] * 16}, "checksum"),
        ({"vector": [0.5] * 16}, r"its checksum \(CRC-32\) does not match"),
        ({"vector": [], "crc32": 0}, r"shape \(0,\): expected 1 to 65536 finite numbers"),
        ({"model": 3}, "its model or fingerprint is not text"),
        ({"model": "\ud800"}, "its model or fingerprint is not text"),
        ({"\ud800": 1}, r"missing or unknown: \?"),
        ({"fingerprint": "x"}, "fingerprint 'x': expected 16 hex digits"),
        ({"clipped": 2}, "2.0 of it clipped: expected finite numbers, and 0 to 1 clipped"),
        ({"active_s": -1}, "made from -1.0 s"),
    ],
)
def test_a_crafted_voiceprint_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    changed(tmp_path / "bad.voice", **changes)
    with pytest.raises(FormatError, match=rf"voiceprint '.*bad\.voice': .*{message}"):
        Voiceprint.load(tmp_path / "bad.voice")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not JSON"),
        (b"RIFF....WAVE", "this is a recording: give it as 'enroll'"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[1]", "it is a JSON list: expected an object"),
        (b"[" * 100_000, "it is not JSON"),
        (b" " * (1 << 22) + b"{}", "longer than the 4194304 bytes"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.voice").write_bytes(content)
    with pytest.raises(FormatError, match=rf"{message}.*tinywase enroll"):
        Voiceprint.load(tmp_path / "bad.voice")


def test_a_voiceprint_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "me.voice"
    voiceprint().save(path)
    whole = path.read_bytes().rstrip(b"\n")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match="it is not JSON"):
            Voiceprint.load(path)


def test_a_missing_voiceprint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.voice': it cannot be read \(No such file or directory\)"):
        Voiceprint.load(tmp_path / "none.voice")
