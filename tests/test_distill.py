"""Distillation: when the teacher speaks, what it hears, what the student learns of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("tensorboard")

from compressions import recipe, speakers, teacher  # noqa: E402

from tinywase.config import TINY, named_config  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import weight_quantizers  # noqa: E402
from tinywase.train.compress import Compressor  # noqa: E402
from tinywase.train.distill import DistillConfig, feature_distance  # noqa: E402
from tinywase.train.objectives import Logs  # noqa: E402


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few synthetic speakers."""
    return speakers(tmp_path_factory.mktemp("distillation"))


def test_the_teacher_speaks_only_from_its_step_on(workplace: Path) -> None:
    seen: list[bool] = []
    settings = recipe(workplace, "handover", strategy="qat-then-kd")
    Compressor(settings, teacher(), on_step=lambda progress, logs: seen.append("teacher_estimate" in logs)).run()
    assert seen == [False, False, True, True]


def test_quantized_voiceprint_encoder_learns_from_the_teachers_voiceprints(workplace: Path) -> None:
    logged: list[Logs] = []
    quant = {"bits": 3, "method": "lsq", "voiceprint_bits": 4}
    settings = recipe(workplace, "voiceprint", quant=quant, distill={"features": 0.1})
    compressor = Compressor(settings, teacher(), on_step=lambda progress, logs: logged.append(logs))
    compressor.run()
    assert {"teacher_estimate", "teacher_voiceprint", "teacher_features"} <= set(logged[-1])
    assert any(name.startswith("voiceprint_encoder.") for name in weight_quantizers(compressor.finished()))


@pytest.mark.parametrize("speaker", [0.0, 0.5])
def test_the_voiceprint_encoder_may_learn_alone_to_hear_through_rooms_and_noise(
    workplace: Path, speaker: float
) -> None:
    options: dict[str, Any] = {
        "objective": "voiceprint",
        "ranges": "learned",
        "quant": {"method": "lsq", "voiceprint_bits": 4},
        "mix": {"enrollment_s": 0.8, "enrollment_room": 0.5, "enrollment_noise": 0.5},
        "loss": {"speaker": speaker, "speaker_extra": 8},
        "optimizer": {"steps": 40, "warmup": 1, "decay": 10, "voiceprint_learning_rate": 3e-3},
    }
    logs: list[Logs] = []
    compressor = Compressor(
        recipe(workplace, f"robust-{speaker}", **options), teacher(), on_step=lambda _, of: logs.append(of)
    )
    before = {name: value.clone() for name, value in compressor.system.model.named_parameters()}
    compressor.run()
    changed = {n for n, value in compressor.system.model.named_parameters() if not torch.equal(before[n], value)}
    assert changed and all(name.startswith("voiceprint_encoder.") for name in changed)
    assert ("speaker" in logs[0]) == bool(speaker)
    if not speaker:  # a teacher that nobody trained tells no voices apart: what does is far from it
        distance = [float(of["teacher_voiceprint"]) for of in logs]
        assert np.mean(distance[-10:]) < 0.8 * np.mean(distance[:10])


def test_the_teacher_is_enrolled_by_clean_recordings(workplace: Path) -> None:
    mix = {"segment_s": 0.5, "enrollment_s": 0.8, "enrollment_room": 1.0}
    compressor = Compressor(recipe(workplace, "clean", mix=mix, distill={"estimate": 0.5}), teacher())
    batch = {k: torch.from_numpy(v) for k, v in compressor.objective.draw(np.random.default_rng(1)).items()}
    heard: list[Any] = []
    compressor.teacher.voiceprint_encoder.register_forward_pre_hook(lambda _, inputs: heard.extend(inputs))
    compressor.objective.loss(compressor.system, batch, 0)
    assert len(heard) == 1 and torch.equal(heard[0], batch["clean_enrollment"])
    assert not torch.equal(batch["clean_enrollment"], batch["enrollment"])


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (dataclasses.replace(TINY, sample_rate_hz=16000), "sample_rate_hz = 8000, the student 16000"),
        (named_config("small"), "has voiceprint = "),
    ],
)
def test_a_teacher_of_another_kind_is_refused(student: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DistillConfig().check_pair(TINY, student)


def test_features_of_other_frames_cannot_be_compared() -> None:
    student = dataclasses.replace(TINY, window=2 * TINY.window)
    DistillConfig().check_pair(TINY, student)
    with pytest.raises(ConfigError, match=f"window = {TINY.window}, the student {2 * TINY.window}"):
        DistillConfig(features=0.1).check_pair(TINY, student)


@pytest.mark.parametrize("share", [False, True])
def test_features_are_the_ends_of_the_stacks(share: bool) -> None:
    model = Wase(dataclasses.replace(TINY, distinct_stacks=int(share)))
    extraction = model(torch.randn(2, 800), torch.randn(2, TINY.voiceprint.dimensions))
    assert len(extraction.features) == TINY.stacks
    assert all(x.shape == (2, TINY.bottleneck, extraction.activity.shape[-1]) for x in extraction.features)


def test_feature_distance_is_zero_for_equals_and_works_across_widths() -> None:
    a = torch.randn(2, 6, 30)
    assert float(feature_distance(a, a)) == 0.0
    assert float(feature_distance(torch.zeros_like(a), a)) == pytest.approx(1.0)
    assert float(feature_distance(torch.cat([a, a], 1), a)) == pytest.approx(0.0, abs=1e-6)
    assert float(feature_distance(torch.randn(2, 4, 30), a)) > 0.01
