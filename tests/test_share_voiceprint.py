"""tools/share_voiceprint.py: a network reads the voiceprints of another one's encoder, and goes on doing so."""

from __future__ import annotations

import copy
import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from compressions import recipe, speakers, teacher  # noqa: E402
from narrow import ENROLLMENT, MIXTURE, NARROW, network  # noqa: E402
from scripts import script  # noqa: E402
from torch import nn  # noqa: E402

from tinywase.config import TINY  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.adopt import configuration  # noqa: E402
from tinywase.quant.attach import attach, freeze, original_weight, recording  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.runtime.model import fingerprint  # noqa: E402
from tinywase.train.checkpoint import load_checkpoint, save_weights  # noqa: E402
from tinywase.train.compress import Compressor  # noqa: E402
from tinywase.train.export import packed_model  # noqa: E402

QUANT = QuantConfig(bits=3, method="lsq", levels="even", per_channel=True, voiceprint_bits=4)


@pytest.fixture(scope="module")
def share() -> ModuleType:
    return script("tools/share_voiceprint.py")


@torch.no_grad()
def student(seed: int) -> Wase:
    torch.manual_seed(seed)
    model = Wase(TINY).eval()
    attach(model, QUANT)
    with recording(model):
        model(0.1 * torch.randn(1, 4000), model.enroll(torch.randn(1, 3000)))
    freeze(model)
    return model


def of_voiceprints(model: Wase) -> str:
    packed = packed_model(model, card={}, float_kind="float16")
    return fingerprint(packed.config, packed.tensors)


@torch.no_grad()
def test_voiceprints_that_say_the_same_in_another_way_are_read_as_before(share: ModuleType) -> None:
    model, lender = network(), network(causal=True)
    lender.voiceprint_encoder = copy.deepcopy(model.voiceprint_encoder)
    turn = torch.linalg.qr(torch.randn(NARROW.voiceprint.dimensions, NARROW.voiceprint.dimensions))[0]
    linear = cast(nn.Linear, lender.voiceprint_encoder.linear)
    linear.weight.copy_(turn @ linear.weight)
    linear.bias.copy_(turn @ linear.bias)
    sounds = 0.1 * torch.randn(200, 4000) * torch.logspace(-1, 0, 200)[:, None]
    relation, cosine = share.relate(lender, model, sounds + ENROLLMENT[:, :4000])
    new = share.sharing(model, lender, relation)
    assert cosine > 0.99
    assert new.config == model.config
    assert torch.equal(new.enroll(ENROLLMENT), lender.enroll(ENROLLMENT))
    before, after, unread = (
        net(MIXTURE, net.enroll(ENROLLMENT) if net is not model else voiceprint).estimate
        for net, voiceprint in ((model, model.enroll(ENROLLMENT)), (new, None), (model, lender.enroll(ENROLLMENT)))
    )
    assert (after - before).norm() < 0.05 * (unread - before).norm()


def test_a_student_keeps_the_lent_encoder_to_the_bit_while_the_rest_learns(share: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in ("model", "lender", "shared")]
    for seed, path in enumerate(paths[:2]):
        save_weights(student(seed), path)
    workplace = speakers(tmp_path)
    learned = recipe(
        workplace,
        "learned",
        quant=dataclasses.asdict(QUANT) | {"overrides": []},
        ranges="learned",
        init=[str(paths[2])],
        optimizer={"steps": 3, "batch": 2, "warmup": 1, "decay": 1, "voiceprint_learning_rate": 0.0},
    )
    Compressor(dataclasses.replace(learned, init=(), name="none", out=str(tmp_path / "none")), teacher())  # its bank
    sys.argv = ["share_voiceprint.py", *map(str, paths), "--bank", str(workplace / "bank"), "--count", "40"]
    share.main()
    begun, lent = load_checkpoint(paths[2]), of_voiceprints(load_checkpoint(paths[1]))
    assert configuration(begun) == QUANT
    assert of_voiceprints(begun) == lent != of_voiceprints(load_checkpoint(paths[0]))
    compressor = Compressor(learned, teacher())
    compressor.run()
    finished = compressor.finished()
    assert of_voiceprints(finished) == lent
    before, after = (original_weight(net, "separator.bottleneck.weight") for net in (begun, finished))
    assert not torch.equal(after, before)


def test_an_encoder_of_another_size_is_refused(share: ModuleType) -> None:
    other = network(voiceprint=dataclasses.replace(NARROW.voiceprint, layers=2))
    with pytest.raises(ConfigError, match="differ in size"):
        share.sharing(network(), other, torch.zeros(NARROW.voiceprint.dimensions + 1, NARROW.voiceprint.dimensions))
