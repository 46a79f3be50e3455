"""The native part outside Python: its own tests, sanitizers, C examples, other processors, hot loops without spills.

Everything is compiled here, so nothing depends on what is installed; tools that are missing make a test skip. A longer
fuzz: TINYWASE_FUZZ_S=600 pytest tests/test_native_build.py -k sanitizers
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from native_builds import PATH, REPOSITORY, built, needs, run
from native_models import CONFIGS, float_model, integer_model, mixed_model, noise, without_running_offset

from tinywase.activity import ENROLLMENT_RMS, prepare_enrollment
from tinywase.format import read_config, read_model, write_model
from tinywase.metrics import si_sdr
from tinywase.runtime.reference import ReferenceModel
from tinywase.runtime.registry import find_model
from tinywase.runtime.stream import GAIN
from tinywase.runtime.windows import WORKING_RMS

GOLDEN = REPOSITORY / "tests" / "golden"
MODELS = [str(GOLDEN / f"{name}.twase") for name in ("causal", "offline")]
FORGETTING = str(GOLDEN / "forgetting.twase")
FUZZ_S = os.environ.get("TINYWASE_FUZZ_S", "5")
CROSS = "aarch64-linux-gnu-"
WITHOUT_TRAINING = {"TINYWASE_TRAINING": "OFF"}  # whose kernels these programs do not call
SETS = r"training::avx512\w*|sse41|avx2|avxvnni|avx512|neon|neondot|scalar"
OWN_NAMESPACE = rf"tinywase::({SETS})::|DW\.ref\."  # the latter: data for exceptions
ON_X86 = platform.machine() in ("x86_64", "AMD64")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("plain"), "test_kernels", "test_api", "test_team")


@pytest.fixture(scope="module")
def encoded_anew(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the kernels of avxvnni in the encoding of AVX-512, which more machines that run tests have."""
    if not ON_X86:
        pytest.skip("a test of x86-64 code")
    return built(
        tmp_path_factory.mktemp("anew"),
        "test_kernels",
        "test_team",
        TINYWASE_AVXVNNI_BY_AVX512="ON",
        **WITHOUT_TRAINING,
    )


@pytest.fixture(scope="module")
def offline_models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """On floats and integers, with kept sums and widths that fill no lane; one in several parts of channels."""
    folder, wide = tmp_path_factory.mktemp("offline"), dataclasses.replace(CONFIGS["tiny"], hidden=530)
    files = {
        **{name.replace(" ", "-"): float_model(CONFIGS[name]) for name in ("tiny", "widths of no lane", "log power")},
        **{f"{bits}-bits": integer_model(CONFIGS["tiny"], bits) for bits in (3, 8)},
        "fourier": integer_model(CONFIGS["fourier"], 3),
        "wide": integer_model(wide, 3),
        "one-float-block": mixed_model(CONFIGS["tiny"], 3, floats="separator.blocks.1.depthwise.weight"),
        "one-steep-block": mixed_model(CONFIGS["tiny"], 3, slope="separator.blocks.0.depthwise_slope.weight"),
    }
    for name, model_file in files.items():
        write_model(folder / f"{name}.twase", model_file)
    return [str(folder / f"{name}.twase") for name in files]


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled for Arm, wherever this runs."""
    needs(f"{CROSS}g++")
    return built(
        tmp_path_factory.mktemp("arm"),
        *("test_kernels", "test_api", "test_team"),
        CMAKE_SYSTEM_NAME="Linux",
        CMAKE_SYSTEM_PROCESSOR="aarch64",
        CMAKE_CXX_COMPILER=f"{CROSS}g++",
        CMAKE_EXE_LINKER_FLAGS="-static",
    )


def test_code_for_one_processor_defines_nothing_that_the_rest_could_get(plain: Path) -> None:
    """The linker keeps one copy of a template's function: not one for AVX-512 that a processor without it would run."""
    needs("nm")
    objects = plain.rglob("*.o")
    folders = ("training_avx512.dir", "training_avx512bf16.dir")
    special = [path for path in objects if path.name.startswith("kernels_") or any(f in path.parts for f in folders)]
    assert special
    shared = [
        line
        for path in special
        for line in run("nm", "-C", "--defined-only", path).splitlines()
        if re.match(r"[0-9a-f]+ [WVu] ", line) and not re.search(OWN_NAMESPACE, line)
    ]
    assert shared == []


def test_every_kernel_equals_its_formula(plain: Path) -> None:
    assert "scalar: passed" in run(plain / "test_kernels")


def test_the_kernels_of_avxvnni_are_right_in_another_encoding(encoded_anew: Path, offline_models: list[str]) -> None:
    report = run(encoded_anew / "test_kernels")
    if "avxvnni: not on this processor" in report:
        pytest.skip("neither AVX-VNNI nor AVX-512 VNNI on this processor")
    assert "avxvnni: passed" in report
    run(encoded_anew / "test_team", *offline_models, TINYWASE_ISA="avxvnni")


def test_the_kernels_of_avxvnni_need_no_avx512(plain: Path) -> None:
    needs("objdump")
    objects = list(plain.rglob("kernels_avxvnni*.o"))
    if not objects:
        pytest.skip("this compiler knows no AVX-VNNI, or the processor is another one")
    listing = run("objdump", "-d", "--no-show-raw-insn", objects[0])
    products = [line for line in listing.splitlines() if "vpdpbusd" in line]
    assert products and all("{vex}" in line for line in products)
    assert not re.search(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|\{%k", listing)


def test_the_c_interface_refuses_in_words_and_serves_threads(plain: Path) -> None:
    version = re.search(r'^version = "([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
    assert version and run(plain / "test_api", *MODELS) == f"tinywase {version[1]}: passed\n"


def test_helpers_never_change_a_bit(plain: Path, offline_models: list[str]) -> None:
    native = pytest.importorskip("tinywase._native", reason="the package was installed without its native part")
    for isa in native.instruction_sets():
        run(plain / "test_team", *offline_models, TINYWASE_ISA=isa)


def test_a_system_without_threads_computes_on_the_callers(tmp_path: Path, offline_models: list[str]) -> None:
    folder = built(
        tmp_path, "test_team", CMAKE_DISABLE_FIND_PACKAGE_Threads="ON", CMAKE_CXX_FLAGS="-O1", **WITHOUT_TRAINING
    )
    run(folder / "test_team", *offline_models)


def test_address_and_undefined_behaviour_sanitizers_find_nothing(tmp_path: Path, offline_models: list[str]) -> None:
    targets = ("test_kernels", "test_api", "test_team", "fuzz")
    folder = built(
        tmp_path, *targets, TINYWASE_SANITIZE="address,undefined", CMAKE_BUILD_TYPE="Debug", **WITHOUT_TRAINING
    )
    options = {"ASAN_OPTIONS": "allocator_may_return_null=1:max_allocation_size_mb=2000"}
    run(folder / "test_api", *MODELS, **options)
    run(folder / "test_kernels", **options)
    run(folder / "test_team", *offline_models, **options)
    write_model(tmp_path / "overlapping.twase", integer_model(CONFIGS["causal fourier"], 3))
    integers = [path for path in offline_models if Path(path).stem in ("3-bits", "8-bits", "fourier")]
    more = [*integers, str(tmp_path / "overlapping.twase")]
    print(run(folder / "fuzz", FUZZ_S, *MODELS, FORGETTING, *more, **options))


def test_the_thread_sanitizer_finds_nothing(tmp_path: Path, offline_models: list[str]) -> None:
    folder = built(
        tmp_path, "test_api", "test_team", TINYWASE_SANITIZE="thread", CMAKE_BUILD_TYPE="Debug", **WITHOUT_TRAINING
    )
    run(folder / "test_api", *MODELS, TSAN_OPTIONS="halt_on_error=1")
    run(folder / "test_team", *offline_models, TSAN_OPTIONS="halt_on_error=1")


def compiled_example(example: str, library: Path, folder: Path) -> Path:
    needs("cc")
    program = folder / example
    run(
        *("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", REPOSITORY / "examples" / f"{example}.c"),
        *(f"-I{REPOSITORY / 'native' / 'include'}", library / "libtinywase.a"),
        *("-lstdc++", "-lm", "-lpthread", "-o", program),
    )
    return program


def estimate_of(program: Path, model: str | Path, voice: np.ndarray, mixture: np.ndarray, folder: Path) -> np.ndarray:
    """What an example makes of raw samples. Shape: [any], [T] -> float32 [T]."""
    paths = [folder / f"{name}.f32" for name in ("voice", "mixture", "estimate")]
    voice.astype(np.float32).tofile(paths[0])
    mixture.astype(np.float32).tofile(paths[1])
    if program.name == "c_api":
        run(program, model, *paths)
    else:
        with paths[1].open("rb") as source, paths[2].open("wb") as sink:
            subprocess.run([program, model, paths[0]], stdin=source, stdout=sink, check=True)
    return np.fromfile(paths[2], np.float32)


@pytest.mark.parametrize("example", ["c_api", "c_stream"])
def test_the_c_examples_extract_what_the_reference_does(example: str, plain: Path, tmp_path: Path) -> None:
    program = compiled_example(example, plain, tmp_path)
    voice, mixture = noise(9000, seed=1), noise(4001, seed=2)
    voice[2000:3500] *= 0.01  # a pause
    voice += 0.1
    mixture += 0.05  # a sound card's offset
    reference = ReferenceModel(read_model(MODELS[0]))
    rate_hz = reference.config.sample_rate_hz
    if example == "c_stream":
        gain = float(GAIN)
        heard = without_running_offset(mixture, rate_hz // 125, rate_hz)
    else:
        heard = mixture - mixture.mean()
        gain = WORKING_RMS / np.sqrt(np.mean(heard**2))
    voiceprint = reference.enroll(prepare_enrollment(voice, rate_hz))
    expected = reference.extract(heard * np.float32(gain), voiceprint)[0] / gain
    estimate = estimate_of(program, MODELS[0], voice, mixture, tmp_path)
    assert estimate.shape == expected.shape
    assert np.sum((estimate - expected) ** 2) < 1e-3 * np.sum(expected**2)


@pytest.mark.parametrize(("example", "model"), [("c_api", "small"), ("c_stream", "live")])
def test_the_c_examples_hear_quiet_sounds_as_well_as_loud_ones(
    example: str, model: str, plain: Path, tmp_path: Path
) -> None:
    program, path = compiled_example(example, plain, tmp_path), find_model(model)
    rate_hz = read_config(path).sample_rate_hz
    demo = path.parents[1] / "demo"
    mixture, target, voice = (
        soxr.resample(soundfile.read(demo / f"{name}.flac", dtype="float32")[0], 16_000, rate_hz)
        for name in ("mixture", "target", "enrollment")
    )
    loud, quiet = (
        estimate_of(program, path, np.float32(gain) * voice, np.float32(gain) * mixture, tmp_path)
        for gain in (1.0, 0.01)
    )
    before_db, loud_db, quiet_db = (si_sdr(reference=target, estimate=found) for found in (mixture, loud, quiet))
    assert loud_db > before_db + 6
    assert quiet_db > loud_db - 0.5
    assert abs(20 * np.log10(np.std(quiet) / np.std(loud)) + 40) < 0.5, "as loud as in the mixture"


def test_the_header_names_the_levels_of_the_package() -> None:
    header = (REPOSITORY / "native" / "include" / "tinywase.h").read_text()
    levels = {name: float(value) for name, value in re.findall(r"#define TW_(\w+) +([\d.]+)f", header)}
    assert levels == {"WORKING_RMS": WORKING_RMS, "STREAM_GAIN": float(GAIN)}
    assert WORKING_RMS == ENROLLMENT_RMS


CONSUMER = """
cmake_minimum_required(VERSION 3.18)
project(consumer LANGUAGES {languages})
find_package(tinywase 0.1 REQUIRED)
add_executable(c_api {example})
target_link_libraries(c_api PRIVATE tinywase::tinywase m)
"""


def consumer(folder: Path, languages: str) -> Path:
    folder.mkdir()
    text = CONSUMER.format(languages=languages, example=REPOSITORY / "examples" / "c_api.c")
    (folder / "CMakeLists.txt").write_text(text)
    return folder


@pytest.mark.parametrize("kind", ["static", "shared"])
def test_another_project_finds_what_was_installed(kind: str, plain: Path, tmp_path: Path) -> None:
    """Found by its name, linked by its name, and nothing else is needed; C alone where the library is shared."""
    needs("cc")
    shared = kind == "shared"
    options = {"BUILD_SHARED_LIBS": "ON", "CMAKE_CXX_FLAGS": "-O1"} | WITHOUT_TRAINING
    options["CMAKE_INSTALL_INCLUDEDIR"] = "include/tinywase-0.1"
    library = built(tmp_path / "shared", "tinywase", **options) if shared else plain
    run("cmake", "--install", library, "--prefix", tmp_path / "prefix")
    installed = {path.name for path in (tmp_path / "prefix").rglob("*") if path.is_file()}
    assert {"tinywase.h", "tinywaseConfig.cmake"} <= installed
    assert ("libtinywase.a" in installed) != shared, "one library, and nothing of the tests"
    source, build = consumer(tmp_path / "source", "C" if shared else "C CXX"), tmp_path / "build"
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    run("cmake", "--build", build)
    assert len(estimate_of(build / "c_api", MODELS[0], noise(6000), noise(4001), tmp_path)) == 4001


def test_pkg_config_says_what_a_c_program_needs(plain: Path, tmp_path: Path) -> None:
    needs("cc", "pkg-config")
    run("cmake", "--install", plain, "--prefix", tmp_path / "prefix")
    folder = next((tmp_path / "prefix").rglob("tinywase.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "tinywase", PKG_CONFIG_PATH=str(folder)).split()
    run("cc", "-std=c99", REPOSITORY / "examples" / "c_api.c", *flags, "-o", tmp_path / "c_api")
    assert len(estimate_of(tmp_path / "c_api", MODELS[0], noise(6000), noise(4001), tmp_path)) == 4001


@pytest.mark.parametrize("shared", ["OFF", "ON"])
def test_it_can_be_part_of_another_projects_build(shared: str, tmp_path: Path) -> None:
    """By add_subdirectory (FetchContent): the same name to link, and no tests or installed files of ours in theirs."""
    needs("cmake", "c++", "cc")
    source, build = consumer(tmp_path / "source", "C CXX"), tmp_path / "build"
    lists = source / "CMakeLists.txt"
    lists.write_text(
        lists.read_text().replace("find_package(tinywase 0.1 REQUIRED)", f"add_subdirectory({REPOSITORY} tinywase)")
    )
    run("cmake", "-S", source, "-B", build, f"-DBUILD_SHARED_LIBS={shared}", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON")
    commands = json.loads((build / "compile_commands.json").read_text())
    example = next(entry["command"] for entry in commands if entry["file"].endswith("c_api.c"))
    assert str(REPOSITORY / "native" / "include") in example
    assert not any("native/tests" in entry["file"] for entry in commands)
    assert "tinywase.h" not in (build / "tinywase" / "cmake_install.cmake").read_text()


def test_a_project_without_cxx_is_told_what_a_static_library_needs(plain: Path, tmp_path: Path) -> None:
    needs("cc")
    run("cmake", "--install", plain, "--prefix", tmp_path / "prefix")
    command = ["cmake", "-S", str(consumer(tmp_path / "source", "C")), "-B", str(tmp_path / "build")]
    command.append(f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    environment = dict(os.environ) | {"PATH": PATH}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode != 0
    words = " ".join(done.stderr.split())
    assert "got a project of C: expected CXX among its LANGUAGES. Add it, or build tinywase with" in words


def test_the_kernels_of_arm_run_under_emulation(arm: Path, offline_models: list[str]) -> None:
    emulators = [name for name in ("qemu-aarch64", "qemu-aarch64-static") if shutil.which(name, path=PATH)]
    if not emulators:
        pytest.skip("not installed: qemu-aarch64")
    said = run(emulators[0], "-cpu", "max", arm / "test_kernels")
    assert "neondot: passed" in said
    assert "neon: passed" in said
    without = run(emulators[0], "-cpu", "cortex-a53", arm / "test_kernels")
    assert "neondot: not on this processor" in without, "a Raspberry Pi 3 has no dot products"
    assert "neon: passed" in without
    run(emulators[0], "-cpu", "max", arm / "test_api", *MODELS)
    run(emulators[0], "-cpu", "max", arm / "test_team", *offline_models)


# Registers: a spilled accumulator costs more than half of a kernel's speed, and no test of results would notice.

PRODUCTS = {
    "sse41": r"pmadd(ubsw|wd)|mulps",
    "avx2": r"vpmadd(ubsw|wd)|vfmadd\w+ps",
    "avxvnni": r"vpdpbusd|vfmadd\w+ps",
    "avx512": r"vpdpbusd|vfmadd\w+ps",
    "neon": r"(smlal2?|fmla)\s",
    "neondot": r"(sdot|fmla)\s",
}
# Rows of the largest tile, and so loops that are expected of each product.
TILES = {"sse41": 6, "avx2": 6, "avxvnni": 6, "avx512": 12, "neon": 3, "neondot": 5}
SPILL = re.compile(r"v?mov\w+\s+%[xyz]mm\d+,[^ ]*\(%r[sb]p|st[pu]?r?\s+q\d+.*\[(sp|x29)")
JUMP = re.compile(r"(?:j\w+|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(?:0x)?([0-9a-f]+)")


def hot_loops(listing: str, product: str) -> Iterator[str]:
    """Innermost loops with at least eight products: the text from the target of a backward jump to the jump."""
    for section in listing.split("Disassembly of section"):  # addresses begin again in each
        lines = [match for line in section.splitlines() if (match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line))]
        places = {match[1]: i for i, match in enumerate(lines)}
        for i, match in enumerate(lines):
            jump = JUMP.match(match[2])
            start = places.get(jump[1], i) if jump else i
            body = [line[2] for line in lines[start:i]]
            innermost = not any(JUMP.match(line) for line in body)
            if innermost and sum(bool(re.search(product, line)) for line in body) >= 8:
                yield "\n".join(body)


@pytest.mark.parametrize("isa", sorted(PRODUCTS))
def test_hot_loops_keep_their_sums_in_registers(isa: str, request: pytest.FixtureRequest) -> None:
    on_arm = isa.startswith("neon")
    if not on_arm and not ON_X86:
        pytest.skip("a test of x86-64 code")
    tool = "objdump" if not on_arm or not ON_X86 else f"{CROSS}objdump"
    needs(tool)
    folder: Path = request.getfixturevalue("arm" if on_arm else "plain")
    objects = list(folder.rglob(f"kernels_{isa}.*.o"))
    if isa == "avxvnni" and not objects:
        pytest.skip("this compiler knows no AVX-VNNI")
    loops = list(hot_loops(run(tool, "-d", "--no-show-raw-insn", objects[0]), PRODUCTS[isa]))
    assert len(loops) >= TILES[isa], "the loops of the float and the integer tiles are found"
    spilled = [loop for loop in loops if SPILL.search(loop)]
    assert not spilled, f"{len(spilled)} of {len(loops)} loops store vectors to the stack:\n{spilled[0]}"
