"""Languages that a model was not trained on, by synthetic voices: one table, languages down, improvement across.

    python bench/languages.py default [MODEL ...] --work runs/languages

espeak-ng reads random numbers aloud, each language in its own words, with eight voices of four pitches; every trial
mixes two of them at equal level, the target enrolled by other numbers. English is among them: what matters is the
difference to it, because no model has heard this synthesizer. Needs espeak-ng on the path.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np

from tinywase.data.lists import read_trials
from tinywase.data.readers.csv_lists import GAIN_COLUMNS
from tinywase.evaluate.report import build_report
from tinywase.evaluate.run import evaluate
from tinywase.evaluate.systems import open_systems

LANGUAGES = ("en-us", "de", "fr", "es", "it", "pl", "ru", "tr", "hi", "ar", "fi", "vi", "id", "hu", "ko")
VOICES = [(f"{sex.lower()}{number}", sex, 30 + 12 * number) for sex in "MF" for number in (1, 2, 3, 4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--work", type=Path, default=Path("runs/languages"))
    options = parser.parse_args()
    if not shutil.which("espeak-ng"):
        parser.error("espeak-ng is not on the path: install it (Debian: apt install espeak-ng).")
    print("| language | trials |", " | ".join(f"{model}, SI-SDRi dB" for model in options.models), "|")
    print("|---|---:|", "---:|" * len(options.models), sep="")
    for language in LANGUAGES:
        trials = read_trials(spoken(language, options.work / language), root=options.work / language)
        report = build_report(
            evaluate(lambda: open_systems(options.models), trials, metrics=("si_sdr",)), list_name=language, command=""
        )
        means = [summary.overall.means["si_sdr_improvement"] for summary in report.summaries]
        print(
            f"| {language} | {len(trials)} |",
            " | ".join(f"{m.value:.1f} [{m.low:.1f}, {m.high:.1f}]" for m in means),
            "|",
            flush=True,
        )


def spoken(language: str, folder: Path) -> Path:
    """Recordings of all voices, and the list of all ordered pairs of them; made once."""
    path = folder / "pairs.csv"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    for index, (variant, _, pitch) in enumerate(VOICES):
        for use in ("speech", "enrollment"):
            rng = np.random.default_rng((index, use == "speech"))
            words = ", ".join(str(number) for number in rng.integers(21, 9999, size=4))
            wav = str(folder / f"{variant}-{use}.wav")
            voice = ["-v", f"{language}+{variant}", "-p", str(pitch)]
            subprocess.run(["espeak-ng", *voice, "-w", wav, words], check=True)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*GAIN_COLUMNS, "target_speaker", "interference_speaker", "sexes"])
        for number, ((a, sex_a, _), (b, sex_b, _)) in enumerate(itertools.permutations(VOICES, 2)):
            rows.writerow(
                [number, f"{a}-speech.wav", 0, f"{b}-speech.wav", 0, f"{a}-enrollment.wav", a, b, sex_a + sex_b]
            )
    return path


if __name__ == "__main__":
    main()
