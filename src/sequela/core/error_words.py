"""Pydantic's errors in plain words: what was expected, in terms of the file and not of Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

RAISED_BY_VALIDATORS = ("value_error", "assertion_error")
"""The error types whose messages are Sequela's own."""

_Words = Callable[[Mapping[str, Any]], str]

_EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("string_type", "string_sub_type"), "a text"),
    "string_unicode": "a text without half of a surrogate pair",
    **dict.fromkeys(
        ("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type", "iteration_error"),
        "a list",
    ),
    **dict.fromkeys(
        (
            "dict_type",
            "mapping_type",
            "model_type",
            "model_attributes_type",
            "dataclass_type",
            "dataclass_exact_type",
        ),
        "a table of keys and values",
    ),
    "invalid_key": "keys that are texts",
    "none_required": "null",
    **dict.fromkeys(("byte_size", "byte_size_unit"), "a size such as 4GiB"),
    "path_type": "a path",
}
"""The expectation in words, for the error types without further information."""

_WITH_BOUNDS: Mapping[str, _Words] = {
    "literal_error": lambda found: f"expected {found['expected']}",
    "enum": lambda found: f"expected {found['expected']}",
    "greater_than": lambda found: f"expected more than {found['gt']}",
    "greater_than_equal": lambda found: f"expected at least {found['ge']}",
    "less_than": lambda found: f"expected less than {found['lt']}",
    "less_than_equal": lambda found: f"expected at most {found['le']}",
    "multiple_of": lambda found: f"expected a multiple of {found['multiple_of']}",
    "too_short": lambda found: _too_short(found),
    "too_long": lambda found: f"expected at most {_entries(found['max_length'])}",
    "string_too_short": lambda found: _too_short_text(found),
    "string_too_long": lambda found: f"expected a text of at most {found['max_length']} characters",
    "string_pattern_mismatch": lambda found: f"expected a text of the form {found['pattern']}",
}
"""The messages of error types with further information."""

_SUBJECT = r"^(?:[A-Z]\w+ )?(?:[Ii]nput|Value|String|Dictionary|List|Tuple) should "

_PHRASES = (
    (re.compile(r"^(?:Value error|Assertion failed), "), ""),
    (re.compile(_SUBJECT + r"(?:be|have) (?:an? )?valid "), "expected a "),
    (re.compile(_SUBJECT + r"(?:be|have) "), "expected "),
    (re.compile(_SUBJECT), "expected that it would "),
)
"""The beginnings of the messages of other error types, and what stands for them."""


def plain_message(code: str, found: Mapping[str, Any], message: str) -> str:
    """Returns the message of an error in plain words, without a full stop.

    Args:
        code: Pydantic's name for the error, such as `int_parsing`.
        found: Its further information (`ctx`), such as the bounds of a number.
        message: Its own message, from which that of a type that is not listed here is made.
    """
    if code in _EXPECTED:
        return f"expected {_EXPECTED[code]}"
    if code in _WITH_BOUNDS:
        return _WITH_BOUNDS[code](found)
    for beginning, words in _PHRASES:
        message = beginning.sub(words, message)
    return message


def _entries(n: int) -> str:
    return "one entry" if n == 1 else f"{n} entries"


def _too_short(found: Mapping[str, Any]) -> str:
    if found["actual_length"]:
        return f"expected at least {_entries(found['min_length'])}"
    return f"the {'table' if found['field_type'] == 'Dictionary' else 'list'} is empty"


def _too_short_text(found: Mapping[str, Any]) -> str:
    return (
        "the text is empty"
        if found["min_length"] == 1
        else f"expected a text of at least {found['min_length']} characters"
    )
