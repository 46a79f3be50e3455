"""The table of compression: bits x recipe, stacks shared or not, and the voiceprint encoder's bits, beside a teacher.

    python bench/compression.py runs/small/best.safetensors --work runs/compression --root ../shared/speech
    python bench/compression.py runs/small/best.safetensors --only 3-bit     # the cells whose names hold this

Every cell is one `tinywase compress`; cells that are done are not done again, an interrupted one goes on. Then one
`tinywase evaluate` per list scores all of them and the teacher; its summary goes to docs/results/compression-LIST.json,
from which `make docs` makes the table and the picture of docs/quantization.md. Choose by dev lists, report test lists.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tinywase.format import inspect

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results"
RECIPES = ("ptq", "qat", "daq", "daq-ours")  # recipes/compress-*.toml
WIDTHS = (1, 2, 3, 4, 8)
SMALLEST = ("--codec-bits", "8", "--float-kind", "float16")


@dataclass(frozen=True)
class Cell:
    """One compressed model."""

    name: str
    recipe: str
    options: tuple[str, ...] = ()

    def command(self, teacher: Path, folder: Path, more: Sequence[str]) -> list[str]:
        """The `tinywase compress` that makes it."""
        recipe = REPOSITORY / "recipes" / f"compress-{self.recipe}.toml"
        places = ["--recipe", str(recipe), "--work", str(folder / self.name), "-o", str(folder / f"{self.name}.twase")]
        return ["compress", str(teacher), *places, *self.options, *SMALLEST, *more]


def cells() -> list[Cell]:
    """All of them, cheapest first."""
    found = [
        Cell("-".join([recipe, *(["shared"] if share else []), f"{bits}-bit"]), recipe, ("--bits", str(bits), *share))
        for recipe in RECIPES
        for share in ([], ["--share"])
        for bits in WIDTHS
    ]
    found.append(Cell("kd-shared-32-bit", "kd", ("--share",)))
    for bits in (8, 4):
        options = ("--bits", "3", "--voiceprint-bits", str(bits))
        found.append(Cell(f"daq-ours-3-bit-voiceprint-{bits}-bit", "daq-ours", options))
    return found


def main() -> None:
    options, more = arguments()
    chosen = [cell for cell in cells() if options.only in cell.name]
    options.work.mkdir(parents=True, exist_ok=True)
    if options.as_it_is:
        chosen = [cell for cell in chosen if (options.work / f"{cell.name}.twase").exists()]
    for cell in chosen:
        if not (options.work / f"{cell.name}.twase").exists():
            run(cell.command(options.teacher, options.work, more))
    models = [str(options.teacher), *(str(options.work / f"{cell.name}.twase") for cell in chosen)]
    for path in options.list:
        places = ["--list", str(path), "--root", str(options.root), "--against", str(options.teacher)]
        results = json.loads(run(["evaluate", *models, *places, "--metrics", "si_sdr", "--json"]))
        results |= {"teacher": options.teacher.stem, "sizes": {cell.name: sizes(options.work, cell) for cell in chosen}}
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"compression-{path.stem}.json").write_text(json.dumps(results, indent=1) + "\n")
        draw(results, REPOSITORY / "docs" / f"compression-{path.stem}.png")


def arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="The table of compression; options not known here go to compress.")
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/compression"))
    parser.add_argument("--root", type=Path, default=Path("../shared/speech"))
    parser.add_argument("--list", type=Path, nargs="+", default=[Path("../shared/speech/lists/test.csv")])
    parser.add_argument("--only", default="", help="the cells whose names hold this")
    parser.add_argument("--as-it-is", action="store_true", help="compress nothing more, score what is there")
    return parser.parse_known_args()


def sizes(folder: Path, cell: Cell) -> dict[str, float]:
    """Bytes and ratios of a cell."""
    report = inspect(folder / f"{cell.name}.twase")
    fields = ("paper_core_bytes", "paper_ratio", "core_bytes", "core_ratio")
    return {name: getattr(report.sizes, name) for name in fields} | {"file_bytes": report.file_bytes}


def draw(results: dict[str, Any], path: Path) -> None:
    """Size against quality, a line per strategy, the teacher as a level."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    mean = {system["system"]: system["si_sdr_improvement_mean"] for system in results["systems"]}
    for series in (*RECIPES, *(f"{recipe}-shared" for recipe in RECIPES)):
        names = [name for name in results["sizes"] if re.fullmatch(rf"{series}-\d-bit", name)]
        points = sorted((results["sizes"][name]["file_bytes"] / 1e6, mean[name]) for name in names)
        if points:
            axes.plot(
                *zip(*points, strict=True), marker="o", linestyle="--" if "shared" in series else "-", label=series
            )
    axes.axhline(mean[results["teacher"]], color="black", linewidth=1, label="teacher, float32")
    axes.set_xlabel("file, MB")
    axes.set_ylabel("SI-SDR improvement, dB")
    axes.legend()
    figure.savefig(path, dpi=120)


def run(words: list[str]) -> str:
    """`tinywase WORDS`, which ends this program where it fails; returns its stdout."""
    print("tinywase", shlex.join(words), file=sys.stderr)
    result = subprocess.run([sys.executable, "-m", "tinywase", *words], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(result.returncode)
    return result.stdout


if __name__ == "__main__":
    main()
