"""The five-field list of WASE and TinyWASE: `<target.wav> <gain> <interference.wav> <gain> <enrollment.wav>`.

Paths carry the prefix of the machine the list was made on (`remap` mends them); a trailing space is usual. The mixture
is made when it is read: mean removed, peak 1, gains, sum (section 3 of the paper).
"""

from __future__ import annotations

from pathlib import Path

from ..trials import Trial
from .base import ListFile, Listing, Reader, ReadOptions, first_line, is_recording, number

FIELDS = 5


def speaker_of(path: Path) -> str:
    """Speaker of a WSJ0 recording: its folder, else the first three characters of its name."""
    folder = path.parent.name
    return folder if folder and path.stem.startswith(folder) else path.stem[:3]


def _detect(path: Path) -> bool:
    if not path.is_file():
        return False
    fields = first_line(path).split()
    return len(fields) == FIELDS and all(is_recording(fields[i]) for i in (0, 2, 4)) and number(fields[1]) is not None


def _read(path: Path, options: ReadOptions) -> Listing:
    source, trials = ListFile(path, options), []
    for line, fields in source.rows():
        if len(fields) != FIELDS:
            source.report(
                line, f"{len(fields)} fields; expected 5: target dB interference dB enrollment. Mend the row."
            )
            continue
        gains_db = (number(fields[1]), number(fields[3]))
        if gains_db[0] is None or gains_db[1] is None:
            source.report(line, f"gains '{fields[1]}' and '{fields[3]}'; expected two numbers in dB. Mend the row.")
            continue
        target, interference = source.resolve(fields[0]), source.resolve(fields[2])
        trials.append(
            Trial(
                mixture_id=f"{target.stem}_{fields[1]}_{interference.stem}_{fields[3]}",
                enrollment=source.resolve(fields[4]),
                target=target,
                interference=(interference,),
                target_gain_db=gains_db[0],
                interference_gains_db=(gains_db[1],),
                recipe="equal-peak",
                target_speaker=speaker_of(target),
                interference_speaker=speaker_of(interference),
                line=line,
            )
        )
    return Listing(trials, source.problems)


WASE = Reader("wase", "WASE list: <target.wav> <dB> <interference.wav> <dB> <enrollment.wav>", _detect, _read)
