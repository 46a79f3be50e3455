"""Compression: every strategy ends in a student that can be packed; it resumes; nonsense is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("tensorboard")

from compressions import assert_same, recipe, speakers, teacher  # noqa: E402

from tinywase.activity import LONGEST_PAUSE_S  # noqa: E402
from tinywase.config import TINY  # noqa: E402
from tinywase.errors import ConfigError, OutputError, TinyWaseError  # noqa: E402
from tinywase.metrics import si_sdr  # noqa: E402
from tinywase.quant.activation import DynamicRange, FrozenRange, LearnedRange  # noqa: E402
from tinywase.quant.attach import activation_quantizers, float_state, weight_quantizers  # noqa: E402
from tinywase.runtime.model import open_model  # noqa: E402
from tinywase.train.budget import meet_budget  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint  # noqa: E402
from tinywase.train.compress import SETTINGS, Compressor, DivergenceGuard  # noqa: E402
from tinywase.train.compress_recipe import STRATEGIES, compress_recipe  # noqa: E402
from tinywase.train.export import export, packed_model  # noqa: E402
from tinywase.train.loop import Trainer  # noqa: E402
from tinywase.train.objectives import Logs  # noqa: E402
from tinywase.train.progress import Progress  # noqa: E402
from tinywase.train.recipe import Recipe  # noqa: E402
from tinywase.train.restore import restored  # noqa: E402
from tinywase.train.verdict import judge  # noqa: E402

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few synthetic speakers."""
    return speakers(tmp_path_factory.mktemp("compression"))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("share", [False, True])
def test_every_strategy_ends_in_a_student_that_can_be_packed(workplace: Path, strategy: str, share: bool) -> None:
    quant = {"bits": 2, "method": "lsq"}
    model = {"distinct_stacks": int(share)}
    settings = recipe(workplace, f"{strategy}-{share}", strategy=strategy, quant=quant, model=model)
    compressor = Compressor(settings, teacher())
    progress = compressor.run()
    student = compressor.finished()
    assert progress.step == (0 if strategy == "ptq" else 4)
    points = activation_quantizers(student)
    assert all(isinstance(point, FrozenRange) for point in points.values())
    assert bool(points) == bool(weight_quantizers(student)) == (strategy != "kd")
    file = packed_model(student, card={})
    assert file.config.distinct_stacks == int(share)
    assert file.tensors["separator.blocks.0.skip.weight"].bits == (32 if strategy == "kd" else 2)


def test_a_student_may_learn_who_speaks_too(workplace: Path) -> None:
    float_recipe = recipe(workplace, "float", strategy="kd").__dict__ | {"name": "float"}
    trained = Trainer(Recipe(**{k: v for k, v in float_recipe.items() if k in Recipe.__dataclass_fields__}))
    trained.run()
    state = str(workplace / "float" / "state.pt")
    loss = {"speaker": 0.5, "speaker_extra": 2}
    settings = recipe(workplace, "knows", quant={"voiceprint_bits": 8}, loss=loss, init=[state])
    compressor = Compressor(settings, teacher())
    assert torch.equal(compressor.system.classifier.weight, trained.system.classifier.weight)
    compressor.run()
    assert float(compressor.logs["speaker"]) > 0
    assert not torch.equal(compressor.system.classifier.weight, trained.system.classifier.weight)


@pytest.mark.parametrize("ranges", ["dynamic", "learned"])
def test_a_students_checkpoint_computes_what_its_file_does(workplace: Path, ranges: str, tmp_path: Path) -> None:
    compressor = Compressor(
        recipe(workplace, f"checkpoint-{ranges}", ranges=ranges, quant={"method": "lsq"}), teacher()
    )
    compressor.run()
    export(compressor.finished(), tmp_path / "student.twase", card={})
    student = load_checkpoint(compressor.recipe.folder / "last.safetensors")
    packed = open_model(tmp_path / "student.twase", runtime="reference")
    rng = np.random.default_rng(0)
    mixture, enrollment = (0.05 * rng.standard_normal(samples).astype(np.float32) for samples in (4000, 8000))
    with torch.inference_mode():
        voiceprint = student.enroll(torch.from_numpy(enrollment)[None])
        estimate = student(torch.from_numpy(mixture)[None], voiceprint).estimate[0].numpy()
    again, _ = packed.extract(mixture, packed.enroll(enrollment))
    assert si_sdr(reference=estimate, estimate=again) > 40  # a rounding may fall on the other side


def test_what_each_strategy_means() -> None:
    steps = {strategy: compress_recipe(TINY, strategy=strategy) for strategy in STRATEGIES}
    assert steps["ptq"].quant.method == "lsq" and steps["daq"].quant.method == "soft-sigmoid"
    given = compress_recipe(TINY, strategy="ptq", quant={"method": "soft-sigmoid"})
    assert given.quant.method == "soft-sigmoid"
    assert steps["ptq"].optimizer.steps == 0
    assert {name: r.distill.begin for name, r in steps.items() if r.optimizer.steps} == {
        "qat": 1.0,
        "kd": 0.0,
        "qat-then-kd": 0.5,
        "daq": 0.0,
    }
    assert (steps["kd"].quant.bits, steps["daq"].quant.bits, steps["daq"].quant.activation_bits) == (32, 3, 8)


@pytest.mark.parametrize(
    "options", [{}, {"quant": {"bits": 3, "method": "lsq", "voiceprint_bits": 4}, "ranges": "learned"}]
)
def test_voiceprint_encoder_at_rest_does_not_change_and_everything_else_learns(
    workplace: Path, options: dict[str, Any]
) -> None:
    before = teacher().state_dict()
    optimizer = {"steps": 3, "batch": 2, "warmup": 1, "decay": 1, "voiceprint_learning_rate": 0.0}
    settings = recipe(workplace, f"rests-{len(options)}", optimizer=optimizer, **({"quant": {"bits": 3}} | options))
    compressor = Compressor(settings, teacher())
    compressor.run()
    after = float_state(compressor.finished())
    for name, value in after.items():
        same = torch.equal(value.cpu(), before[name])
        idle = name.startswith("voiceprint_encoder.") or name.startswith(
            f"separator.blocks.{len(compressor.system.model.separator.blocks) - 1}.residual"
        )
        assert same == idle, name


@pytest.mark.parametrize("ranges", ["dynamic", "learned"])
@pytest.mark.parametrize("stop", [2, 4])  # before and after the ranges are frozen
def test_a_stopped_compression_goes_on_as_if_nothing_was(workplace: Path, ranges: str, stop: int) -> None:
    quant = {"bits": 3, "method": "soft-sigmoid" if ranges == "dynamic" else "lsq"}
    optimizer = {"steps": 5, "batch": 2, "warmup": 1, "decay": 1}
    common: dict[str, Any] = {"quant": quant, "ranges": ranges, "freeze_from": 0.5, "optimizer": optimizer}
    whole = Compressor(recipe(workplace, f"whole-{ranges}-{stop}", **common), teacher())
    whole.run()
    name = f"parts-{ranges}-{stop}"
    first = Compressor(recipe(workplace, name, **common), teacher(), on_step=lambda p, _: _stop(first, p.step == stop))
    assert first.run().step == stop
    kind = FrozenRange if stop == 4 else DynamicRange if ranges == "dynamic" else LearnedRange
    assert {type(point) for point in activation_quantizers(first.system.model).values()} == {kind}
    second = Compressor(recipe(workplace, name, **common), teacher())
    assert second.run().step == 5
    states = [c.finished().state_dict() for c in (whole, second)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def _stop(trainer: Compressor, now: bool) -> None:
    trainer._stop = now


def test_a_folder_of_an_older_tinywase_goes_on(workplace: Path) -> None:
    Compressor(recipe(workplace, "older"), teacher()).run()
    path = workplace / "older" / SETTINGS
    kept = json.loads(path.read_text())
    for network in ("teacher", "student"):
        del kept[network]["norm_memory_frames"]  # which it did not know
    del kept["mix"]["overheard"]
    kept["loss"]["forgotten"] = 1.0  # which only it knew
    for table in ("teacher_weights", "init", "data", "distill"):
        del kept[table]
    path.write_text(json.dumps(kept))
    assert Compressor(recipe(workplace, "older"), teacher()).run().step == 4


def test_a_folder_of_another_compression_is_refused(workplace: Path) -> None:
    Compressor(recipe(workplace, "same"), teacher()).run()
    with pytest.raises(ConfigError, match=r"holds a compression with other settings.*--work"):
        Compressor(recipe(workplace, "same", quant={"bits": 2}), teacher()).run()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with their process")
def test_a_compression_that_is_refused_leaves_the_settings_of_the_one_that_runs(workplace: Path) -> None:
    def second(progress: Progress, logs: Logs) -> None:
        with pytest.raises(OutputError, match="is running in '.*first' already"):
            Compressor(recipe(workplace, "first", quant={"bits": 2}), teacher()).run()
        first._stop = True

    first = Compressor(recipe(workplace, "first"), teacher(), on_step=second)
    assert first.run().step == 1
    assert Compressor(recipe(workplace, "first"), teacher()).run().step == 4


def test_settings_are_written_by_the_leader_alone(workplace: Path) -> None:
    other = Compressor(recipe(workplace, "follower", strategy="ptq", quant={"method": "lsq"}), teacher())
    other.hardware = replace(other.hardware, rank=1)
    other.run()
    assert not (workplace / "follower" / SETTINGS).exists()


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"mix": {"segment_s": 0.5, "enrollment_s": 0.9}}, "mix"),
        ({"loss": {"activity": 0.3}}, "loss"),
        ({"distill": {"features": 0.1}}, "distill"),
        ({"init": ["last.safetensors"]}, "init"),
        ({"data": {"split": ""}}, "data"),
    ],
)
def test_a_folder_of_another_recipe_is_refused(workplace: Path, changes: dict[str, Any], differing: str) -> None:
    if not (workplace / "recipe").exists():
        Compressor(recipe(workplace, "recipe"), teacher()).run()
    if "init" in changes:
        changes = {"init": [str(workplace / "recipe" / path) for path in changes["init"]]}
    if "data" in changes:
        changes = {"data": recipe(workplace, "recipe").data.__dict__ | changes["data"]}
    with pytest.raises(ConfigError, match=rf"other settings \({differing}; see compression.json there\)"):
        Compressor(recipe(workplace, "recipe", **changes), teacher()).run()


def test_a_folder_of_another_teacher_is_refused(workplace: Path) -> None:
    Compressor(recipe(workplace, "taught"), teacher()).run()
    other = teacher()
    with torch.no_grad():
        other.separator.mask.weight += 1e-3
    with pytest.raises(ConfigError, match=r"other settings \(teacher_weights; .*--work"):
        Compressor(recipe(workplace, "taught"), other).run()


def test_a_folder_of_a_training_is_refused(workplace: Path) -> None:
    Compressor(recipe(workplace, "training"), teacher()).run()
    (workplace / "training" / SETTINGS).unlink()  # a training leaves no settings
    with pytest.raises(ConfigError, match=r"holds a training, not a compression: .*another folder with --work"):
        Compressor(recipe(workplace, "training"), teacher()).run()
    assert not (workplace / "training" / SETTINGS).exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"budget": 1}'])
def test_damaged_settings_are_explained(workplace: Path, damage: str) -> None:
    settings = recipe(workplace, "damaged")
    if not (workplace / "damaged").exists():
        Compressor(settings, teacher()).run()
    (workplace / "damaged" / SETTINGS).write_text(damage)
    with pytest.raises(ConfigError, match=r"compression.json is damaged .*another folder with --work; init = "):
        Compressor(settings, teacher()).run()


def test_other_development_lists_and_more_steps_do_not_make_another_compression(workplace: Path) -> None:
    Compressor(recipe(workplace, "longer"), teacher()).run()
    data = {"bank": str(workplace / "bank"), "sources": [str(workplace / "speech")], "dev_trials": 3}
    optimizer = {"steps": 5, "batch": 2, "warmup": 1, "decay": 1}
    assert Compressor(recipe(workplace, "longer", data=data, optimizer=optimizer), teacher()).run().step == 5


def test_a_student_that_only_gets_worse_is_stopped_with_step_and_remedy() -> None:
    guard = DivergenceGuard(steps=5, margin_db=6.0)
    for step in range(20):
        guard.see(-8.0 - step / 20, step, "runs/x")
    for step in range(20, 22):
        guard.see(5.0, step, "runs/x")
    with pytest.raises(TinyWaseError, match=r"diverged at step 22: .*Lower optimizer\.learning_rate.*remove runs/x"):
        guard.see(5.0, 22, "runs/x")


def test_a_student_whose_loss_is_not_finite_is_stopped(workplace: Path) -> None:
    compressor = Compressor(recipe(workplace, "nan"), teacher())
    with torch.no_grad():
        compressor.system.model.separator.output_slope.weight.fill_(float("nan"))
    with pytest.raises(TinyWaseError, match=r"the loss became nan at step 0"):
        compressor.run()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "magic"}, "strategy = 'magic': expected one of ptq, qat"),
        ({"quant": {"bits": 0}}, "bits = 0: expected 1 to 8"),
        ({"quant": {"bits": 9}}, "bits = 9: expected 1 to 8"),
        ({"quant": {"bit": 3}}, "unknown key 'quant.bit'. Did you mean 'bits'"),
        ({"ranges": "guessed"}, "ranges = 'guessed'"),
        ({"freeze_from": 2.0}, "freeze_from = 2.0"),
        ({"calibration_batches": 0}, "calibration_batches = 0"),
        ({"distill": {"begin": -1.0}}, "distill.begin = -1.0"),
        ({"distill": {"features": -1.0}}, "distill.features = -1.0"),
        ({"objective": "voiceprint"}, "voiceprint_learning_rate, or leave objective out"),
        ({"loss": {"speaker": 0.5}}, "loss.speaker at 0"),
        ({"max_size_bytes": 1, "max_drop_db": 1.0}, "a largest size or a largest drop"),
    ],
)
def test_impossible_recipes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compress_recipe(TINY, **options)


def test_every_shipped_compression_loads() -> None:
    found = {path.stem: compress_recipe(TINY, path=path) for path in RECIPES.glob("compress-*.toml")}
    assert {r.strategy for r in found.values()} >= set(STRATEGIES)


def test_what_is_said_of_the_papers_recipe_is_in_it() -> None:
    daq = compress_recipe(TINY, path=RECIPES / "compress-daq.toml")
    said = (RECIPES.parent / "docs" / "quantization.md").read_text()
    loss, mix, optimizer = daq.loss, daq.mix, daq.optimizer
    assert (loss.signal, mix.from_start, mix.near, len(mix.speeds), optimizer.weight_decay) == ("snr", 0.5, 0.5, 11, 0)
    for row in (
        f"-SNR, no more than {loss.ceiling_db:g} dB rewarded",
        f"| weight of the activity loss | 1 | {loss.activity:g} |",
        f"| segments a step | 24 | {optimizer.batch} |",
        f"| {mix.segment_s:g} s, half of them from anywhere |",
        f"{mix.single:.0%} lone, {mix.absent:.0%} absent targets; weight {loss.lone:g} |".replace("%", " %"),
        f"gains within {mix.gain_db:g} dB |",
        f"pauses longer than {LONGEST_PAUSE_S:g} s cut out",
        f"linearly to zero over the last {optimizer.decay:,} of {optimizer.steps:,} steps",
        f"frozen after {daq.freeze_from:g} of the steps",
    ):
        assert row in said


def test_widths_chosen_for_a_budget_are_kept_when_the_compression_goes_on(workplace: Path) -> None:
    options: dict[str, Any] = {"quant": {"method": "lsq"}, "max_size_bytes": 80_000, "calibration_batches": 1}
    measured: list[float] = []
    first = meet_budget(
        recipe(workplace, "budget", **options), teacher(), float_kind="float32", progress=measured.append
    )
    assert measured[-1] == 1.0
    assert len({bits for _, bits in first.quant.overrides}) > 1
    Compressor(first, teacher()).run()
    measured.clear()
    again = meet_budget(
        recipe(workplace, "budget", **options), teacher(), float_kind="float32", progress=measured.append
    )
    assert again == first
    assert not measured
    Compressor(again, teacher()).run()


def test_what_is_scored_and_packed_is_averaged(workplace: Path) -> None:
    compressor = Compressor(recipe(workplace, "averaged", ranges="learned", quant={"method": "lsq"}), teacher())
    name = "separator.blocks.0.expand.weight"
    begun = float_state(compressor.system.model)[name].clone()
    compressor.run()
    student = compressor.finished()
    last, mean = float_state(compressor.system.model)[name], float_state(student)[name]
    assert 0 < (mean - begun).norm() < (last - begun).norm()
    assert_same(restored(packed_model(student, card={})), student)
    assert_same(load_checkpoint(workplace / "averaged" / "last.safetensors"), student)


def test_a_compression_that_did_not_average_yet_goes_on(workplace: Path) -> None:
    Compressor(recipe(workplace, "older average"), teacher()).run()
    path = workplace / "older average" / "state.pt"
    state = torch.load(path, weights_only=True)
    torch.save(state | {"averaged": {}}, path)
    again = Compressor(recipe(workplace, "older average"), teacher())
    again.run()
    assert_same(again.averaged_model(), again.system.model)


def test_absent_and_lone_targets_do_not_count_in_the_verdict(workplace: Path, tmp_path: Path) -> None:
    mix = {"segment_s": 0.5, "enrollment_s": 0.8, "single": 0.4, "absent": 0.3}
    compressor = Compressor(recipe(workplace, "verdict", strategy="ptq", quant={"method": "lsq"}, mix=mix), teacher())
    compressor.run()
    export(compressor.finished(), tmp_path / "student.twase", card={})
    verdict = judge(compressor, tmp_path / "student.twase")
    for mean in (verdict.teacher_db, verdict.student_db, verdict.difference_db):
        assert 2 <= mean.count < 24
        assert np.isfinite([mean.value, mean.low, mean.high]).all()
    assert verdict.measured_on.startswith(f"{verdict.student_db.count} mixtures of the training voices")
