"""What happens to a voice on its way to a microphone: equalizer, room, band limit, noise. [T] float32 in and out.

Every function takes its randomness from a passed generator and keeps the length.
"""

from __future__ import annotations

import numpy as np
import soxr


def change_speed(samples: np.ndarray, speed: float, sample_rate_hz: int) -> np.ndarray:
    """Played `speed` times faster, pitch and formants included: another voice. Shape: [T] -> [T / speed]."""
    if speed == 1.0:
        return samples
    return soxr.resample(samples, sample_rate_hz * speed, sample_rate_hz).astype(np.float32)


def _filtered(samples: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Zero-phase filter by a gain per frequency bin of the padded spectrum."""
    size = 2 * (len(gain) - 1)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: len(samples)].astype(np.float32)


def _spectrum_hz(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    size = 1 << int(np.ceil(np.log2(max(2, len(samples) + sample_rate_hz // 20))))
    return np.fft.rfftfreq(size, 1 / sample_rate_hz)


def equalize(
    samples: np.ndarray, sample_rate_hz: int, rng: np.random.Generator, *, range_db: float = 6.0
) -> np.ndarray:
    """A smooth random response: gains within +-range_db at octave points, interpolated over log frequency."""
    frequency_hz = _spectrum_hz(samples, sample_rate_hz)
    points_hz = np.geomspace(60, sample_rate_hz / 2, 7)
    gains_db = rng.uniform(-range_db, range_db, len(points_hz))
    response_db = np.interp(np.log(np.maximum(frequency_hz, 1.0)), np.log(points_hz), gains_db)
    return _filtered(samples, 10 ** (response_db / 20))


def limit_band(samples: np.ndarray, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A telephone or a cheap microphone: nothing below 50..300 Hz, nothing above 2.5..3.8 kHz, edges of octave/4."""
    frequency_hz = np.maximum(_spectrum_hz(samples, sample_rate_hz), 1.0)
    low_hz, high_hz = rng.uniform(50, 300), rng.uniform(2500, 3800)
    octaves_inside = np.minimum(np.log2(frequency_hz / low_hz), np.log2(high_hz / frequency_hz))
    return _filtered(samples, np.clip(0.5 + octaves_inside * 4, 0.0, 1.0))


def draw_room(rng: np.random.Generator) -> tuple[float, float]:
    """(reverberation time T60 in s, early distance in m) of a room; both voices of a mixture share the T60."""
    return float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.4, 2.5))


def room_response(t60_s: float, distance_m: float, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A simulated room: direct sound, then exponentially decaying noise that grows with the distance. Shape: -> [T]."""
    length = max(1, int(t60_s * sample_rate_hz))
    seconds = np.arange(length) / sample_rate_hz
    tail = rng.standard_normal(length) * np.exp(-6.9 * seconds / t60_s)
    tail[: int(0.002 * sample_rate_hz)] = 0.0
    critical_m = 0.057 * np.sqrt(60.0 / t60_s)  # Sabine, a room of 60 m^3: where direct and reverberant sound are equal
    tail *= (distance_m / critical_m) / max(1e-9, float(np.sqrt(np.sum(tail**2))))
    tail[0] = 1.0
    return tail.astype(np.float32)


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The samples in a room, direct sound in place. Shape: [T], [R] -> [T]."""
    size = 1 << int(np.ceil(np.log2(len(samples) + len(response))))
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def coloured_noise(count: int, sample_rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """Steady noise of random slope, slowly modulated, at RMS 1. Shape: -> [count]."""
    white = rng.standard_normal(count)
    frequency_hz = _spectrum_hz(white, sample_rate_hz)
    noise = _filtered(white.astype(np.float32), np.maximum(frequency_hz, 30.0) ** -rng.uniform(0.0, 1.0))
    envelope_db = np.interp(np.arange(count), np.linspace(0, count, 6), rng.uniform(-4, 4, 6))
    noise = noise * 10 ** (envelope_db / 20)
    return (noise / max(1e-9, float(np.sqrt(np.mean(noise**2))))).astype(np.float32)
