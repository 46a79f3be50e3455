"""The same core in PyTorch: what people would otherwise run. Torch is loaded only when it is measured.

It runs torch's own operations (conv1d, prelu), as a network is usually written and exported; what models/operations.py
chooses instead is for training on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from ..config import ModelConfig

USERS = ("layers", "separator", "wase", "voiceprint")  # modules of models/ that may use its operations


def eager(config: ModelConfig, mixture: NDArray[np.float32], voiceprint: NDArray[np.float32]) -> Callable[[], object]:
    """A function that runs the core once, on one thread, in float32. Shape: [T], [D].

    Encoder, separator, decoder; without the residual, which nobody asked for here.
    """
    import torch

    from ..models import Wase

    torch.set_num_threads(1)
    network = Wase(config).eval()
    signal, vector = torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]

    def run() -> torch.Tensor:
        with torch.inference_mode(), plain_operations():
            return core(network, signal, vector)

    return run


def core(network: Any, mixture: Any, voiceprint: Any) -> Any:
    """The estimate alone. Shape: [1, T], [1, D] -> [1, T]."""
    from ..models.voiceprint import pad_to_frames

    latent = network._encode(pad_to_frames(mixture, network.config.window, network.config.hop, network.config.edge))
    return network._decode(latent * network.separator(latent, voiceprint).mask, mixture.shape[-1])


@contextmanager
def plain_operations() -> Iterator[None]:
    """Networks run on torch's own kernels while this is open."""
    from torch.nn import functional

    plain: dict[str, Callable[..., Any]] = {
        "prelu": functional.prelu,
        "pointwise": functional.conv1d,
        "depthwise": lambda x, w, b, dilation: functional.conv1d(x, w, b, dilation=dilation, groups=len(w)),
        "analyze": lambda signal, w, hop: functional.conv1d(signal[:, None], w, stride=hop),
        "synthesize": lambda latent, w, hop: functional.conv_transpose1d(latent, w, stride=hop)[:, 0],
        "can_fuse": lambda blocks, x: False,
    }
    with ExitStack() as stack:
        for user in (*USERS, "fused"):
            module = import_module(f"tinywase.models.{user}")
            for name in plain.keys() & vars(module).keys():
                stack.enter_context(patch.object(module, name, plain[name]))
        yield
