"""A large speaker encoder teaches the voiceprint encoder how alike voices are, by a table it was asked for once.

A few hundred speakers are too few to learn from them alone what tells unseen ones apart; an encoder that has heard
hundreds of thousands knows. `tools/teach_voiceprints.py` writes its voiceprint of every speaker at every speed; the
loss is the cosine distance of a learned projection of ours, so ours keeps its own size. Letters: B voices of a batch,
K classes (speaker at a speed), D dimensions of our voiceprint, E of the teacher's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from ..errors import DataError

REMEDY = "Make the table with tools/teach_voiceprints.py from the same speech and recipe."


def read_table(path: Path | str, speakers: Sequence[str], speeds: Sequence[float]) -> Tensor:
    """The teacher's voiceprints in the order of the speaker classes. Shape: -> float32 [K, E], rows of length one.

    Raises:
        DataError: no such table, or one that lacks a speaker or a speed of the training.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts, table = file.metadata() or {}, file.get_tensor("voiceprints").float()
        known, columns = json.loads(facts["speakers"]), json.loads(facts["speeds"])
        rows = table.view(len(known), len(columns), -1)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: not a table of a teacher's voiceprints ({error}). {REMEDY}") from error
    missing = [name for name in speakers if name not in known] or [str(s) for s in speeds if s not in columns]
    if missing:
        raise DataError(f"{path}: {len(missing)} voices are missing, '{missing[0]}' is the first. {REMEDY}")
    chosen = rows[[known.index(name) for name in speakers]][:, [columns.index(speed) for speed in speeds]]
    return functional.normalize(chosen.flatten(0, 1), dim=1)


class VoiceprintTeacher(nn.Module):
    """Cosine distance of voiceprints, projected, to those of the teacher for the same voices."""

    def __init__(self, table: Tensor, dimensions: int) -> None:
        super().__init__()
        self.table: Tensor
        self.register_buffer("table", table, persistent=False)
        self.projection = nn.Linear(dimensions, table.shape[1], bias=False)

    def forward(self, voiceprint: Tensor, speaker: Tensor) -> Tensor:
        """Shape: [B, D], int64 [B] -> scalar loss."""
        projected = functional.linear(voiceprint.float(), self.projection.weight)
        return 1 - functional.cosine_similarity(projected, self.table[speaker], dim=1).mean()
