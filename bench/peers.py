"""The paper's core in what people would otherwise run: PyTorch, ONNX Runtime, OpenVINO, each on one thread.

All hold the weights of one specimen in float32, so that their outputs can be compared. `int8` is ONNX Runtime's static
quantization (QDQ, convolutions, calibrated on the clip itself), which OpenVINO reads too. What is not installed is left
out and named: pip install 'tinywase[train,bench]'. Letters: T samples, D voiceprint dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinywase.bench.torch_peer import core, plain_operations
from tinywase.format import read_model

Array = NDArray[np.float32]
Run = Callable[[], Array]


@dataclass(frozen=True)
class Peer:
    """Somebody else's way to run the core."""

    name: str
    run: Run


def peers(specimen: Path, mixture: Array, voiceprint: Array, folder: Path) -> Iterator[Peer]:
    """Every one that is installed; the others are named on stdout. Shape: [T], [D]."""
    for make, packages in (
        (_torch, ("torch",)),
        (_onnxruntime, ("torch", "onnx", "onnxruntime")),
        (_openvino, ("openvino",)),
    ):
        missing = [name for name in packages if not _installed(name)]
        if missing:
            print(f"not installed, left out: {', '.join(missing)}")
            continue
        yield from make(specimen, mixture, voiceprint, folder)


def _installed(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def _core(specimen: Path) -> Any:
    """The core as a module with the specimen's weights, in torch's own operations: [1, T], [1, D] -> [1, T]."""
    import torch

    from tinywase.models import Wase

    torch.set_num_threads(1)
    model_file = read_model(specimen)
    network = Wase(model_file.config).eval()
    weights = {name: torch.from_numpy(tensor.dequantize()) for name, tensor in model_file.tensors.items()}
    network.load_state_dict({name: weights[name] for name in network.state_dict()})

    class Core(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, mixture: torch.Tensor, voiceprint: torch.Tensor) -> torch.Tensor:
            with plain_operations():
                return core(network, mixture, voiceprint)

    return Core().eval()


def _torch(specimen: Path, mixture: Array, voiceprint: Array, folder: Path) -> Iterator[Peer]:
    import torch

    module = _core(specimen)
    inputs = torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]

    def run(bfloat16: bool) -> Run:
        def once() -> Array:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                return module(*inputs)[0].float().numpy()

        return once

    yield Peer(f"PyTorch {torch.__version__.split('+')[0]} eager, float32", run(False))
    yield Peer("PyTorch, bfloat16 autocast", run(True))


def _exported(specimen: Path, mixture: Array, voiceprint: Array, folder: Path) -> tuple[Path, Path]:
    """ONNX files of the core, float32 and int8; made once per specimen."""
    import torch

    plain, quantized = folder / "core.onnx", folder / "core-int8.onnx"
    if quantized.exists() and quantized.stat().st_mtime > specimen.stat().st_mtime:
        return plain, quantized
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    inputs = torch.from_numpy(mixture)[None], torch.from_numpy(voiceprint)[None]
    names: dict[str, Any] = {"input_names": ["mixture", "voiceprint"], "output_names": ["estimate"]}
    with torch.inference_mode():
        torch.onnx.export(_core(specimen), inputs, str(plain), opset_version=18, verbose=False, **names)

    left = [{"mixture": mixture[None], "voiceprint": voiceprint[None]}]

    class Clip(CalibrationDataReader):
        def get_next(self) -> dict[str, Array] | None:
            return left.pop() if left else None

    quantize_static(
        str(plain),
        str(quantized),
        Clip(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return plain, quantized


def _onnxruntime(specimen: Path, mixture: Array, voiceprint: Array, folder: Path) -> Iterator[Peer]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    feeds = {"mixture": mixture[None], "voiceprint": voiceprint[None]}

    def run(path: Path) -> Run:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, feeds)[0][0]

    plain, quantized = _exported(specimen, mixture, voiceprint, folder)
    yield Peer(f"ONNX Runtime {onnxruntime.__version__}, float32", run(plain))
    yield Peer("ONNX Runtime, int8", run(quantized))


def _openvino(specimen: Path, mixture: Array, voiceprint: Array, folder: Path) -> Iterator[Peer]:
    import openvino

    if not (_installed("onnx") and _installed("onnxruntime") and _installed("torch")):
        print("not measured: OpenVINO, which reads what onnx and onnxruntime write")
        return
    runtime = openvino.Core()
    inputs = {"mixture": mixture[None], "voiceprint": voiceprint[None]}

    def run(path: Path, precision: str) -> Run:
        hints = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        hints |= {"INFERENCE_PRECISION_HINT": precision, "ENABLE_CPU_PINNING": False}
        request = runtime.compile_model(str(path), "CPU", hints).create_infer_request()
        return lambda: np.array(request.infer(inputs)[0][0])

    plain, quantized = _exported(specimen, mixture, voiceprint, folder)
    yield Peer(f"OpenVINO {version('openvino')}, float32", run(plain, "f32"))
    yield Peer("OpenVINO, bfloat16", run(plain, "bf16"))
    yield Peer("OpenVINO, int8", run(quantized, "f32"))


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Exporting talks a lot."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
