"""Mixed widths: measured one tensor at a time, chosen under a budget, and a budget that cannot be met is said so."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tinywase.config import TINY  # noqa: E402
from tinywase.errors import ConfigError  # noqa: E402
from tinywase.format import to_bytes  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.quant.attach import attach, freeze, recording, weight_quantizers  # noqa: E402
from tinywase.quant.rules import QuantConfig  # noqa: E402
from tinywase.train.export import packed_model  # noqa: E402
from tinywase.train.sensitivity import Budget, Drops, choose_widths, measure, other_bytes  # noqa: E402

SHAPES = {"dear": (100, 10, 1), "cheap": (100, 10, 1)}
DROPS: Drops = {"dear": {8: 0.0, 4: 0.5, 2: 3.0}, "cheap": {8: 0.0, 4: 0.01, 2: 0.1}}


def test_the_tensor_that_loses_least_gives_up_its_bits_first() -> None:
    widths = choose_widths(DROPS, SHAPES, Budget(max_drop_db=0.2), other_bytes=0)
    assert widths.bits == {"dear": 8, "cheap": 2}
    assert widths.drop_db == pytest.approx(0.1)
    assert widths.overrides == (("dear", 8), ("cheap", 2))


def test_a_size_is_met_with_the_least_loss() -> None:
    everything = choose_widths(DROPS, SHAPES, Budget(max_bytes=10_000), other_bytes=0)
    assert set(everything.bits.values()) == {8}
    widths = choose_widths(DROPS, SHAPES, Budget(max_bytes=everything.file_bytes - 1), other_bytes=0)
    assert widths.bits == {"dear": 8, "cheap": 4}
    assert widths.file_bytes < everything.file_bytes


def test_budgets_that_cannot_be_met_say_the_smallest_that_can() -> None:
    with pytest.raises(ConfigError, match=r"--max-size 100 bytes cannot be met: the smallest file takes (\d+) bytes"):
        choose_widths(DROPS, SHAPES, Budget(max_bytes=100), other_bytes=0)
    with pytest.raises(ConfigError, match=r"--max-drop 0\.1 dB cannot be met: .* lose 0\.30 dB\. Give at least 0\.30"):
        choose_widths({"dear": {8: 0.3}}, SHAPES, Budget(max_drop_db=0.1), other_bytes=0)


def test_a_budget_is_one_thing() -> None:
    for size, drop in ((None, None), (1, 1.0)):
        with pytest.raises(ConfigError, match="a largest size or a largest drop"):
            Budget(size, drop)


def test_noise_that_favours_fewer_bits_is_not_believed() -> None:
    widths = choose_widths({"dear": {8: 0.4, 4: -0.2}}, SHAPES, Budget(max_drop_db=0.5), other_bytes=0)
    assert widths.drop_db == pytest.approx(0.4)


def test_measuring_leaves_the_network_alone_and_finds_that_one_bit_is_worse_than_eight() -> None:
    torch.manual_seed(0)
    model = Wase(TINY).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    sounds = {name: 0.05 * torch.randn(2, 1200, generator=generator) for name in ("mixture", "enrollment")}
    with torch.no_grad():
        target = model(sounds["mixture"], model.enroll(sounds["enrollment"])).estimate
    batch = sounds | {"target": target + 0.1 * target.std() * torch.randn(target.shape, generator=generator)}
    done: list[float] = []
    drops = measure(model, [batch], QuantConfig(), widths=(1, 8), progress=done.append)
    assert done[-1] == 1.0
    assert len(drops) == 4 * 6 + 3 + 3
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert sum(at[1] for at in drops.values()) > 10 * abs(sum(at[8] for at in drops.values()))


def test_absent_and_lone_targets_do_not_count_in_the_sensitivity() -> None:
    torch.manual_seed(0)
    model = Wase(TINY).eval()
    target, other, enrollment = 0.05 * torch.randn(3, 2, 1200)
    among = {"mixture": target + other, "target": target, "enrollment": enrollment}
    lone = among | {"mixture": target, "target": target * torch.tensor([[1.0], [0.0]])}  # one alone, one absent
    both = {key: torch.cat([among[key], lone[key]]) for key in among}
    drops, with_lone = (measure(model, [batch], QuantConfig(), widths=(2,)) for batch in (among, both))
    assert {name: at[2] for name, at in with_lone.items()} == pytest.approx(
        {name: at[2] for name, at in drops.items()}, abs=1e-3
    )
    with pytest.raises(ConfigError, match=r"all targets drawn are alone or absent.*Lower mix\.single"):
        measure(model, [lone], QuantConfig(), widths=(2,))


@pytest.mark.parametrize("per_channel", [False, True])
def test_the_file_is_not_larger_than_was_promised(per_channel: bool) -> None:
    torch.manual_seed(0)
    model = Wase(TINY).eval()
    quant = QuantConfig(method="lsq", codec_bits=8, voiceprint_bits=4, per_channel=per_channel)
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    beside = other_bytes(model, quant)
    drops: Drops = {
        name: {8: 0.0, 4: 0.1, 2: 0.2 + i} for i, name in enumerate(n for n, s in shapes.items() if len(s) > 1)
    }
    widest = sum(8 * torch.Size(shapes[name]).numel() // 8 for name in drops)
    most = beside + widest // 2
    widths = choose_widths(drops, shapes, Budget(max_bytes=most), other_bytes=beside, per_channel=per_channel)
    attach(model, dataclasses.replace(quant, overrides=widths.overrides))
    assert {name: q.bits for name, q in weight_quantizers(model).items()} == widths.bits
    with recording(model), torch.no_grad():
        model(torch.randn(1, 800), model.enroll(torch.randn(1, 800)))
    freeze(model)
    size = len(to_bytes(packed_model(model, card={})))
    assert size <= widths.file_bytes <= most
    assert size > 0.7 * widths.file_bytes
