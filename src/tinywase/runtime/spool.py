"""Samples kept between the passes over a recording: in memory for arrays, in a nameless temporary file for files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"'{folder}': a temporary file could not be written there ({error.strerror}). Free some space, or write "
            "the output to a folder you may write to."
        ) from None


class Spool:
    """Float32 [frames, channels], appended once and read in any order.

    The temporary file has no name, so that nothing stays behind however the program ends.
    """

    def __init__(self, channels: int, folder: Path | None = None) -> None:
        self.channels = channels
        self.frames = 0
        self._blocks: list[np.ndarray] = []
        self._whole: np.ndarray | None = None
        self._folder = folder
        self._file: Any = None
        if folder is not None:
            with _naming(folder):
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

    def append(self, block: np.ndarray) -> None:
        """Add samples at the end. Shape: [any, channels]."""
        block = np.ascontiguousarray(block, np.float32)
        self.frames += len(block)
        if self._file is None:
            self._blocks.append(block)
            self._whole = None
            return
        assert self._folder is not None
        with _naming(self._folder):
            self._file.seek(0, 2)
            self._file.write(block.data)
            self._file.flush()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Frames `start` to `stop`, cut at the end. Shape: float32 [<= stop - start, channels]."""
        stop = min(stop, self.frames)
        if self._file is None:
            if self._whole is None:
                self._whole = np.concatenate([np.zeros((0, self.channels), np.float32), *self._blocks])
                self._blocks = [self._whole]
            return self._whole[start:stop]
        self._file.seek(4 * start * self.channels)
        data = self._file.read(4 * (stop - start) * self.channels)
        return np.frombuffer(data, np.float32).reshape(-1, self.channels)

    def close(self) -> None:
        """Let go of the memory or the file."""
        self._blocks, self._whole = [], None
        if self._file is not None:
            self._file.close()
