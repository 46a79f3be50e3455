"""Who may import whom, and what must never be loaded: the borders that keep extraction free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "tinywase"
NOT_FLOOR = ("__init__", "__main__", "format")
FLOOR = tuple(sorted(path.stem for path in SOURCE.glob("*.py") if path.stem not in NOT_FLOOR))
LIGHT = (*FLOOR, "format", "data", "runtime")

# Part of the package -> parts of the package that it may import. Arrows only point towards the floor.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "__init__": ("runtime",),
    "__main__": ("cli",),
    **dict.fromkeys(FLOOR, FLOOR),
    "format": FLOOR,
    "data": (*FLOOR, "data"),
    "runtime": (*FLOOR, "format", "runtime", "_native"),
    "evaluate": (*LIGHT, "evaluate"),
    "evaluate.systems": (*LIGHT, "evaluate", "train.checkpoint"),  # torch only when a checkpoint is given
    "bench": (*LIGHT, "bench"),
    "bench.torch_peer": (*LIGHT, "models"),  # torch only where PyTorch itself is measured
    "models": (*FLOOR, "models", "_native"),  # training kernels
    "quant": (*FLOOR, "quant"),
    "train": (*LIGHT, "evaluate", "models", "quant", "train"),
    "cli": (*LIGHT, "bench", "evaluate", "models", "quant", "train", "cli", "server"),
    "server": (*LIGHT, "server"),
}
TORCH_PARTS = ("models", "quant", "train")
TORCH_IN_FUNCTIONS = ("bench.torch_peer", "cli", "evaluate.systems")
HEAVY = ("torch", "scipy", "matplotlib", "pystoi", "pesq", "fast_bss_eval", "tensorboard", "safetensors", "onnx")

BLOCKED = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            raise ImportError(f"{{name}} is blocked by the test")
sys.meta_path.insert(0, Block())
"""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"), path


def imports(tree: ast.AST, module: str, *, package: bool) -> Iterator[tuple[str, bool]]:
    """(absolute name, stands at module level) of everything imported, `if TYPE_CHECKING:` left out."""
    here = ["tinywase", *module.split(".")] if module != "__init__" else ["tinywase", ""]
    pending: list[tuple[ast.AST, bool]] = [(tree, True)]
    while pending:
        node, top = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + package] if node.level else []
            stem = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            yield from ((f"{stem}.{alias.name}", top) for alias in node.names)
        top = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        pending.extend((child, top) for child in ast.iter_child_nodes(node))


def all_imports() -> Iterator[tuple[str, str, bool]]:
    for module, path in modules():
        package = path.name == "__init__.py" and module != "__init__"
        for name, top in imports(ast.parse(path.read_text()), module, package=package):
            yield module, name, top


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_arrows_point_down() -> None:
    wrong = []
    for module, name, _ in all_imports():
        parts = name.split(".")
        if parts[0] != "tinywase" or len(parts) == 1 or name == "tinywase.__version__":
            continue
        allowed = MAY_IMPORT.get(module) or MAY_IMPORT[module.split(".")[0]]
        inner = ".".join(parts[1:])
        if not any(inner == entry or inner.startswith(f"{entry}.") for entry in allowed):
            wrong.append(f"{module} imports {name}; it may import {', '.join(allowed)}")
    assert not wrong, "\n".join(wrong)


def test_torch_lives_in_three_folders_and_elsewhere_only_in_functions_that_need_it() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, name, top in all_imports()
        if name.split(".")[0] in ("torch", "safetensors")
        and module.split(".")[0] not in TORCH_PARTS
        and (top or not module.startswith(TORCH_IN_FUNCTIONS))
    ]
    assert not wrong, "\n".join(wrong)


def test_light_modules_import_only_core_dependencies_when_loaded() -> None:
    allowed = {"numpy", "soundfile", "soxr", "tinywase", *sys.stdlib_module_names}
    wrong = [
        f"{module} imports {name} at module level"
        for module, name, top in all_imports()
        if top and module.split(".")[0] in (*LIGHT, "evaluate") and name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_command_modules_load_typer_and_nothing_slow() -> None:
    allowed = {"typer", "rich", "tinywase", *sys.stdlib_module_names}
    wrong = [
        f"{module} imports {name} at module level"
        for module, name, top in all_imports()
        if top and module.split(".")[0] == "cli" and name.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_loads_nothing() -> None:
    third_party = ("numpy", "soundfile", "soxr", "typer", "rich", *HEAVY)
    code = f"import sys, tinywase; print([name for name in {third_party} if name in sys.modules])"
    assert run_python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["extract", "--help"], ["train", "--help"]])
def test_help_loads_neither_numpy_nor_torch(arguments: list[str]) -> None:
    slow = ("numpy", "soundfile", "soxr", *HEAVY)
    result = run_python(
        f"import sys; sys.argv = ['tinywase', *{arguments}]\n"
        "from tinywase.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {slow} if name in sys.modules])"
    )
    assert result.stdout.splitlines()[-1:] == ["LOADED []"], result.stdout + result.stderr


def test_everything_but_the_training_side_imports_without_torch_and_scipy() -> None:
    light = [m for m, _ in modules() if m.split(".")[0] not in (*TORCH_PARTS, "__init__", "__main__")]
    code = f"import importlib\nfor m in {light}: importlib.import_module('tinywase.' + m)"
    result = run_python(BLOCKED.format(names=set(HEAVY)) + code)
    assert result.returncode == 0, result.stderr


def test_extraction_runs_where_torch_is_absent(tiny_model_path: Path) -> None:
    code = BLOCKED.format(names=set(HEAVY)) + (
        "import numpy as np\nfrom tinywase import Extractor\n"
        f"extractor = Extractor.from_pretrained({str(tiny_model_path)!r})\n"
        "noise = 0.1 * np.random.default_rng(0).standard_normal(16000).astype('f4')\n"
        "voiceprint = extractor.enroll(noise, sample_rate_hz=8000)\n"
        "extraction = extractor.extract(noise[:8000], voiceprint, sample_rate_hz=8000)\n"
        "print(len(extraction.estimate), bool(np.isfinite(extraction.estimate).all()))"
    )
    result = run_python(code)
    assert result.stdout.split() == ["8000", "True"], result.stdout + result.stderr
