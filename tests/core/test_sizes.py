from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sequela.core.errors import BadInputError
from sequela.core.sizes import read_size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("6GiB", 6 * 2**30),
        ("1.5 GiB", 3 * 2**29),
        ("3.5G", 3_500_000_000),
        ("4096", 4096),
        (4096, 4096),
        (np.int64(4096), 4096),
    ],
)
def test_a_size_is_read_with_or_without_a_unit(size: Any, expected: int) -> None:
    assert read_size(size) == expected


@pytest.mark.parametrize(
    "size",
    [
        "",
        "much",
        "-1GiB",
        "nan",
        "6 QiB",
        "9" * 400 + "GiB",
        "8EiB",
        2**63,
        "1" * 400,
        -1,
        True,
        2.5,
        None,
        [],
    ],
)
def test_anything_else_is_an_error_that_says_how_to_write_it(size: Any) -> None:
    with pytest.raises(BadInputError, match="Invalid size") as caught:
        read_size(size)
    assert "4GiB" in (caught.value.hint or "")
