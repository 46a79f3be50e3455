"""How large the paper's network becomes: real files of random weights, in the paper's accounting and on disk.

`python bench/sizes.py` writes docs/results/sizes.json, from which `make docs` makes the table of docs/quantization.md.
Random weights have the bell shape of trained ones; trained weights differ from them by some percent once coded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tinywase.config import named_config
from tinywase.format import inspect
from tinywase.quant.attach import attach
from tinywase.quant.rules import FLOAT_BITS, QuantConfig
from tinywase.train.export import export
from tinywase.train.student import random_network

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "sizes.json"
WIDTHS = (1, 2, 3, 4, 5, 8)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = [measured(bits, share=share) for share in (False, True) for bits in WIDTHS]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def measured(bits: int, *, share: bool) -> dict[str, Any]:
    """One row: as the paper stores it (float32 rest), and the smallest file we make of it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.twase", Path(folder) / "small.twase"
        model = random_network(named_config("paper", distinct_stacks=int(share)))
        quant = QuantConfig(bits=bits, method="lsq", activation_bits=FLOAT_BITS)
        attach(model, quant)
        export(model, plain, card={})
        attach(model, QuantConfig(bits=FLOAT_BITS, codec_bits=8, voiceprint_bits=4, method="lsq", activation_bits=32))
        export(model, small, card={}, float_kind="ramp8", compact=True)
        as_paper, ours = inspect(plain), inspect(small)
    return {
        "bits": bits,
        "share": share,
        "paper_core_bytes": as_paper.sizes.paper_core_bytes,
        "paper_ratio": as_paper.sizes.paper_ratio,
        "plain_core_bytes": as_paper.core_bytes,
        "plain_file_bytes": as_paper.file_bytes,
        "core_bytes": ours.core_bytes,
        "core_ratio": ours.sizes.core_ratio,
        "file_bytes": ours.file_bytes,
    }


if __name__ == "__main__":
    main()
