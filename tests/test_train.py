"""Training: it learns, resumes exactly, survives kill -9, runs on several processes, and refuses nonsense."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors")
pytest.importorskip("tensorboard")

from tinywase.config import CONFIGS, named_config, saved_model_config, to_dict  # noqa: E402
from tinywase.data.speakers import make_speakers, write_corpus  # noqa: E402
from tinywase.errors import ConfigError, FormatError, OutputError, TinyWaseError  # noqa: E402
from tinywase.files import held  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train import loop  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint  # noqa: E402
from tinywase.train.loop import Trainer  # noqa: E402
from tinywase.train.losses import SpeakerClassifier, is_lone, si_snr, snr_loss  # noqa: E402
from tinywase.train.objectives import ExtractionObjective  # noqa: E402
from tinywase.train.progress import Progress, curve_writer  # noqa: E402
from tinywase.train.recipe import load_recipe  # noqa: E402
from tinywase.train.schedule import learning_rate_factor  # noqa: E402

RECIPES = Path(__file__).parent.parent / "recipes"
RECIPE = """
checkpoint_minutes = 0.02
[model]
name = "tiny"
[data]
bank = "{folder}/bank"
sources = ["{folder}/speech"]
[mix]
segment_s = 1.0
enrollment_s = 1.0
[loss]
speaker_extra = 4
[optimizer]
learning_rate = 3e-3
batch = 4
steps = 30
warmup = 2
decay = 5
average = 0.9
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe and a few synthetic speakers."""
    folder = tmp_path_factory.mktemp("training")
    voices = make_speakers("source-filter", 4, 1)
    write_corpus(folder / "speech", voices, utterances=3, seconds=(2.0, 3.0), seed=1, sample_rate_hz=8000)
    (folder / "toy.toml").write_text(RECIPE.format(folder=folder))
    return folder


def trained(workplace: Path, name: str, *changes: str) -> Trainer:
    trainer = Trainer(load_recipe(workplace / "toy.toml", [f"out={workplace / name}", *changes]))
    trainer.run()
    return trainer


def test_weights_are_kept_whatever_becomes_of_their_scores(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_scores(*_: object, **__: object) -> dict[str, float]:
        raise TinyWaseError("no scores")

    monkeypatch.setattr(loop, "render_dev", lambda *_: {"list": []})
    monkeypatch.setattr(loop, "dev_scores", no_scores)
    with pytest.raises(TinyWaseError, match="no scores"):
        trained(workplace, "unscored", "optimizer.steps=2", "checkpoint_minutes=10")
    assert torch.load(workplace / "unscored" / "state.pt", weights_only=True)["progress"]["step"] == 2


def test_training_in_two_parts_gives_the_weights_of_one(workplace: Path) -> None:
    whole = trained(workplace, "whole", "optimizer.steps=12").system.state_dict()
    trained(workplace, "parts", "optimizer.steps=12", "optimizer.decay=5")  # the schedule of 12 steps ...
    halted = Trainer(load_recipe(workplace / "toy.toml", [f"out={workplace / 'halved'}", "optimizer.steps=12"]))
    halted.on_step = lambda progress, logs: setattr(halted, "_stop", progress.step >= 5)  # ... stopped at 5
    assert halted.run().step == 5
    resumed = trained(workplace, "halved", "optimizer.steps=12")
    assert resumed.progress.step == 12
    for name, value in resumed.system.state_dict().items():
        assert torch.equal(value, whole[name]), name


def test_loss_falls(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: list[float] = []
    monkeypatch.setattr(loop, "REPORT_S", 1e9)  # one report, at the end
    recipe = load_recipe(workplace / "toy.toml", [f"out={workplace / 'falls'}", "optimizer.steps=40"])
    Trainer(recipe, on_step=lambda progress, logs: losses.append(float(logs["loss"]))).run()
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.5
    assert load_checkpoint(workplace / "falls" / "last.safetensors").config.name == "tiny"
    curves = [json.loads(line) for line in (workplace / "falls" / "curves.jsonl").read_text().splitlines()]
    assert (curves[-1]["step"], curves[-1]["loss"]) == (40, pytest.approx(np.mean(losses), abs=1e-4)), "not the mean"


def test_voiceprint_objective_writes_a_checkpoint_that_extraction_begins_with(
    workplace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = trained(workplace, "voices", 'objective="voiceprint"', "optimizer.steps=3")
    init = workplace / "voices" / "last.safetensors"
    recipe = load_recipe(workplace / "toy.toml", [f"out={workplace / 'begun'}", f'init=["{init}"]'])
    with caplog.at_level("INFO"):
        begun = Trainer(recipe)
    fresh = [name for name in begun.averaged if not name.startswith("voiceprint_encoder.")]
    assert f"{len(fresh)} tensors begin at random, such as {min(fresh)}" in caplog.text
    for name, value in begun.system.model.state_dict().items():
        if name.startswith("voiceprint_encoder."):
            assert torch.allclose(value, first.averaged[name], atol=2e-3), name  # float16 in the file


def test_other_speakers_begin_with_the_classes_of_those_that_both_know(workplace: Path) -> None:
    first = trained(workplace, "few", "optimizer.steps=3")
    more = workplace / "more" / "speech"  # the folder's name is in the speakers'
    shutil.copytree(workplace / "speech", more)
    shutil.copytree(sorted(more.iterdir())[0], more / "aaa")  # sorts before the others
    bank = [f'data.sources=["{more}"]', f"data.bank={workplace / 'more-bank'}"]
    recipe = load_recipe(workplace / "toy.toml", [f"out={workplace / 'few'}", *bank])
    with pytest.raises(ConfigError, match="other speakers"):
        Trainer(recipe).run()
    init = f'init=["{workplace / "few" / "state.pt"}"]'
    begun = Trainer(load_recipe(workplace / "toy.toml", [f"out={workplace / 'many'}", init, *bank]))
    known = dict(zip(first.system.voices, first.system.classifier.weight, strict=True))
    assert len(begun.system.voices) > len(known)
    for voice, row in zip(begun.system.voices, begun.system.classifier.weight, strict=True):
        assert torch.equal(row, known[voice]) if voice in known else "aaa" in voice, voice


def test_what_is_no_state_is_refused_as_a_beginning(workplace: Path) -> None:
    damaged, other, foreign = (workplace / f"{name}.pt" for name in ("damaged", "other", "foreign"))
    damaged.write_bytes(b"PK no archive")
    foreign.write_bytes(b"hello")
    torch.save({"weights": torch.zeros(1)}, other)
    for path in (damaged, other, foreign, workplace / "none.pt"):
        recipe = load_recipe(workplace / "toy.toml", [f"out={workplace / 'refused'}", f'init=["{path}"]'])
        with pytest.raises(
            FormatError, match=r"not the state of a training|no checkpoint that is safe .*Give init the"
        ):
            Trainer(recipe)


def test_killed_training_goes_on_from_its_last_checkpoint(workplace: Path) -> None:
    out = workplace / "killed"
    command = [sys.executable, "-m", "tinywase", "train", str(workplace / "toy.toml"), "--set", f"out={out}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--set", "optimizer.steps=100000"], env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not (out / "state.pt").exists() and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = torch.load(out / "state.pt", weights_only=True)["progress"]["step"]
    assert saved > 0
    changes = ["--set", f"optimizer.steps={saved + 2}", "--json"]
    resumed = subprocess.run([*command, *changes], env=environment, capture_output=True, text=True, timeout=90)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["step"] == saved + 2
    process = subprocess.Popen([*command, "--set", "optimizer.steps=100000"], env=environment, stdout=subprocess.PIPE)
    before = (out / "state.pt").stat().st_mtime_ns
    while (out / "state.pt").stat().st_mtime_ns == before and time.monotonic() < deadline + 90:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert b"interrupted; the same command goes on" in said
    assert process.returncode == 130  # as a shell expects of Ctrl-C


def test_two_processes_train_the_same_weights(workplace: Path) -> None:
    out = workplace / "pair"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train = ["-m", "tinywase", "train", str(workplace / "toy.toml"), "--set", f"out={out}"]
    command = [*launcher, *train, "--set", "optimizer.steps=3", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-6000:]
    facts = json.loads(done.stdout)
    assert facts["step"] == 3 and facts["audio_h"] == pytest.approx(3 * 2 * 4 * 1.0 / 3600, abs=1e-3)


def test_processes_whose_clocks_differ_end_together(workplace: Path) -> None:
    code = (
        "import os, sys; from tinywase.train.loop import Trainer; from tinywase.train.recipe import load_recipe\n"
        "trainer = Trainer(load_recipe(sys.argv[1], sys.argv[2:]))\n"
        "trainer.progress.train_s = 3.0 * (os.environ['RANK'] == '0')\n"  # ahead of the other by most of the time
        "trainer.run()"
    )
    script, out = workplace / "clocks.py", workplace / "clocks"
    script.write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    changes = [f"out={out}", "minutes=0.1", "optimizer.steps=100000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launcher, str(workplace / "toy.toml"), *changes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-6000:]
    assert torch.load(out / "state.pt", weights_only=True)["progress"]["position"] >= 100000


def test_diverged_training_says_the_step_and_what_to_change(workplace: Path) -> None:
    trainer = Trainer(load_recipe(workplace / "toy.toml", [f"out={workplace / 'diverged'}"]))
    trainer.system.model.decoder.weight.data.fill_(float("nan"))
    with pytest.raises(TinyWaseError, match="became nan at step 0.*lower optimizer.learning_rate"):
        trainer.run()


def test_state_of_an_older_tinywase_goes_on(workplace: Path) -> None:
    trained(workplace, "older", "optimizer.steps=2")
    path = workplace / "older" / "state.pt"
    state = torch.load(path, weights_only=True)
    del state["model"]["norm_memory_frames"], state["voices"]  # which it did not know
    torch.save(state, path)
    assert trained(workplace, "older", "optimizer.steps=3").progress.step == 3


def test_older_weights_of_a_name_are_the_network_they_were() -> None:
    known = to_dict(named_config("small", overlap=2, blocks=6))
    del known["overlap"]  # which it did not know, and which `small` has another number of today
    assert saved_model_config(known) == named_config("small", overlap=2, blocks=6)


@pytest.mark.parametrize("shared", [False, True])
def test_older_weights_may_say_that_stacks_are_shared(shared: bool) -> None:
    known = to_dict(named_config("small")) | {"share_stacks": shared}
    del known["distinct_stacks"]
    assert saved_model_config(known) == named_config("small", distinct_stacks=int(shared))


def test_a_weight_decay_that_was_changed_counts(workplace: Path) -> None:
    trained(workplace, "decayed", "optimizer.steps=1")
    changed = trained(workplace, "decayed", "optimizer.steps=2", "optimizer.weight_decay=0.5")
    assert {group["weight_decay"] for group in changed.optimizer.param_groups} == {0.5}


def test_curves_hold_null_for_what_is_undefined(tmp_path: Path) -> None:
    with curve_writer(tmp_path, Progress()) as write:
        write({"dev/equal_error_rate": math.nan})
    assert (
        json.loads((tmp_path / "curves.jsonl").read_text(), parse_constant=pytest.fail)["dev/equal_error_rate"] is None
    )


def test_a_damaged_state_is_explained_and_kept(workplace: Path) -> None:
    trained(workplace, "torn", "optimizer.steps=1")
    state = workplace / "torn" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(FormatError, match="no checkpoint that is safe to open .* Remove it to begin anew"):
        trained(workplace, "torn", "optimizer.steps=2")
    assert state.stat().st_size == 1000


@pytest.fixture(scope="module")
def state(workplace: Path) -> dict[str, Any]:
    """What a training of one step saves."""
    trained(workplace, "whole state", "optimizer.steps=1")
    content: dict[str, Any] = torch.load(workplace / "whole state" / "state.pt", weights_only=True)
    return content


def going_on(workplace: Path, name: str, state: dict[str, Any]) -> Trainer:
    """A training from that state."""
    (workplace / name).mkdir(exist_ok=True)
    torch.save(state, workplace / name / "state.pt")
    return trained(workplace, name, "optimizer.steps=2")


@pytest.mark.parametrize("part", ["system", "averaged", "optimizer", "progress", "model"])
def test_a_state_without_one_of_its_parts_is_refused_by_name(workplace: Path, state: dict[str, Any], part: str) -> None:
    for torn in ({key: value for key, value in state.items() if key != part}, state | {part: 3}):
        with pytest.raises(FormatError, match=f"not the state of a training, it has no {part}. Remove it"):
            going_on(workplace, "parts of a state", torn)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {"progress": s["progress"] | {"later": 1}}, "later"),
        (lambda s: {"system": {k: v for k, v in s["system"].items() if k != "model.encoder.weight"}}, "encoder.weight"),
        (lambda s: {"optimizer": {}}, "param_groups"),
        (lambda s: {"optimizer": s["optimizer"] | {"param_groups": []}}, "parameter groups"),
    ],
    ids=["newer", "tensor", "optimizer", "groups"],
)
def test_a_state_that_does_not_fit_is_explained(
    workplace: Path, state: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]], said: str
) -> None:
    with pytest.raises(FormatError, match=rf"(?s)not a whole state, or of a newer tinywase \(.*{said}.*Remove it"):
        going_on(workplace, "misfit", state | change(state))


def test_a_state_without_a_classifier_knows_no_voices(workplace: Path, state: dict[str, Any]) -> None:
    path = workplace / "unclassified.pt"
    torch.save(state | {"system": {}}, path)
    Trainer(load_recipe(workplace / "toy.toml", [f"out={workplace / 'unclassified'}", f'init=["{path}"]']))


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of a file's bytes here")
def test_a_full_disk_is_told_and_the_state_before_stands(workplace: Path) -> None:
    import resource

    trained(workplace, "full", "optimizer.steps=1")
    before = (workplace / "full" / "state.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write '.*state\.pt': .*Choose another folder"):
            trained(workplace, "full", "optimizer.steps=2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (workplace / "full" / "state.pt").read_bytes() == before
    assert not list((workplace / "full").glob(".*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with their process")
def test_a_folder_takes_one_training_at_a_time(workplace: Path) -> None:
    (workplace / "shared").mkdir()
    refused = pytest.raises(OutputError, match="a training is running in '.*shared' already")
    with held(workplace / "shared", "a training"), refused:
        trained(workplace, "shared", "optimizer.steps=1")
    assert trained(workplace, "shared", "optimizer.steps=1").progress.step == 1


def test_state_of_another_network_is_refused(workplace: Path) -> None:
    trained(workplace, "other", "optimizer.steps=1")
    changes = [f"out={workplace / 'other'}", "model.hidden=32"]
    with pytest.raises(ConfigError, match="training of another network. Give this recipe another 'name'"):
        Trainer(load_recipe(workplace / "toy.toml", changes)).run()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimizer.learning_rat=1", "unknown key 'optimizer.learning_rat'. Did you mean 'learning_rate'"),
        ("optimizer.batch=many", "optimizer.batch = 'many': expected int, got str"),
        ("model.window=15", "window = 15 samples: expected a multiple of 2"),
        ("objective=sing", "expected 'extraction' or 'voiceprint'"),
        ("minutes=-1", "minutes = -1.0: expected 0 or more"),
        ("device=gpu", "device = 'gpu': expected one of auto, cpu, cuda"),
        ("precision=bf16", "precision = 'bf16': expected one of auto, float32, bfloat16"),
        ("threads=0", "threads = 0: expected 1 or more"),
        ("seed=-1", "seed = -1: expected 0 or more"),
        ("optimizer.batch=0", "optimizer.batch = 0: expected 1 or more"),
        ("optimizer.steps=0", "optimizer.steps = 0: expected 1 or more"),
        ("init=runs/best.safetensors", "init = 'runs/best.safetensors': expected a list, such as [\"runs/best"),
        ("mix.speeds=1.0", "mix.speeds = 1.0: expected a list"),
        ('mix.speeds=[1.0, "fast"]', "mix.speeds[1] = 'fast': expected float, got str"),
        ("mix.noise_snr_db=[5]", "mix.noise_snr_db = [5]: expected 2 values"),
        ("data.sources=[1]", "data.sources[0] = 1: expected str, got int"),
        ("nonsense", "expected KEY=VALUE"),
    ],
)
def test_recipes_with_mistakes_are_explained(workplace: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_recipe(workplace / "toy.toml", [change])


def test_every_shipped_recipe_loads() -> None:
    recipes = [path for path in RECIPES.glob("*.toml") if not path.name.startswith("compress")]
    assert recipes and all(load_recipe(path).name == path.stem for path in recipes)


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_of_every_configuration_fit_in_16_mb(name: str) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in Wase(named_config(name)).parameters()) * 2 < 15.9e6


def test_a_training_of_so_many_minutes_ends_by_the_clock_with_its_schedule_stretched(workplace: Path) -> None:
    out, seen = workplace / "clock", []
    changes = ["minutes=0.05", "optimizer.steps=1000000", "optimizer.warmup=1", "optimizer.decay=500000"]
    recipe = load_recipe(workplace / "toy.toml", [f"out={out}", *changes])
    first = Trainer(recipe, on_step=lambda progress, logs: setattr(first, "_stop", progress.train_s > 1.0))
    halfway = first.run().position
    second = Trainer(recipe)
    second.on_step = lambda progress, logs: seen.append(second.optimizer.param_groups[0]["lr"])
    ended = second.run()
    assert 1.0 < first.progress.train_s < 3.0 <= ended.train_s and ended.step < 1000000
    assert 300_000 < halfway < ended.position == 1000000
    assert max(seen) > 0.9 * recipe.optimizer.learning_rate and seen[-1] < 0.2 * recipe.optimizer.learning_rate


@pytest.mark.slow
def test_compiled_training_learns_what_the_plain_one_learns(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **options: compile_(*args, backend="aot_eager", **options))
    changes = ["optimizer.steps=2", 'precision="float32"']
    plain = trained(workplace, "plain", *changes).system.state_dict()
    compiled = trained(workplace, "compiled", *changes, "compile=true").system.state_dict()
    for name, value in plain.items():
        assert torch.allclose(compiled[name], value, atol=1e-4), name


def test_si_snr_of_an_orthogonal_error_is_the_ratio_of_energies() -> None:
    time_s = torch.arange(8000) / 8000
    reference, error = torch.sin(2 * torch.pi * 100 * time_s)[None], torch.sin(2 * torch.pi * 200 * time_s)[None]
    assert float(si_snr(3 * (reference + 0.1 * error), reference)) == pytest.approx(20.0, abs=1e-3)


def test_lone_segments_are_those_in_which_one_side_is_all_but_silent() -> None:
    loud = torch.ones(5, 100)
    other = torch.tensor([1.0, 0.3, 0.2, 0.0, 5.0])[:, None] * loud  # 0, -10, -14 dB, silent, +14 dB
    assert is_lone(loud, other).tolist() == [False, False, True, True, True]
    assert is_lone(other, loud).tolist() == [False, False, True, True, True]


def test_snr_loss_keeps_the_level_and_rewards_silence_for_an_absent_target() -> None:
    mixture = torch.randn(1, 4000)
    target = mixture * 0.5
    assert float(snr_loss(target, target, mixture)) == pytest.approx(-30.0, abs=0.01)
    assert float(snr_loss(target * 2, target, mixture)) == pytest.approx(0.0, abs=0.01)
    absent = torch.zeros_like(mixture)
    assert float(snr_loss(mixture * 0.1, absent, mixture)) == pytest.approx(-19.59, abs=0.01)  # 10 lg (0.01 + 0.001)
    assert float(snr_loss(absent, absent, mixture)) == pytest.approx(-30.0, abs=0.01)


def test_margin_makes_the_speaker_loss_harder() -> None:
    torch.manual_seed(0)
    classifier = SpeakerClassifier(8, 5)
    voiceprint, speaker = torch.randn(6, 8), torch.arange(6) % 5
    easy, hard = classifier(voiceprint, speaker, margin=0.0), classifier(voiceprint, speaker, margin=0.3)
    assert hard.item() > easy.item()
    assert torch.allclose(classifier(voiceprint * 7, speaker), classifier(voiceprint, speaker), atol=1e-5)


def test_schedules_begin_hold_and_end() -> None:
    recipe = load_recipe(RECIPES / "small-voiceprint.toml")
    config = recipe.optimizer
    assert learning_rate_factor(0, config) == pytest.approx(1 / config.warmup)
    assert learning_rate_factor(config.warmup, config) == 1.0
    assert learning_rate_factor(config.steps, config) == 0.0


def test_the_signal_loss_is_of_the_target_and_of_everything_else_in_their_shares(workplace: Path) -> None:
    trainer = Trainer(load_recipe(workplace / "toy.toml", ["loss.residual=0.25", "loss.lone=0.5", "loss.activity=0"]))
    objective = trainer.objective
    assert isinstance(objective, ExtractionObjective)
    target, interference = 0.1 * torch.randn(2, 2, 800)
    interference[1] = 0.0  # a lone target
    batch = {"mixture": target + interference, "target": target}
    estimate, residual = 0.9 * target, 0.8 * interference
    result = {"extraction": SimpleNamespace(estimate=estimate, residual=residual, activity=None)}
    loss, logs = objective.losses(result, batch)
    first = snr_loss(estimate, target, batch["mixture"])
    second = snr_loss(residual, interference, batch["mixture"])
    expected = torch.tensor([1.0, 0.5]) * (0.75 * first + 0.25 * second)
    assert float(loss) == pytest.approx(float(expected.mean())) == pytest.approx(float(logs["signal"]))
    assert set(logs) == {"signal"}


@pytest.mark.parametrize("key", ["loss.ordered_from", "mix.level_db", "mix.both_targets"])
def test_options_that_are_no_more_are_refused_by_name(workplace: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown key '{re.escape(key)}'"):
        load_recipe(workplace / "toy.toml", [f"{key}=0"])
