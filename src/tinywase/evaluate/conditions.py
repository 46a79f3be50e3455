"""Harder versions of ordinary trials: more voices, noise, rooms, nobody there, poor enrollments, long dialogues.

Every condition takes a trial of a list and makes a `RenderedTrial` from it and from the list's other trials; nothing
else is needed. What is drawn depends on the seed, the condition and the trial's position alone. Rendered levels:
noise is relative to the target, a third voice and a louder interference likewise; rooms change only where the voices
are, not how loud they are, and the target to compare with is the one in the room. Letters: T samples.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..activity import prepare_enrollment, scale_to_rms
from ..data import augment
from ..data.rendering import PEAK_LIMIT, render_trial
from ..data.trials import RenderedTrial, Trial
from ..errors import DataError

THIRD_GAIN_DB = 2.5  # a third voice lies within this of the target's level, as the second does in training
ROOM_DISTANCE_M = (0.4, 2.5)


@dataclass(frozen=True)
class Scene:
    """A trial on its way into a condition, and where else voices come from."""

    trials: Sequence[Trial]
    position: int
    audio: RenderedTrial
    rng: np.random.Generator

    @property
    def trial(self) -> Trial:
        return self.trials[self.position]

    @property
    def interference(self) -> np.ndarray:
        """Everything but the target, noise included where the list does not name the speakers. Shape: [T]."""
        audio = self.audio
        return audio.mixture - audio.target if audio.interference is None else audio.interference

    def stranger(self) -> RenderedTrial:
        """A drawn trial whose target does not speak in this one.

        Raises:
            DataError: the list does not tell who speaks, or everybody speaks here.
        """
        here = {self.trial.target_speaker, *self.trial.interference_speaker.split("+")}
        others = [trial for trial in self.trials if trial.target_speaker and trial.target_speaker not in here]
        if "" in here or not others:
            raise DataError(
                f"trial {self.trial.mixture_id}: nobody is known to be absent from it; expected a list that names the "
                "speakers, with at least three: add the columns target_speaker, interference_speaker, or leave out the "
                "conditions that need a stranger."
            )
        return render_trial(others[self.rng.integers(len(others))], self.audio.sample_rate_hz)


@dataclass(frozen=True)
class Condition:
    """A name for the command line, a title for tables, and how a trial gets there."""

    name: str
    title: str
    make: Callable[[Scene], RenderedTrial]


def render_condition(
    condition: Condition, trials: Sequence[Trial], position: int, *, rate_hz: int, seed: int
) -> RenderedTrial:
    """The trial at `position` under a condition; the same arguments give the same samples."""
    rng = np.random.default_rng([seed, position, zlib.crc32(condition.name.encode())])
    made = condition.make(Scene(trials, position, render_trial(trials[position], rate_hz), rng))
    scale = min(1.0, PEAK_LIMIT / max(1e-9, float(np.abs(made.mixture).max())))
    return made if scale == 1.0 else _louder(made, scale)


def rms(samples: np.ndarray) -> float:
    """Root of the mean square. Shape: [T] -> scalar."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def in_noise(
    samples: np.ndarray, voice: np.ndarray, *, snr_db: float, rate_hz: int, rng: np.random.Generator
) -> np.ndarray:
    """The samples and steady noise of a random slope, so far below a voice in them. Shape: [T], [any] -> [T]."""
    level = np.float32(rms(voice) * 10 ** (-snr_db / 20))
    return samples + level * augment.coloured_noise(len(samples), rate_hz, rng)


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut, or zeros after its end. Shape: [any] -> [length]."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _as_it_is(scene: Scene) -> RenderedTrial:
    return scene.audio


def _three_speakers(scene: Scene) -> RenderedTrial:
    audio = scene.audio
    third = fitted(scene.stranger().target, len(audio.target))
    gain_db = scene.rng.uniform(-THIRD_GAIN_DB, THIRD_GAIN_DB)
    third = scale_to_rms(third, rms(audio.target) * 10 ** (gain_db / 20))
    return dataclasses.replace(audio, mixture=audio.mixture + third, interference=scene.interference + third)


def _noise(scene: Scene, *, snr_db: float) -> RenderedTrial:
    audio = scene.audio
    mixture = in_noise(audio.mixture, audio.target, snr_db=snr_db, rate_hz=audio.sample_rate_hz, rng=scene.rng)
    return dataclasses.replace(audio, mixture=mixture, interference=scene.interference)


def _room(scene: Scene) -> RenderedTrial:
    """Both voices in one room at distances of their own, heard by one microphone."""
    audio, rate_hz = scene.audio, scene.audio.sample_rate_hz
    t60_s, _ = augment.draw_room(scene.rng)
    voices = []
    for voice in (audio.target, scene.interference):
        response = augment.room_response(t60_s, scene.rng.uniform(*ROOM_DISTANCE_M), rate_hz, scene.rng)
        voices.append(scale_to_rms(augment.reverberate(voice, response), rms(voice)))
    return dataclasses.replace(audio, mixture=voices[0] + voices[1], target=voices[0], interference=voices[1])


def _enrolled_in_room(scene: Scene) -> RenderedTrial:
    """The sample of the voice was recorded in a room, the mixture was not."""
    rate_hz = scene.audio.sample_rate_hz
    t60_s, _ = augment.draw_room(scene.rng)
    response = augment.room_response(t60_s, scene.rng.uniform(*ROOM_DISTANCE_M), rate_hz, scene.rng)
    return dataclasses.replace(scene.audio, enrollment=augment.reverberate(scene.audio.enrollment, response))


def _enrolled_in_noise(scene: Scene, *, snr_db: float) -> RenderedTrial:
    clean, rate_hz = scene.audio.enrollment, scene.audio.sample_rate_hz
    enrollment = in_noise(clean, clean, snr_db=snr_db, rate_hz=rate_hz, rng=scene.rng)
    return dataclasses.replace(scene.audio, enrollment=enrollment)


def _louder_interference(scene: Scene, *, ratio_db: float) -> RenderedTrial:
    audio = scene.audio
    interference = scale_to_rms(scene.interference, rms(audio.target) * 10 ** (ratio_db / 20))
    return dataclasses.replace(audio, mixture=audio.target + interference, interference=interference)


def _lone_target(scene: Scene) -> RenderedTrial:
    target = scene.audio.target
    return dataclasses.replace(scene.audio, mixture=target, interference=np.zeros_like(target))


def _absent(scene: Scene) -> RenderedTrial:
    """The enrolled voice belongs to nobody in the mixture."""
    mixture = scene.audio.mixture
    enrollment = scene.stranger().enrollment
    return RenderedTrial(mixture, np.zeros_like(mixture), mixture, enrollment, scene.audio.sample_rate_hz)


def _absent_lone(scene: Scene) -> RenderedTrial:
    """One voice alone, and it is not the enrolled one."""
    enrollment, voice = scene.stranger().enrollment, scene.audio.target
    return RenderedTrial(voice, np.zeros_like(voice), voice, enrollment, scene.audio.sample_rate_hz)


def _enrollment(scene: Scene, *, seconds: float) -> RenderedTrial:
    """So many seconds of speech, joined from the speaker's other enrollments where one has fewer, if there are any."""
    audio, trial, rate_hz = scene.audio, scene.trial, scene.audio.sample_rate_hz
    wanted = round(seconds * rate_hz)
    speech = prepare_enrollment(audio.enrollment, rate_hz)
    here = set(trial.recordings)
    for other in scene.trials:
        if len(speech) >= wanted:
            break
        if trial.target_speaker and other.target_speaker == trial.target_speaker and other.enrollment not in here:
            here.add(other.enrollment)
            speech = np.concatenate([speech, prepare_enrollment(render_trial(other, rate_hz).enrollment, rate_hz)])
    return dataclasses.replace(audio, enrollment=speech[:wanted])


def _louder(audio: RenderedTrial, scale: float) -> RenderedTrial:
    interference = None if audio.interference is None else audio.interference * np.float32(scale)
    return dataclasses.replace(
        audio,
        mixture=audio.mixture * np.float32(scale),
        target=audio.target * np.float32(scale),
        interference=interference,
    )


CONDITIONS = (
    Condition("clean", "as the list says", _as_it_is),
    Condition("three_speakers", "a third voice", _three_speakers),
    *(Condition(f"noise_{snr}db", f"noise {snr} dB below the target", partial(_noise, snr_db=snr))
      for snr in (20, 10, 5, 0)),
    Condition("room", "a room, T60 0.1 to 0.5 s", _room),
    Condition("enrolled_room", "enrolled in a room", _enrolled_in_room),
    Condition("enrolled_noise", "enrolled in noise 10 dB below", partial(_enrolled_in_noise, snr_db=10.0)),
    Condition("interference_10db", "interference 10 dB louder", partial(_louder_interference, ratio_db=10.0)),
    Condition("enrollment_2s", "2 s of enrollment", partial(_enrollment, seconds=2.0)),
    Condition("enrollment_10s", "10 s of enrollment", partial(_enrollment, seconds=10.0)),
    Condition("lone_target", "the target alone", _lone_target),
    Condition("absent", "the target absent, two others", _absent),
    Condition("absent_lone", "the target absent, one other", _absent_lone),
)  # fmt: skip
