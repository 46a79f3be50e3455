"""A long conversation made of a list's recordings: speakers take turns, pause, and now and then cut in.

Between the turns of the target there is digital silence in its own track, so that what leaks there can be measured.
Letters: T samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..activity import scale_to_rms
from ..data.rendering import SPEECH_RMS, render_trial
from ..data.trials import RenderedTrial, Trial
from ..errors import DataError

CUTS_IN = 0.25  # chance that a turn begins before the other ends
OVERLAP_S = (0.3, 2.0)
PAUSE_S = (0.2, 3.0)


def render_dialogue(
    trials: Sequence[Trial], position: int, *, rate_hz: int, seed: int, seconds: float
) -> RenderedTrial:
    """`seconds` of dialogue between the two speakers of the trial at `position`; it asks for the trial's target.

    Their other recordings in the list join in, and all of them return as often as needed; the enrollment does not.

    Raises:
        DataError: the list does not name the two speakers.
    """
    trial, rng = trials[position], np.random.default_rng([seed, position])
    if not trial.target_speaker or not trial.interference_speaker:
        raise DataError(
            f"trial {trial.mixture_id}: expected a list that names both speakers, for a dialogue of theirs."
        )
    own = render_trial(trial, rate_hz)
    assert own.interference is not None  # a list that names the speaker names the recording
    recordings = [_recordings(trials, who, rate_hz, apart_from=trial) for who in _speakers(trial)]
    said = [[own.target, *recordings[0]], [own.interference, *recordings[1]]]
    tracks = take_turns(said, round(seconds * rate_hz), rate_hz, rng)
    return RenderedTrial(tracks.sum(0), tracks[0], tracks[1], own.enrollment, rate_hz)


def take_turns(said: Sequence[Sequence[np.ndarray]], length: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """A conversation of those who said this, every recording at one level. Shape: [T] each -> [speakers, length]."""
    turns = [_endless(recordings, rng) for recordings in said]
    tracks = np.zeros((len(said), length), np.float32)
    at, speaker = 0, int(rng.integers(len(said)))
    while at < tracks.shape[1]:
        turn = next(turns[speaker])[: tracks.shape[1] - at]
        tracks[speaker, at : at + len(turn)] = turn
        at += len(turn)
        if rng.random() < CUTS_IN:
            at -= min(round(rng.uniform(*OVERLAP_S) * rate_hz), len(turn) // 2)
        else:
            at += round(rng.uniform(*PAUSE_S) * rate_hz)
        others = [other for other in range(len(said)) if other != speaker]
        if others:
            speaker = others[0] if len(others) == 1 else int(rng.choice(others))
    return tracks


def _speakers(trial: Trial) -> tuple[str, str]:
    return trial.target_speaker, trial.interference_speaker


def _recordings(trials: Sequence[Trial], speaker: str, rate_hz: int, *, apart_from: Trial) -> list[np.ndarray]:
    """What `speaker` says as the target of other trials, every recording once."""
    found = {trial.target: trial for trial in trials if trial.target_speaker == speaker}
    return [render_trial(found[path], rate_hz).target for path in found if path not in apart_from.recordings]


def _endless(recordings: Sequence[np.ndarray], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All recordings at one level in a drawn order, then all in another, and so on."""
    while True:
        for index in rng.permutation(len(recordings)):
            yield scale_to_rms(recordings[index], SPEECH_RMS)
