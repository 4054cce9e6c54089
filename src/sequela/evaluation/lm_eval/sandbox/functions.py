"""The filters, tests, methods and operators that a template may use; nothing else exists in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.filters import FILTERS as OF_JINJA
from jinja2.runtime import Context, LoopContext
from jinja2.tests import TESTS as TESTS_OF_JINJA

from sequela.evaluation.lm_eval.sandbox.budget import STEP, Budget
from sequela.evaluation.lm_eval.sandbox.checks import (
    Check,
    check_escape,
    check_format,
    check_indent,
    check_join,
    check_join_filter,
    check_json,
    check_lines,
    check_padding,
    check_parts,
    check_pattern,
    check_power,
    check_product,
    check_remainder,
    check_replacement,
    check_rounding,
    check_split,
    check_sum,
    check_summands,
    check_truncation,
    check_words,
    check_writable,
    no_check,
    regex_replace,
)

# fmt: off
_FILTER_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(
        [
            "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int",
            "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
            "reverse", "safe", "select", "selectattr", "sort", "string", "trim", "unique", "upper",
        ],
        no_check,
    ),
    **dict.fromkeys(("title", "wordcount"), check_words),
    **dict.fromkeys(("e", "escape"), check_escape),
    "batch": check_parts,
    "center": check_padding,
    "format": check_format,
    "indent": check_indent,
    "join": check_join_filter,
    "replace": check_replacement,
    "round": check_rounding,
    "slice": check_parts,
    "sum": check_summands,
    "tojson": check_json,
    "truncate": check_truncation,
    "regex_replace": check_pattern,
}

_TESTS = [
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "gt",
    "greaterthan", "in", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none",
    "number", "odd", "sameas", "sequence", "string", "true", "undefined", "upper", "==", "!=", ">", ">=",
    "<", "<=",
]

OPERATORS: Mapping[str, Check] = {
    "+": check_sum,
    "-": no_check,
    "*": check_product,
    "/": no_check,
    "//": no_check,
    "%": check_remainder,
    "**": check_power,
}
"""The operators that compute."""


METHODS: Mapping[type, Mapping[str, Check]] = {
    str: {
        **dict.fromkeys(
            [
                "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha",
                "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric", "isprintable",
                "isspace", "istitle", "isupper", "lower", "lstrip", "partition", "removeprefix",
                "removesuffix", "rfind", "rindex", "rpartition", "rstrip", "startswith", "strip",
                "swapcase", "title", "upper",
            ],
            no_check,
        ),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), check_padding),
        "join": check_join,
        "replace": check_replacement,
        "rsplit": check_split,
        "split": check_split,
        "splitlines": check_lines,
    },
    list: {"count": no_check, "index": no_check},
    tuple: {"count": no_check, "index": no_check},
    dict: {"get": no_check, "items": no_check, "keys": no_check, "values": no_check},
    float: {"is_integer": no_check},
    LoopContext: {"changed": no_check, "cycle": no_check},
}
"""The methods that a template may call. The method `format` of texts has a formatter of its own."""

LOOP = frozenset([
    "index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0", "previtem",
    "nextitem",
])
"""The fields of a loop that a template may read, besides its methods."""


# fmt: on


def method_check(owner: object, name: str) -> Check | None:
    """Returns the check of a method that a template may call; None for another."""
    for kind, methods in METHODS.items():
        if isinstance(owner, kind) and name in methods:
            return methods[name]
    return None


_OF_TEXTS = frozenset(
    [
        "capitalize",
        "center",
        "e",
        "escape",
        "format",
        "indent",
        "join",
        "lower",
        "replace",
        "safe",
        "string",
        "title",
        "trim",
        "truncate",
        "upper",
        "wordcount",
    ]
)
"""The filters that make texts of what they are given."""


def allowed_filters() -> dict[str, Callable[..., Any]]:
    """Returns the filters that a template may use, each counted."""
    known: dict[str, Any] = {**OF_JINJA, "regex_replace": regex_replace}
    return {name: counted(known[name], check, name in _OF_TEXTS) for name, check in _FILTER_CHECKS.items()}


def allowed_tests() -> dict[str, Callable[..., Any]]:
    """Returns the tests that a template may use, each counted."""
    known: dict[str, Any] = {**TESTS_OF_JINJA}
    return {name: counted(known[name], no_check) for name in _TESTS}


def counted(function: Callable[..., Any], check: Check, makes_text: bool = False) -> Callable[..., Any]:
    """Returns a filter or test that spends the budget of the rendering.

    What it makes one by one, it makes at once. Since it needs the rendering, it is not evaluated while a
    template is compiled.
    """
    passed = getattr(getattr(function, "jinja_pass_arg", None), "name", "")

    @pass_context
    def counting(context: Context, *arguments: Any, **named: Any) -> Any:
        budget: Budget = context.budget  # type: ignore[attr-defined]
        budget.read(*arguments, *named.values())
        if check is check_join_filter and arguments:
            arguments = (list(arguments[0]), *arguments[1:])
        for argument in arguments if makes_text else ():
            check_writable(argument)
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
