"""The native part outside Python: its own tests under sanitizers, the C examples, other processors, kernels without spills."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from native_models import noise

from tinywase.format import read_model
from tinywase.runtime.reference import ReferenceModel

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = REPOSITORY / "tests" / "golden"
MODELS = [str(GOLDEN / f"{name}.twase") for name in ("causal", "offline")]
CROSS, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
FUZZ_S = os.environ.get("TINYWASE_FUZZ_S", "5")
pytestmark = pytest.mark.slow


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(*command: str | Path, **options: str) -> str:
    environment = dict(os.environ) | options
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def built(folder: Path, *targets: str, **options: str) -> Path:
    """Configure and compile the native part alone."""
    needs("cmake", "c++")
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    run("cmake", "-S", REPOSITORY, "-B", folder, *definitions)
    run("cmake", "--build", folder, "--target", *targets)
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("plain"), "test_kernels", "test_api", "fuzz")


def test_every_kernel_equals_its_formula(plain: Path) -> None:
    assert "scalar: passed" in run(plain / "test_kernels")


def test_the_c_interface_refuses_in_words_and_serves_threads(plain: Path) -> None:
    run(plain / "test_api", *MODELS)


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(sanitizer: str, tmp_path: Path) -> None:
    folder = built(
        tmp_path, "test_kernels", "test_api", "fuzz", TINYWASE_SANITIZE=sanitizer, CMAKE_BUILD_TYPE="RelWithDebInfo"
    )
    options = {"ASAN_OPTIONS": "allocator_may_return_null=1:max_allocation_size_mb=2000", "TSAN_OPTIONS": "halt_on_error=1"}
    run(folder / "test_api", *MODELS, **options)
    if sanitizer != "thread":
        run(folder / "test_kernels", **options)
        run(folder / "fuzz", FUZZ_S, *MODELS, **options)


@pytest.mark.parametrize("example", ["c_api", "c_stream"])
def test_the_c_examples_extract_what_the_reference_does(example: str, plain: Path, tmp_path: Path) -> None:
    needs("cc")
    program, model_file = tmp_path / example, read_model(MODELS[0])
    run(
        *("cc", "-std=c99", "-Wall", "-Werror", REPOSITORY / "examples" / f"{example}.c"),
        *(f"-I{REPOSITORY / 'native' / 'include'}", plain / "libtinywase_core.a"),
        *("-lstdc++", "-lm", "-lpthread", "-o", program),
    )
    voice, mixture = noise(3000, seed=1), noise(4001, seed=2)
    voice.tofile(tmp_path / "voice.f32")
    mixture.tofile(tmp_path / "mixture.f32")
    if example == "c_api":
        run(program, MODELS[0], tmp_path / "voice.f32", tmp_path / "mixture.f32", tmp_path / "estimate.f32")
    else:
        with (tmp_path / "mixture.f32").open("rb") as source, (tmp_path / "estimate.f32").open("wb") as sink:
            subprocess.run([program, MODELS[0], tmp_path / "voice.f32"], stdin=source, stdout=sink, check=True)
    reference = ReferenceModel(model_file)
    expected = reference.extract(mixture, reference.enroll(voice))[0]
    estimate = np.fromfile(tmp_path / "estimate.f32", np.float32)
    assert estimate.shape == expected.shape
    assert np.sum((estimate - expected) ** 2) < 1e-3 * np.sum(expected**2)


def test_the_kernels_of_arm_run_under_emulation(tmp_path: Path) -> None:
    needs(CROSS, EMULATOR)
    cross = {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": "aarch64", "CMAKE_CXX_COMPILER": CROSS}
    folder = built(tmp_path, "test_kernels", "test_api", CMAKE_EXE_LINKER_FLAGS="-static", **cross)
    assert "neon: passed" in run(EMULATOR, "-cpu", "max", folder / "test_kernels")
    run(EMULATOR, "-cpu", "max", folder / "test_api", *MODELS)


# Registers: an accumulator that is spilled costs more than half of a kernel's speed, and no test of results would notice.

PRODUCT = {"avx2": r"vpmadd(ubsw|wd)|vfmadd\w+ps", "avx512": r"vpdpbusd|vfmadd\w+ps"}
SPILL = re.compile(r"vmov\w+\s+%[yz]mm\d+,[^ ]*\(%r[sb]p")


def hot_loops(listing: str, product: str) -> list[str]:
    """Innermost loops with at least eight products: the text from the target of a backward jump to the jump."""
    loops = []
    for section in listing.split("Disassembly of section"):  # addresses begin again in each
        lines = [match for line in section.splitlines() if (match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line))]
        places = {match[1]: i for i, match in enumerate(lines)}
        for i, match in enumerate(lines):
            jump = re.match(r"j\w+\s+([0-9a-f]+)", match[2])
            start = places.get(jump[1], i) if jump else i
            body = [line[2] for line in lines[start:i]]
            innermost = not any(re.match(r"j\w+\s", line) for line in body)
            if innermost and sum(bool(re.search(product, line)) for line in body) >= 8:
                loops.append("\n".join(body))
    return loops


@pytest.mark.parametrize("isa", sorted(PRODUCT))
def test_hot_loops_keep_their_sums_in_registers(isa: str, plain: Path) -> None:
    needs("objdump")
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("a test of x86-64 code")
    objects = sorted(plain.rglob(f"kernels_{isa}*.o*"))
    loops = hot_loops(run("objdump", "-d", "--no-show-raw-insn", objects[0]), PRODUCT[isa])
    expected = {"avx2": 6, "avx512": 16}[isa]
    assert len(loops) >= expected, "the loops of the float and the integer tiles are found"
    spilled = [loop for loop in loops if SPILL.search(loop)]
    assert not spilled, f"{len(spilled)} of {len(loops)} loops store vectors to the stack:\n{spilled[:1]}"
