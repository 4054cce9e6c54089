"""The sandbox in which the templates of task files are rendered; each is compiled only once.

A task file is data that people pass around, and the harness renders its Jinja templates without a sandbox.
Here they can't reach Python objects, and what they compute is limited in size.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.meta
from jinja2.exceptions import SecurityError
from jinja2.nodes import Call, Const, EvalContext, Filter, Getattr, Getitem, Name, Output
from jinja2.sandbox import ImmutableSandboxedEnvironment

UNBUILDABLE = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""The errors that are raised if a definition, a template or an item is invalid."""

N_KEPT = 256
"""The number of compiled templates in the cache; a benchmark has a handful."""

MOST_ITEMS = 1_000_000
"""The maximum length of a list or text that a template makes by repetition."""

MOST_LENGTH = 100_000_000
"""The maximum length of a rendered text, and of a text that could result from a method or filter of texts."""

LONG_PART = 1000
"""The length from which a text may not be put many times into another."""

MOST_BITS = 4096
"""The maximum size of an integer that a template computes by a power."""

MOST_DIGITS = 4
"""The maximum number of digits of a width in a format."""

_DIGITS = re.compile(r"\d+")

_NOT_OFFERED = ("lipsum", "cycler", "joiner")
"""Jinja's helpers for web pages."""


def apply_template(template: str, document: Mapping[str, Any]) -> str:
    """Renders a template for a document, as the harness would.

    Raises:
        TemplateError: The template is invalid, names a missing field, reaches for a Python object, or makes
            something too large.
    """
    return _rendered(_compiled(template), document)


def apply_without_nulls(template: str, document: Mapping[str, Any]) -> str:
    """Renders a template for a document in which nothing that is written is null.

    Raises:
        TemplateError: As `apply_template`, or the template writes a null, which would be the text `None`.
    """
    return _rendered(_compiled(template, nulls=False), document)


def _rendered(template: jinja2.Template, document: Mapping[str, Any]) -> str:
    parts, length = [], 0
    for part in template.generate(**document):
        parts.append(part)
        length += len(part)
        if length > MOST_LENGTH:
            raise SecurityError(f"the text is longer than {MOST_LENGTH:,} characters")
    return "".join(parts)


def check_syntax(template: str) -> None:
    """Checks that a template can be compiled.

    Raises:
        TemplateSyntaxError: It can't; the error has the line.
    """
    _compiled(template)


def template_fields(template: str) -> list[str]:
    """Returns the names of the fields that a template reads.

    Raises:
        TemplateSyntaxError: The template is invalid.
    """
    with _compilable():
        return sorted(jinja2.meta.find_undeclared_variables(_environment().parse(template)))


@lru_cache(maxsize=N_KEPT)
def written_fields(template: str) -> tuple[tuple[str | int, ...], ...]:
    """Returns the fields that a template always writes, as paths into a document.

    A field that is only written under a condition, or that has a default, may be empty.

    Raises:
        TemplateSyntaxError: The template is invalid.
    """
    with _compilable():
        parsed = _environment().parse(template)
    paths = (_path_of(part) for one in parsed.body if isinstance(one, Output) for part in one.nodes)
    return tuple(dict.fromkeys(path for path in paths if path))


def _path_of(expression: jinja2.nodes.Expr) -> tuple[str | int, ...]:
    """Returns the path to the field that an expression writes, such as `question.stem | trim`."""
    if isinstance(expression, Name):
        return (expression.name,)
    if isinstance(expression, Filter) and expression.node and expression.name not in ("d", "default"):
        return _path_of(expression.node)
    if isinstance(expression, Call) and isinstance(expression.node, Getattr):  # such as `question.strip()`
        return _path_of(expression.node.node)
    if isinstance(expression, Getattr):
        before, key = _path_of(expression.node), expression.attr
        return (*before, key) if before else ()
    if isinstance(expression, Getitem) and isinstance(expression.arg, Const):
        before = _path_of(expression.node)
        return (*before, expression.arg.value) if before else ()
    return ()


@lru_cache(maxsize=N_KEPT)
def _compiled(template: str, nulls: bool = True) -> jinja2.Template:
    with _compilable():
        return _environment(nulls).from_string(template)


def compiled_expression(expression: str) -> Callable[..., Any]:
    """Returns a Jinja expression as a function of the fields of a record, in the same sandbox.

    Raises:
        TemplateSyntaxError: It is not an expression.
    """
    with _compilable():
        compiled: Callable[..., Any] = _environment().compile_expression(expression, undefined_to_none=False)
    return compiled


@contextmanager
def _compilable() -> Iterator[None]:
    """Converts what Python raises for a template that nests too deep, or has a number that is too long."""
    try:
        yield
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        raise jinja2.TemplateSyntaxError(str(error) or type(error).__name__, 1) from error


@lru_cache(maxsize=2)
def _environment(nulls: bool = True) -> jinja2.Environment:
    environment = _Sandbox(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=None if nulls else _not_null
    )
    environment.filters["regex_replace"] = _regex_replace
    for name in _NOT_OFFERED:
        del environment.globals[name]
    for name in ("center", "indent", "replace"):
        environment.filters[name] = _limited(environment.filters[name], _check_sizes)
    environment.filters["format"] = _limited(environment.filters["format"], _check_format)
    return environment


def _not_null(value: Any) -> Any:
    if value is None:
        raise jinja2.TemplateRuntimeError("a field is null, and would be written as the text 'None'")
    return value


def _regex_replace(string: str, pattern: str, repl: str, count: int = 0) -> str:
    """Replaces matches of a pattern; the harness's own filter."""
    return re.sub(pattern, repl, string, count=count)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with limits on what makes something huge out of little.

    `range` is limited by Jinja's own sandbox. Nested loops over long fields are not limited in time.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * abs(right) > MOST_BITS:
                raise SecurityError("a power is too large")
        elif operator == "*":
            for some, times in ((left, right), (right, left)):
                if isinstance(some, Sized) and isinstance(times, int) and len(some) * times > MOST_ITEMS:
                    raise SecurityError(f"a text or list would be longer than {MOST_ITEMS:,}")
        elif operator == "%" and isinstance(left, str):
            _check_format(left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, str) and getattr(__obj, "__name__", "") != "join":
            _check_sizes(owner, *args, *kwargs.values())
        return super().call(__context, __obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        return None if wrapped is None else _limited(wrapped, _check_format, value.__self__)


def _limited(function: Callable[..., Any], check: Callable[..., None], *bound: str) -> Callable[..., Any]:
    """Returns the function with a check of its arguments, after the text whose method it is."""

    @functools.wraps(function)
    def limited(*arguments: Any, **named: Any) -> Any:
        texts = [value for value in arguments if not isinstance(value, EvalContext)]
        check(*bound, *texts, *named.values())
        return function(*arguments, **named)

    return limited


def _check_sizes(text: Any, *arguments: Any) -> None:
    """Checks the arguments of a function that pads, formats or replaces parts of a text.

    Raises:
        SecurityError: Its result could be too large.
    """
    largest = 1
    for value in arguments:
        values = value if isinstance(value, list | tuple) else (value,)
        for one in values:
            if isinstance(one, int):
                largest = max(largest, abs(one))
            elif isinstance(one, str):
                largest = max(largest, len(one))
    if largest * max(1, len(str(text)) if largest > LONG_PART else 1) > MOST_LENGTH:
        raise SecurityError("a text would become too long")


def _check_format(text: str, *arguments: Any) -> None:
    """Checks the widths in a format and its arguments.

    Raises:
        SecurityError: The result could be too large.
    """
    _check_sizes("", *arguments)
    if any(len(digits) > MOST_DIGITS for digits in _DIGITS.findall(text)):
        raise SecurityError("a text would become too long")
