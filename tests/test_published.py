"""Checkpoints in the layout of the published WASE and TinyWASE code, made here from networks of ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tinywase.config import PAPER, ModelConfig, VoiceprintConfig  # noqa: E402
from tinywase.errors import FormatError  # noqa: E402
from tinywase.models import Wase  # noqa: E402
from tinywase.train.beginning import read_state  # noqa: E402
from tinywase.train.published import convert_published, load_published  # noqa: E402

SMALL = dataclasses.replace(
    PAPER, filters=12, bottleneck=6, hidden=10,
    voiceprint=VoiceprintConfig(dimensions=5, filters=7, window=32, hop=8, hidden=4, layers=2),
)  # fmt: skip
BLOCK_PARTS = {
    "expand": "conv1d", "expand_slope": "nonlinearity1", "expand_norm": "reg1", "depthwise": "dconv1d",
    "depthwise_slope": "nonlinearity2", "depthwise_norm": "reg2", "residual": "res_out", "skip": "skip_out",
}  # fmt: skip
PARTS = {
    "encoder": "encoder",
    "decoder": "ss_model.decoder",
    "separator.norm": "ss_model.TCN.LN",
    "separator.bottleneck": "ss_model.TCN.BN",
    "separator.activity": "ss_model.TCN.endpoint_conv1d",
    "voiceprint_encoder.filterbank": "ref_encoder",
    "voiceprint_encoder.rnn": "voiceprint_encoder.rnn",
}
GENERATIONS = {
    "tinywase": {
        "separator.output_slope": "ss_model.TCN.output_act",
        "separator.mask": "ss_model.TCN.output_conv",
        "voiceprint_encoder.linear": "linear",
    },
    "wase": {
        "separator.output_slope": "ss_model.TCN.output.0",
        "separator.mask": "ss_model.TCN.output.1",
        "voiceprint_encoder.linear": "voiceprint_linear",
    },
}
FORMS: dict[str, dict[str, Any]] = {
    "offline": {},
    "causal": {"causal": True},
    "shared": {"distinct_stacks": 1},
    "voiceprint cue": {"cues": "voiceprint"},
    "activity cue": {"cues": "activity"},
}


def their_key(name: str, generation: str) -> str:
    owner, _, leaf = name.rpartition(".")
    parts = owner.split(".")
    if parts[:2] == ["separator", "blocks"]:
        return f"ss_model.TCN.TCN.{parts[2]}.{BLOCK_PARTS[parts[3]]}.{leaf}"
    if parts[:2] == ["separator", "cue_projections"]:
        return f"ss_model.TCN.proj.{parts[2]}.{leaf}"
    return f"{(PARTS | GENERATIONS[generation])[owner]}.{leaf}"


def published(model: Wase, generation: str) -> dict[str, Any]:
    """Their state_dict of our network."""
    state = {}
    for name, value in model.state_dict().items():
        key = their_key(name, generation)
        if model.config.causal and "norm." in name:
            key, value = key.replace(".weight", ".gain"), value[None, :, None]
        state[key] = value.clone()
    state["metric_fc.weight"] = torch.zeros(101, 128)
    return state


def random_model(config: ModelConfig) -> Wase:
    torch.manual_seed(0)
    model = Wase(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_a_published_checkpoint_becomes_the_same_network(form: str, generation: str, tmp_path: Path) -> None:
    model = random_model(dataclasses.replace(SMALL, mean_skip=generation == "wase", **FORMS[form]))
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": published(model, generation), "config": {"bit": 3}, "updates": 7}, path)
    loaded = load_published(path)
    assert loaded.config == dataclasses.replace(model.config, name=loaded.config.name)
    mixture, enrollment = torch.randn(1, 500), torch.randn(1, 700)
    with torch.inference_mode():
        expected = model(mixture, model.enroll(enrollment)).estimate
        torch.testing.assert_close(loaded(mixture, loaded.enroll(enrollment)).estimate, expected)


def test_the_published_sizes_give_the_paper_s_configuration() -> None:
    config = convert_published(published(Wase(PAPER), "tinywase")).config
    assert config == PAPER
    assert convert_published(published(Wase(PAPER), "wase")).config == dataclasses.replace(PAPER, mean_skip=True)


def test_other_numbers_of_blocks_are_taken_at_their_word() -> None:
    model = random_model(dataclasses.replace(SMALL, blocks=2, stacks=2, mean_skip=True))
    assert convert_published(published(model, "wase"), blocks=2).config == model.config


def broken(change: Any) -> dict[str, Any]:
    state = published(random_model(SMALL), "tinywase")
    change(state)
    return state


def rename(state: dict[str, Any], old: str, new: str) -> None:
    state[new] = state.pop(old)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update({"ss_model.TCN.extra": torch.zeros(1)}), "unknown key 'ss_model.TCN.extra'"),
        (lambda s: s.update({"module.encoder.weight": torch.zeros(1)}), "unknown key 'module.encoder.weight'"),
        (lambda s: s.pop("ref_encoder.weight"), "'voiceprint_encoder.filterbank.weight' is missing"),
        (lambda s: s.pop("ss_model.TCN.BN.bias"), "'separator.bottleneck.bias' is missing"),
        (lambda s: s.pop("encoder.weight"), "'encoder.weight' is missing"),
        (
            lambda s: s.update({"ss_model.TCN.BN.bias": torch.zeros(7)}),
            "'ss_model.TCN.BN.bias' has shape [7], expected [6]",
        ),
        (lambda s: s.update({"encoder.weight": torch.zeros(7)}), "expected 3 dimensions"),
        (lambda s: s.update({"voiceprint_linear.bias": torch.zeros(5)}), "are the same tensor: expected one of them"),
        (
            lambda s: s.update({"ss_model.TCN.TCN.24.res_out.bias": torch.zeros(6)}),
            "does not belong to its network of 24",
        ),
        (
            lambda s: rename(s, "ss_model.TCN.proj.3.bias", "ss_model.TCN.proj.999999999.bias"),
            "expected consecutive numbers",
        ),
    ],
)
def test_what_is_not_in_the_layout_is_refused_by_name(change: Any, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        convert_published(broken(change), where="theirs.pt")
    assert message in str(caught.value)
    assert "theirs.pt" in str(caught.value)


class Foreign:
    """An object of somebody's own code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never run",))


def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"model": {}, "config": Foreign()}, path)
    with pytest.raises(FormatError, match=r"evil\.pt: no checkpoint that is safe to open.*save \{'model'"):
        load_published(path)
    assert "must never run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"hello", b"RIFF", b"PK\x03\x04 broken"])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.pt: no checkpoint that is safe to open \([^)]{8}"):
        load_published(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")  # a changed byte
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_checkpoint_is_refused_wherever_the_damage_is(zipped: bool, damage: str, tmp_path: Path) -> None:
    content = {"model": {"encoder.weight": torch.zeros(300)}}
    torch.save(content, tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    whole, path = (tmp_path / "whole.pt").read_bytes(), tmp_path / "x.pt"
    for place in range(1, len(whole), 7):
        path.write_bytes(whole[:place] if damage == "cut" else whole[:place] + b"\xff" * 5 + whole[place + 5 :])
        for load in (load_published, read_state):
            with pytest.raises(FormatError, match=r"x\.pt"):  # no state in any case, no network either
                load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="No such file"):
        load_published(tmp_path / "none.pt")


@pytest.mark.parametrize("content", [{}, {"model": 3}, {"model": {"encoder.weight": 3}}, torch.zeros(3)])
def test_a_checkpoint_without_a_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(FormatError, match="no state_dict under the key 'model'"):
        load_published(tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".twase", ".safetensors"])
def test_the_command_converts_to_either_kind_of_file(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tinywase.cli.main import main
    from tinywase.format import read_model
    from tinywase.train.checkpoint import load_checkpoint

    model = random_model(SMALL)
    torch.save({"model": published(model, "tinywase")}, tmp_path / "theirs.pt")
    output = tmp_path / f"ours{suffix}"
    with pytest.raises(SystemExit) as ended:
        main(["convert-checkpoint", str(tmp_path / "theirs.pt"), "-o", str(output)])
    assert not ended.value.code
    assert "offline, separate stacks" in capsys.readouterr().out
    if suffix == ".twase":
        values = read_model(output).tensors["decoder.weight"].dequantize()
    else:
        values = load_checkpoint(output).decoder.weight.detach().numpy()
    assert (values == model.decoder.weight.detach().numpy()).all()


def test_the_command_wants_a_suffix_it_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tinywase.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(["convert-checkpoint", "theirs.pt", "-o", str(tmp_path / "ours.onnx")])
    assert ended.value.code == 2
    assert ".safetensors or .twase" in capsys.readouterr().err
