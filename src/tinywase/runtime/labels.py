"""Who speaks when: activity per frame -> segments -> RTTM (`.rttm`) or Audacity label track (`.txt`)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import OutputError
from ..files import write_text

THRESHOLD = 0.5
SHORTEST_GAP_S = 0.2  # shorter pauses do not end a segment
SHORTEST_SEGMENT_S = 0.1
LABEL_SUFFIXES = (".rttm", ".txt")


@dataclass(frozen=True)
class Segment:
    """A stretch in which the target speaks."""

    start_s: float
    stop_s: float


def segments(
    activity: np.ndarray, hop_s: float, *, threshold: float = THRESHOLD, length_s: float = math.inf
) -> list[Segment]:
    """Stretches of activity at or above the threshold: short pauses bridged, short stretches dropped. Shape: [F].

    Args:
        length_s: of the recording, which the last frame may reach beyond.
    """
    padded = np.concatenate([[False], np.asarray(activity) >= threshold, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    joined: list[list[float]] = []
    for first, last in edges.reshape(-1, 2):
        start_s, stop_s = float(first) * hop_s, min(float(last) * hop_s, length_s)
        if joined and start_s - joined[-1][1] < SHORTEST_GAP_S - 1e-9:
            joined[-1][1] = stop_s
        else:
            joined.append([start_s, stop_s])
    return [Segment(start, stop) for start, stop in joined if stop - start >= SHORTEST_SEGMENT_S - 1e-9]


def labels_text(speech: Sequence[Segment], kind: str, *, recording: str, speaker: str) -> str:
    """The segments as RTTM lines (`.rttm`) or Audacity labels (`.txt`)."""
    if kind == ".rttm":
        recording, speaker = _one_word(recording), _one_word(speaker)
        return "".join(
            f"SPEAKER {recording} 1 {s.start_s:.3f} {s.stop_s - s.start_s:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
            for s in speech
        )
    return "".join(f"{s.start_s:.6f}\t{s.stop_s:.6f}\t{speaker}\n" for s in speech)


def check_labels_path(path: Path) -> None:
    """Raise unless the suffix names a kind of labels.

    Raises:
        OutputError: it does not.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise OutputError(f"'{path}': labels are .rttm (RTTM) or .txt (Audacity). Give it one of these suffixes.")


def write_labels(path: Path, speech: Sequence[Segment], *, recording: str, speaker: str, force: bool = False) -> None:
    """Write the segments; the suffix of `path` names the kind."""
    check_labels_path(path)
    text = labels_text(speech, path.suffix.lower(), recording=recording, speaker=speaker)
    write_text(path, text, force=force)


def _one_word(name: str) -> str:
    """RTTM separates its fields by spaces."""
    return re.sub(r"\s+", "_", name.strip()) or "unknown"
