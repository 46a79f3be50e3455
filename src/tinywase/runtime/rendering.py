"""The third pass written to files: estimate, and residual if asked for, neither ever clipped.

Integer and lossy formats end at full scale, an estimate need not: interference that cancelled peaks of the target in
the mixture is gone. Then that file is written again, quieter by just enough, and the report says by how much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..audio import AudioReader
from ..audio_writer import AudioFormat, AudioWriter, open_writer, output_format
from ..errors import OutputError
from ..files import refuse_output

ROUNDING = 1.0 - 1e-6


@dataclass(frozen=True)
class Output:
    """A file to be written."""

    path: Path
    audio_format: AudioFormat
    force: bool


class _Clipped(Exception):
    def __init__(self, gains: list[float]) -> None:
        super().__init__()
        self.gains = gains


def planned_outputs(reader: AudioReader, paths: Sequence[Path], *, force: bool) -> list[Output]:
    """The outputs, refused before the long work if they cannot be made.

    Raises:
        OutputError: one exists, has an unknown suffix, no folder, or two are the same file.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise OutputError(f"'{paths[0]}': estimate and residual are the same file. Give them two names.")
    outputs = []
    for path in paths:
        refuse_output(path, force=force)
        form = output_format(
            path, sample_rate_hz=reader.sample_rate_hz, channels=reader.channels, subtype=reader.subtype,
            frames=reader.frames,
        )  # fmt: skip
        outputs.append(Output(path, form, force))
    return outputs


def write_outputs(rendered: Callable[[], Iterable[Sequence[np.ndarray]]], outputs: Sequence[Output]) -> list[float]:
    """One signal per output; `rendered` gives their blocks from the start. Returns attenuations in dB."""
    gains = [1.0] * len(outputs)
    while True:
        try:
            _write(rendered(), outputs, gains)
        except _Clipped as over:
            gains = over.gains
        else:
            return [0.0 if gain == 1.0 else -20 * math.log10(gain) for gain in gains]


def _write(blocks: Iterable[Sequence[np.ndarray]], outputs: Sequence[Output], gains: Sequence[float]) -> None:
    with _writers(outputs) as writers:
        for signals in blocks:
            for writer, gain, signal in zip(writers, gains, signals, strict=True):
                writer.write(signal * np.float32(gain) if gain != 1.0 else signal)
        fits = [_fit(writer.peak, output.audio_format.ceiling) for writer, output in zip(writers, outputs, strict=True)]
        if min(fits) < 1.0:
            raise _Clipped([gain * fit for gain, fit in zip(gains, fits, strict=True)])


@contextmanager
def _writers(outputs: Sequence[Output]) -> Iterator[list[AudioWriter]]:
    """One for each output; all of them get their names, or none: one may be taken meanwhile."""
    named: list[Path] = []

    @contextmanager
    def noted(output: Output) -> Iterator[AudioWriter]:
        with open_writer(output.path, output.audio_format, force=output.force) as writer:
            yield writer
        named.append(output.path.resolve())

    try:
        with ExitStack() as stack:
            yield [stack.enter_context(noted(output)) for output in outputs]
    except BaseException:
        for path in named:
            path.unlink(missing_ok=True)
        raise


def _fit(peak: float, ceiling: float) -> float:
    """The gain that keeps `peak` below `ceiling`: 1 where it is there already."""
    return 1.0 if peak <= ceiling else ROUNDING * ceiling / peak
