"""Memory and start of whole processes, as a user meets them: `tinywase extract` on 4 s and on an hour.

Peak memory is the most that was resident at once (VmHWM, which a process says of itself at its end: what wait4 reports
of a child begins with its parent's), in MB of 10^6 bytes, beside that of a bare `import numpy`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from tinywase.bench.timing import noise

SHORT_S, LONG_S, RATE_HZ, TURNS = 4.0, 3600.0, 8000, 7


# Runs the code of its first argument and leaves its peak in the file that the second names.
REPORTING = """
import sys
code, report, sys.argv[1:] = sys.argv[1], sys.argv[2], sys.argv[3:]
try:
    exec(code)
finally:
    with open("/proc/self/status") as status, open(report, "w") as file:
        file.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
EXTRACT = "from tinywase.cli.main import main; main(sys.argv[1:])"
IMPORTS = "import tinywase.cli.main, tinywase.cli.extract, tinywase.runtime.extractor, tinywase._native"


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    wall_s: float
    processor_s: float
    peak_bytes: int


def cost(report: Path, code: str, *words: str) -> Cost:
    """Run Python code with arguments to its end.

    Raises:
        RuntimeError: it failed.
    """
    begin = time.perf_counter()
    command = [sys.executable, "-c", REPORTING, code, str(report), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(f"{code} {' '.join(words)}: exit code {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, 1024 * int(report.read_text()))


def measure(folder: Path) -> dict[str, Any]:
    """Numpy alone, importing what extraction needs, a short and a long recording; medians."""
    voice, short, long, out = (folder / f"{name}.wav" for name in ("voice", "short", "long", "out"))
    soundfile.write(voice, noise(5, RATE_HZ, seed=1), RATE_HZ)
    soundfile.write(short, noise(SHORT_S, RATE_HZ), RATE_HZ)
    write_long(long)
    tail = ["--enroll", str(voice), "-o", str(out), "--force", "--quiet"]
    candidates: dict[str, tuple[int, list[str]]] = {
        "import numpy": (TURNS, ["import numpy"]),
        "imports of tinywase extract": (TURNS, [IMPORTS]),
        "tinywase extract, 4 s": (TURNS, [EXTRACT, "extract", str(short), *tail]),
        "tinywase extract, an hour": (1, [EXTRACT, "extract", str(long), *tail]),
    }
    rows = {
        name: median([cost(folder / "report", *words) for _ in range(turns)])
        for name, (turns, words) in candidates.items()
    }
    return {"rows": [{"name": name, **row} for name, row in rows.items()]}


def write_long(path: Path) -> None:
    """An hour of noise, a minute at a time."""
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as sink:
        for minute in range(round(LONG_S / 60)):
            sink.write(noise(60, RATE_HZ, seed=minute))


def median(costs: list[Cost]) -> dict[str, float]:
    return {
        "wall_s": statistics.median(one.wall_s for one in costs),
        "processor_s": statistics.median(one.processor_s for one in costs),
        "peak_bytes": statistics.median(one.peak_bytes for one in costs),
    }
