"""Write the sample that `tinywase demo` extracts from: two synthetic speakers at once, made by data/synthetic.py.

`python docs/demo_sample.py` writes src/tinywase/assets/demo/{mixture,target,enrollment}.flac, the same every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tinywase.data.synthetic import draw_voice, synthesize

FOLDER = Path(__file__).resolve().parent.parent / "src" / "tinywase" / "assets" / "demo"
RATE_HZ = 16_000
TARGET_VOICE, OTHER_VOICE = 4, 11
MIXTURE_S, ENROLLMENT_S = 8.0, 5.0
TARGET_S = (1.0, 7.0)  # the target is silent before and after, so that its activity can be seen
OTHER_S = (0.0, 8.0)


def placed(voice: int, span_s: tuple[float, float], seed: int) -> np.ndarray:
    """An utterance within the mixture's time. Shape: [T]."""
    samples = np.zeros(round(MIXTURE_S * RATE_HZ), np.float32)
    start, stop = (round(second * RATE_HZ) for second in span_s)
    utterance = synthesize(draw_voice(voice), span_s[1] - span_s[0], np.random.default_rng(seed), RATE_HZ)
    samples[start:stop] = utterance[: stop - start]
    return samples


def main() -> None:
    """Write the three files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = placed(TARGET_VOICE, TARGET_S, seed=1)
    signals = {
        "mixture": target + placed(OTHER_VOICE, OTHER_S, seed=2),
        "target": target,
        "enrollment": synthesize(draw_voice(TARGET_VOICE), ENROLLMENT_S, np.random.default_rng(3), RATE_HZ),
    }
    for name, samples in signals.items():
        soundfile.write(FOLDER / f"{name}.flac", samples, RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
