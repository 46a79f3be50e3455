"""Utterances out of single words: corpora of words and commands become recordings long enough to extract and to enroll.

    python tools/join_words.py speech_commands joined/speech_commands --seconds 5

Every word is cut to where somebody speaks, all words of a speaker come to one level and are joined in a random order
(the same for the same seed and speaker) with short pauses. Recordings of `--seconds` and longer are kept as they are.
Speakers of whom there is too little for two utterances are left out.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinywase.activity import FRAME_S, active_frames, scale_to_rms
from tinywase.audio import open_audio
from tinywase.audio_writer import output_format, write_recording
from tinywase.blocks import mono_at
from tinywase.data.utterances import by_speaker, read_utterances

RMS = 0.05
PEAK = 0.99
PAUSE_S = (0.03, 0.2)
FADE_S = 0.008
SHORTEST_S = 1.5  # of an utterance


def spoken_part(audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """From the first to the last active frame and one more on either side, without clicks. Shape: [T] -> [T' <= T]."""
    active = np.flatnonzero(active_frames(audio, rate_hz))
    if not len(active):
        return audio[:0]
    frame = round(FRAME_S * rate_hz)
    part = audio[max(0, (active[0] - 1) * frame) : (active[-1] + 2) * frame].copy()
    fade = min(round(FADE_S * rate_hz), len(part) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    part[:fade] *= ramp
    part[len(part) - fade :] *= ramp[::-1]
    return part


def joined(words: list[np.ndarray], seconds: float, rate_hz: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Utterances of about equal length, at least two, each of at most about `seconds`."""
    total_s = sum(map(len, words)) / rate_hz
    count = max(2, round(total_s / seconds))
    if total_s < count * SHORTEST_S or len(words) < count:
        return
    order = rng.permutation(len(words))
    for part in np.array_split(order, count):
        pieces: list[np.ndarray] = []
        for index in part:
            pieces += [words[index], np.zeros(round(rng.uniform(*PAUSE_S) * rate_hz), np.float32)]
        yield np.concatenate(pieces[:-1])


def main() -> None:
    """Join one corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a folder <speaker>/*.wav or a manifest")
    parser.add_argument("folder", type=Path, help="where <speaker>/<number>.wav goes")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rate_hz, kept, seconds = options.rate, 0, 0.0
    for speaker, utterances in by_speaker(read_utterances(options.source)).items():
        rng = np.random.default_rng((options.seed, zlib.crc32(speaker.encode())))
        words: list[np.ndarray] = []
        whole: list[np.ndarray] = []
        for utterance in utterances:
            with open_audio(utterance.path) as reader:
                audio = mono_at(reader.blocks(), from_hz=reader.sample_rate_hz, to_hz=rate_hz)
            if len(audio):
                audio = audio - audio.mean()
                long = len(audio) >= options.seconds * rate_hz
                (whole if long else words).append(scale_to_rms(audio if long else spoken_part(audio, rate_hz), RMS))
        recordings = whole + list(joined([word for word in words if len(word)], options.seconds, rate_hz, rng))
        if len(recordings) < 2:
            continue
        kept += 1
        for number, audio in enumerate(recordings):
            path = options.folder / speaker.split("/", 1)[1] / f"{number:04d}.wav"
            audio = audio * np.float32(min(1.0, PEAK / float(np.abs(audio).max())))
            kind = output_format(path, sample_rate_hz=rate_hz, channels=1, subtype="PCM_16", frames=len(audio))
            write_recording(path, audio, kind, force=True)
            seconds += len(audio) / rate_hz
    print(f"{options.folder}: {kept} speakers, {seconds / 3600:.2f} h")


if __name__ == "__main__":
    main()
