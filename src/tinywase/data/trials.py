"""What every list of this field boils down to: trials to extract from, and problems to explain.

A trial names one mixture, the target speaker inside it and an enrollment of that speaker. Either the mixture and the
target exist as files (`recipe == "files"`), or a recipe says how the dry recordings are put together (rendering.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECIPES = ("files", "equal-rms", "equal-peak", "active-level", "librimix")


@dataclass(frozen=True)
class Trial:
    """One extraction task of a list.

    With `recipe == "files"`, `mixture` and `target` are recordings to read as they are, and `interference` names the
    other speakers' recordings where the layout has them. With any other recipe `mixture` is None and the dry
    recordings `target`, `interference` and `noise` are mixed with their gains.
    """

    mixture_id: str
    enrollment: Path
    target: Path
    mixture: Path | None = None
    interference: tuple[Path, ...] = ()
    noise: Path | None = None
    target_gain_db: float = 0.0
    interference_gains_db: tuple[float, ...] = ()
    noise_gain_db: float = 0.0
    recipe: str = "files"
    target_speaker: str = ""
    interference_speaker: str = ""
    sexes: str = ""
    line: int = 0  # of the list, 1 is the first; 0 where there is no list, only files

    @property
    def speakers(self) -> tuple[str, str]:
        """Names of target and interference, "" where the list does not say."""
        return self.target_speaker, self.interference_speaker

    @property
    def recordings(self) -> tuple[Path, ...]:
        """Every file the trial needs."""
        named = (self.mixture, self.target, *self.interference, self.noise, self.enrollment)
        return tuple(path for path in named if path is not None)


@dataclass(frozen=True)
class RenderedTrial:
    """The samples of a trial at one rate, float32.

    Shape: mixture, target, interference [T]; enrollment [T_e]. `interference` is the sum of the other speakers (without
    noise), None where a list of finished mixtures does not name them.
    """

    mixture: np.ndarray
    target: np.ndarray
    interference: np.ndarray | None
    enrollment: np.ndarray
    sample_rate_hz: int


@dataclass(frozen=True)
class Problem:
    """One broken row: where it is, and what was got, what was expected, what to do about it."""

    file: Path
    line: int  # 1 is the first; 0 speaks of the whole file or folder
    message: str
    missing: Path | None = None  # the recording that is not there, where that is the problem

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else f"{self.file}"
        return f"{where}: {self.message}"
