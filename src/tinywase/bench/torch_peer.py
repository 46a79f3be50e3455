"""The same core in PyTorch: what people would otherwise run. Imports torch; load it only where torch is wanted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..config import ModelConfig
from ..models import Wase
from ..models.voiceprint import pad_to_frames


class Core(nn.Module):
    """Encoder, separator, decoder: a mixture and a voiceprint to an estimate. Shape: [1, T], [1, D] -> [1, T]."""

    def __init__(self, config: ModelConfig, samples: int) -> None:
        super().__init__()
        self.network, self.samples = Wase(config).eval(), samples

    def forward(self, mixture: Tensor, voiceprint: Tensor) -> Tensor:
        """Without the residual, which nobody asked for here."""
        network = self.network
        latent = network._encode(pad_to_frames(mixture, network.config.window, network.config.hop))
        return network._decode(latent * network.separator(latent, voiceprint).mask, self.samples)


def eager(
    config: ModelConfig, mixture: NDArray[np.float32], voiceprint: NDArray[np.float32], *, bfloat16: bool = False
) -> Callable[[], object]:
    """A function that runs the core once, on one thread, in float32 or under bfloat16 autocast. Shape: [T], [D]."""
    torch.set_num_threads(1)
    core = Core(config, len(mixture)).eval()
    inputs = torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            core(*inputs)

    return run
