"""Checkpoints: safetensors with the model's configuration as metadata, and a student's quantizers, so that a file
explains itself."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..config import ModelConfig, from_dict, saved_model_config, to_dict
from ..errors import FormatError
from ..files import write_whole
from ..format import read_model
from ..models import Wase
from ..quant.adopt import configuration
from ..quant.attach import attach, float_state, load_quantized
from ..quant.rules import QuantConfig
from .cues import with_cues_moved
from .restore import dequantized, restored

FILTERS = ("encoder.weight", "decoder.weight", "voiceprint_encoder.filterbank.weight")  # that may be fixed


def save_weights(
    model: Wase,
    path: Path | str,
    metadata: Mapping[str, str] | None = None,
    *,
    dtype: torch.dtype | None = None,
    only: str = "",
) -> None:
    """Write the weights (those whose names begin with `only`) whole or not at all, a student's with its quantizers.

    Args:
        dtype: None: float16, which halves the file, but float32 for a student, whose steps decide on which side of
            a threshold a weight lies.
    """
    quant = None if only else configuration(model)
    dtype = dtype or (torch.float32 if quant else torch.float16)
    state = {key: value for key, value in model.state_dict().items() if key.startswith(only)}
    tensors = {key: value.detach().to("cpu", dtype).contiguous() for key, value in state.items()}
    facts = {"config": json.dumps(to_dict(model.config)), **(metadata or {})}
    if quant:
        facts["quant"] = json.dumps(to_dict(quant))
    write_whole(path, save(tensors, facts), force=True)


def read_weights(path: Path | str) -> tuple[ModelConfig, dict[str, torch.Tensor], dict[str, str]]:
    """Configuration, float32 tensors and the other metadata of a checkpoint.

    Raises:
        FormatError: no checkpoint, or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata: dict[str, Any] = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        message = f"{path}: not a safetensors checkpoint ({error}). Train one with 'tinywase train'."
        raise FormatError(message) from error
    if "config" not in metadata:
        raise FormatError(f"{path}: no model configuration in its metadata, expected a checkpoint of 'tinywase train'.")
    return saved_model_config(_parsed(metadata.pop("config"), path)), tensors, metadata


def load_torch(path: Path | str, device: str | torch.device = "cpu", *, remedy: str) -> Any:
    """What torch.save wrote, opened by weights_only, so that nothing in it runs.

    Raises:
        FormatError: no such file, damaged, or with objects that are not safe to open; `remedy` says what to do.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of a damaged file torch says KeyError, AssertionError, struct.error and others
        told = isinstance(error, OSError | pickle.UnpicklingError | RuntimeError) and str(error)
        why = str(error).splitlines()[0] if told else "it was not written whole by torch.save"  # KeyError says "101"
        raise FormatError(f"{path}: no checkpoint that is safe to open ({why}). {remedy}") from error


def _parsed(text: str, path: Path | str) -> dict[str, Any]:
    """An object in a checkpoint's metadata.

    Raises:
        FormatError: it is none.
    """
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise FormatError(f"{path}: its metadata is damaged, expected a checkpoint of 'tinywase train'.")
    return values


def load_checkpoint(path: Path | str) -> Wase:
    """The network of a checkpoint or of a model file (.twase), ready to use; a student computes with its quantizers.

    Raises:
        FormatError: not such a file, tensors are missing, or they do not fit the configuration.
    """
    if _is_model_file(path):
        return restored(read_model(path))
    config, tensors, metadata = read_weights(path)
    model = Wase(config)
    if "quant" in metadata:
        attach(model, from_dict(QuantConfig, _parsed(metadata["quant"], path)), fit=False)
    try:
        load_quantized(model, tensors)
    except RuntimeError as error:
        raise FormatError(f"{path}: the tensors do not fit the configuration '{config.name}': {error}") from error
    return model.eval()


def load_weights(model: Wase, path: Path | str) -> list[str]:
    """Begin `model` with what a checkpoint has of it, a student's with its float weights; returns the names that it
    keeps at random.

    Raises:
        FormatError: a tensor of the same name has another shape.
    """
    config, tensors = float_weights(path)
    moved = with_cues_moved(tensors, config.stacks, model.config.stacks)
    return put_weights(model, moved, path, whose="this network", like="a checkpoint of the same configuration")


def float_weights(path: Path | str) -> tuple[ModelConfig, dict[str, torch.Tensor]]:
    """Configuration and tensors of a checkpoint or a model file, a student's without its quantizers.

    Raises:
        FormatError: not such a file, or damaged.
    """
    if _is_model_file(path):
        model_file = read_model(path)
        return model_file.config, dequantized(model_file)
    config, tensors, metadata = read_weights(path)
    if "quant" in metadata:
        tensors = float_state(load_checkpoint(path))
    return config, tensors  # perhaps of a part of a network


def _is_model_file(path: Path | str) -> bool:
    return Path(path).suffix == ".twase"


def put_weights(
    model: Wase, tensors: Mapping[str, torch.Tensor], path: Path | str, *, whose: str, like: str
) -> list[str]:
    """The tensors of `path` that `model` knows by name; returns the names that stay as they are.

    Raises:
        FormatError: a tensor of the same name has another shape than `whose`, where `like` says what would fit; or
            filters were learned that are fixed here.
    """
    own = model.state_dict()
    fixed = {name for name in FILTERS if name not in own and name in tensors}
    if fixed:
        raise FormatError(
            f"{path}: its learned filters '{min(fixed)}' have no place in {whose}, whose filters are fixed. Leave "
            "[model] codec and filterbank as they were."
        )
    known = {name: value for name, value in tensors.items() if name in own}
    for name, value in known.items():
        if own[name].shape != value.shape:
            raise FormatError(
                f"{path}: '{name}' has shape {list(value.shape)}, {whose} needs {list(own[name].shape)}. "
                f"Begin with {like}."
            )
    model.load_state_dict(known, strict=False)
    return sorted(set(own) - set(known))
