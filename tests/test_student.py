"""What a student begins with: a teacher's weights, or where another one stopped."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("tensorboard")

from compressions import assert_same, recipe, speakers, teacher  # noqa: E402

from tinywase.config import TINY  # noqa: E402
from tinywase.errors import FormatError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.activation import LearnedRange  # noqa: E402
from tinywase.quant.attach import activation_quantizers, attach, float_state, weight_quantizers  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.compress import Compressor  # noqa: E402
from tinywase.train.cues import with_cues_moved  # noqa: E402
from tinywase.train.export import export, packed_model  # noqa: E402
from tinywase.train.loop import Trainer  # noqa: E402
from tinywase.train.recipe import Recipe  # noqa: E402
from tinywase.train.student import begin_student, calibration_batches, go_on_from  # noqa: E402


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few synthetic speakers."""
    return speakers(tmp_path_factory.mktemp("compression"))


def test_a_shared_student_begins_as_the_teachers_first_stack() -> None:
    theirs = teacher()
    student, fresh = begin_student(dataclasses.replace(TINY, distinct_stacks=1), theirs)
    assert not fresh
    first = "separator.blocks.1.skip.weight"
    assert torch.equal(student.state_dict()[first], theirs.state_dict()[first])
    wider, fresh = begin_student(dataclasses.replace(TINY, hidden=30), theirs)
    assert "separator.blocks.0.expand.weight" in fresh
    assert torch.equal(wider.encoder.weight, theirs.encoder.weight)


@pytest.mark.parametrize("cues", ["both", "voiceprint", "activity"])
def test_a_student_of_fewer_stacks_takes_the_cue_on_the_summed_skips_along(cues: str) -> None:
    torch.manual_seed(3)
    large = Wase(dataclasses.replace(TINY, stacks=4, cues=cues)).eval()
    with torch.no_grad():
        for block in large.separator.blocks[2 * TINY.blocks :]:
            for part in (block.residual, block.skip):
                for weight in part.parameters():  # type: ignore[union-attr]
                    weight.zero_()
    small = dataclasses.replace(TINY, cues=cues)
    student, fresh = begin_student(small, large)
    begun = Wase(small)
    go_on_from(begun, large, "large.safetensors")
    mixture, voiceprint = 0.1 * torch.randn(1, 4000), torch.randn(1, TINY.voiceprint.dimensions)
    with torch.inference_mode():
        expected = large(mixture, voiceprint).estimate
        for network in (student, begun):
            torch.testing.assert_close(network.eval()(mixture, voiceprint).estimate, expected)
    assert not fresh


def test_a_student_of_more_stacks_takes_the_cue_on_the_summed_skips_along() -> None:
    theirs = teacher()
    student, fresh = begin_student(dataclasses.replace(TINY, stacks=3), theirs)
    ours, name = student.state_dict(), "separator.cue_projections.{}.weight"
    assert torch.equal(ours[name.format(3)], theirs.state_dict()[name.format(2)])
    assert name.format(2) in fresh and name.format(1) not in fresh


@pytest.mark.parametrize("begin", ["last.safetensors", "state.pt"])
def test_a_float_training_of_other_stacks_takes_the_cue_on_the_summed_skips_along(workplace: Path, begin: str) -> None:
    values = recipe(workplace, "two-stacks").__dict__
    values = {key: value for key, value in values.items() if key in Recipe.__dataclass_fields__}
    before = Trainer(Recipe(**values))
    before.run()
    change = {"name": f"three-{begin}", "out": "", "model": dataclasses.replace(values["model"], stacks=3)}
    after = Trainer(Recipe(**values | change | {"init": (str(before.recipe.folder / begin),)}))
    name = "separator.cue_projections.{}.weight"
    ours, theirs = after.system.model.state_dict(), before.averaged
    torch.testing.assert_close(ours[name.format(3)], theirs[name.format(2)].half().float(), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(ours[name.format(1)], theirs[name.format(1)].half().float(), atol=1e-3, rtol=1e-3)


def test_ranges_of_cues_move_with_them() -> None:
    theirs = Wase(dataclasses.replace(TINY, stacks=3)).eval()
    attach(theirs, QuantConfig())
    points = activation_quantizers(theirs)
    moved = with_cues_moved(points, 3, 2)
    place = "separator.activity_inputs.{}"
    assert moved[place.format(2)] is points[place.format(3)]  # on the summed skips
    assert moved[place.format(1)] is points[place.format(1)]
    assert place.format(3) not in moved


def test_calibration_batches_are_the_same_at_every_call(workplace: Path) -> None:
    compressor = Compressor(recipe(workplace, "calibration"), teacher())
    first, second = (
        [b["mixture"].numpy() for b in calibration_batches(compressor.extraction, compressor.recipe)] for _ in range(2)
    )
    assert len(first) == 2
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_causal_student_of_an_offline_teacher(workplace: Path) -> None:
    compressor = Compressor(recipe(workplace, "causal", model={"causal": True}), teacher())
    compressor.run()
    assert packed_model(compressor.finished(), card={}).config.causal


@pytest.mark.parametrize("suffix", ["safetensors", "twase"])
def test_a_student_goes_on_where_another_stopped(workplace: Path, suffix: str) -> None:
    def compressor(name: str, begin: Wase, *init: Path, bits: int = 3) -> Compressor:
        quant = {"bits": bits, "method": "lsq", "levels": "even", "per_channel": True, "voiceprint_bits": 4}
        options = {"strategy": "qat", "ranges": "learned", "quant": quant, "init": [str(path) for path in init]}
        return Compressor(recipe(workplace, f"{name}-{suffix}", **options), begin)

    first = compressor("first", teacher())
    first.run()
    path = workplace / f"before.{suffix}"
    if suffix == "twase":
        export(first.finished(), path, card={})
    else:
        save_weights(first.finished(), path)
    for second in (compressor("init", teacher(), path), compressor("teacher", load_checkpoint(path))):
        assert all(isinstance(point, LearnedRange) for point in activation_quantizers(second.system.model).values())
        assert_same(second.system.model, first.finished())
    narrower = weight_quantizers(compressor("narrower", teacher(), path, bits=2).system.model)
    assert {q.bits for name, q in narrower.items() if name.startswith("separator.")} == {2}


def test_steps_come_with_the_weights_that_they_were_learned_for(workplace: Path) -> None:
    quant = {"method": "lsq", "levels": "even", "per_channel": True, "voiceprint_bits": 4}
    options = {"strategy": "qat", "ranges": "learned", "quant": quant}
    first = Compressor(recipe(workplace, "quantized", **options), teacher())
    first.run()
    torch.manual_seed(9)
    path = workplace / "other.safetensors"
    save_weights(Wase(TINY), path)
    from_floats = Compressor(recipe(workplace, "floats", **options, init=[str(path)]), first.finished())
    alone = Compressor(recipe(workplace, "alone", **options), load_checkpoint(path))
    assert_same(from_floats.system.model, alone.system.model)  # not with the steps of its quantized teacher


def test_a_float_training_begins_with_the_float_weights_of_a_student(
    workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    student = Compressor(recipe(workplace, "student"), teacher())
    student.run()
    values = recipe(workplace, "begun").__dict__ | {"init": (str(workplace / "student" / "last.safetensors"),)}
    with caplog.at_level("INFO"):
        begun = Trainer(Recipe(**{key: value for key, value in values.items() if key in Recipe.__dataclass_fields__}))
    expected = float_state(student.averaged_model())
    for name, value in begun.system.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert "begin at random" not in caplog.text


def test_a_student_refuses_to_go_on_from_something_else(workplace: Path, tmp_path: Path) -> None:
    other = Wase(dataclasses.replace(TINY, filters=2 * TINY.filters, bottleneck=2 * TINY.bottleneck, hidden=64))
    save_weights(other, tmp_path / "other.safetensors", {})
    with pytest.raises(FormatError, match=r"other.safetensors: '.*' has shape .*, the student needs .*same widths"):
        Compressor(recipe(workplace, "third", init=[str(tmp_path / "other.safetensors")]), teacher())
