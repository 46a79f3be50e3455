"""Mixtures drawn on the fly: first a recipe is drawn (a few numbers, seeded), then it is rendered from a bank.

A recipe says who speaks, from where, how fast, how loud and through what; the same recipe always gives the same audio.
Letters: T samples of a segment, E samples of an enrollment, S segments of a batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..activity import ENROLLMENT_RMS, prepare_enrollment, scale_to_rms
from ..errors import AudioError, ConfigError
from . import augment
from .bank import SpeechBank
from .pitch import median_pitch_hz
from .shares import SpeakerDraw, check_shares, check_sources

VOICE_RMS = 0.05
PEAK = 0.99
TRIES = 20
PITCH_UTTERANCES = 5
NEAR_CANDIDATES = 8
OVERHEARD_DB = (-20.0, -5.0)
SHORT_S = (0.8, 2.0)
CHANCES = (
    "from_start",
    "near",
    "single",
    "absent",
    "nobody",
    "third",
    "pause",
    "equalizer",
    "band",
    "room",
    "noise",
    "recorded",
    "overheard",
    "enrollment_room",
    "enrollment_noise",
    "enrollment_short",
)


@dataclass(frozen=True)
class MixConfig:
    """What is drawn, and how often."""

    segment_s: float = 3.0
    enrollment_s: float = 3.0
    gain_db: float = 2.5  # +g to one voice and -g to the other, g uniform in [-gain_db, gain_db]
    from_start: float = 0.5  # chance that a segment begins where its utterance begins, so that there is an onset
    speeds: tuple[float, ...] = (0.82, 0.9, 1.0, 1.1, 1.22)  # each makes new voices of all speakers
    near: float = 0.0  # chance that the other voice is chosen to be about as high as the target's: the hard case
    single: float = 0.0  # chance of a lone target
    absent: float = 0.0  # chance of an enrollment of somebody else
    nobody: float = 0.0  # chance that of an absent target's mixture the noise alone is left
    third: float = 0.0  # chance of a third voice
    pause: float = 0.0  # chance that a voice falls silent for a part of the segment
    equalizer: float = 0.3  # chances of an augmentation, per voice
    band: float = 0.0
    room: float = 0.0
    noise: float = 0.0  # chance per mixture
    noise_snr_db: tuple[float, float] = (5.0, 25.0)
    recorded: float = 0.5  # chance that a noise is a recording, where there are any; else it is made
    shares: dict[str, float] = field(default_factory=dict)  # source -> share of the voices; the others share the rest
    overheard: float = 0.0  # chance that an enrollment has the mixture's other voice in it, quieter, with other words
    enrollment_room: float = 0.0  # chance that an enrollment was recorded in a room of its own
    enrollment_noise: float = 0.0  # chance that it has noise in it, by noise_snr_db
    enrollment_short: float = 0.0  # chance that a part of it is all there is, SHORT_S long and repeated

    def __post_init__(self) -> None:
        if self.segment_s < 0.1 or self.enrollment_s < 0.5:
            raise ConfigError(
                f"mix.segment_s = {self.segment_s}, mix.enrollment_s = {self.enrollment_s}: "
                "expected at least 0.1 and 0.5."
            )
        for name in CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"mix.{name} = {getattr(self, name)}: expected a chance between 0 and 1.")
        check_shares(self.shares)
        if not self.speeds or min(self.speeds) < 0.5 or max(self.speeds) > 2:
            raise ConfigError(f"mix.speeds = {self.speeds}: expected factors between 0.5 and 2.")


@dataclass(frozen=True)
class VoiceRecipe:
    """One voice of a mixture: what it says there, and what it is enrolled with."""

    speaker: str
    speed: float
    utterance: int
    position: float  # 0..1 of the room between the first and the last possible start
    enrollment: int | None  # utterance; None for a voice that is never a target
    enrollment_position: float
    gain_db: float
    pause: tuple[float, float] | None  # silent part of the segment, 0..1
    seed: int  # of its augmentations


@dataclass(frozen=True)
class MixRecipe:
    """Everything that decides a mixture."""

    voices: tuple[VoiceRecipe, ...]  # the first is the target
    absent: bool  # the target is enrolled but does not speak
    noise_snr_db: float | None
    t60_s: float | None
    seed: int


@dataclass(frozen=True)
class Batch:
    """Rendered segments, ready to become tensors."""

    mixture: np.ndarray  # float32 [S, T]
    target: np.ndarray  # float32 [S, T], zeros where the target is absent
    interference: np.ndarray  # float32 [S, T], everything else
    enrollment: np.ndarray  # float32 [S, E]
    clean_enrollment: np.ndarray  # float32 [S, E], the same words without room, noise and others
    speaker: np.ndarray  # int64 [S], class of the enrolled voice: a speaker at a speed


Row = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]  # of a batch: all but the interference


@dataclass
class Mixer:
    """Draws and renders mixtures from a bank."""

    bank: SpeechBank
    config: MixConfig = field(default_factory=MixConfig)
    noise: SpeechBank | None = None  # recordings of noise

    def __post_init__(self) -> None:
        if len(self.bank.target_speakers) < 2:
            raise ConfigError(
                f"the bank has {len(self.bank.target_speakers)} speakers with two recordings or more, "
                "expected at least 2: one recording to extract and another to enroll, and somebody else to mix with."
            )
        check_sources(self.config.shares, self.bank)
        self._targets = SpeakerDraw.build(self.bank, self.bank.target_speakers, self.config.shares)
        self._others = SpeakerDraw.build(self.bank, tuple(self.bank.by_speaker), self.config.shares)
        self._drawable = set(self._others.drawable)
        self._check_company()
        self._pitch_hz = self._measured_pitch() if self.config.near else {}
        self._class_of = {speaker: index for index, speaker in enumerate(self.bank.target_speakers)}

    def _check_company(self) -> None:
        """Refuse shares by which there is nobody to mix some target with.

        Raises:
            ConfigError: only one speaker is ever drawn.
        """
        if len(self._drawable) < 2:
            raise ConfigError(
                f"mix.shares = {self.config.shares}: by them only {', '.join(self._drawable)} would be drawn, expected "
                "two speakers or more. Give another source a share too."
            )

    def _measured_pitch(self) -> dict[str, float]:
        """How high every speaker is, by some of their recordings."""

        def measured(own: tuple[int, ...]) -> float:
            audio = np.concatenate([self.bank.audio(index) for index in own[:PITCH_UTTERANCES]])
            return median_pitch_hz(audio, self.bank.sample_rate_hz)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(self.bank.by_speaker, pool.map(measured, self.bank.by_speaker.values()), strict=True))

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the speaker classifier's classes: every speaker at every speed is one."""
        return tuple(f"{speaker} x{speed:g}" for speaker in self.bank.target_speakers for speed in self.config.speeds)

    def speaker_class(self, voice: VoiceRecipe) -> int:
        return self._class_of[voice.speaker] * len(self.config.speeds) + self.config.speeds.index(voice.speed)

    # Drawing

    def draw(self, rng: np.random.Generator) -> MixRecipe:
        """A recipe; equal generators give equal recipes."""
        config = self.config
        target = self._targets.draw(rng)
        single = rng.random() < config.single
        count = 1 if single else 3 if rng.random() < config.third else 2
        gain_db = rng.uniform(-config.gain_db, config.gain_db)
        absent = not single and rng.random() < config.absent
        if absent:  # as many strangers, or one less
            count += int(rng.integers(2))
        nobody = bool(absent and config.nobody and rng.random() < config.nobody)
        if nobody:
            count = 1
        count = min(count, len(self._drawable | {target}))
        voices = [self._draw_voice(rng, target, self._draw_speed(rng), gain_db, enroll=True)]
        while len(voices) < count:
            speaker, speed = self._draw_other(rng, voices[0])
            if all(speaker != voice.speaker for voice in voices):
                enroll = len(voices) == 1 and speaker in self._class_of
                voices.append(self._draw_voice(rng, speaker, speed, -gain_db, enroll=enroll))
        return MixRecipe(
            voices=tuple(voices),
            absent=absent,
            noise_snr_db=rng.uniform(*config.noise_snr_db) if nobody or rng.random() < config.noise else None,
            t60_s=augment.draw_room(rng)[0] if rng.random() < config.room else None,
            seed=int(rng.integers(2**32)),
        )

    def _draw_speed(self, rng: np.random.Generator) -> float:
        return self.config.speeds[rng.integers(len(self.config.speeds))]

    def _draw_other(self, rng: np.random.Generator, target: VoiceRecipe) -> tuple[str, float]:
        """Speaker and speed of a voice beside the target's: any, or the nearest in pitch of a few."""
        near = self.config.near and rng.random() < self.config.near
        drawn = [(self._others.draw(rng), self._draw_speed(rng)) for _ in range(NEAR_CANDIDATES if near else 1)]
        if not near:
            return drawn[0]
        wanted_hz = self._pitch_hz[target.speaker] * target.speed
        others = [voice for voice in drawn if voice[0] != target.speaker] or drawn
        return min(others, key=lambda voice: abs(np.log(self._pitch_hz[voice[0]] * voice[1] / wanted_hz)))

    def _draw_voice(
        self, rng: np.random.Generator, speaker: str, speed: float, gain_db: float, *, enroll: bool
    ) -> VoiceRecipe:
        own = self.bank.by_speaker[speaker]
        first = int(rng.integers(len(own)))
        other = (first + 1 + int(rng.integers(len(own) - 1))) % len(own) if enroll else None
        start, length = rng.random(), rng.uniform(0.1, 0.5)
        return VoiceRecipe(
            speaker=speaker,
            speed=speed,
            utterance=own[first],
            position=0.0 if rng.random() < self.config.from_start else rng.random(),
            enrollment=None if other is None else own[other],
            enrollment_position=rng.random(),
            gain_db=gain_db,
            pause=(start * (1 - length), start * (1 - length) + length) if rng.random() < self.config.pause else None,
            seed=int(rng.integers(2**32)),
        )

    # Rendering

    def render(self, recipe: MixRecipe) -> tuple[np.ndarray, np.ndarray]:
        """The voices as they arrive, and the mixture with its noise. Shape: -> [voices, T], [T].

        An absent target is not among the sounds: its row is zeros.
        """
        rng = np.random.default_rng(recipe.seed)
        voices = np.stack([self._voice(voice, recipe.t60_s) for voice in recipe.voices])
        if recipe.absent:
            voices[0] = 0.0
        mixture = voices.sum(0)
        if recipe.noise_snr_db is not None:
            noise = self._noise(len(mixture), rng)
            mixture = mixture + noise * np.float32(VOICE_RMS * 10 ** (-recipe.noise_snr_db / 20))
        gain = np.float32(min(1.0, PEAK / max(1e-9, float(np.abs(mixture).max()))))
        return voices * gain, mixture * gain

    def _noise(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Recorded or made, at RMS 1. Shape: -> [count]."""
        if self.noise is not None and rng.random() < self.config.recorded:
            index = int(rng.integers(len(self.noise.utterances)))
            first = int(rng.integers(max(1, self.noise.utterances[index].length - count)))
            part = self.noise.audio(index, first, count)
            if part.any():  # it may be silent here
                return scale_to_rms(np.resize(part, count), 1.0)  # a short one is repeated
        return augment.coloured_noise(count, self.bank.sample_rate_hz, rng)

    def _voice(self, voice: VoiceRecipe, t60_s: float | None) -> np.ndarray:
        config, rate_hz = self.config, self.bank.sample_rate_hz
        wanted = round(config.segment_s * rate_hz)
        audio = self._crop(voice.utterance, voice.position, voice.speed, wanted)
        rng = np.random.default_rng(voice.seed)
        audio = self._coloured(audio, rng)
        if t60_s is not None:
            distance_m = augment.draw_room(rng)[1]
            audio = augment.reverberate(audio, augment.room_response(t60_s, distance_m, rate_hz, rng))
        audio = scale_to_rms(audio - audio.mean(), VOICE_RMS * 10 ** (voice.gain_db / 20))
        if voice.pause is not None:
            first, last = (round(edge * len(audio)) for edge in voice.pause)
            audio[first:last] = 0.0
        return np.pad(audio, (0, wanted - len(audio)))

    def _crop(self, utterance: int, position: float, speed: float, wanted: int) -> np.ndarray:
        """At most `wanted` samples of an utterance at a speed."""
        source = round(wanted * speed)
        room = max(0, self.bank.utterances[utterance].length - source)
        audio = self.bank.audio(utterance, round(position * room), source)
        return augment.change_speed(audio, speed, self.bank.sample_rate_hz)[:wanted]

    def _coloured(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Equalizer and band limit, each by its chance."""
        if rng.random() < self.config.equalizer:
            audio = augment.equalize(audio, self.bank.sample_rate_hz, rng)
        if rng.random() < self.config.band:
            audio = augment.limit_band(audio, self.bank.sample_rate_hz, rng)
        return audio

    def enrollment(self, voice: VoiceRecipe) -> np.ndarray:
        """What a voice is enrolled with, clean: another recording, prepared as in use, cut or repeated to E samples."""
        assert voice.enrollment is not None
        config, rate_hz = self.config, self.bank.sample_rate_hz
        rng = np.random.default_rng((voice.seed, 1))
        audio = self.bank.audio(voice.enrollment)
        audio = prepare_enrollment(augment.change_speed(audio, voice.speed, rate_hz), rate_hz)
        wanted = round(config.enrollment_s * rate_hz)
        if len(audio) < wanted:
            audio = np.tile(audio, -(-wanted // len(audio)))
        first = round(voice.enrollment_position * (len(audio) - wanted))
        return scale_to_rms(self._coloured(audio[first : first + wanted], rng), ENROLLMENT_RMS)

    # Batches

    def batch(self, segments: int, rng: np.random.Generator) -> Batch:
        """S segments, in pairs that share a mixture where both its voices can be enrolled: each is the target once."""
        rows: list[Row] = []
        failures = 0
        while len(rows) < segments:
            recipe = self.draw(rng)
            try:
                rows += self._segments(recipe)
            except AudioError:  # an enrollment without half a second of speech: draw another
                failures += 1
                if failures > TRIES * segments:
                    raise
        rows = rows[:segments]
        mixture, target, enrollment, clean = (np.stack([row[i] for row in rows]).astype(np.float32) for i in range(4))
        speaker = np.array([row[-1] for row in rows], np.int64)
        return Batch(mixture, target, mixture - target, enrollment, clean, speaker)

    def _segments(self, recipe: MixRecipe) -> list[Row]:
        voices, mixture = self.render(recipe)
        enrolled = {i: voice for i, voice in enumerate(recipe.voices) if voice.enrollment is not None}
        clean = {i: self.enrollment(voice) for i, voice in enrolled.items()}
        return [
            (
                mixture,
                voices[i],
                self._recorded(voice, clean[i], [audio for j, audio in clean.items() if j != i]),
                clean[i],
                self.speaker_class(voice),
            )
            for i, voice in enrolled.items()
            if i == 0 or not recipe.absent
        ]

    def _recorded(self, voice: VoiceRecipe, clean: np.ndarray, others: Sequence[np.ndarray] = ()) -> np.ndarray:
        """What is recorded of a clean enrollment: another voice, a room, noise, or a part, each by its chance.

        Shape: [E], others [E] each -> [E].
        """
        config, rate_hz = self.config, self.bank.sample_rate_hz
        rng = np.random.default_rng((voice.seed, 2))
        audio = clean
        if others and rng.random() < config.overheard:
            gain = np.float32(10 ** (rng.uniform(*OVERHEARD_DB) / 20))
            audio = audio + gain * others[int(rng.integers(len(others)))]
        if rng.random() < config.enrollment_room:
            audio = augment.reverberate(audio, augment.room_response(*augment.draw_room(rng), rate_hz, rng))
        if rng.random() < config.enrollment_noise:
            snr_db = rng.uniform(*config.noise_snr_db)
            audio = scale_to_rms(audio, 1.0) + np.float32(10 ** (-snr_db / 20)) * self._noise(len(audio), rng)
        if rng.random() < config.enrollment_short:
            length = round(min(rng.uniform(*SHORT_S) * rate_hz, len(audio)))
            first = int(rng.integers(len(audio) - length + 1))
            audio = np.resize(audio[first : first + length], len(audio))
        return audio if audio is clean else scale_to_rms(audio, ENROLLMENT_RMS)

    def enrollments(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Enrollments alone: as recorded, clean, and their classes for the speaker classifier.

        Shape: -> [count, E], [count, E], int64 [count].
        """
        recorded: list[np.ndarray] = []
        clean: list[np.ndarray] = []
        classes: list[int] = []
        for _ in range(TRIES * count):
            speaker = self._targets.draw(rng)
            voice = self._draw_voice(rng, speaker, self._draw_speed(rng), 0.0, enroll=True)
            try:
                clean.append(self.enrollment(voice))
            except AudioError:
                continue
            recorded.append(self._recorded(voice, clean[-1]))
            classes.append(self.speaker_class(voice))
            if len(clean) == count:
                return np.stack(recorded), np.stack(clean), np.array(classes, np.int64)
        found = f"{len(clean)} of {count} found"
        raise AudioError(f"the bank has too few enrollments with half a second of speech: {found}.")
