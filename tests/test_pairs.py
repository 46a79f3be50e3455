"""Two views of a mixture together: partners are found, and what training judges is what extraction makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tinywase.runtime import sharpening
from tinywase.train.pairs import partners, sharpened, together, waveform

RATE_HZ = 8000
EDGE = 640  # a window: in training, clips begin and end without silence around them


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_neighbours_with_one_mixture_are_partners_and_nobody_is_twice() -> None:
    a, b, c = noise(3, 100)
    assert partners(np.stack([a, a, b, c, c, c, a])).tolist() == [1, 0, 2, 4, 3, 5, 6]
    assert partners(a[None]).tolist() == [0]


def test_it_is_sharpened_as_in_use() -> None:
    mixture = noise(2, 20000)
    estimate = 0.5 * mixture + 0.3 * noise(2, 20000, seed=1)
    found = sharpened(torch.from_numpy(estimate), torch.from_numpy(mixture), RATE_HZ).numpy()
    for one, wanted in zip(found, zip(estimate, mixture, strict=True), strict=True):
        expected = sharpening.sharpened(*wanted, RATE_HZ)
        np.testing.assert_allclose(one[EDGE:-EDGE], expected[EDGE:-EDGE], atol=1e-5)


def test_the_errors_of_partners_cancel_where_they_are_alike() -> None:
    """Two estimates with the same noise added: their views' mean has none of it; who is alone keeps theirs."""
    voices, wrong = noise(2, 8000), 0.3 * noise(8000, seed=2)
    mixture = torch.from_numpy(np.stack([voices.sum(0)] * 2 + [voices[0]]))
    estimate = torch.from_numpy(np.stack([voices[0] + wrong, voices[1] + wrong, voices[0] + wrong]))
    partner = torch.tensor([1, 0, 2])
    found = together(estimate, mixture, partner, RATE_HZ)
    clean = sharpened(torch.from_numpy(np.stack([*voices, voices[0] + wrong])), mixture, RATE_HZ)
    torch.testing.assert_close(found, clean, atol=1e-5, rtol=0)


def test_silence_has_a_gradient() -> None:
    estimate = torch.zeros(2, 4000, requires_grad=True)
    together(estimate, torch.zeros(2, 4000), torch.tensor([1, 0]), RATE_HZ).square().sum().backward()
    assert estimate.grad is not None and torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("count", [1, 639, 5000])
def test_the_waveform_of_a_spectrum_is_what_torch_makes_of_it(count: int) -> None:
    length, hop, window = 640, 160, torch.hann_window(640).sqrt()
    sound = torch.randn(2, count)
    spectrum = torch.stft(sound, length, hop, window=window, pad_mode="constant", return_complex=True)
    expected = torch.istft(spectrum, length, hop, window=window, length=count)
    assert torch.allclose(waveform(spectrum, window, hop, count), expected, atol=1e-5)
