"""The limits of values that were read from JSON or YAML, whoever reads them.

Numbers that no program computes with, and characters that no tokenizer, terminal or file format takes, are
rejected where they are read: later they would be an error without a file and a field.
"""

from __future__ import annotations

import math
import re
from typing import Any

from sequela.core.wording import key_of

MAX_DEPTH = 100
"""The number of levels to which lists and objects may nest."""

MAX_DIGITS = 4000
"""The number of digits of a whole number; Python itself refuses to print more than 4,300."""

_LIMIT = 10**MAX_DIGITS

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which UTF-8 can't encode."""

_UNUSABLE = re.compile(rf"\0|{_HALF_OF_A_PAIR.pattern}|[\ufdd0-\ufdd3]")
"""A NUL character, half of a surrogate pair, or a noncharacter that marks the parts of a prompt inside."""

Key = str | int


def problem_of(value: Any) -> tuple[str, str] | None:
    """Returns the first problem of a value: the field, with dots, and what is wrong there; None if none.

    The field is empty for the value as a whole.
    """
    to_check: list[tuple[Any, tuple[Key, ...]]] = [(value, ())]
    while to_check:  # a loop, since a value that nests too deep must not exhaust the stack here
        one, at = to_check.pop()
        if len(at) > MAX_DEPTH:
            return key_of(at[:3]) + "…", f"nests more than {MAX_DEPTH} levels deep"
        wrong = _problem_alone(one)
        if wrong:
            return key_of(at), wrong
        if isinstance(one, dict):
            for key, inner in reversed(one.items()):
                unusable = text_problem(key) if isinstance(key, str) else ""
                if unusable:
                    return key_of(at), f"has a name with {unusable}: {key!r}"
                to_check.append((inner, (*at, str(key))))
        elif isinstance(one, list | tuple):
            to_check.extend((inner, (*at, number)) for number, inner in reversed(list(enumerate(one))))
    return None


def text_problem(text: str) -> str:
    """Returns the character of a text that nothing can use, in words; empty if there is none."""
    found = _UNUSABLE.search(text)
    if found is None:
        return ""
    if found[0] == "\0":
        return f"a NUL character (at {found.start() + 1:,})"
    kind = "half of a surrogate pair" if _HALF_OF_A_PAIR.match(found[0]) else "a noncharacter"
    return f"{kind}, \\u{ord(found[0]):04x} (at {found.start() + 1:,})"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a fraction"),
    (str, "a text"),
    (list, "a list"),
    (dict, "an object"),
)


def kind_of(value: Any) -> str:
    """Returns the kind of a value that was read from JSON, in words."""
    return next((noun for type_, noun in _KINDS if isinstance(value, type_)), "null")


def can_be_encoded(text: str) -> bool:
    """Returns whether a text has no half of a surrogate pair, so that UTF-8 can encode it."""
    return _HALF_OF_A_PAIR.search(text) is None


def located(where: str, field: str, problem: str) -> str:
    """Returns a sentence on a problem, such as "facts.jsonl, line 3: the field 'prompt' is nan"."""
    return f"{where}: {f'the field {field!r}' if field else 'the value'} {problem}."


def _problem_alone(value: Any) -> str:
    if isinstance(value, str):
        unusable = text_problem(value)
        return f"has {unusable}" if unusable else ""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which is not a finite number"
    if isinstance(value, int) and not -_LIMIT < value < _LIMIT:
        return f"is a number of more than {MAX_DIGITS:,} digits"
    return ""
