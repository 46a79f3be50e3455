"""Learning voiceprints from a large encoder's table: the right rows in the right order, and a loss that falls."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors")
pytest.importorskip("tensorboard")

from safetensors.torch import save_file  # noqa: E402

from tinywase.data.speakers import make_speakers, write_corpus  # noqa: E402
from tinywase.errors import ConfigError, DataError  # noqa: E402
from tinywase.train.loop import Trainer  # noqa: E402
from tinywase.train.recipe import load_recipe  # noqa: E402
from tinywase.train.voiceprint_teacher import VoiceprintTeacher, read_table  # noqa: E402

SPEEDS = [0.9, 1.0, 1.1]
RECIPE = """
objective = "voiceprint"
[model]
name = "tiny"
[data]
bank = "{folder}/bank"
sources = ["{folder}/speech"]
voiceprints = "{folder}/table.safetensors"
[mix]
enrollment_s = 1.0
speeds = [0.9, 1.0, 1.1]
[loss]
speaker_extra = 8
likeness = 4.0
[optimizer]
learning_rate = 1e-2
voiceprint_learning_rate = 1e-2
steps = 40
warmup = 2
decay = 5
"""


def write_table(path: Path, speakers: list[str], speeds: list[float], dimensions: int = 6) -> torch.Tensor:
    """Random rows, speaker by speaker; returned as [speakers, speeds, dimensions] of length one."""
    torch.manual_seed(1)
    rows = torch.nn.functional.normalize(torch.randn(len(speakers), len(speeds), dimensions), dim=-1)
    facts = {"speakers": json.dumps(speakers), "speeds": json.dumps(speeds)}
    save_file({"voiceprints": rows.flatten(0, 1).to(torch.float16)}, path, facts)
    return rows


def test_rows_come_in_the_order_of_the_training(tmp_path: Path) -> None:
    rows = write_table(tmp_path / "table", ["c", "a", "b"], SPEEDS)
    table = read_table(tmp_path / "table", ["a", "c"], [1.1, 0.9])
    expected = torch.stack([rows[1, 2], rows[1, 0], rows[0, 2], rows[0, 0]])
    assert torch.allclose(table, expected, atol=1e-3)
    assert torch.allclose(table.norm(dim=1), torch.ones(4), atol=1e-6)


@pytest.mark.parametrize(
    ("speakers", "speeds", "named"), [(["a", "stranger"], [1.0], "stranger"), (["a"], [1.0, 1.3], "1.3")]
)
def test_a_voice_the_table_lacks_is_named(tmp_path: Path, speakers: list[str], speeds: list[float], named: str) -> None:
    write_table(tmp_path / "table", ["a", "b"], SPEEDS)
    with pytest.raises(DataError, match=named):
        read_table(tmp_path / "table", speakers, speeds)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    save_file({"voiceprints": torch.zeros(3, 2)}, tmp_path / "bare")
    for name in ("missing", "text", "bare"):
        with pytest.raises(DataError, match=r"not a table.*teach_voiceprints"):
            read_table(tmp_path / name, ["a"], [1.0])


def test_the_loss_is_a_cosine_distance_to_the_own_row() -> None:
    table = torch.eye(4)
    teacher = VoiceprintTeacher(table, 4)
    with torch.no_grad():
        teacher.projection.weight.copy_(torch.eye(4))
    ours = torch.tensor([[3.0, 0, 0, 0], [0, 0.5, 0, 0]], requires_grad=True)
    assert float(teacher(ours, torch.tensor([0, 1]))) == pytest.approx(0.0, abs=1e-6)
    loss = teacher(ours, torch.tensor([1, 1]))
    assert float(loss) == pytest.approx(0.5, abs=1e-6)
    loss.backward()
    assert ours.grad is not None and float(ours.grad[0, 1]) < 0  # towards the row it should be


def test_one_needs_the_other(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    for text in ("[loss]\nlikeness = 1.0\n", '[data]\nvoiceprints = "table"\n'):
        recipe.write_text(text)
        with pytest.raises(ConfigError, match="one needs the other"):
            load_recipe(recipe)


def test_training_comes_nearer_to_the_teacher(tmp_path: Path) -> None:
    voices = make_speakers("source-filter", 4, 1)
    write_corpus(tmp_path / "speech", voices, utterances=3, seconds=(2.0, 3.0), seed=1, sample_rate_hz=8000)
    (tmp_path / "toy.toml").write_text(RECIPE.format(folder=tmp_path))
    names = sorted(path.name for path in (tmp_path / "speech").iterdir())
    write_table(tmp_path / "table.safetensors", [f"speech/{name}" for name in names], SPEEDS)
    seen: list[float] = []
    trainer = Trainer(
        load_recipe(tmp_path / "toy.toml", [f'out="{tmp_path}/run"']),
        on_step=lambda progress, logs: seen.append(float(logs["likeness"])),
    )
    trainer.run()
    assert sum(seen[-5:]) / 5 < 0.75 * sum(seen[:5]) / 5
