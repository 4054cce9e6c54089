"""Errors of templates in plain words: which field a record lacks, and which was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from sequela.core.validation import suggestion

OFFERED = ("range", "dict", "namespace", "loop")
"""The names that every template can use."""

_UNDEFINED = re.compile(r"'(?P<name>[^']*)' is undefined")
_NO_ATTRIBUTE = re.compile(r"'(?P<kind>[^']*)' has no attribute '(?P<name>[^']*)'")
_NO_ELEMENT = re.compile(r"(?P<kind>.*?)(?: object)? has no element '?(?P<name>[^']*)'?")
_KINDS: Mapping[str, str] = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
    "None": "null",
    "NoneType": "null",
}


def in_words(error: Exception, record: Mapping[str, Any] | None = None) -> str:
    """Returns why a template can't be rendered, without the name of the exception.

    Args:
        error: What was raised.
        record: The record for which it was rendered, if known, from whose fields a misspelled one is guessed.
    """
    message = str(error).rstrip(".")
    if isinstance(error, jinja2.UndefinedError):
        return _undefined(message, record or {})
    if isinstance(error, KeyError):
        return f"there is no entry {message}"
    return message or type(error).__name__


def _undefined(message: str, record: Mapping[str, Any]) -> str:
    if found := _UNDEFINED.fullmatch(message):
        name = found["name"]
        return f"{name!r} is not a field of the record{suggestion(name, [*record, *OFFERED])}"
    if found := _NO_ATTRIBUTE.fullmatch(message) or _NO_ELEMENT.fullmatch(message):
        kind, name = found["kind"].removesuffix(" object"), found["name"]
        value = _KINDS.get(kind, f"a value of the kind {kind}")
        if name.lstrip("-").isdecimal():
            return f"{value} has no entry [{name}], counted from 0"
        return f"{value} has no field {name!r}{suggestion(name, list(dict.fromkeys(_names_in(record))))}"
    return message


def _names_in(value: Any) -> Iterator[str]:
    """Yields the names of the fields within a value's fields."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        if isinstance(one, Mapping):
            yield from map(str, one)
        yield from _names_in(one)
