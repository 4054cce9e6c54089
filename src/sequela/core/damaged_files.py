"""Errors while a stored file is read, as one kind of error that names the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from sequela.core.errors import IntegrityError, SequelaError
from sequela.core.validation import in_words

UNREADABLE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What code that interprets a damaged file may raise; a missing key or a wrong type is found by use."""

DAMAGED_HINT = "Copy the whole folder again from where it was written, or create it again."
"""What to do about a folder that is incomplete or damaged."""


@contextmanager
def naming_file(
    path: Path,
    what: str,
    kind: type[SequelaError] = IntegrityError,
    *,
    errors: tuple[type[Exception], ...] = UNREADABLE,
    hint: str | None = None,
) -> Iterator[None]:
    """Converts the errors of a block that reads a file to one that names it; others that are known pass.

    Args:
        path: The file or folder.
        what: The kind of content that is expected, such as `saved edits`.
        kind: The class of the error.
        errors: The errors to convert.
        hint: What to do.

    Raises:
        SequelaError: The block raised one of the errors; of class `kind`.
    """
    try:
        yield
    except SequelaError:
        raise
    except ValidationError as error:
        raise kind(f"{path} can't be read as {what}: {in_words(error)}.", hint=hint) from error
    except errors as error:
        raise kind(f"{path} can't be read as {what}: {first_line(error)}.", hint=hint) from error


def first_line(error: BaseException | None) -> str:
    """Returns the first line of an error's message, without a full stop; its class if there is none."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
