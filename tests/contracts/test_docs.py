"""What the documents say is what the code does: constants, configurations, sizes, commands, versions."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import math
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripts import script

from tinywase import format as model_file
from tinywase.config import CONFIGS, ModelConfig, named_config
from tinywase.layout import CORE, VOICEPRINT, expected_tensors
from tinywase.runtime.registry import find_model

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"


def table(path: Path, heading: str) -> Iterator[list[str]]:
    """Cells of the rows of the first table under a heading, header and rule left out."""
    section = path.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield [cell.strip() for cell in row.strip("|").split("|")]


def plain(text: str) -> Any:
    """The value a cell shows, as TOML would read it; words stay words."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def flat(config: ModelConfig) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    inner = values.pop("voiceprint")
    return values | {f"voiceprint.{key}": value for key, value in inner.items()}


def test_model_page_shows_every_configuration_as_it_is() -> None:
    rows = {cells[0].strip("`"): cells[1:5] for cells in table(DOCS / "model.md", "Configurations")}
    for column, name in enumerate(("paper", "medium", "small", "tiny")):
        shown = {field: plain(cells[column]) for field, cells in rows.items()}
        assert shown == {key: value for key, value in flat(CONFIGS[name]).items() if key != "name"}, name


def test_model_page_shows_the_constants_of_the_code() -> None:
    for what, shown, place in table(DOCS / "model.md", "Constants"):
        module, name = place.strip("`").split(":")
        if module.startswith("tinywase.models"):
            pytest.importorskip("torch")
        assert float(shown) == getattr(importlib.import_module(module), name), what


@pytest.mark.parametrize(("row", "shared"), [(0, False), (1, True)])
def test_model_page_shows_the_papers_parameter_counts(row: int, shared: bool) -> None:
    _, core, voiceprint = list(table(DOCS / "model.md", "Sizes"))[row]
    counts = {True: 0, False: 0}
    for name, shape in expected_tensors(named_config("paper", distinct_stacks=int(shared))).items():
        assert name.startswith(VOICEPRINT) != name.startswith(CORE)
        counts[name.startswith(VOICEPRINT)] += math.prod(shape)
    assert [f"{counts[False]:,}", f"{counts[True]:,}"] == [core, voiceprint]


def test_format_version_is_in_the_changelog_and_on_its_page() -> None:
    versions = [cells[0] for cells in table(REPOSITORY / "CHANGELOG.md", "Model file versions")]
    assert str(model_file.VERSION) == versions[-1]
    assert re.search(rf"version\W+{model_file.VERSION}\b", (DOCS / "format.md").read_text(), re.IGNORECASE)


def test_generated_documents_are_up_to_date() -> None:
    """`make docs` was run after the last change of a command's help or of docs/results."""
    generate = script("docs/generate.py")
    stale = [path.name for path, text in generate.documents().items() if path.read_text() != text]
    assert not stale, f"{', '.join(stale)}: run 'make docs'"


def test_the_picture_shows_what_the_bundled_model_does() -> None:
    digest = hashlib.sha256(find_model("default").read_bytes()).hexdigest()
    assert digest.encode() in (DOCS / "demo.png").read_bytes(), "docs/demo.png: run 'make docs'"


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for page in [*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken, broken


def test_the_training_page_begins_with_the_training_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `tinywase train` of the page's first block: its recipe takes the changes and begins with what is there."""
    from tinywase.train.recipe import load_recipe

    monkeypatch.chdir(REPOSITORY)
    block = (DOCS / "training.md").read_text().split("```console\n")[1].split("```")[0].replace("\\\n", "")
    words = [shlex.split(line, comments=True) for line in block.splitlines() if line.startswith("tinywase train")]
    recipes = [load_recipe(line[2], line[4::2]) for line in words]
    assert [recipe.objective for recipe in recipes] == ["voiceprint", "extraction"]
    assert recipes[1].init == (str(recipes[0].folder / "state.pt"),)
    assert recipes[0].data.sources == recipes[1].data.sources == ("speech",)


def test_versions_agree() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("name", "trials", "speakers"),
    [("dev", 120, 24), ("dev_ocean", 120, 20), ("test", 300, 10), ("test_ocean", 200, 20), ("test_children", 100, 16)],
)
def test_the_lists_of_the_tables_are_as_the_page_says(name: str, trials: int, speakers: int) -> None:
    from tinywase.data.lists import read_trials

    rows = list(read_trials(DOCS / "lists" / f"{name}.csv", root=Path("speech")))
    assert len(rows) == trials
    assert len({person for row in rows for person in row.speakers}) == speakers
    assert all(row.enrollment not in (row.target, *row.interference) for row in rows)
