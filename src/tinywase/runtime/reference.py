"""The packed model in plain numpy: executable specification, oracle of the native runtime, and its fallback.

    enrollment [T_e] -> voiceprint encoder -> voiceprint [D]
    mixture [T] -> encoder -> latent [N, F] -> separator(voiceprint) -> mask [N, F]
    latent * mask -> decoder -> estimate [T]

It reads like `models/wase.py` and computes the same, without batches and without gradients (docs/model.md). Letters: T
samples, N encoder filters, C bottleneck channels, F frames, D voiceprint dimensions, L window, R stacks, X blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..config import ModelConfig
from ..errors import AudioError, ConfigError, StreamError
from ..filters import fourier_filters
from ..format import ModelFile
from .framing import analyse, log_power, overlap_add, pad_to_frames, tail_samples
from .layers import Array, BlockState, ConvBlock, NormState, Weights, prelu, sigmoid
from .voiceprint_encoder import encode_voiceprint


@dataclass
class SeparatorState:
    """What a causal separator remembers: one state per use of a block (shared stacks use a block R times)."""

    norm: NormState = field(default_factory=NormState)
    blocks: list[BlockState] = field(default_factory=list)  # R*X


class ReferenceModel:
    """A model file that computes; see `runtime.model.RuntimeModel` for the interface."""

    name = "reference"

    def __init__(self, model_file: ModelFile) -> None:
        self.config: ModelConfig = model_file.config
        self._weights = Weights(model_file.tensors)
        if self.config.codec == "fourier":
            self._encoder = fourier_filters(self.config.window // 2, self.config.window)[:, None]
            self._decoder = np.float32(2 / self.config.overlap) * self._encoder
        else:
            self._encoder, self._decoder = self._weights["encoder.weight"], self._weights["decoder.weight"]

    def enroll(self, enrollment: Array) -> Array:
        """The voiceprint of a prepared enrollment. Shape: [T] -> [D].

        Raises:
            AudioError: an empty enrollment.
        """
        signal = one_channel(enrollment, "enrollment")
        if not len(signal):
            raise AudioError("the enrollment is empty: expected some seconds of the wanted voice.")
        return encode_voiceprint(self.config, self._weights, signal)

    def extract(self, mixture: Array, voiceprint: Array) -> tuple[Array, Array]:
        """The speaker of `voiceprint` in a whole clip. Shape: [T], [D] -> estimate [T], activity [F] in 0..1."""
        mixture, config = one_channel(mixture, "mixture"), self.config
        latent = self.encode(pad_to_frames(mixture, config.window, config.hop, config.edge))
        ahead = config.lookahead_frames  # the separator runs on past the end over silence
        mask, activity = self.separate(np.pad(latent, ((0, 0), (0, ahead))), checked_voiceprint(voiceprint, config))
        wave = self.decode(latent * mask[:, ahead:])
        return wave[config.edge : config.edge + len(mixture)], activity[ahead + config.early_frames :]

    def stream(self, voiceprint: Array) -> ReferenceStream:
        """A fresh stream.

        Raises:
            StreamError: the model is offline; it needs the whole clip.
        """
        if not self.config.causal:
            raise StreamError("this model is offline: it needs the whole recording. Use a causal model to stream.")
        return ReferenceStream(self, checked_voiceprint(voiceprint, self.config))

    def encode(self, padded: Array) -> Array:
        """Samples to the latent. Shape: [T] -> [N, F]."""
        return analyse(padded, self._encoder, self.config.hop)

    def decode(self, masked: Array) -> Array:
        """A masked latent to samples, unfinished at both edges. Shape: [N, F] -> [(F - 1) hop + L]."""
        return overlap_add(masked, self._decoder, self.config.hop)

    def initial_state(self) -> SeparatorState:
        """Silence before the first frame."""
        return SeparatorState(blocks=[BlockState() for _ in range(self.config.stacks * self.config.blocks)])

    def separate(self, latent: Array, voiceprint: Array, state: SeparatorState | None = None) -> tuple[Array, Array]:
        """Shape: latent [N, F], voiceprint [D] -> mask [N, F], activity [F]: its places' mean logit, in 0..1."""
        config, w = self.config, self._weights
        state = state if state is not None else self.initial_state()
        features = log_power(latent) if config.features == "log_power" else latent
        x = w.norm("separator.norm", config.causal, config.norm_keeps)(features, state.norm)
        x = w.conv("separator.bottleneck").pointwise(w.range("separator.bottleneck_input")(x))  # [C, F]
        skips = np.zeros_like(x)
        logits: list[Array] = []
        for use in range(config.stacks * config.blocks):
            stack, i = divmod(use, config.blocks)
            if i == 0:
                x = self._cue(x, voiceprint, stack, logits)
            block = ConvBlock(w, f"separator.blocks.{use % config.block_count}", 2**i, config.causal, config.norm_keeps)
            x, skip = block(x, state.blocks[use])
            skips += skip
        if config.mean_skip:
            skips /= np.float32(config.stacks * config.blocks)
        skips = prelu(self._cue(skips, voiceprint, config.stacks, logits), w["separator.output_slope.weight"])
        mask = sigmoid(w.conv("separator.mask").pointwise(w.range("separator.mask_input")(skips)))
        if not logits:
            return mask, np.ones(mask.shape[1], np.float32)
        return mask, sigmoid(np.mean(np.concatenate(logits), 0))

    def _cue(self, x: Array, voiceprint: Array, place: int, logits: list[Array]) -> Array:
        """x * W v, then x * sigmoid(activity), at one of the R + 1 places; the activity's logits join `logits`."""
        w = self._weights
        if self.config.cues != "activity":
            quantized = w.range("separator.voiceprint_input")(voiceprint[:, None])
            x = x * w.conv(f"separator.cue_projections.{place}").pointwise(quantized)
        if self.config.cues != "voiceprint":
            quantized = w.range(f"separator.activity_inputs.{place}")(x)
            logit = w.conv("separator.activity").pointwise(quantized)  # [1, F]
            logits.append(logit)
            x = x * sigmoid(logit)
        return x


class ReferenceStream:
    """A causal model fed with chunks of any size: together, what `feed` and `flush` return equals one pass."""

    def __init__(self, model: ReferenceModel, voiceprint: Array) -> None:
        self._model, self._voiceprint = model, voiceprint
        latency = model.config.latency_samples
        assert latency is not None
        self.latency_samples: int = latency
        self.step_samples = model.config.hop
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next chunk begins a recording."""
        config = self._model.config
        self.activity = 0.0
        self._separator = self._model.initial_state()
        self._samples = np.zeros(config.edge, np.float32)  # the front padding; then samples short of a whole frame
        self._latent = np.zeros((config.filters, 0), np.float32)  # at most lookahead_frames waiting for their mask
        self._overlap: Array | None = None  # [L - hop] unfinished output of the last frames
        self._fed = self._frames = 0
        self._given = -config.edge  # frames begin before the recording
        self._ended = False

    @property
    def state_bytes(self) -> int:
        """Bytes remembered between chunks."""
        pasts = [block.past for block in self._separator.blocks]
        arrays = [self._samples, self._latent, self._overlap, *pasts]
        return sum(array.nbytes for array in arrays if array is not None)

    def feed(self, chunk: Array) -> Array:
        """The samples of the estimate that `chunk` completes. Shape: [any] -> [any].

        Raises:
            StreamError: the stream was flushed.
        """
        if self._ended:
            raise StreamError("this stream has ended: it was flushed. Call reset() before feeding the next recording.")
        chunk = one_channel(chunk, "chunk")
        self._fed += len(chunk)
        return self._advance(chunk)

    def flush(self) -> Array:
        """The rest of the estimate once the mixture has ended; then only `reset` is possible. Shape: -> [any].

        Raises:
            StreamError: the stream was flushed before.
        """
        if self._ended:
            raise StreamError("this stream has ended: it was flushed before. Call reset() to begin again.")
        config, missing = self._model.config, self._fed - max(0, self._given)
        self._ended = True
        rest = [self._advance(np.zeros(tail_samples(self._fed, config.window, config.hop) + config.edge, np.float32))]
        if config.lookahead_frames:
            rest.append(self._masked(np.zeros((config.filters, config.lookahead_frames), np.float32)))
        return np.concatenate(rest)[:missing]

    def _advance(self, chunk: Array) -> Array:
        config = self._model.config
        samples = np.concatenate([self._samples, chunk])
        count = max(0, (len(samples) - config.window) // config.hop + 1)
        self._samples = samples[count * config.hop :].copy()
        if not count:
            return chunk[:0]
        return self._masked(self._model.encode(samples[: count * config.hop + config.edge]))

    def _masked(self, latent: Array) -> Array:
        """Samples of the frames that become ready: a mask belongs to the latent `lookahead_frames` before it."""
        ahead = self._model.config.lookahead_frames
        mask, activity = self._model.separate(latent, self._voiceprint, self._separator)
        waiting = np.concatenate([self._latent, latent], 1)
        ready = max(0, waiting.shape[1] - ahead)  # the first `ahead` masks belong to no frame
        early = max(0, min(mask.shape[1], ahead - self._frames))
        self._frames += mask.shape[1]
        self._latent = waiting[:, ready:].copy()
        if not ready:
            return latent[0, :0]
        self.activity = float(activity[-1])
        return self._finish(waiting[:, :ready] * mask[:, early:])

    def _finish(self, masked: Array) -> Array:
        """Overlap-add: of k frames, k * hop samples are whole; the rest waits for the next frames."""
        edge = self._model.config.edge
        wave = self._model.decode(masked)  # [k hop + edge]
        if self._overlap is not None:
            wave[:edge] += self._overlap
        self._overlap = wave[-edge:].copy()
        whole = wave[max(0, -self._given) : -edge]
        self._given += len(wave) - edge
        return whole


def checked_voiceprint(voiceprint: Array, config: ModelConfig) -> Array:
    """`voiceprint` as a model of that configuration takes it. Shape: [D] -> float32 [D].

    Raises:
        ConfigError: another number of dimensions, or values that are not finite.
    """
    vector = np.ascontiguousarray(voiceprint, np.float32)
    expected = (config.voiceprint.dimensions,)
    if vector.shape != expected or not np.isfinite(vector).all():
        raise ConfigError(
            f"voiceprint of shape {vector.shape}: this model expects {expected} finite numbers. "
            "Enroll again with the model that extracts."
        )
    return vector


def one_channel(signal: Array, what: str) -> Array:
    """`signal` as float32 [T].

    Raises:
        AudioError: more than one dimension.
    """
    signal = np.asarray(signal, np.float32)
    if signal.ndim != 1:
        raise AudioError(f"{what} of shape {signal.shape}: expected one channel of samples, [T].")
    return signal
