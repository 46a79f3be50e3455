"""A model or a checkpoint without its last stacks, quantizers and step sizes as they were.

    python tools/cut.py small.twase cut.twase --stacks 4
    python tools/cut.py runs/small-3bit/last.safetensors runs/begin.safetensors --stacks 4

What is left computes something else, unless the stacks that go were idle (tools/grow.py prints what each adds;
docs/experiments.md 27). The cue on the summed skips moves down to its new place. Shared stacks cannot be cut.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Iterable
from pathlib import Path

from tinywase.config import ModelConfig, saved_model_config
from tinywase.format import ModelFile, read_model, to_bytes, write_model
from tinywase.train.cues import with_cues_moved


def names_left(names: Iterable[str], config: ModelConfig, stacks: int) -> dict[str, str]:
    """New name -> old name of every tensor that stays."""
    moved = with_cues_moved({name: name for name in names}, config.stacks, stacks)
    return {new: old for new, old in moved.items() if not _in_block_from(stacks * config.blocks, old)}


def _in_block_from(first: int, name: str) -> bool:
    block = re.match(r"separator\.blocks\.(\d+)\.", name)
    return block is not None and int(block[1]) >= first


def cut_model(source: Path, target: Path, stacks: int) -> None:
    """A `.twase` file to another."""
    model = read_model(source)
    left = names_left(model.tensors, model.config, stacks)
    tensors = {new: dataclasses.replace(model.tensors[old], name=new) for new, old in left.items()}
    compact = source.read_bytes() != to_bytes(model)
    config = dataclasses.replace(model.config, stacks=stacks)
    write_model(target, ModelFile(config, tensors, model.card), compact=compact)


def cut_checkpoint(source: Path, target: Path, stacks: int) -> None:
    """A `.safetensors` file of weights, a student's with its quantizers too, to another."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
        config = saved_model_config(json.loads(metadata["config"]))
        left = names_left(file.keys(), config, stacks)
        tensors = {new: file.get_tensor(old) for new, old in left.items()}
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | {"stacks": stacks})
    save_file(tensors, target, metadata)


def main() -> None:
    """Cut, and say how much smaller it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--stacks", type=int, required=True, help="how many stay")
    options = parser.parse_args()
    (cut_model if options.source.suffix == ".twase" else cut_checkpoint)(options.source, options.target, options.stacks)
    before, after = options.source.stat().st_size, options.target.stat().st_size
    print(f"{options.target}: {before:,} bytes have become {after:,}.")


if __name__ == "__main__":
    main()
