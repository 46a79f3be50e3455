"""When somebody speaks: onset/offset labels from clean speech, and the one way an enrollment is prepared.

Rule: a frame of 32 ms is active if its level is within 20 dB of the loudest frame. Letters: T samples.
"""

from __future__ import annotations

import numpy as np

from .errors import AudioError

FRAME_S = 0.032
ACTIVE_BELOW_PEAK_DB = 20.0
ENROLLMENT_RMS = 0.05
SHORTEST_ENROLLMENT_S = 0.5  # of active speech
ROUNDING = 1e-6  # of float32, next to an offset
LONGEST_PAUSE_S = 0.3  # that still counts as speaking


def frame_levels(samples: np.ndarray, frame_samples: int) -> np.ndarray:
    """Mean power of consecutive frames, the last one zero-padded. Shape: [T] -> [ceil(T / frame)]."""
    count = -(-len(samples) // frame_samples)
    padded = np.zeros(count * frame_samples, np.float32)
    padded[: len(samples)] = samples
    frames = padded.reshape(count, frame_samples)
    return np.einsum("ij,ij->i", frames, frames) / frame_samples


def active_frames(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Which frames of FRAME_S are within 20 dB of the loudest; none in silence. Shape: [T] -> bool [frames]."""
    power = frame_levels(samples, round(FRAME_S * sample_rate_hz))
    loudest = power.max(initial=0.0)
    return (power > loudest * 10 ** (-ACTIVE_BELOW_PEAK_DB / 10)) & (power > 0)


def activity_label(
    target: np.ndarray, sample_rate_hz: int, hop: int, frames: int, *, longest_pause_s: float = LONGEST_PAUSE_S
) -> np.ndarray:
    """1 while the clean target speaks, pauses up to `longest_pause_s` included, else 0.

    The paper's label goes from the first to the last active sample: `longest_pause_s=math.inf`. Frame f of a network is
    centred on sample f * hop. Shape: [T] -> float32 [frames].
    """
    label = np.zeros(frames, np.float32)
    active = np.flatnonzero(active_frames(target, sample_rate_hz))
    if len(active):
        longest = longest_pause_s / FRAME_S
        for run in np.split(active, np.flatnonzero(np.diff(active) - 1 > longest) + 1):
            first, last = (edge * round(FRAME_S * sample_rate_hz) for edge in (run[0], run[-1] + 1))
            label[-(-first // hop) : -(-last // hop)] = 1.0
    return label


def trim_to_active(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Only the active frames, joined. Shape: [T] -> [T' <= T]."""
    frame_samples = round(FRAME_S * sample_rate_hz)
    keep = np.repeat(active_frames(samples, sample_rate_hz), frame_samples)[: len(samples)]
    return samples[keep]


def scale_to_rms(samples: np.ndarray, rms: float) -> np.ndarray:
    """The same sound at a level of `rms`; silence stays silence."""
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    return samples * np.float32(rms / level) if level > 0 else samples


def without_mean(samples: np.ndarray) -> np.ndarray:
    """No offset; what rounding leaves of one alone is silence. Shape: float32 [T] -> [T]."""
    if not len(samples):
        return samples
    around = samples - np.float32(samples.mean(dtype=np.float64))
    return around * np.float32(np.abs(around).max() > np.abs(samples).max() * ROUNDING)


def prepare_enrollment(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """What the voiceprint encoder hears: mean removed, pauses cut out, RMS 0.05. Shape: float32 [T] -> [T' <= T].

    Raises:
        AudioError: less than half a second of speech in it.
    """
    samples = np.asarray(samples, np.float32)
    active = trim_to_active(without_mean(samples), sample_rate_hz)
    if len(active) < SHORTEST_ENROLLMENT_S * sample_rate_hz:
        raise AudioError(
            f"enrollment holds {len(active) / sample_rate_hz:.2f} s of speech (frames within "
            f"{ACTIVE_BELOW_PEAK_DB:.0f} dB of the loudest), expected at least {SHORTEST_ENROLLMENT_S} s. "
            "Record a few seconds of the speaker alone."
        )
    return scale_to_rms(active, ENROLLMENT_RMS)
