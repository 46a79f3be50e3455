"""What the voiceprints of all voices have in common, so that cosines of every model mean about the same (likeness.py).

Thresholds on cosines, such as that from which on two stretches are one voice's, were chosen where strangers are 0.2
alike on average; of what a model's voiceprints have in common, as much is taken off as it takes. Letters: N trials, D
voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..data.rendering import render_trial
from ..data.trials import Trial
from ..runtime.extractor import Extractor
from ..runtime.likeness import direction

STRANGERS = 0.2  # mean cosine of voiceprints of two speakers
HALVINGS = 20
DECIMALS = 4


def gather_common(extractor: Extractor, trials: Sequence[Trial]) -> list[float]:
    """What `common_part` finds in the trials' enrollments; trials without a name of their target are of one each."""
    rate_hz, vectors = extractor.sample_rate_hz, []
    for trial in trials:
        enrollment = render_trial(trial, rate_hz).enrollment
        vectors.append(extractor.enroll(enrollment, sample_rate_hz=rate_hz).vector)
    names = [trial.target_speaker or f"trial {number}" for number, trial in enumerate(trials)]
    return common_part(np.stack(vectors), names)


def common_part(vectors: np.ndarray, speakers: Sequence[str]) -> list[float]:
    """As much of the mean direction as has to be taken off until strangers are STRANGERS alike; zeros where they are
    less alike anyway. Shape: [N, D], names [N] -> [D].
    """
    nothing = np.zeros(vectors.shape[1], np.float32)
    directions = np.stack([direction(vector, nothing) for vector in vectors])
    of_speaker = {name: [row for row, speaker in enumerate(speakers) if speaker == name] for name in speakers}
    mean = np.stack([directions[rows].mean(0) for rows in of_speaker.values()]).mean(0)
    strangers = np.array([[a != b for b in speakers] for a in speakers])

    def alike(share: float) -> float:
        own = np.stack([direction(vector, share * mean) for vector in vectors])
        return float((own @ own.T)[strangers].mean()) if strangers.any() else 0.0

    low, high = 0.0, 1.0
    if alike(low) > STRANGERS:
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if alike(middle) > STRANGERS else (low, middle)
    return [round(float(value), DECIMALS) for value in low * mean]
