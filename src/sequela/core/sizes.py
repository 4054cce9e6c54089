"""Sizes of memory, in bytes or with a unit."""

from __future__ import annotations

from sequela.core.arguments import as_whole_number
from sequela.core.errors import BadInputError, shown

LARGEST = 2**63 - 1
"""The largest size in bytes; no machine has as much memory."""


def check_size(size: int) -> int:
    """Returns a size in bytes.

    Raises:
        ValueError: It is larger than `LARGEST`.
    """
    if size > LARGEST:
        raise ValueError("the size is too large")
    return size


def read_size(size: str | int) -> int:
    """Returns the number of bytes of a size such as `4GiB`, `3.5G` or `4096`.

    Raises:
        BadInputError: It is not a size.
    """
    from pydantic import ByteSize, TypeAdapter

    given = size if isinstance(size, str) else as_whole_number(size)
    try:
        if given is not None and not (isinstance(given, int) and given < 0):
            return check_size(int(TypeAdapter(ByteSize).validate_python(given)))
    except (ValueError, OverflowError) as error:
        raise _invalid(size) from error
    raise _invalid(size)


def _invalid(size: object) -> BadInputError:
    return BadInputError(
        f"Invalid size {shown(size)}.", hint="Write it as 4GiB, as 3.5G (powers of 1,000) or in bytes."
    )
