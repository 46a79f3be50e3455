"""Films of a tone, in every container that can be written here, for tests of what is read by PyAV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FILMS = {  # what there is of FFmpeg's containers: its name, what is in it, the suffix that people know it by
    "m4a": ("mp4", "aac"),
    "m4b": ("mp4", "aac"),
    "mov": ("mov", "aac"),
    "3gp": ("3gp", "aac"),
    "mka": ("matroska", "aac"),
    "mts": ("mpegts", "aac"),
    "m2ts": ("mpegts", "ac3"),
    "mpg": ("mpeg", "mp2"),
    "avi": ("avi", "ac3"),
    "flv": ("flv", "aac"),
    "aac": ("adts", "aac"),
    "ac3": ("ac3", "ac3"),
    "wv": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
}


def film(path: Path, kind: str, levels: tuple[float, ...] = (0.3,), seconds: float = 1.0) -> None:
    """A tone at `path` in a container of FILMS, on a sound track for every level."""
    av = pytest.importorskip("av", reason="PyAV (extra `media`) is not installed")
    container_name, codec = FILMS[kind]
    tone = np.sin(2 * np.pi * 440 * np.arange(round(44100 * seconds)) / 44100).astype(np.float32)
    options = {"mpegts_m2ts_mode": "1"} if kind == "m2ts" else {}
    with av.open(str(path), "w", format=container_name, options=options) as container:
        for stream, level in [(container.add_stream(codec, rate=44100, layout="mono"), level) for level in levels]:
            frame = av.AudioFrame.from_ndarray(level * tone[None], format="fltp", layout="mono")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
