"""The names of devices and dtypes, without PyTorch."""

from __future__ import annotations

import pytest
import torch

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.hardware_names import AUTO, DEVICE_TYPES, DTYPE_NAMES, check_device_name, check_dtype_name
from sequela.core.precision import DTYPES


@pytest.mark.parametrize("name", [*DEVICE_TYPES, *(f"{one}:0" for one in DEVICE_TYPES), "cuda:12", "xpu:12"])
def test_a_device_is_a_type_with_or_without_an_index_as_for_torch(name: str) -> None:
    assert check_device_name(name) == name
    assert str(torch.device(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cudaa",
        "CUDA",
        "gpu",
        "meta",
        "cuda:",
        "cuda:-1",
        "cuda:01",
        "cuda:x",
        "cuda 1",
        "cpu:0 ",
        "cpu:9",
        "cpu:1",
        "mps:1",
    ],
)
def test_another_text_is_answered_with_the_choices(name: str) -> None:
    with pytest.raises(BadInputError, match=r"Unknown device .*\nChoose cpu, cuda, cuda:0"):
        check_device_name(name)


def test_dtypes_are_those_of_torch() -> None:
    assert tuple(DTYPES) == DTYPE_NAMES
    assert [check_dtype_name(name) for name in (*DTYPE_NAMES, AUTO)] == [*DTYPE_NAMES, AUTO]
    with pytest.raises(UnknownNameError, match="'bfloat16'"):
        check_dtype_name("bfloat")
