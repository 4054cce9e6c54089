"""Every error of pydantic is in plain words, in terms of a file and not of Python."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import ByteSize, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import ErrorType

from sequela.core.error_words import plain_message
from sequela.core.validation import problems_in

PYTHON = re.compile(
    r"\b[Ii]nput should\b|\bvalid\b|tuple|integer|string|dictionary|instance|parse|validation|boolean"
)


class Color(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "many", "expected a whole number"),
        (int, None, "expected a whole number"),
        (int, 1.5, "expected a whole number"),
        (float, "x", "expected a number"),
        (float, [], "expected a number"),
        (Annotated[float, Field(allow_inf_nan=False)], float("nan"), "expected a finite number"),
        (bool, 3, "expected true or false"),
        (bool, "perhaps", "expected true or false"),
        (str, 3, "expected a text"),
        (list[int], 3, "expected a list"),
        (tuple[int, ...], "x", "expected a list"),
        (frozenset[int], 3, "expected a list"),
        (dict[str, int], 3, "expected a table of keys and values"),
        (Literal["a", "b"], "c", "expected 'a' or 'b'"),
        (Color, "blue", "expected 'red'"),
        (Annotated[int, Field(ge=1)], 0, "expected at least 1"),
        (Annotated[float, Field(gt=0)], 0, "expected more than 0.0"),
        (Annotated[int, Field(le=5)], 9, "expected at most 5"),
        (Annotated[float, Field(lt=1)], 1, "expected less than 1.0"),
        (Annotated[tuple[int, ...], Field(min_length=1)], [], "the list is empty"),
        (Annotated[dict[str, int], Field(min_length=1)], {}, "the table is empty"),
        (Annotated[tuple[int, ...], Field(min_length=2)], [1], "expected at least 2 entries"),
        (Annotated[tuple[int, ...], Field(max_length=1)], [1, 2], "expected at most one entry"),
        (Annotated[str, Field(min_length=1)], "", "the text is empty"),
        (Annotated[str, Field(max_length=2)], "abc", "expected a text of at most 2 characters"),
        (Annotated[str, Field(pattern="^[a-z]+$")], "A", "expected a text of the form ^[a-z]+$"),
        (ByteSize, "much", "expected a size such as 4GiB"),
        (ByteSize, [], "expected a size such as 4GiB"),
        (None, 3, "expected null"),
    ],
)
def test_what_was_expected_is_in_plain_words(kind: Any, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert [problem.message for problem in problems_in(caught.value)] == [words]


@pytest.mark.parametrize(
    "code", [code for code in get_args(ErrorType) if code.endswith(("_type", "_parsing"))]
)
def test_no_error_about_a_kind_of_value_has_the_words_of_python(code: Any) -> None:
    found = {"class_name": "Facts", "class": "Facts", "error": "x", "method_name": "keys", "expected": "'a'"}
    try:
        message = PydanticKnownError(code, found).message()
    except TypeError:  # an error without further information
        message = PydanticKnownError(code).message()
    assert not re.search("[Ii]nput should|Value should", plain_message(code, found, message))
    if code.startswith(("int", "float", "bool", "string", "tuple", "list", "dict", "model")):
        assert not PYTHON.search(plain_message(code, found, message))


def test_own_messages_are_unchanged() -> None:
    assert plain_message("value_error", {}, "Value error, has no question mark") == "has no question mark"
    assert plain_message("assertion_error", {}, "Assertion failed, it is odd") == "it is odd"
