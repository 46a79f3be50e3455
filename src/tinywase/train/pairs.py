"""What two views of a mixture make of it together, as they do in use (runtime/views.py), but differentiably.

Two segments of a batch that share a mixture are views of it: one extracts the target, the other whoever else speaks.
Letters: S segments, T samples.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..models.operations import overlap_add
from ..runtime.sharpening import SILENCE, WEIGHT, WINDOW_S
from ..stft import HOPS_PER_WINDOW, window_samples


def partners(mixture: np.ndarray) -> np.ndarray:
    """The segment beside it with which a segment shares its mixture, or itself. Shape: [S, T] -> int64 [S]."""
    found = np.arange(len(mixture))
    for first in range(len(mixture) - 1):
        if found[first] == first and np.array_equal(mixture[first], mixture[first + 1]):
            found[[first, first + 1]] = first + 1, first
    return found


def together(estimate: Tensor, mixture: Tensor, partner: Tensor, sample_rate_hz: int) -> Tensor:
    """The mean of an estimate and of what its partner's leaves of the mixture, sharpened. Shape: [S, T] each."""
    alone = (partner == torch.arange(len(partner), device=partner.device))[:, None]
    mean = torch.where(alone, estimate, (estimate + mixture - estimate[partner]) / 2)
    return sharpened(mean, mixture, sample_rate_hz)


def sharpened(estimate: Tensor, mixture: Tensor, sample_rate_hz: int) -> Tensor:
    """`runtime.sharpening.sharpened` of several clips. Shape: [S, T], [S, T] -> [S, T]."""
    length = window_samples(WINDOW_S, sample_rate_hz)
    hop, window = length // HOPS_PER_WINDOW, torch.hann_window(length, device=estimate.device).sqrt()
    voice, everything = (
        torch.stft(x.float(), length, hop, window=window, pad_mode="constant", return_complex=True)
        for x in (estimate, mixture)
    )
    own, rest = (x.real.square() + x.imag.square() for x in (voice, everything - voice))
    shared = everything * (own / (own + rest + SILENCE))
    return (1 - WEIGHT) * estimate + WEIGHT * waveform(shared, window, hop, estimate.shape[-1])


def waveform(spectrum: Tensor, window: Tensor, hop: int, count: int) -> Tensor:
    """What `torch.istft` gives, without its look at the result, for which a GPU would have to wait.

    Shape: [S, bins, F] -> [S, count].
    """
    length = len(window)
    frames = torch.fft.irfft(spectrum.transpose(1, 2), n=length) * window  # [S, F, L]
    wave, envelope = (overlap_add(rows, hop) for rows in (frames, window.square().expand(1, frames.shape[1], -1)))
    place = slice(length // 2, length // 2 + count)
    return wave[:, place] / envelope[:, place]
