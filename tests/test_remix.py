"""train/remix.py: batches that are used more than once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from tinywase.errors import ConfigError  # noqa: E402
from tinywase.train.objectives import Tensors  # noqa: E402
from tinywase.train.recipe import OptimizerConfig, Recipe  # noqa: E402
from tinywase.train.remix import remixed, reused  # noqa: E402

CPU = torch.device("cpu")


def drawn(number: int, segments: int = 6) -> Tensors:
    """A batch whose targets are powers of two, so that a mixture tells who is in it."""
    target = (2.0 ** torch.arange(segments))[:, None].expand(-1, 5)
    return {"target": target, "mixture": target + 0.5, "enrollment": torch.full((segments, 3), float(number))}


@given(half=st.integers(2, 20), seed=st.integers(0, 2**32 - 1))
def test_two_voices_meet_and_both_are_extracted(half: int, seed: int) -> None:
    segments = 2 * half
    batch = {**drawn(0, segments), "partner": torch.arange(segments) ^ 1}
    result = remixed(batch, np.random.default_rng(seed))
    partner, place = result["partner"], torch.arange(segments)
    assert torch.equal(partner[partner], place)
    assert (partner != place).all() and (partner != batch["partner"]).all()
    torch.testing.assert_close(result["mixture"], batch["target"] + batch["target"][partner])
    assert torch.equal(result["mixture"], result["mixture"][partner])
    assert all(result[name] is batch[name] for name in ("target", "enrollment"))


def test_views_are_told_only_where_somebody_asks() -> None:
    assert set(remixed(drawn(0), np.random.default_rng(0))) == set(drawn(0))


@given(times=st.integers(1, 4), first=st.integers(0, 9))
def test_a_training_that_goes_on_finds_the_batches_that_it_would_have_had(times: int, first: int) -> None:
    def steps(first_step: int) -> Iterator[Tensors]:
        data = map(drawn, itertools.count(first_step // times))
        return reused(data, times, first_step=first_step, seed=7, device=CPU)

    whole = list(itertools.islice(steps(0), 16))
    rest = list(itertools.islice(steps(first), 16 - first))
    for step, (batch, expected) in enumerate(zip(rest, whole[first:], strict=True), first):
        assert float(batch["enrollment"][0, 0]) == step // times
        assert torch.equal(batch["mixture"], expected["mixture"])
        assert torch.equal(batch["mixture"], drawn(0)["mixture"]) == (step % times == 0)


@pytest.mark.parametrize("batch", [2, 5])
def test_batches_whose_voices_cannot_meet_others_are_refused(batch: int) -> None:
    OptimizerConfig(batch=batch)
    with pytest.raises(ConfigError, match=f"optimizer.batch = {batch}: .* even number from 4 on"):
        OptimizerConfig(batch=batch, reuse=2)


def test_enrollments_alone_are_not_mixed() -> None:
    with pytest.raises(ConfigError, match="enrollments alone cannot be mixed anew"):
        Recipe(objective="voiceprint", optimizer=OptimizerConfig(reuse=2))
