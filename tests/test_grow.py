"""tools/grow.py: more stacks compute what fewer did, and idle stacks are seen and cut off."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from scripts import script  # noqa: E402

from tinywase.config import TINY  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.adopt import configuration  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "grow.py"
Grow = Callable[..., Wase]


@pytest.fixture
def grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grow:
    """`grow(model, "--stacks", "2")`: the network that the tool makes of a network."""
    module = script("tools/grow.py")

    def run(model: Wase, *more: str) -> Wase:
        before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
        save_weights(model, before, dtype=torch.float32)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(before), str(after), *more])
        module.main()
        return load_checkpoint(after)

    return run


def network() -> Wase:
    torch.manual_seed(4)
    return Wase(TINY).eval()


def same(one: Wase, other: Wase) -> bool:
    mixture, voiceprint = 0.1 * torch.randn(1, 4000), torch.randn(1, TINY.voiceprint.dimensions)
    with torch.inference_mode():
        first, second = (model(mixture, voiceprint).estimate for model in (one, other))
    return torch.allclose(first, second, atol=1e-3)  # float16 in the file


@pytest.mark.parametrize("more", [1, 2])
def test_a_grown_network_computes_what_it_did_and_what_it_gained_can_be_cut_off(
    grow: Grow, more: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = network()
    grown = grow(model, "--stacks", str(more))
    assert grown.config.stacks == TINY.stacks + more
    assert same(model, grown)
    capsys.readouterr()
    cut = grow(grown, "--stacks", str(-more))
    assert cut.config == model.config
    assert same(model, cut)
    shares = [float(share) for share in capsys.readouterr().out.splitlines()[0].rpartition(": ")[2].split()]
    assert min(shares[: TINY.stacks]) > 0.05
    assert shares[TINY.stacks :] == [0.0] * more  # idle stacks show


def test_a_stack_that_adds_something_is_cut_off_too(grow: Grow) -> None:
    cut = grow(network(), "--stacks", "-1")
    assert cut.config.stacks == TINY.stacks - 1
    assert not same(network(), cut)


def test_a_network_without_stacks_is_refused(grow: Grow) -> None:
    with pytest.raises(SystemExit, match="--stacks -2: the network has 2 stacks, at least one has to be left"):
        grow(network(), "--stacks", "-2")


@torch.no_grad()
def test_a_student_of_as_many_stacks_stays_one(grow: Grow) -> None:
    quant = QuantConfig(method="lsq", levels="even", per_channel=True, voiceprint_bits=4)
    student = network()
    attach(student, quant)
    with recording(student):
        student(0.1 * torch.randn(1, 4000), student.enroll(torch.randn(1, 3000)))
    freeze(student)
    grown = grow(student, "--stacks", "0")
    assert configuration(grown) == quant
    assert same(grown, student)
