"""Checks of what an operation could make, before it makes it.

A check is given the budget and the arguments, and raises an error if the result could be too large. Most
results are no larger than what they are made of, and need none.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from numbers import Number
from typing import Any

from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Undefined

from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.sandbox.budget import (
    ESCAPED,
    MOST_BITS,
    OBJECT,
    REFERENCE,
    Budget,
    LimitError,
    growth,
    text_size,
)

Check = Callable[..., None]
"""Raises an error if a result could be too large, given the budget and the arguments."""

PIECE = OBJECT + REFERENCE
"""The size of one more text in a list, without its characters."""

MOST_DECIMALS = 100
"""The maximum number of decimals to which a number is rounded, and of spaces by which JSON is indented."""

_DIGITS = re.compile(r"\d+")
_LINE_ENDS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_WORDS = re.compile(r"\S+")


def no_check(budget: Budget, *_: Any, **__: Any) -> None:
    """Accepts all arguments: the result is no larger than what it is made of."""


# Texts


_PLAIN = (str, int, float, complex, type(None), datetime.date, datetime.time, datetime.timedelta, Undefined)


def check_writable(value: Any) -> None:
    """Checks that a value has a text of its own.

    What Python writes for another object, such as an iterator, is often its address in memory, which differs
    from process to process.

    Raises:
        TemplateRuntimeError: It is no text, number, list or object.
    """
    if isinstance(value, _PLAIN):
        return
    if not isinstance(value, list | tuple | set | frozenset | dict):
        raise TemplateRuntimeError(
            f"it writes a value that is no text, number, list or object ({type(value).__name__}); "
            "`| list` makes a list of a range or of what a filter goes through"
        )
    for part in value:
        check_writable(part)
    for part in value.values() if isinstance(value, dict) else ():
        check_writable(part)


def check_padding(budget: Budget, text: Any, width: int = 80, *_: Any) -> None:
    """Checks the width to which a text is padded."""
    budget.check(4 * width)


def check_replacement(budget: Budget, text: Any, old: str, new: str, count: int | None = None) -> None:
    """Checks the number and size of replacements."""
    text = str(text)
    size = text_size(text) + text.count(str(old)) * text_size(str(new))
    budget.check(size * growth(text, old, new))


def check_split(budget: Budget, text: str, sep: str | None = None, maxsplit: int = -1) -> None:
    """Checks the number of parts of a text."""
    pieces = sum(1 for _ in _WORDS.finditer(text)) if sep is None else text.count(sep)
    budget.check(text_size(text) + PIECE * (pieces + 1))


def check_lines(budget: Budget, text: str, keepends: bool = False) -> None:
    """Checks the number of lines of a text."""
    budget.check(text_size(text) + PIECE * (1 + sum(1 for _ in _LINE_ENDS.finditer(text))))


def check_words(budget: Budget, text: Any) -> None:
    """Checks the length of a text that a filter takes apart into words."""
    budget.check(text_size(str(text)) + PIECE * (len(str(text)) // 2))


def check_escape(budget: Budget, text: Any) -> None:
    """Checks the length of a text that is written for a web page."""
    budget.check(ESCAPED * text_size(str(text)))


def check_join(budget: Budget, between: str, parts: Any) -> None:
    """Checks the size of a text and of what it is put between."""
    sizes = [text_size(str(part)) for part in parts]
    budget.check((sum(sizes) + len(sizes) * text_size(between)) * growth(between))


def check_join_filter(budget: Budget, parts: Any, d: str = "", attribute: Any = None) -> None:
    """Checks the arguments of the filter `join`."""
    check_join(budget, str(d), parts if attribute is None else ())
    budget.check(len(parts) * text_size(str(d)) if attribute is not None else 0)


def check_indent(budget: Budget, text: str, width: int | str = 4, *_: Any, **__: Any) -> None:
    """Checks the size of an indented text."""
    step = text_size(width) if isinstance(width, str) else 4 * width
    check_lines(budget, str(text))
    budget.check(text_size(str(text)) + step * (2 + sum(1 for _ in _LINE_ENDS.finditer(str(text)))))


def check_truncation(
    budget: Budget, text: str, length: int = 255, killwords: bool = False, end: str = "...", *_: Any
) -> None:
    """Checks the text that ends a truncated one."""
    budget.check(text_size(text) + text_size(end))


def check_format(budget: Budget, text: str, *values: Any, **named: Any) -> None:
    """Checks a format with `%`.

    Raises:
        LimitError: A width or a text that is repeated is too large.
    """
    parts = [*named.values()]
    for value in values:
        parts += value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    widths = sum(map(check_width, _DIGITS.findall(text)))
    if "*" in text:
        widths += text.count("*") * sum(abs(part) for part in parts if isinstance(part, int))
    once = sum(text_size(str(part)) for part in parts)
    budget.check((text_size(text) + 4 * widths + once * max(1, text.count("%("))) * growth(text))


def check_width(digits: str) -> int:
    """Returns a width or precision in a format.

    Raises:
        LimitError: It has too many digits.
    """
    if len(digits) > 4:
        raise LimitError("it has a format with a width of more than four digits")
    return int(digits)


# Numbers and lists


def check_rounding(budget: Budget, value: Any, precision: int = 0, method: str = "common") -> None:
    """Checks the number of decimals."""
    if precision > MOST_DECIMALS:
        raise LimitError(f"it rounds to more than {MOST_DECIMALS} decimals")


def check_json(budget: Budget, value: Any, indent: int | None = None) -> None:
    """Checks the indentation."""
    if indent is not None and indent > MOST_DECIMALS:
        raise LimitError(f"it indents by more than {MOST_DECIMALS} spaces")


def check_parts(budget: Budget, value: Any, parts: int, fill_with: Any = None) -> None:
    """Checks the number of parts of a list, or the size of each."""
    budget.check(PIECE * parts)


def check_summands(budget: Budget, iterable: Any, attribute: Any = None, start: Any = 0) -> None:
    """Checks that numbers are summed: a sum of lists takes quadratic time."""
    if not isinstance(start, Number):
        raise SecurityError("only numbers can be summed")


def check_sum(budget: Budget, left: Any, right: Any) -> None:
    """Checks `+`: texts that are marked as safe for a web page escape the others."""
    if isinstance(left, str) and isinstance(right, str):
        budget.check((text_size(left) + text_size(right)) * growth(left, right))


def check_product(budget: Budget, left: Any, right: Any) -> None:
    """Checks `*`: a text or list is repeated, or integers are multiplied."""
    for some, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(some, str):
            budget.check(text_size(some) * times)
        elif isinstance(times, int) and isinstance(some, list | tuple):
            budget.check((OBJECT + REFERENCE * len(some)) * times)


def check_power(budget: Budget, left: Any, right: Any) -> None:
    """Checks `**` of integers."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > MOST_BITS:
        raise LimitError(f"it makes an integer of more than {MOST_BITS} bits")


def check_remainder(budget: Budget, left: Any, right: Any) -> None:
    """Checks `%`: a format, or a remainder."""
    if isinstance(left, str):
        check_format(budget, left, right)


# Patterns

_ESCAPE = re.compile(r"(?s)\\.")
_CLASS = re.compile(r"\[[^\]]*\]")
_SPECIAL_GROUP = re.compile(r"\(\?[^:=!]")
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")

STEPS_PER_WORK = 8
"""The steps of matching a pattern that take about as long as a unit of work."""


def regex_replace(string: str, pattern: str, repl: str, count: int = 0) -> str:
    """Replaces matches of a pattern; the harness's own filter.

    Raises:
        TemplateRuntimeError: The pattern is no regular expression, or the replacement names no group of it.
    """
    try:
        return re.sub(pattern, repl, string, count=count)
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise TemplateRuntimeError(
            f"the pattern {shortened(pattern, 60)!r} can't be replaced by {shortened(repl, 60)!r}: {error}"
        ) from error


def check_pattern(budget: Budget, string: str, pattern: str, repl: str, count: int = 0) -> None:
    """Checks the time that a pattern could take, which grows with each repetition in it.

    Raises:
        SecurityError: A group is repeated, or a pattern has flags, names or comments; then there is no bound.
        LimitError: The time could be too long.
    """
    bare = _CLASS.sub("x", _ESCAPE.sub("x", pattern))
    if _SPECIAL_GROUP.search(bare) or _REPEATED_GROUP.search(bare):
        raise SecurityError(f"the pattern {pattern!r} repeats a group, or has flags or names")
    repeats = sum(bare.count(sign) for sign in "*+{")
    options = sum(bare.count(sign) for sign in "?|")
    budget.spend((len(string) + 1) ** min(1 + repeats, 9) * 2 ** min(options, 40) // STEPS_PER_WORK)
    size = text_size(string)
    budget.check(size * (1 + repl.count("\\")) + size * text_size(repl))
