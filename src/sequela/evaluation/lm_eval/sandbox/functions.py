"""The filters, tests and methods that a template may use, each with a check of what it could make.

What is not listed here doesn't exist in a template. A check is given the budget and the arguments, and raises
an error if the result could be too large; most results are no larger than what they are made of and need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Number
from typing import Any

from jinja2 import pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as OF_JINJA
from jinja2.runtime import Context, LoopContext
from jinja2.tests import TESTS as TESTS_OF_JINJA

from sequela.evaluation.lm_eval.sandbox.budget import (
    MOST_BITS,
    OBJECT,
    REFERENCE,
    STEP,
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


def _any(budget: Budget, *_: Any, **__: Any) -> None:
    """Accepts all arguments: the result is no larger than what it is made of."""


# Texts


def _padded(budget: Budget, text: Any, width: int = 80, *_: Any) -> None:
    budget.check(4 * width)


def _replaced(budget: Budget, text: Any, old: str, new: str, count: int | None = None) -> None:
    text = str(text)
    size = text_size(text) + text.count(str(old)) * text_size(str(new))
    budget.check(size * growth(text, old, new))


def _split(budget: Budget, text: str, sep: str | None = None, maxsplit: int = -1) -> None:
    pieces = sum(1 for _ in _WORDS.finditer(text)) if sep is None else text.count(sep)
    budget.check(text_size(text) + PIECE * (pieces + 1))


def _lines(budget: Budget, text: str, keepends: bool = False) -> None:
    budget.check(text_size(text) + PIECE * (1 + sum(1 for _ in _LINE_ENDS.finditer(text))))


def _joined(budget: Budget, between: str, parts: Any) -> None:
    sizes = [text_size(str(part)) for part in parts]
    budget.check((sum(sizes) + len(sizes) * text_size(between)) * growth(between))


def _joined_by(budget: Budget, parts: Any, d: str = "", attribute: Any = None) -> None:
    _joined(budget, str(d), parts if attribute is None else ())
    budget.check(len(parts) * text_size(str(d)) if attribute is not None else 0)


def _indented(budget: Budget, text: str, width: int | str = 4, *_: Any, **__: Any) -> None:
    step = text_size(width) if isinstance(width, str) else 4 * width
    _lines(budget, str(text))
    budget.check(text_size(str(text)) + step * (2 + sum(1 for _ in _LINE_ENDS.finditer(str(text)))))


def _shortened(budget: Budget, text: str, length: int = 255, killwords: bool = False, end: str = "...", *_: Any) -> None:
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


def _rounded(budget: Budget, value: Any, precision: int = 0, method: str = "common") -> None:
    if precision > MOST_DECIMALS:
        raise LimitError(f"it rounds to more than {MOST_DECIMALS} decimals")


def _in_json(budget: Budget, value: Any, indent: int | None = None) -> None:
    if indent is not None and indent > MOST_DECIMALS:
        raise LimitError(f"it indents by more than {MOST_DECIMALS} spaces")


def _in_parts(budget: Budget, value: Any, parts: int, fill_with: Any = None) -> None:
    budget.check(PIECE * parts)


def _summed(budget: Budget, iterable: Any, attribute: Any = None, start: Any = 0) -> None:
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


OPERATORS: Mapping[str, Check] = {
    "+": check_sum,
    "-": _any,
    "*": check_product,
    "/": _any,
    "//": _any,
    "%": check_remainder,
    "**": check_power,
}
"""The operators that compute."""


# Patterns

_ESCAPE = re.compile(r"(?s)\\.")
_CLASS = re.compile(r"\[[^\]]*\]")
_SPECIAL_GROUP = re.compile(r"\(\?[^:=!]")
_REPEATED_GROUP = re.compile(r"\)\s*[*+{]")

STEPS_PER_WORK = 8
"""The steps of matching a pattern that take about as long as a unit of work."""


def regex_replace(string: str, pattern: str, repl: str, count: int = 0) -> str:
    """Replaces matches of a pattern; the harness's own filter."""
    return re.sub(pattern, repl, string, count=count)


def _pattern_replaced(budget: Budget, string: str, pattern: str, repl: str, count: int = 0) -> None:
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


_NONE: frozenset[str] = frozenset()

_FILTER_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(
        """abs capitalize count d default dictsort first float groupby int items last length list lower map max
        min reject rejectattr reverse select selectattr sort string title trim unique upper wordcount""".split(),
        _any,
    ),
    "batch": _in_parts,
    "center": _padded,
    "format": check_format,
    "indent": _indented,
    "join": _joined_by,
    "replace": _replaced,
    "round": _rounded,
    "slice": _in_parts,
    "sum": _summed,
    "tojson": _in_json,
    "truncate": _shortened,
    "regex_replace": _pattern_replaced,
}

_TESTS = """boolean defined divisibleby eq equalto even false float ge gt greaterthan in integer iterable le lessthan
lower lt mapping ne none number odd sameas sequence string true undefined upper == != > >= < <=""".split()

METHODS: Mapping[type, Mapping[str, Check]] = {
    str: {
        **dict.fromkeys(
            """capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier
            islower isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix
            rfind rindex rpartition rstrip startswith strip swapcase title upper""".split(),
            _any,
        ),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _padded),
        "join": _joined,
        "replace": _replaced,
        "rsplit": _split,
        "split": _split,
        "splitlines": _lines,
    },
    list: {"count": _any, "index": _any},
    tuple: {"count": _any, "index": _any},
    dict: {"get": _any, "items": _any, "keys": _any, "values": _any},
    float: {"is_integer": _any},
    LoopContext: {"changed": _any, "cycle": _any},
}
"""The methods that a template may call. The method `format` of texts has a formatter of its own."""

LOOP = frozenset(
    "index index0 revindex revindex0 first last length depth depth0 previtem nextitem".split()
)
"""What a template may read of a loop, besides its methods."""


def method_check(owner: object, name: str) -> Check | None:
    """Returns the check of a method that a template may call; None for another."""
    for kind, methods in METHODS.items():
        if isinstance(owner, kind) and name in methods:
            return methods[name]
    return None


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """Returns the filters that a template may use, each counted."""
    known = {**OF_JINJA, "regex_replace": regex_replace}
    return {name: counted(known[name], check) for name, check in _FILTER_CHECKS.items()}


def allowed_tests() -> dict[str, Callable[..., Any]]:
    """Returns the tests that a template may use, each counted."""
    return {name: counted(TESTS_OF_JINJA[name], _any) for name in _TESTS}


def counted(function: Callable[..., Any], check: Check) -> Callable[..., Any]:
    """Returns a filter or test that spends the budget of the rendering.

    What it makes one by one, it makes at once. Since it needs the rendering, it is not evaluated while a
    template is compiled.
    """
    passed = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    @pass_context
    def counting(context: Context, *arguments: Any, **named: Any) -> Any:
        budget: Budget = context.budget  # type: ignore[attr-defined]
        budget.read(*arguments, *named.values())
        if check is _joined_by and arguments:
            arguments = (list(arguments[0]), *arguments[1:])
        check(budget, *arguments, **named)
        first = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
        result = function(*([first[passed]] if passed else []), *arguments, **named)
        return made_at_once(budget, result)

    return counting


def made_at_once(budget: Budget, result: Any) -> Any:
    """Returns a result after counting it; an iterator is run to its end and begun anew."""
    if not isinstance(result, Iterator):
        return budget.made(result)
    items = []
    for item in result:
        budget.spend(STEP)
        items.append(budget.made(item))
    return iter(items)
