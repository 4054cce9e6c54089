"""Rendering of the templates of task files; each is compiled only once.

A task file is data that people pass around, and the harness renders its Jinja templates without a sandbox.
Here they can use only what is listed in `functions.py`, and one rendering can do and make only so much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import BuiltinMethodType, MethodType
from typing import Any

import jinja2
import jinja2.meta
from jinja2 import nodes, pass_context
from jinja2.lexer import TokenStream
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment, SandboxedFormatter, safe_range
from jinja2.utils import Namespace

from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.sandbox.budget import Budget, LimitError
from sequela.evaluation.lm_eval.sandbox.characters import check_characters
from sequela.evaluation.lm_eval.sandbox.checks import check_width, check_writable
from sequela.evaluation.lm_eval.sandbox.functions import (
    LOOP,
    OPERATORS,
    allowed_filters,
    allowed_tests,
    made_at_once,
    method_check,
)
from sequela.evaluation.lm_eval.sandbox.nodes import COUNTING, rewritten

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

MOST_CHARACTERS = 1_000_000
"""The maximum length of a template, and of a text that is rendered."""

MOST_OF_LIST = 100_000
"""The maximum length of a rendered list, which the harness reads as Python does, at 500 bytes a character."""

MOST_TOKENS = 20_000
"""The maximum number of words and signs in the tags of a template; its constant texts count as one each."""


_LIST = re.compile(r"\[\]|\(\)|\{\}")


def apply_template(template: str, document: Mapping[str, Any]) -> str:
    """Renders a template for a document, as the harness would.

    Raises:
        TemplateError: The template is invalid, names a missing field, or uses something that isn't offered;
            or it writes a character that nothing can use.
        LimitError: It does or makes too much; the message has the template.
    """
    return _rendered(template, document, nulls=True)


def apply_without_nulls(template: str, document: Mapping[str, Any]) -> str:
    """Renders a template for a document in which nothing that is written is null.

    Raises:
        TemplateError: As `apply_template`, or the template writes a null, which would be the text `None`.
        LimitError: As `apply_template`.
    """
    return _rendered(template, document, nulls=False)


def _rendered(template: str, document: Mapping[str, Any], *, nulls: bool) -> str:
    try:
        text = _compiled(template, nulls).render(document)
        if len(text) > MOST_CHARACTERS:
            raise LimitError(f"it makes a text of more than {MOST_CHARACTERS:,} characters")
        if len(text) > MOST_OF_LIST and _LIST.fullmatch(text.strip()[:1] + text.strip()[-1:]):
            raise LimitError(f"it writes a list with more than {MOST_OF_LIST:,} characters")
    except LimitError as error:
        message = f"the template {shortened(template, 60)!r} is too large: {error.message}"
        raise LimitError(message, template) from error
    check_characters(text, document)
    return text


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
    return tuple(dict.fromkeys(path for part in _written_parts(template) if (path := _path_of(part))))


@lru_cache(maxsize=N_KEPT)
def plain_fields(template: str) -> tuple[tuple[str | int, ...], ...]:
    """Returns those of `written_fields` that are written as they are, without a filter or a method.

    Raises:
        TemplateSyntaxError: The template is invalid.
    """
    kinds = (nodes.Name, nodes.Getattr, nodes.Getitem)
    plain = (part for part in _written_parts(template) if isinstance(part, kinds))
    return tuple(dict.fromkeys(path for part in plain if (path := _path_of(part))))


def _written_parts(template: str) -> Iterator[nodes.Expr]:
    """Yields the expressions that a template always writes."""
    with _compilable():
        parsed = _environment().parse(template)
    for one in parsed.body:
        if isinstance(one, nodes.Output):
            yield from one.nodes


def _path_of(expression: nodes.Expr) -> tuple[str | int, ...]:
    """Returns the path to the field that an expression writes, such as `question.stem | trim`."""
    if isinstance(expression, nodes.Name):
        return (expression.name,)
    if isinstance(expression, nodes.Filter) and expression.node and expression.name not in ("d", "default"):
        return _path_of(expression.node)
    if isinstance(expression, nodes.Call) and isinstance(expression.node, nodes.Getattr):
        return _path_of(expression.node.node)  # such as `question.strip()`
    if isinstance(expression, nodes.Getattr):
        before, key = _path_of(expression.node), expression.attr
        return (*before, key) if before else ()
    if isinstance(expression, nodes.Getitem) and isinstance(expression.arg, nodes.Const):
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
    except (RecursionError, MemoryError) as error:
        raise jinja2.TemplateSyntaxError("it nests too deep", 1) from error
    except (SyntaxError, ValueError) as error:
        raise jinja2.TemplateSyntaxError(str(error) or type(error).__name__, 1) from error


_OF_JINJA = ("_loop_vars", "_block_vars", "caller")
"""Names that Jinja gives to a call."""


@lru_cache(maxsize=2)
def _environment(nulls: bool = True) -> jinja2.Environment:
    environment = _Sandbox(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        finalize=_written if nulls else _written_unless_null,
        optimized=False,
    )
    environment.filters.clear()
    environment.filters.update({**allowed_filters(), **COUNTING})
    environment.tests.clear()
    environment.tests.update(allowed_tests())
    environment.globals = {"range": safe_range, "dict": dict, "namespace": _Variables}
    return environment


class _Variables(Namespace):
    """A namespace that isn't written out: what it has changes, so its size is not known when it is read."""

    def __repr__(self) -> str:
        return "<Namespace>"


class _Rendering(Context):
    """The variables of one rendering, and its budget."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.budget = Budget()


@pass_context
def _written(context: _Rendering, value: Any) -> Any:
    """Counts a value that is written into the text."""
    context.budget.read(value)
    check_writable(value)
    return value


@pass_context
def _written_unless_null(context: _Rendering, value: Any) -> Any:
    if value is None:
        raise jinja2.TemplateRuntimeError("a field is null, and would be written as the text 'None'")
    return _written(context, value)


@dataclass(frozen=True, repr=False)
class _Format:
    """The method `format` of a text."""

    text: str

    def written(
        self, environment: SandboxedEnvironment, budget: Budget, given: Any, named: Mapping[str, Any]
    ) -> str:
        """Returns the text with its fields filled in."""
        budget.read(self.text)
        return budget.made(_Formatter(environment, budget).vformat(self.text, given, named))


class _Formatter(SandboxedFormatter):
    """A formatter that counts what it writes."""

    def __init__(self, environment: SandboxedEnvironment, budget: Budget) -> None:
        super().__init__(environment)
        self._budget = budget

    def format_field(self, value: Any, format_spec: str) -> str:
        digits = "".join(sign if sign.isdigit() else " " for sign in format_spec).split()
        self._budget.read(value)
        check_writable(value)
        self._budget.check(4 * sum(map(check_width, digits)))
        written: str = self._budget.made(super().format_field(value, format_spec))
        return written


class _Sandbox(SandboxedEnvironment):
    """Jinja's sandbox with only what is listed, where everything spends the budget of the rendering."""

    context_class = _Rendering
    intercepted_binops = frozenset(OPERATORS)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        if len(source) > MOST_CHARACTERS:
            raise jinja2.TemplateSyntaxError(f"it is longer than {MOST_CHARACTERS:,} characters", 1)
        stream = super()._tokenize(source, name, filename, state)
        tokens = []
        for token in stream:
            tokens.append(token)
            if len(tokens) > MOST_TOKENS:
                raise jinja2.TemplateSyntaxError(f"it has more than {MOST_TOKENS:,} tokens", token.lineno)
        return TokenStream(iter(tokens), stream.name, stream.filename)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        return super()._generate(rewritten(source, self), name, filename, defer_init)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, _Variables):
            return not attr.startswith("_")
        of_tuple = isinstance(obj, tuple) and attr in getattr(obj, "_fields", ())
        return (
            of_tuple or (isinstance(obj, LoopContext) and attr in LOOP) or method_check(obj, attr) is not None
        )

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, Macro | _Format | jinja2.Undefined):
            return True
        if any(obj is known for known in self.globals.values()):
            return True
        if not isinstance(obj, BuiltinMethodType | MethodType):
            return False
        return method_check(obj.__self__, obj.__name__) is not None

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        budget: Budget = context.budget
        budget.read(left, right)
        OPERATORS[operator](budget, left, right)
        return budget.made(super().call_binop(context, operator, left, right))

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        budget: Budget = __context.budget
        given = {name: value for name, value in kwargs.items() if name not in _OF_JINJA}
        budget.read(*args, *given.values())
        if isinstance(__obj, _Format):
            return __obj.written(__self, budget, args, given)
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str | list | tuple):
            budget.read(owner)
        if (check := method_check(owner, name)) is not None:
            if isinstance(owner, str) and name == "join" and args:
                args = (list(args[0]), *args[1:])
            check(budget, *(() if isinstance(owner, dict | LoopContext) else (owner,)), *args, **given)
        budget.enter()
        try:
            return made_at_once(budget, super().call(__context, __obj, *args, **kwargs))
        finally:
            budget.leave()

    def wrap_str_format(self, value: Any) -> Any:
        owner = getattr(value, "__self__", None)
        return _Format(owner) if type(owner) is str and value.__name__ == "format" else None
