"""Weights in, a bundled model out: pack, calibrate presence, evaluate, write the card.

    python tools/ship.py small runs/small/best.safetensors
    python tools/ship.py nano nano.twase --only presence,test      # some parts now, the others in another run

Every part leaves a JSON file in WORK/NAME-CHECKSUM/, and a part that is there is not done again: interrupt it as you
like. When all are there, the model with its card becomes src/tinywase/assets/models/NAME.twase (or --output). Presence
is calibrated on the development lists; nothing is chosen by a test list. `make docs` then rewrites docs/models.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import tomllib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinywase.data.lists import read_trials
from tinywase.errors import DataError
from tinywase.evaluate import behaviour, behaviour_report, cards, presence
from tinywase.evaluate.conditions import CONDITIONS
from tinywase.evaluate.report import build_report
from tinywase.evaluate.run import evaluate
from tinywase.evaluate.systems import open_systems
from tinywase.format import read_model
from tinywase.processor import processor_name
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.registry import MODELS

REPOSITORY = Path(__file__).resolve().parent.parent
DEV_LISTS = ("dev", "dev_ocean")
TEST_METRICS = {  # by list; SI-SDR is always among them
    "test": ("pesq", "estoi", "activity_f1"),
    "test_ocean": ("activity_f1",),
    "test_children": ("activity_f1",),
}
BEHAVIOUR_LIST = "test"
BEHAVIOUR = "behaviour-"
CONDITION_NAMES = (*(condition.name for condition in CONDITIONS), behaviour.DIALOGUE)
SPEED = ("rtf", "runtime")  # measured on every list, told once
NOISE = "noise:"  # how the names of corpora begin that are no speech
COMPRESSION = ("compression", "objective", "steps", "audio_h")
PARTS = ("presence", *DEV_LISTS, *TEST_METRICS, *(f"{BEHAVIOUR}{name}" for name in CONDITION_NAMES))


def main() -> None:
    options = arguments()
    weights, views = packed(options.weights), facts()["views"].get(options.name, 1)
    folder = options.work / f"{options.name}-{zlib.crc32(weights):08x}-views-{views}"
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{options.name}.twase"
    if not model.exists():
        packed_file = folder / f"packed-{os.getpid()}.twase"  # whole at once: another run may look for the model
        packed_file.write_bytes(weights)
        cards.with_card(packed_file, model, read_model(packed_file).card | {"views": views}, force=True)
        packed_file.unlink()
    for part in options.only:
        if not (folder / f"{part}.json").exists():
            began_s = time.monotonic()
            fields = measured(part, model, folder, options)
            (folder / f"{part}.json").write_text(json.dumps(fields, indent=2, allow_nan=False) + "\n")
            print(f"{part:32} {time.monotonic() - began_s:6.0f} s  {headline(fields)}", flush=True)
    missing = [part for part in PARTS if not (folder / f"{part}.json").exists()]
    if missing:
        print(f"{folder}: not shipped yet, missing {', '.join(missing)}.")
        return
    output = options.output or MODELS / f"{options.name}.twase"
    cards.with_card(model, output, card(model, folder, options.name), force=True)
    print(f"{output}: {output.stat().st_size:,} bytes.")


def arguments() -> argparse.Namespace:
    """What is asked for; --only as a list of known parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the bundled model: small, nano, live")
    parser.add_argument("weights", type=Path, help="a checkpoint (.safetensors) or a model file (.twase)")
    parser.add_argument("--only", default="", help="some parts, by the beginning of their names: dev,behaviour-noise")
    parser.add_argument("--trials", type=int, default=40, help="of each condition of the behaviour")
    parser.add_argument("--speech", type=Path, default=REPOSITORY.parent / "shared" / "speech")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "runs" / "ship")
    parser.add_argument("--output", type=Path, help="instead of the package's own folder")
    options = parser.parse_args()
    beginnings = tuple(options.only.split(","))
    options.only = [part for part in PARTS if part.startswith(beginnings)]
    return options


def packed(path: Path) -> bytes:
    """The bytes of a model file; a checkpoint is packed as float16, with what its training noted."""
    if path.suffix == ".twase":
        return path.read_bytes()
    from tinywase.format import to_bytes
    from tinywase.train.checkpoint import load_checkpoint, read_weights
    from tinywase.train.export import packed_model

    noted = json.loads(read_weights(path)[2].get("training", "{}"))
    noted.pop("dev", None)
    return to_bytes(packed_model(load_checkpoint(path), card={"training": noted}, float_kind="float16"))


def measured(part: str, model: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The fields of one part of the card."""

    def trials(name: str) -> list[Any]:
        return read_trials(options.speech / "lists" / f"{name}.csv", root=options.speech)

    if part == "presence":
        extractor = Extractor.from_pretrained(model)
        development = [trial for name in DEV_LISTS for trial in trials(name)]
        return presence.calibrated_fields(extractor, development)
    if part.startswith(BEHAVIOUR):
        name = part.removeprefix(BEHAVIOUR)
        extractor = Extractor.from_pretrained(calibrated(model, folder))
        one = behaviour.measure(extractor, name, trials(BEHAVIOUR_LIST), count=options.trials)
        return behaviour_report.card_fields([one])[name]
    return evaluated(model, part, trials(part))


def calibrated(model: Path, folder: Path) -> Path:
    """The model with its rule of presence, beside the one without."""
    rule = folder / "presence.json"
    if not rule.exists():
        raise DataError(f"{rule} is missing: behaviour says who is heard, by that rule. Begin with --only presence.")
    output = folder / "calibrated.twase"
    if not output.exists():
        cards.with_card(model, output, read_model(model).card | {"presence": json.loads(rule.read_text())}, force=True)
    return output


def evaluated(model: Path, name: str, trials: Sequence[Any]) -> dict[str, Any]:
    """Means with intervals on a list, and the real-time factor."""
    metrics = ("si_sdr", *TEST_METRICS.get(name, ()))
    evaluation = evaluate(lambda: open_systems([str(model)]), trials, metrics=metrics)
    if evaluation.failures or evaluation.trials_done < len(trials):
        raise DataError(f"{name}: not all trials were measured: {'; '.join(map(str, evaluation.failures[:3]))}")
    report = build_report(evaluation, list_name=name, command="")
    return {**cards.result_fields(report), "rtf": round(report.summaries[0].rtf, 5), "runtime": evaluation.runtimes[0]}


def facts() -> dict[str, Any]:
    """What is said of the models by hand."""
    return tomllib.loads((REPOSITORY / "tools" / "models.toml").read_text())


def card(model: Path, folder: Path, name: str) -> dict[str, Any]:
    """All parts, and the facts of tools/models.toml, as one card."""
    parts = {part: json.loads((folder / f"{part}.json").read_text()) for part in PARTS}
    known = facts()
    speed = {key: parts["test"][key] for key in SPEED} | {"cpu": processor_name()}
    lists = (*TEST_METRICS, *DEV_LISTS)
    results = {name: {key: value for key, value in parts[name].items() if key not in SPEED} for name in lists}
    behaves = {key: parts[f"{BEHAVIOUR}{key}"] for key in CONDITION_NAMES}
    packed_card = read_model(model).card  # of `export` or `compress`
    training = packed_card.get("training") or {key: packed_card[key] for key in COMPRESSION if key in packed_card}
    fails = cards.weaknesses({key: results[key] for key in TEST_METRICS}, behaves, parts["presence"])
    purpose, views, before_h = (known.pop(key).get(name) for key in ("purpose", "views", "heard_before_h"))
    known["data"] = [
        {key: value for key, value in corpus.items() if key != "models"}
        for corpus in known["data"]
        if name in corpus.get("models", [name])
    ]
    hours = sum(corpus["hours"] for corpus in known["data"] if not corpus["name"].startswith(NOISE))
    limits = [*fails, *(limit.format(hours=hours) for limit in known.pop("limits"))]
    given = {key: value for key, value in (("purpose", purpose), ("views", views)) if value}
    heard_before = {"heard_before_h": before_h} if before_h else {}
    about = {"name": name, **given, **known, "training": training | heard_before}
    measures = {"presence": parts["presence"], "results": results, "behaviour": behaves, "speed": speed}
    return {**about, **measures, "limits": limits}


def headline(fields: dict[str, Any]) -> str:
    """The one or two figures of a part that tell most."""
    shown = ("si_sdr_improvement_db", "si_sdr_db", "leak_db", "heard_rate", "clean_heard_rate", "absent_heard_rate")
    values = {key: fields[key] for key in shown if key in fields}
    return ", ".join(f"{key} {value[0] if isinstance(value, list) else value}" for key, value in values.items())


if __name__ == "__main__":
    main()
