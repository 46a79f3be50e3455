"""The paper's table of sizes, to its last digit [Huang22]."""

from __future__ import annotations

import pytest

from tinywase.config import PAPER, ModelConfig, named_config
from tinywase.layout import expected_tensors
from tinywase.sizes import Sizes, count_sizes, paper_quantizes

MIB = 2**20
UNSHARED_FLOAT_BYTES = 20_202_696


def paper_sizes(config: ModelConfig, bits: int) -> Sizes:
    shapes = expected_tensors(config)
    quantized = {name: bits for name, shape in shapes.items() if paper_quantizes(name, shape)}
    return count_sizes(config, bits=quantized, stored_bytes={})


@pytest.mark.parametrize(
    ("bits", "mib", "ratio"),
    [
        (1, "0.967", "19.93"),
        (2, "1.557", "12.37"),
        (3, "2.15", "8.97"),
        (4, "2.738", "7.04"),
        (5, "3.328", "5.79"),
        (8, "5.099", "3.78"),
    ],
)
def test_paper_table_is_met_to_the_last_digit(bits: int, mib: str, ratio: str) -> None:
    sizes = paper_sizes(PAPER, bits)
    digits = len(mib.partition(".")[2])
    assert f"{sizes.paper_core_bytes / MIB:.{digits}f}" == mib
    assert f"{sizes.paper_ratio:.2f}" == ratio


def test_paper_counts_of_the_core() -> None:
    sizes = paper_sizes(PAPER, 3)
    assert (sizes.core_parameters, sizes.quantized_parameters, sizes.quantized_tensors) == (5_050_674, 4_952_192, 103)
    assert sizes.float_core_bytes == UNSHARED_FLOAT_BYTES
    assert sizes.parameters - sizes.core_parameters == 2_465_920


def test_shared_stacks_meet_the_paper() -> None:
    sizes = paper_sizes(named_config("paper", distinct_stacks=1), 3)
    assert (sizes.core_parameters, sizes.quantized_parameters, sizes.quantized_tensors) == (1_827_090, 1_781_888, 39)
    assert round(sizes.paper_core_bytes / MIB, 2) == 0.81
    assert f"{sizes.paper_ratio:.1f}" == "23.8"


def test_float_tensors_count_four_bytes_whatever_the_file_does() -> None:
    sizes = count_sizes(
        PAPER, bits={"separator.norm.weight": 8}, stored_bytes={"encoder.weight": 10, "voiceprint_encoder.x": 9}
    )
    assert sizes.paper_core_bytes == sizes.float_core_bytes
    assert sizes.core_bytes == 10
