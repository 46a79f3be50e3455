"""Synthetic speakers: a source-filter synthesizer in numpy, for demos, tests and augmentation.

A voice is a handful of numbers (pitch, length of the vocal tract, breath, tilt, rate, ...); an utterance is a random
sequence of syllables whose formants glide from sound to sound. It babbles: no words, but pitch, formants, breath, noise
and pauses as in speech, and as clearly different from voice to voice. The same seed gives the same samples.

Source: glottal pulses (Rosenberg) with jitter, shimmer and intonation, plus breath. Filter: five resonators per frame
of 5 ms, applied as the frame's frequency response (overlap-add): one FFT instead of a recursion in Python.
Letters: T samples, F frames, K frequency bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phones import CONSONANTS, VOWELS, Phone

SYNTHESIS_RATE_HZ = 16_000
HOP = 80  # samples between frames: 5 ms
WINDOW = 320
FFT = 768  # window plus 28 ms, in which the narrowest resonator decays by 46 dB
FORMANTS = 5
FIXED_HZ = np.array(
    [5500.0, 6500.0, 7500.0]
)  # resonances above the formants, which only keep the spectrum from falling
FIXED_BANDWIDTH_HZ = 500.0
BANDWIDTHS_HZ = np.array([60.0, 80.0, 110.0, 160.0, 220.0])
GLIDE_FRAMES = 9  # 45 ms: how long a formant takes from sound to sound
RMS = 0.05


@dataclass(frozen=True)
class Voice:
    """What tells one synthetic speaker from another."""

    name: str
    seed: int
    pitch_hz: float
    melody_semitones: float  # how lively the intonation is
    tract: float  # factor on all formants: 1 is the average man, 1.17 woman, 1.3 child
    formant_habits: tuple[float, ...]  # this speaker's own factor on each formant
    breath: float  # noise in the voiced source
    tilt_db: float  # of the source, per octave above 500 Hz
    open_quotient: float  # part of the cycle in which the glottis is open
    jitter: float  # relative irregularity of the cycles
    syllables_per_s: float
    pauses: float  # chance of one after a syllable


def draw_voice(seed: int, name: str | None = None) -> Voice:
    """The voice that belongs to a seed: half of them low, half of them high."""
    rng = np.random.default_rng([seed, 7])
    high = bool(seed % 2)
    pitch_hz = rng.uniform(165, 265) if high else rng.uniform(80, 150)
    tract = rng.uniform(1.08, 1.28) if high else rng.uniform(0.88, 1.06)
    return Voice(
        name=name or f"voice{seed:04d}",
        seed=seed,
        pitch_hz=float(pitch_hz),
        melody_semitones=float(rng.uniform(1.0, 3.5)),
        tract=float(tract),
        formant_habits=tuple(float(factor) for factor in rng.uniform(0.93, 1.07, FORMANTS)),
        breath=float(rng.uniform(0.02, 0.2)),
        tilt_db=float(rng.uniform(-4.0, 1.0)),
        open_quotient=float(rng.uniform(0.45, 0.75)),
        jitter=float(rng.uniform(0.003, 0.02)),
        syllables_per_s=float(rng.uniform(3.2, 5.8)),
        pauses=float(rng.uniform(0.05, 0.16)),
    )


def synthesize(
    voice: Voice, seconds: float, rng: np.random.Generator, sample_rate_hz: int = SYNTHESIS_RATE_HZ
) -> np.ndarray:
    """An utterance of `voice`, RMS 0.05.

    Shape: float32 [seconds * sample_rate_hz].
    """
    frames = -(-round(seconds * SYNTHESIS_RATE_HZ) // HOP) + 1
    plan = _plan(voice, frames, rng)
    length = frames * HOP
    voiced = _spectra(_glottal_source(voice, plan, length, rng), frames)
    noise = _spectra(rng.standard_normal(length, dtype=np.float32), frames)
    voiced *= plan.tract_response
    noise *= plan.noise_response
    audio = _overlap_add(voiced + noise)[: round(seconds * SYNTHESIS_RATE_HZ)]
    if sample_rate_hz != SYNTHESIS_RATE_HZ:
        import soxr

        audio = soxr.resample(audio, SYNTHESIS_RATE_HZ, sample_rate_hz, "HQ")
    audio = audio - audio.mean()
    return (audio * (RMS / np.sqrt(np.mean(audio**2)))).astype(np.float32)


@dataclass(frozen=True)
class SourceFilterSpeaker:
    """A voice that can be asked to say something, as the other engines' speakers can."""

    voice: Voice

    @property
    def name(self) -> str:
        return self.voice.name

    def say(self, seconds: float, rng: np.random.Generator, sample_rate_hz: int) -> np.ndarray:
        """An utterance; see `synthesize`."""
        return synthesize(self.voice, seconds, rng, sample_rate_hz)


@dataclass(frozen=True)
class _Plan:
    """What the vocal tract does, frame by frame."""

    pitch_hz: np.ndarray  # [F]
    voicing: np.ndarray  # [F] amplitude of the glottal source
    tract_response: np.ndarray  # complex [F, K]: formants, tilt, lips
    noise_response: np.ndarray  # complex [F, K]: friction and aspiration with their amplitudes


def _plan(voice: Voice, frames: int, rng: np.random.Generator) -> _Plan:
    phones, durations = _syllables(voice, frames, rng)
    index = np.repeat(np.arange(len(phones)), durations)[:frames]

    def track(field: str, glide: int = GLIDE_FRAMES) -> np.ndarray:
        values = np.array([getattr(phone, field) for phone in phones], np.float64)[index]
        return _smooth(values, glide)

    habits = np.array(voice.formant_habits) * voice.tract
    formants_hz = track("formants_hz") * habits * (1 + 0.01 * _smooth(rng.standard_normal((frames, FORMANTS)), 41))
    loudness = _smooth(rng.uniform(0.6, 1.0, len(phones))[index], 21)
    voicing = track("voicing", 5) * loudness
    tract = _resonances(formants_hz) * _fixed_response(voice)
    friction = _band(track("noise_hz", 5) * voice.tract**0.5, track("noise_width", 5))
    noise = track("friction", 3)[:, None] * friction
    noise = noise + (track("aspiration", 5) + voice.breath * voicing)[:, None] * 0.12 * tract
    pitch_hz = voice.pitch_hz * 2 ** (_melody(voice, frames, index, phones, rng) / 12)
    return _Plan(pitch_hz, voicing, tract, noise.astype(np.complex64))


def _syllables(voice: Voice, frames: int, rng: np.random.Generator) -> tuple[list[Phone], list[int]]:
    """Consonant, vowel and sometimes a final consonant, again and again, with pauses; durations in frames."""
    phones, durations = [SILENCE], [int(rng.integers(5, 30))]
    scale = 1000 / voice.syllables_per_s / 230.0  # the average syllable of the tables lasts 230 ms
    while sum(durations) < frames:
        parts = [CONSONANTS[rng.integers(len(CONSONANTS))], VOWELS[rng.integers(len(VOWELS))]]
        if rng.random() < 0.25:
            parts.append(CONSONANTS[rng.integers(len(CONSONANTS))])
        for first, ms in (stage for sound in parts for stage in sound):
            phones.append(first)
            durations.append(max(2, round(ms * scale * rng.uniform(0.75, 1.3) / 5)))
        if rng.random() < voice.pauses:
            phones.append(SILENCE)
            durations.append(int(rng.integers(20, 90)))
    return phones, durations


def _melody(voice: Voice, frames: int, index: np.ndarray, phones: list[Phone], rng: np.random.Generator) -> np.ndarray:
    """Semitones around the voice's pitch: declination over each phrase, accents, drift. Shape: [F]."""
    silent = np.array([phone is SILENCE for phone in phones])[index]
    at = np.arange(frames)
    starts = np.where(np.r_[True, silent[:-1]] & ~silent, at, 0)  # frame in which each phrase begins
    since_s = (at - np.maximum.accumulate(starts)) * HOP / SYNTHESIS_RATE_HZ
    declination = 1.0 - 0.8 * since_s
    accents = _smooth(rng.standard_normal(len(phones))[index], 61)
    return voice.melody_semitones * (0.5 * np.clip(declination, -1.2, 1.0) + accents)


def _glottal_source(voice: Voice, plan: _Plan, length: int, rng: np.random.Generator) -> np.ndarray:
    """Derivative of Rosenberg's pulse, a cycle at a time. Shape: [T]."""
    at = np.arange(length)
    pitch_hz = np.interp(at, np.arange(len(plan.pitch_hz)) * HOP, plan.pitch_hz)
    phase = np.cumsum(pitch_hz) / SYNTHESIS_RATE_HZ
    cycles = int(phase[-1]) + 2
    # jitter moves the borders of the cycles, shimmer changes their strength
    borders = np.arange(cycles + 1) + np.cumsum(voice.jitter * rng.standard_normal(cycles + 1)) * 0.5
    cycle = np.clip(np.searchsorted(borders, phase, "right") - 1, 0, cycles - 1)
    within = np.clip((phase - borders[cycle]) / np.maximum(borders[cycle + 1] - borders[cycle], 0.3), 0, 1)
    rise, fall = voice.open_quotient * 0.7, voice.open_quotient * 0.3
    opening = np.sin(np.pi * within / rise) / rise
    closing = -np.sin(np.pi * 0.5 * (within - rise) / fall) / fall
    flow = np.where(within < rise, 0.5 * opening, np.where(within < rise + fall, closing, 0.0))
    strength = 1 + 4 * voice.jitter * rng.standard_normal(cycles)
    amplitude = np.interp(at, np.arange(len(plan.voicing)) * HOP, plan.voicing)
    return flow * strength[cycle] * amplitude


def _resonances(formants_hz: np.ndarray) -> np.ndarray:
    """Response of the resonators in series, each 1 at 0 Hz. Shape: [F, 5] -> complex64 [F, K]."""
    denominator = np.ones((len(formants_hz), FFT // 2 + 1), np.complex64)
    for i in range(FORMANTS):
        denominator *= _inverse_resonance(formants_hz[:, i], BANDWIDTHS_HZ[i])
    return 1 / denominator


def _inverse_resonance(frequency_hz: np.ndarray, bandwidth_hz: float) -> np.ndarray:
    """Denominator of a two-pole resonator, divided by its value at 0 Hz. Shape: [F] -> complex64 [F, K]."""
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(FFT)).astype(np.complex64)
    radius = np.exp(-np.pi * bandwidth_hz / SYNTHESIS_RATE_HZ)
    angle = 2 * np.pi * np.minimum(frequency_hz / SYNTHESIS_RATE_HZ, 0.49)
    first = (-2 * radius * np.cos(angle))[:, None]
    gain = 1 / (1 + first + radius**2)
    # three outer products, because the delays are the same in every frame
    flat = gain.astype(np.float32) * np.ones_like(delay) + (gain * first).astype(np.float32) * delay
    return flat + (gain * radius**2).astype(np.float32) * delay**2


def _fixed_response(voice: Voice) -> np.ndarray:
    """What does not change in time: upper resonances, and the voice's slope above 500 Hz. Shape: complex64 [K]."""
    upper = np.prod([_inverse_resonance(hz * np.ones(1), FIXED_BANDWIDTH_HZ)[0] for hz in FIXED_HZ], axis=0)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(FFT, 1 / SYNTHESIS_RATE_HZ), 500.0) / 500.0)
    return (10 ** (voice.tilt_db * octaves / 20) / upper).astype(np.complex64)


def _band(center_hz: np.ndarray, width_octaves: np.ndarray) -> np.ndarray:
    """A bell over log frequency for friction noise. Shape: [F], [F] -> [F, K]."""
    octave = np.log2(np.maximum(np.fft.rfftfreq(FFT, 1 / SYNTHESIS_RATE_HZ), 20.0)).astype(np.float32)
    away = (octave - np.log2(center_hz)[:, None].astype(np.float32)) / width_octaves[:, None].astype(np.float32)
    return np.exp(-0.5 * away**2)


def _spectra(signal: np.ndarray, frames: int) -> np.ndarray:
    """Spectra of windowed frames that add up to the signal. Shape: [T] -> complex64 [F, K]."""
    padded = np.concatenate([np.zeros(WINDOW // 2), signal, np.zeros(WINDOW)]).astype(np.float32)
    cut = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    window = (np.hanning(WINDOW + 1)[:WINDOW] * (2 * HOP / WINDOW)).astype(np.float32)
    return np.fft.rfft(cut * window, FFT)


def _overlap_add(spectra: np.ndarray) -> np.ndarray:
    """The signal whose frames have these spectra. Shape: complex64 [F, K] -> [F * HOP]."""
    frames = len(spectra)
    pieces = np.zeros((frames, -(-FFT // HOP) * HOP), np.float32)
    pieces[:, :FFT] = np.fft.irfft(spectra, FFT)
    out = np.zeros((frames + pieces.shape[1] // HOP) * HOP)
    for start in range(0, pieces.shape[1], HOP):  # the same part of all frames at once
        out[start : start + frames * HOP] += pieces[:, start : start + HOP].ravel()
    return out[WINDOW // 2 : WINDOW // 2 + frames * HOP]


def _smooth(values: np.ndarray, frames: int) -> np.ndarray:
    """A raised-cosine average along the first axis: sounds glide into one another."""
    kernel = np.hanning(frames + 2)[1:-1]
    kernel = kernel / kernel.sum()
    padded = np.concatenate([np.repeat(values[:1], frames // 2, 0), values, np.repeat(values[-1:], frames // 2, 0)])
    if values.ndim == 1:
        return np.convolve(padded, kernel, "valid")
    return np.stack([np.convolve(column, kernel, "valid") for column in padded.T], axis=1)


SILENCE = Phone()
