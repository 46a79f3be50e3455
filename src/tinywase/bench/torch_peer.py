"""The same core in PyTorch: what people would otherwise run. Torch is loaded only when it is measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig


def eager(
    config: ModelConfig, mixture: NDArray[np.float32], voiceprint: NDArray[np.float32], *, bfloat16: bool = False
) -> Callable[[], object]:
    """A function that runs the core once, on one thread, in float32 or under bfloat16 autocast. Shape: [T], [D].

    Encoder, separator, decoder; without the residual, which nobody asked for here.
    """
    import torch

    from ..models import Wase
    from ..models.voiceprint import pad_to_frames

    torch.set_num_threads(1)
    network = Wase(config).eval()
    signal, vector = torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]

    def run() -> torch.Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            latent = network._encode(pad_to_frames(signal, config.window, config.hop))
            return network._decode(latent * network.separator(latent, vector).mask, len(mixture))

    return run
