"""Learning curves of trainings: dev improvement over hours of audio heard, to docs/results/learning.json and a picture.

    python tools/curves.py "small, three stacks:43=runs/small-b" "small at 3 bits:240=runs/c-small"
    python tools/curves.py                     # draws what is kept again

A training is named `LABEL:HOURS=FOLDER`: what its weights had heard before, and where its curves.jsonl lies. Trainings
that are not named stay as they are kept. Improvement: mean over the recipe's dev lists, their first trials alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib import colormaps
from matplotlib.figure import Figure

REPOSITORY = Path(__file__).resolve().parent.parent
KEPT = REPOSITORY / "docs" / "results" / "learning.json"
PICTURE = REPOSITORY / "docs" / "learning.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trainings", nargs="*", metavar="LABEL:HOURS=FOLDER")
    named = dict(read(text) for text in parser.parse_args().trainings)
    curves = (json.loads(KEPT.read_text()) if KEPT.exists() else {}) | named
    KEPT.write_text(json.dumps(curves, indent=1) + "\n")
    draw(curves, PICTURE)


def read(text: str) -> tuple[str, list[list[float]]]:
    """A label, and [hours heard, improvement in dB] of every evaluation. An hour that was trained twice counts once."""
    about, _, folder = text.rpartition("=")
    label, _, before_h = about.rpartition(":")
    points: dict[float, float] = {}
    for line in (Path(folder) / "curves.jsonl").read_text().splitlines():
        values = json.loads(line)
        if "dev/improvement_db" in values:
            heard_h = values["audio_h"]
            points = {hour: db for hour, db in points.items() if hour < heard_h}
            points[heard_h] = values["dev/improvement_db"]
    return label, [[round(float(before_h) + hour, 2), round(db, 3)] for hour, db in points.items()]


def draw(curves: dict[str, list[list[float]]], path: Path) -> None:
    """One line per training."""
    figure = Figure(figsize=(9.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(curves.items()):
        color = colormaps["tab20"](2 * number % 20 + number // 10)  # ten full ones, then ten pale ones
        axes.plot(*zip(*points, strict=True), color=color, marker="o", markersize=3, label=label)
    axes.set_xlabel("hours of audio heard")
    axes.set_ylabel("SI-SDR improvement on the dev lists, dB")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")  # beside the curves, which fill the picture
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
