"""A few synthetic speakers, a teacher, recipes for it: what the tests of compressions begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tinywase.config import TINY
from tinywase.data.speakers import make_speakers, write_corpus
from tinywase.models import Wase
from tinywase.train.compress_recipe import CompressRecipe, compress_recipe


def speakers(folder: Path) -> Path:
    """The folder, with recordings of a few synthetic speakers."""
    voices = make_speakers("source-filter", 3, 1)
    write_corpus(folder / "speech", voices, utterances=2, seconds=(1.5, 2.0), seed=1, sample_rate_hz=8000)
    return folder


def teacher() -> Wase:
    torch.manual_seed(3)
    return Wase(TINY).eval()


def recipe(workplace: Path, name: str, **options: Any) -> CompressRecipe:
    values: dict[str, Any] = {
        "name": name,
        "out": str(workplace / name),
        "calibration_batches": 2,
        "data": {"bank": str(workplace / "bank"), "sources": [str(workplace / "speech")]},
        "mix": {"segment_s": 0.5, "enrollment_s": 0.8},
        "optimizer": {"steps": 4, "batch": 2, "warmup": 1, "decay": 1},
    }
    return compress_recipe(TINY, **(values | options))


@torch.no_grad()
def assert_same(one: Wase, other: Wase) -> None:
    """Both compute the same, bit for bit."""
    mixture, enrollment = 0.1 * torch.randn(1, 4000), 0.1 * torch.randn(1, 4000)
    first, second = (model.eval()(mixture, model.enroll(enrollment)).estimate for model in (one, other))
    assert torch.equal(first, second)
