"""The voiceprint encoder of a model, for another network to begin with.

python tools/voiceprint_of.py small.twase voiceprint.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tinywase.models import Wase
from tinywase.train.checkpoint import float_weights, save_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model file or checkpoint")
    parser.add_argument("weights", type=Path, help="to write")
    options = parser.parse_args()
    config, tensors = float_weights(options.model)
    plain = Wase(config)
    plain.load_state_dict(tensors)
    save_weights(plain, options.weights, {}, only="voiceprint_encoder.")


if __name__ == "__main__":
    main()
