"""Train what says how much of the band above a model's is the voice: src/tinywase/assets/highband*.npz.

    tinywase data pack ../shared/speech/manifest.csv --split train --rate 16000 -o runs/bank16
    python tools/train_highband.py small small nano live --bank runs/bank16 --examples 10000 --steps 6000
        -o src/tinywase/assets/highband.npz
    python tools/train_highband.py live live live small nano --stream --bank runs/bank16 --examples 8000 --steps 10000
        -o src/tinywase/assets/highband-stream.npz

Mixtures are drawn at 16 kHz and given to the models as a user would; the network (runtime/highband.py) learns gains for
the upper band of the recording from what they find. A gain's error is quadratic in it, so three sums per band and
frame are all that has to be kept of the signals. Letters: F frames, K frequencies, L levels, B bands, S segments, H
hidden channels.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor, nn

from tinywase.data.bank import SpeechBank
from tinywase.data.lists import read_trials
from tinywase.data.mixing import MixConfig, Mixer
from tinywase.data.rendering import render_trial
from tinywase.errors import AudioError
from tinywase.files import write_whole
from tinywase.runtime.extractor import Extractor
from tinywase.runtime.highband import (
    BANDS,
    DILATIONS,
    LEVELS,
    REACH,
    SILENCE,
    TAPS,
    band_levels,
    band_of_bins,
    window_at,
)
from tinywase.runtime.highband_file import CONTEXT, rise_of_bins
from tinywase.runtime.highband_stream import LevelStream, shapes_of_bands
from tinywase.runtime.resampling import LowDelayResampler
from tinywase.stft import HOPS_PER_WINDOW, analyze, synthesize

RATE_HZ = 16_000
MIX = MixConfig(
    segment_s=4.0, gain_db=4.0, speeds=(0.9, 1.0, 1.1), equalizer=0.3, pause=0.15, near=0.3, single=0.06, absent=0.08,
    third=0.08, room=0.1, noise=0.3, overheard=0.1,
)  # fmt: skip
LEARNING_RATE = 2e-3
CROP = 250  # frames of a training segment
LEVEL_SHIFT = 0.7  # recordings with long pauses are louder where somebody speaks: decades, either way
NARROWER = 0.15  # chance that the recording ends below 8 kHz
GUARD = 0.2  # of the recording's band, added to a voice's: where the voice has none, all there is to do is to be quiet
ENOUGH = 0.2  # of an error over a voice: with less, silence for absent voices is all that is learned

STREAM_LEVEL_SHIFT = 0.3  # the same where the power is that of what was heard before
DELAYS_S = (0.2, 0.5, 1.0)  # of offline models in streams

Example = tuple[np.ndarray, np.ndarray]  # levels [F + REACH, L], sums [F, B, 3]
Find = Callable[[Extractor, np.ndarray, np.ndarray, np.ndarray, np.random.Generator], Example]


class Network(nn.Module):
    """What `network` of runtime/highband.py computes, or `CausalNetwork`, with levels normalized."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, hidden: int, mean: np.ndarray, deviation: np.ndarray, *, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.register_buffer("mean", torch.from_numpy(mean)[:, None])
        self.register_buffer("deviation", torch.from_numpy(deviation)[:, None])
        self.inner = nn.Conv1d(LEVELS, hidden, 1)
        self.time = nn.ModuleList(nn.Conv1d(hidden, hidden, TAPS, dilation=d, groups=hidden) for d in DILATIONS)
        self.mix = nn.ModuleList(nn.Conv1d(hidden, hidden, 1) for _ in DILATIONS)
        self.outer = nn.Conv1d(hidden, BANDS, 1)
        with torch.no_grad():  # gains begin alike and low: driven there by all examples at once they would saturate
            self.outer.weight *= 0.1
            nn.init.constant_(self.outer.bias, -1.0)  # type: ignore[arg-type]

    def forward(self, levels: Tensor) -> Tensor:
        """Shape: [S, L, F + REACH] -> [S, B, F]."""
        hidden = torch.relu(self.inner((levels - self.mean) / self.deviation))
        for dilation, time, mix in zip(DILATIONS, self.time, self.mix, strict=True):
            heard = torch.relu(mix(torch.relu(time(hidden))))
            first = dilation * (TAPS - 1 if self.causal else TAPS // 2)
            hidden = hidden.narrow(-1, first, heard.shape[-1]) + heard
        return torch.sigmoid(self.outer(hidden))

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights as `runtime/highband.py` takes them, float16, the normalization in the first layer."""
        w, blocks = self.state_dict(), range(len(DILATIONS))
        inner = w["inner.weight"][..., 0] / w["deviation"].T
        found = {
            "inner": inner.T,
            "inner_bias": w["inner.bias"] - (inner @ w["mean"])[:, 0],
            "time": torch.stack([w[f"time.{b}.weight"][:, 0].T for b in blocks]),
            "time_bias": torch.stack([w[f"time.{b}.bias"] for b in blocks]),
            "mix": torch.stack([w[f"mix.{b}.weight"][..., 0].T for b in blocks]),
            "mix_bias": torch.stack([w[f"mix.{b}.bias"] for b in blocks]),
            "outer": w["outer.weight"][..., 0].T,
            "outer_bias": w["outer.bias"],
        }
        return {name: value.numpy().astype(np.float16) for name, value in found.items()}


def file_example(
    extractor: Extractor, mixture: np.ndarray, target: np.ndarray, enrollment: np.ndarray, rng: np.random.Generator
) -> Example:
    """What is learned from one recording and what a model finds in it. Shape: float32 [T] twice, [any].

    Raises:
        AudioError: too little speech in the enrollment.
    """
    rate_hz, window = extractor.sample_rate_hz, window_at(RATE_HZ)
    low = soxr.resample(mixture, RATE_HZ, rate_hz)
    found = extractor.extract(low, extractor.enroll(enrollment, sample_rate_hz=RATE_HZ), sample_rate_hz=rate_hz)
    spectra = [analyze(signal, window_at(rate_hz)) for signal in (found.estimate, found.residual)]
    recording, truth = analyze(mixture, window), analyze(target, window)
    rms = float(np.sqrt(np.mean(mixture**2)))
    voice, rest = ((part[: len(recording)], rate_hz) for part in spectra)
    levels = band_levels(voice, rest, (recording, RATE_HZ), rms)
    sums = band_sums(recording, truth, rise_of_bins(window, RATE_HZ, rate_hz), band_of_bins(window, RATE_HZ))
    return np.concatenate([silence(CONTEXT), levels, silence(CONTEXT)]), sums


def stream_example(
    extractor: Extractor, mixture: np.ndarray, target: np.ndarray, enrollment: np.ndarray, rng: np.random.Generator
) -> Example:
    """The same of a stream. Shape: float32 [T] twice, [any].

    Raises:
        AudioError: too little speech in the enrollment.
    """
    rate_hz = extractor.sample_rate_hz
    delay_s = None if extractor.model.config.causal else float(rng.choice(DELAYS_S))
    voiceprint = extractor.enroll(enrollment, sample_rate_hz=RATE_HZ)
    stream = extractor.stream(voiceprint, sample_rate_hz=rate_hz, delay_s=delay_s)
    low = soxr.resample(mixture, RATE_HZ, rate_hz)
    heard = LevelStream(RATE_HZ, rate_hz)
    heard.hear(mixture)
    heard.learn(low, np.concatenate([stream.feed(low), stream.flush()]))
    heard.end()
    hops = len(mixture) // heard.hop
    levels = np.stack([levels for levels, _ in iter(heard.next, None)])[: heard.early_hops + hops]
    shapes = shapes_of_bands(heard.window, LowDelayResampler(RATE_HZ, rate_hz))
    recording, truth = (in_bands(signal[: hops * heard.hop], shapes, heard.window) for signal in (mixture, target))
    sums = np.stack(
        [np.sum(a * b, axis=2).T for a, b in ((truth, recording), (recording, recording), (truth, truth))], 2
    )
    as_spectra = heard.window * HOPS_PER_WINDOW / 2  # a hop's squares, as `file_example` has them
    return np.concatenate([silence(REACH - heard.early_hops), levels]), (as_spectra * sums).astype(np.float32)


def in_bands(signal: np.ndarray, shapes: np.ndarray, window: int) -> np.ndarray:
    """Shape: float32 [T], [B, K] -> float32 [B, hops, hop]."""
    spectra = analyze(signal, window)
    bands = [synthesize(spectra * shape, window, len(signal)) for shape in shapes]
    return np.stack(bands).reshape(len(shapes), -1, window // HOPS_PER_WINDOW)


def silence(frames: int) -> np.ndarray:
    """Its levels. Shape: -> float32 [F, L]."""
    return np.tile(SILENCE, (frames, 1))


def band_sums(recording: np.ndarray, truth: np.ndarray, rise: np.ndarray, band: np.ndarray) -> np.ndarray:
    """Products of both, squares of either, over the bins that a gain is for. Shape: complex [F, K] twice, [K] twice ->
    float32 [F, B, 3]
    """
    products = (truth * recording.conj()).real, np.abs(recording) ** 2, np.abs(truth) ** 2
    shaped = np.stack([np.square(rise) * product for product in products], axis=2)
    return np.stack([shaped[:, band == number].sum(1) for number in range(BANDS)], axis=1).astype(np.float32)


def drawn(find: Find, mixer: Mixer, extractors: list[Extractor], count: int, seed: int) -> Iterator[Example]:
    """Examples of drawn mixtures, each by one of the models."""
    rng = np.random.default_rng(seed)
    while count > 0:
        batch = mixer.batch(1, rng)
        extractor = extractors[rng.integers(len(extractors))]
        try:
            yield find(extractor, batch.mixture[0], batch.target[0], batch.enrollment[0], rng)
        except AudioError:
            continue
        count -= 1


def listed(find: Find, paths: Iterable[Path], root: Path, extractor: Extractor) -> dict[str, list[Example]]:
    """Examples of fixed trials."""
    rng = np.random.default_rng(0)
    trials = {path.stem: (render_trial(trial, RATE_HZ) for trial in read_trials(path, root=root)) for path in paths}
    return {
        name: [find(extractor, audio.mixture, audio.target, audio.enrollment, rng) for audio in rendered]
        for name, rendered in trials.items()
    }


def errors(gain: Tensor, sums: Tensor) -> Tensor:
    """Energy of voice - gain * recording. Shape: [S, B, F], [S, F, B, 3] -> [S, B, F]."""
    product, recording, voice = sums.permute(3, 0, 2, 1)
    return (voice - 2 * gain * product + gain**2 * recording).clamp_min(0)  # below by rounding alone


def loss_db(gain: Tensor, sums: Tensor) -> Tensor:
    """Error over voice, mean of the whole upper band's and the bands' own."""
    wrong = errors(gain, sums)
    scale = sums[..., 2].permute(0, 2, 1) + GUARD * sums[..., 1].permute(0, 2, 1)
    whole = wrong.sum((1, 2)) / (scale.sum((1, 2)) + 1e-6)
    bands = wrong.sum(2) / (scale.sum(2) + 1e-6)
    return 5 * torch.log10(whole + ENOUGH).mean() + 5 * torch.log10(bands + ENOUGH).mean()


@torch.no_grad()
def gain_db(net: Network, examples: list[Example]) -> float:
    """Mean signal-to-noise ratio of the upper band: 0 dB is silence."""
    ratios = []
    for levels, sums in examples:
        gain = net(torch.from_numpy(levels.T.copy())[None])
        wrong = errors(gain, torch.from_numpy(sums)[None]).sum()
        ratios.append(10 * np.log10(max(sums[..., 2].sum(), 1e-9) / max(float(wrong), 1e-9)))
    return float(np.mean(ratios))


def varied(levels: np.ndarray, sums: np.ndarray, shift: float, rng: np.random.Generator) -> Example:
    """A part of an example, as a louder or narrower recording would have it."""
    first = rng.integers(len(sums) - CROP + 1)
    part, kept = levels[first : first + CROP + REACH].copy(), sums[first : first + CROP].copy()
    if rng.random() < NARROWER:
        band = rng.integers(1, BANDS)
        part[:, LEVELS - BANDS + band :] = levels[0, -1]
        kept[:, band:] = 0
    return part + np.float32(rng.uniform(-shift, shift)), kept


def trained(
    examples: list[Example], dev: dict[str, list[Example]], *, causal: bool, hidden: int, steps: int, seed: int
) -> Network:
    """A network, learning rate rising and falling once."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    before, after = (REACH, 0) if causal else (CONTEXT, CONTEXT)
    some = np.concatenate([levels[before : len(levels) - after] for levels, _ in examples[:400]])
    net = Network(hidden, some.mean(0), some.std(0), causal=causal)
    shift = STREAM_LEVEL_SHIFT if causal else LEVEL_SHIFT
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1, pct_start=0.05)
    long = [pair for pair in examples if len(pair[1]) >= CROP]
    for step in range(1, steps + 1):
        parts = [varied(*long[rng.integers(len(long))], shift, rng) for _ in range(32)]
        levels, sums = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*parts, strict=True))
        loss = loss_db(net(levels.transpose(1, 2)), sums)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            print(
                step,
                f"{loss.item():.2f}",
                {name: round(gain_db(net, trials), 2) for name, trials in dev.items()},
                flush=True,
            )
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--bank", type=Path, required=True, help="of tinywase data pack --rate 16000")
    parser.add_argument("--noise", type=Path, help="another one, of recorded noise")
    parser.add_argument("--list", type=Path, nargs="*", default=[], help="trials to judge by")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--stream", action="store_true", help="what streams use, instead of what recordings do")
    parser.add_argument("--examples", type=int, default=4000)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    noise = SpeechBank.load(given.noise) if given.noise else None
    mixer = Mixer(SpeechBank.load(given.bank), MIX, noise)
    extractors = [Extractor.from_pretrained(name, views=1) for name in given.models]
    find = stream_example if given.stream else file_example
    dev = listed(find, given.list, given.root, Extractor.from_pretrained(given.models[0]))
    examples = list(drawn(find, mixer, extractors, given.examples, given.seed))
    net = trained(examples, dev, causal=given.stream, hidden=given.hidden, steps=given.steps, seed=given.seed)
    packed, arrays = io.BytesIO(), net.arrays()
    np.savez(packed, allow_pickle=False, **arrays)
    write_whole(given.out, packed.getvalue(), force=True)


if __name__ == "__main__":
    main()
