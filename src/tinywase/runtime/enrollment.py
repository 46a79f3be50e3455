"""From recordings of one speaker to a voiceprint, and what is to be said about their quality. Letters: T samples."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..activity import prepare_enrollment, trim_to_active, without_mean
from ..audio import AudioReader, Source, is_array, open_audio
from ..blocks import mono_at, part_blocks, time_range
from ..errors import AudioError
from ..progress import Progress, nobody
from .likeness import cosine, direction
from .mixdown import mono
from .model import PackedModel
from .presence import PresenceRule
from .voiceprint import Voiceprint

LISTENED_S = 600.0  # of one recording, so that memory stays bounded
USED_S = 60.0  # of its speech: more adds time, not knowledge
CLIPPED_LEVEL = 0.999  # of full scale

STRETCH_S = 1.5  # long enough to know a voice by, roughly
LEAST_SIDE_S, SIDE_SHARE, MOST_SIDE_S = 1.0, 0.2, 3.0  # of speech before and after a change of voices
SURE_S, DOUBT_PER_S = 2.0, 0.1  # how much less alike one voice's shorter sides are
SPLITS_S, LEAST_SPLITS = 0.5, 4  # how densely a change is looked for
SEARCHED_S = 200.0  # of speech that is listened to for it, all splits together, where it takes no fewer

LITTLE_SPEECH_S = 2.0
MUCH_CLIPPED = 0.001
LOW_LEVEL_DB = -45.0
HEARD_SHARE = 0.5  # of the progress; the rest is whether it is one voice
SAME_VOICE = 0.8  # cosine of two voiceprints: 9 of 10 pairs of one speaker reach it, 1 of 20 of two of one sex


@dataclass(frozen=True)
class _Sample:
    vector: np.ndarray
    speech: np.ndarray  # what the voiceprint is of. Shape: [T]
    active_s: float
    power: float  # of the speech, before it was scaled
    clipped: float
    left_out: bool


def enroll(
    model: PackedModel,
    audio: Sequence[Source],
    *,
    sample_rate_hz: int | None = None,
    start_s: float = 0.0,
    stop_s: float | None = None,
    progress: Progress | None = None,
) -> Voiceprint:
    """The mean of the recordings' voiceprints, weighted by their seconds of speech; see `Extractor.enroll`."""
    if not audio:
        raise AudioError("no enrollment was given, expected at least one recording of the speaker. Pass one.")
    start_s, stop_s = time_range(start_s, stop_s)
    told = progress or nobody
    samples: list[_Sample] = []
    for source in audio:
        rate_hz = sample_rate_hz if is_array(source) else None
        with open_audio(source, sample_rate_hz=rate_hz) as reader:
            samples.append(_read_sample(model, reader, start_s, stop_s))
        told(HEARD_SHARE * len(samples) / len(audio))
    voiceprint = _voiceprint(model, samples, lambda done: told(HEARD_SHARE + (1 - HEARD_SHARE) * done))
    told(1.0)
    return voiceprint


def enroll_heard(model: PackedModel, samples: np.ndarray) -> Voiceprint:
    """The voiceprint of one speaker's speech that is at the model's rate already. Shape: [T].

    Raises:
        AudioError: less than half a second of speech.
    """
    clipped = float(np.mean(np.abs(samples) >= CLIPPED_LEVEL)) if len(samples) else 0.0
    return _voiceprint(model, [_sample(model, samples, clipped)], nobody)


def _voiceprint(model: PackedModel, samples: Sequence[_Sample], progress: Progress) -> Voiceprint:
    weights = np.array([sample.active_s for sample in samples])
    power = float(np.average([sample.power for sample in samples], weights=weights))
    return Voiceprint(
        vector=np.average([sample.vector for sample in samples], axis=0, weights=weights).astype(np.float32),
        model=model.name,
        fingerprint=model.fingerprint,
        active_s=float(weights.sum()),
        level_db=float(10 * np.log10(power)),
        clipped=float(np.average([sample.clipped for sample in samples], weights=weights)),
        consistency=_consistency(model, [sample.speech for sample in samples], progress),
        left_out=any(sample.left_out for sample in samples),
    )


def _consistency(model: PackedModel, speeches: Sequence[np.ndarray], progress: Progress) -> float:
    """How alike the voices before and after any moment are: of one recording, or of several one after another."""
    if len(speeches) == 1:
        return steadiness(model, speeches[0], progress)
    stretch = STRETCH_S * model.config.sample_rate_hz
    parts = [part for speech in speeches for part in np.array_split(speech, max(1, int(len(speech) / stretch)))]
    directions = np.zeros((len(parts), len(model.common)), np.float32)
    for number, part in enumerate(parts):
        directions[number] = direction(model.enroll(part), model.common)
        progress((number + 1) / len(parts))
    before, nothing = np.cumsum(directions, 0)[:-1], np.zeros_like(model.common)
    return min(cosine(a, b, nothing) for a, b in zip(before, directions.sum(0) - before, strict=True))


def steadiness(model: PackedModel, prepared: np.ndarray, progress: Progress | None = None) -> float:
    """How alike the voices before and after any moment are, at the worst one: a cosine, 1 where there is too little.

    Voiceprints of all that comes before and after know a voice better than those of stretches do. One of less than
    SURE_S is uncertain, so that its cosine counts for more. Shape: [T]
    """
    length_s = len(prepared) / model.config.sample_rate_hz
    least_s = min(MOST_SIDE_S, max(LEAST_SIDE_S, SIDE_SHARE * length_s))
    if length_s < 2 * least_s:
        return 1.0
    count = min(1 + int((length_s - 2 * least_s) / SPLITS_S), max(LEAST_SPLITS, int(SEARCHED_S / length_s)))
    alike: list[float] = []
    for before_s in np.linspace(least_s, length_s - least_s, count):
        (progress or nobody)(len(alike) / count)
        sides = np.split(prepared, [round(before_s * model.config.sample_rate_hz)])
        doubt_s = sum(max(0.0, SURE_S - len(side) / model.config.sample_rate_hz) for side in sides)
        before, after = (model.enroll(side) for side in sides)
        alike.append(cosine(before, after, model.common) + DOUBT_PER_S * doubt_s)
    return min(1.0, *alike)


def quality_notes(voiceprint: Voiceprint, rule: PresenceRule) -> list[str]:
    """What could be better about the enrollment, in words; empty if nothing."""
    notes = []
    if round(voiceprint.active_s, 1) < LITTLE_SPEECH_S:
        notes.append(
            f"only {voiceprint.active_s:.1f} s of speech; {LITTLE_SPEECH_S:g} s and more tell voices apart better"
        )
    if voiceprint.clipped > MUCH_CLIPPED:
        notes.append(f"{voiceprint.clipped:.1%} of the samples are clipped; record at a lower level")
    if voiceprint.level_db < LOW_LEVEL_DB:
        notes.append(f"the speech is very quiet ({voiceprint.level_db:.0f} dB re full scale); record it closer")
    if voiceprint.consistency < rule.one_voice:
        notes.append("it sounds like more than one voice; enroll a part in which one person speaks alone")
    if voiceprint.left_out:
        notes.append(
            f"the first {USED_S:g} s of speech in the first {LISTENED_S / 60:g} min of a recording are used; the rest "
            "was left out"
        )
    return notes


def alike_notes(model: PackedModel, voiceprint: Voiceprint) -> list[str]:
    """Whether the others that a model was told of have rather the same voice, in words; empty if not."""
    if model.others is None or (alike := cosine(voiceprint.vector, model.others, model.common)) < SAME_VOICE:
        return []
    return [
        f"the wanted voice and the other one sound like one (cosine {alike:.2f}); enroll two people, or leave it out"
    ]


def refuse_same_recording(enrollments: Iterable[Path], *, as_mixture: Path | None, as_other: Iterable[Path]) -> None:
    """A recording of several voices does not say which is wanted, and one of the wanted voice is not somebody else's.

    Args:
        as_mixture: what the voice is to be extracted from.
        as_other: samples of somebody else.

    Raises:
        AudioError: the same sound serves as two of them.
    """
    others = list(as_other)
    for path in enrollments:
        if as_mixture is not None and _same_content(path, as_mixture):
            raise AudioError(
                f"'{path}' is both the recording and the sample of the voice, expected a sample in which that voice is "
                "alone. Name the part of the recording in which it is (--enroll-from 1:02-1:08; start_s and stop_s), "
                "or give another recording."
            )
        for other in others:
            if _same_content(path, other):
                raise AudioError(
                    f"'{other}' is the sample of the wanted voice and of somebody else, expected two people. Give a "
                    "recording of the other one, or leave it out."
                )


def _same_content(a: Path, b: Path) -> bool:
    """Two files that hold the same; what is missing, or no plain file, is somebody else's to explain."""
    return a.is_file() and b.is_file() and (a.samefile(b) or filecmp.cmp(a, b, shallow=False))


def _read_sample(model: PackedModel, reader: AudioReader, start_s: float, stop_s: float | None) -> _Sample:
    rate_hz = model.config.sample_rate_hz
    latest_s, end_s = start_s + LISTENED_S, reader.frames / reader.sample_rate_hz
    wanted_s = end_s if stop_s is None else min(stop_s, end_s)
    counted = _ClippingCounter(part_blocks(reader, start_s, latest_s if stop_s is None else min(stop_s, latest_s)))
    single = (mono(block)[:, None] for block in counted)
    samples = mono_at(single, from_hz=reader.sample_rate_hz, to_hz=rate_hz)
    try:
        sample = _sample(model, samples, counted.clipped / max(1, counted.total))
    except AudioError as error:
        raise AudioError(f"{reader.name}: {error}") from None
    return replace(sample, left_out=sample.left_out or wanted_s > latest_s)


def _sample(model: PackedModel, samples: np.ndarray, clipped: float) -> _Sample:
    rate_hz = model.config.sample_rate_hz
    speech = prepare_enrollment(samples, rate_hz)
    prepared = speech[: round(USED_S * rate_hz)]
    return _Sample(
        vector=model.enroll(prepared),
        speech=prepared,
        active_s=len(prepared) / rate_hz,
        power=_speech_power(samples, rate_hz),
        clipped=clipped,
        left_out=len(speech) > len(prepared),
    )


def _speech_power(samples: np.ndarray, rate_hz: int) -> float:
    """Mean power where somebody speaks. Shape: [T] -> scalar."""
    active = trim_to_active(without_mean(samples), rate_hz)
    return float(np.einsum("i,i->", active, active, dtype=np.float64)) / len(active)


class _ClippingCounter:
    """Blocks on their way, counted."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self._blocks = blocks
        self.clipped = self.total = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self._blocks:
            self.clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED_LEVEL))
            self.total += block.size
            yield block
