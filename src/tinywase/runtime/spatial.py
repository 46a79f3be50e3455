"""What several microphones, or a mix in stereo, add: whoever stands elsewhere arrives otherwise in every channel.

A multichannel Wiener filter: at every frequency the covariances between channels, of the estimate and of what it
leaves over, say in which combinations of channels the voice outweighs the rest, and their powers say when [N. Q. K.
Duong et al., "Under-determined reverberant audio source separation using a full-rank spatial covariance model", 2010;
A. A. Nugraha et al., "Multichannel audio source separation with deep neural networks", 2016]. Its own result takes the
estimate's place twice: first in windows that are long enough for rooms, then in short ones, which blur less in time.
Where both arrive from one direction, or there is nobody else, there is nothing to learn, and the estimate stays. What
it gives: docs/experiments.md 35. Letters: T samples, C channels, F frames, K frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from ..stft import analyze, synthesize, window_samples
from .others import nobody_else
from .spool import Spool
from .windows import faded

MOST_CHANNELS = 8  # with more the filter, whose work grows with their cube, would take longer than the network
STRETCH_S, OVERLAP_S = 20.0, 4.0  # people move
LONG_S, SHORT_S = 0.512, 0.08
ROUNDS = 2  # in long windows
WEIGHT = 0.85  # of the filtered mixture against the estimate
DISTINCT = 0.01  # distance of the covariances, 0..1, from which on the filter has its whole weight
FLOOR = 1e-5  # of a covariance's diagonal: no direction is without noise
SILENCE = 1e-20  # power

Read = Callable[[int, int], np.ndarray]  # (start, stop) -> float32 [stop - start, C] of the mixture


def steered(
    blocks: Iterable[np.ndarray], read: Read, shape: tuple[int, int], sample_rate_hz: int, folder: Path | None
) -> Iterator[np.ndarray]:
    """Estimates filtered stretch by stretch, their activities as they are. Shape: float32 [n, 2, C] each.

    The estimates are kept in a spool, in `folder` or in memory, until all of them are there; `shape` is [T, C].
    """
    length, channels = shape
    window, overlap = (round(seconds * sample_rate_hz) for seconds in (STRETCH_S, OVERLAP_S))
    with closing(Spool(2 * channels, folder)) as rough:
        for block in blocks:
            rough.append(block.reshape(-1, 2 * channels))

        def stretch(start: int, stop: int) -> np.ndarray:
            both = rough.read(start, stop).reshape(-1, 2, channels).copy()
            both[:, 0] = spatially_filtered(both[:, 0], read(start, stop), sample_rate_hz)
            return both

        yield from faded(stretch, length, window, overlap)


def spatially_filtered(estimate: np.ndarray, mixture: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """One stretch, in which nobody moves much. Shape: float32 [T, C], [T, C] -> float32 [T, C]."""
    if nobody_else(mixture - estimate, estimate):
        return estimate
    voice, everything = (_spectra(signal, LONG_S, sample_rate_hz) for signal in (estimate, mixture))
    weight = np.float32(WEIGHT * min(1.0, distance(voice, everything - voice) / DISTINCT))
    if not weight:
        return estimate
    for _ in range(ROUNDS):
        voice = wiener(voice, everything)
    filtered = _samples(voice, LONG_S, sample_rate_hz, len(mixture))
    voice, everything = (_spectra(signal, SHORT_S, sample_rate_hz) for signal in (filtered, mixture))
    filtered = _samples(wiener(voice, everything), SHORT_S, sample_rate_hz, len(mixture))
    return (1 - weight) * estimate + weight * filtered


def wiener(voice: np.ndarray, everything: np.ndarray) -> np.ndarray:
    """The mixture filtered by what an estimate says of space and time. Shape: complex [K, C, F] twice -> the same.

    With the covariances A of the voice and B = L L^H of the rest, L^-1 A L^-H = U D U^H: U^H L^-1 turns the channels
    into combinations in which voice and rest are uncorrelated, so that a gain for each of them is all it takes.
    """
    rest = everything - voice
    power, rest_power = _power(voice), _power(rest)
    root = np.linalg.cholesky(_covariance(rest, rest_power) + FLOOR * np.eye(voice.shape[1]))
    whiten = np.linalg.inv(root)
    ratios, directions = np.linalg.eigh(whiten @ _covariance(voice, power) @ _adjoint(whiten))
    apart = (_adjoint(directions) @ whiten).astype(voice.dtype) @ everything
    own = power[:, None] * np.maximum(ratios, 0.0).astype(power.dtype)[..., None]
    gain = own / (own + rest_power[:, None] + np.float32(SILENCE))
    filtered: np.ndarray = (root @ directions).astype(voice.dtype) @ (gain * apart)
    return filtered


def distance(voice: np.ndarray, rest: np.ndarray) -> float:
    """Of two covariances, 0 for equal directions, 1 for orthogonal ones: mean over the frequencies in which both are
    loud [M. Herdin et al., "Correlation matrix distance", 2005]. Shape: complex [K, C, F] twice."""
    powers = [_power(signal) for signal in (voice, rest)]
    one, other = (_covariance(*pair) for pair in zip((voice, rest), powers, strict=True))
    norms = np.linalg.norm(one, axis=(1, 2)) * np.linalg.norm(other, axis=(1, 2))
    alike = np.einsum("kcd,kdc->k", one, other).real / np.maximum(norms, SILENCE)
    loud = np.sqrt(np.prod([power.sum(1, dtype=np.float64) for power in powers], axis=0))
    total = loud.sum()
    return float(((1 - alike) * loud).sum() / total) if total > SILENCE else 0.0


def _covariance(spectra: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Between channels, over their mean power; zeros in silence. Shape: complex [K, C, F], [K, F] -> [K, C, C]."""
    covariance = (spectra @ _adjoint(spectra)).astype(np.complex128)
    return covariance / np.maximum(power.sum(1, dtype=np.float64), SILENCE)[:, None, None]


def _power(spectra: np.ndarray) -> np.ndarray:
    """Mean over channels. Shape: complex [K, C, F] -> [K, F]."""
    squares = [channel.real**2 + channel.imag**2 for channel in spectra.swapaxes(0, 1)]
    return sum(squares[1:], squares[0]) / np.float32(len(squares))


def _adjoint(matrices: np.ndarray) -> np.ndarray:
    return matrices.conj().swapaxes(-1, -2)


def _spectra(signal: np.ndarray, window_s: float, sample_rate_hz: int) -> np.ndarray:
    """Shape: [T, C] -> complex64 [K, C, F]."""
    window = window_samples(window_s, sample_rate_hz)
    return np.stack([analyze(np.ascontiguousarray(channel), window).T for channel in signal.T], axis=1)


def _samples(spectra: np.ndarray, window_s: float, sample_rate_hz: int, length: int) -> np.ndarray:
    """Shape: complex64 [K, C, F] -> float32 [length, C]."""
    window = window_samples(window_s, sample_rate_hz)
    return np.stack([synthesize(channel.T, window, length) for channel in spectra.swapaxes(0, 1)], axis=1)
