"""The student before it learns: its teacher's weights, quantizers on them, ranges calibrated, ranges frozen.

Letters: S segments, T samples.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from ..config import ModelConfig
from ..models import Wase
from ..quant.attach import recording


def begin_student(config: ModelConfig, teacher: Wase) -> tuple[Wase, list[str]]:
    """A network of `config` with all weights of the teacher that fit; returns the names that begin at random.

    A shared stack begins as the teacher's first one.
    """
    student = Wase(config)
    own, theirs = student.state_dict(), teacher.state_dict()
    known = {name: value for name, value in theirs.items() if name in own and own[name].shape == value.shape}
    student.load_state_dict(known, strict=False)
    return student, sorted(set(own) - set(known))


@torch.no_grad()
def calibrate(student: Wase, batches: Iterable[dict[str, Tensor]]) -> None:
    """Record the range of every dynamic activation point over some batches, as the packed student will compute."""
    was_training = student.training
    student.eval()
    with recording(student):
        device = student.encoder.weight.device
        for batch in batches:
            student(batch["mixture"].to(device), student.enroll(batch["enrollment"].to(device)))
    student.train(was_training)
