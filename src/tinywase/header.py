"""The configuration as the fixed numbers of a model file's header (the bytes from 32 on, see format.py).

Fixed numbers, so that a reader in C++ needs no JSON; limits, so that no file makes a reader allocate or work for long.
"""

from __future__ import annotations

from typing import Any

from .config import CODECS, CUES, FEATURES, FILTERBANKS, VOICEPRINT_KINDS, ModelConfig, VoiceprintConfig
from .errors import FormatError

CONFIG_LAYOUT = "8I 4B I 8I d 64s 3B s I B 71s"
SIZES = ("sample_rate_hz", "filters", "window", "bottleneck", "hidden", "kernel", "blocks", "stacks")
VOICEPRINT_SIZES = ("dimensions", "filters", "window", "hop", "hidden", "layers", "bottleneck")
LIMITS = {  # far above any sensible model
    "sample_rate_hz": 768_000,
    "filters": 1 << 16,
    "window": 1 << 16,
    "bottleneck": 1 << 16,
    "hidden": 1 << 16,
    "kernel": 255,
    "blocks": 16,
    "stacks": 64,
    "lookahead_frames": 1 << 16,
    "norm_memory_frames": 1 << 24,
    "dimensions": 1 << 16,
    "hop": 1 << 16,
    "layers": 16,
}
FARTHEST_FRAMES = 1 << 20  # of the last block's taps
LONGEST_LOOKAHEAD_SAMPLES = 1 << 24
MOST_FIXED_VALUES = 1 << 22  # of filters that no tensor holds, and that a small file could make large
# Memory is bounded by no tensor either. `paper` at 8 kHz takes 800 thousand values of each.
MOST_STREAM_VALUES = 1 << 26
MOST_VALUES_PER_SECOND = 1 << 24
LANE = 32  # channels in memory are padded to a multiple of this
ROW_GROUP = 4  # rows that a block remembers besides those its kernel reaches over


def config_fields(config: ModelConfig) -> tuple[Any, ...]:
    """The header's fields of a configuration.

    Raises:
        FormatError: a size beyond the limits, or a name that does not fit.
    """
    name, voiceprint = config.name.encode(), config.voiceprint
    if not 1 <= len(name) <= 63 or b"\0" in name:
        raise FormatError(f"configuration name {config.name!r}: a model file takes 1 to 63 bytes.")
    _check_limits(config)
    return (
        *(getattr(config, size) for size in SIZES),
        *(config.distinct_stacks, config.causal, config.mean_skip, CUES.index(config.cues)),
        config.lookahead_frames,
        VOICEPRINT_KINDS.index(voiceprint.kind),
        *(getattr(voiceprint, size) for size in VOICEPRINT_SIZES),
        voiceprint.dropout,
        name,
        FEATURES.index(config.features),
        CODECS.index(config.codec),
        0 if config.overlap == 2 else config.overlap,
        b"",
        config.norm_memory_frames,
        FILTERBANKS.index(voiceprint.filterbank),
        b"",
    )


def config_from_fields(fields: tuple[Any, ...]) -> ModelConfig:
    """The configuration that the header's fields describe.

    Raises:
        FormatError: a flag, choice, size, name or reserved byte that no writer writes.
        ConfigError: sizes that make no network.
    """
    sizes, (distinct, causal, mean_skip, cues), lookahead, kind = fields[:8], fields[8:12], fields[12], fields[13]
    voiceprint_sizes, rest = fields[14:21], fields[21:]
    dropout, raw_name, features, codec, overlap, gap, norm_memory, filterbank, reserved = rest
    for label, value, top in (
        ("distinct_stacks", distinct, sizes[SIZES.index("stacks")]),
        ("causal", causal, 1),
        ("mean_skip", mean_skip, 1),
        ("cues", cues, len(CUES) - 1),
        ("voiceprint.kind", kind, len(VOICEPRINT_KINDS) - 1),
        ("features", features, len(FEATURES) - 1),
        ("codec", codec, len(CODECS) - 1),
        ("voiceprint.filterbank", filterbank, len(FILTERBANKS) - 1),
    ):
        if value > top:
            raise FormatError(f"{label} = {value}: expected 0 to {top}.")
    if overlap == 2:
        raise FormatError("overlap = 2: a file says 0 for the usual one.")
    if any(gap + reserved) or not 0 <= dropout <= 1:
        raise FormatError(f"dropout = {dropout} or a reserved byte is not 0: expected a dropout of 0 to 1 and zeros.")
    voiceprint = VoiceprintConfig(
        kind=VOICEPRINT_KINDS[kind],
        filterbank=FILTERBANKS[filterbank],
        dropout=dropout,
        **dict(zip(VOICEPRINT_SIZES, voiceprint_sizes, strict=True)),
    )
    config = ModelConfig(
        name=_name(raw_name),
        cues=CUES[cues],
        features=FEATURES[features],
        codec=CODECS[codec],
        overlap=overlap or 2,
        lookahead_frames=lookahead,
        norm_memory_frames=norm_memory,
        voiceprint=voiceprint,
        distinct_stacks=distinct,
        causal=bool(causal),
        mean_skip=bool(mean_skip),
        **dict(zip(SIZES, sizes, strict=True)),
    )
    _check_limits(config)
    return config


def stream_values(config: ModelConfig) -> int:
    """What a stream of this network remembers between frames: rows of hidden channels, in every block that runs."""
    reach = (config.kernel - 1) * ((1 << config.blocks) - 1)  # of a stack's blocks, dilation 2^i
    return config.stacks * (reach + config.blocks * ROW_GROUP) * _padded(config.hidden)


def mixture_values(config: ModelConfig) -> int:
    """What a second of a mixture takes in memory."""
    per_frame = _padded(config.hidden) + 2 * _padded(config.bottleneck)
    return per_frame * config.sample_rate_hz // config.hop


def enrollment_values(config: ModelConfig) -> int:
    """What a second of an enrollment takes in memory, whatever the kind of encoder."""
    v = config.voiceprint
    per_frame = 2 * _padded(v.filters) + 2 * _padded(v.bottleneck) + 8 * _padded(v.hidden)
    return per_frame * config.sample_rate_hz // v.hop


def _padded(channels: int) -> int:
    return -(-channels // LANE) * LANE


def _name(raw: bytes) -> str:
    name = raw.rstrip(b"\0")
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or b"\0" in name or len(name) > 63:
        raise FormatError(f"the configuration's name {name!r} is not 1 to 63 bytes of UTF-8.")
    return text


def _check_limits(config: ModelConfig) -> None:
    for part, label in ((config, ""), (config.voiceprint, "voiceprint.")):
        for name, top in LIMITS.items():
            value = getattr(part, name, 0)
            if value > top:
                raise FormatError(f"{label}{name} = {value}: a model file takes at most {top}.")
    voiceprint = config.voiceprint
    for label, fixed, filters, window in (
        ("", config.codec == "fourier", config.filters, config.window),
        ("voiceprint.", voiceprint.filterbank == "mel", voiceprint.filters, voiceprint.window),
    ):
        if fixed and filters * window > MOST_FIXED_VALUES:
            raise FormatError(
                f"{label}filters = {filters} of {label}window = {window} samples: a model file takes at most "
                f"{MOST_FIXED_VALUES} values of fixed filters."
            )
    reach, ahead = (config.kernel - 1) << (config.blocks - 1), config.lookahead_frames * config.hop
    if reach > FARTHEST_FRAMES:
        raise FormatError(
            f"a kernel of {config.kernel} in {config.blocks} blocks reaches over {reach} frames: a model file takes at "
            f"most {FARTHEST_FRAMES}."
        )
    if ahead > LONGEST_LOOKAHEAD_SAMPLES:
        raise FormatError(
            f"lookahead_frames = {config.lookahead_frames} are {ahead} samples: a model file takes at most "
            f"{LONGEST_LOOKAHEAD_SAMPLES}."
        )
    for sizes, what, values, most in (
        (
            f"hidden = {config.hidden}, kernel = {config.kernel}, blocks = {config.blocks}, stacks = {config.stacks}",
            "a stream remembers",
            stream_values(config),
            MOST_STREAM_VALUES,
        ),
        (
            f"hidden = {config.hidden}, bottleneck = {config.bottleneck}, window = {config.window}",
            "a second of a mixture takes",
            mixture_values(config),
            MOST_VALUES_PER_SECOND,
        ),
        (
            f"voiceprint.filters = {voiceprint.filters}, voiceprint.hidden = {voiceprint.hidden}",
            "a second of an enrollment takes",
            enrollment_values(config),
            MOST_VALUES_PER_SECOND,
        ),
    ):
        if values > most:
            raise FormatError(f"{sizes}: {what} {values} values in memory, expected at most {most}.")
