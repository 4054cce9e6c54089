"""Rewriting of a parsed template, so that all it does is counted.

Jinja lets a sandbox intercept calls, filters, tests and sums. It doesn't intercept loops, `~`, comparisons,
slices, and lists that are written out: here these become filters that count, and each body of a loop, a macro
or a condition begins by counting itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from sequela.evaluation.lm_eval.sandbox.budget import STEP, Budget, is_finite
from sequela.evaluation.lm_eval.sandbox.checks import check_writable

NODE = 2
"""The work of a part of a template that is not counted as an operation, such as a name or a condition."""

_ALLOWED: frozenset[type[nodes.Node]] = frozenset(
    {
        nodes.Assign,
        nodes.AssignBlock,
        nodes.CallBlock,
        nodes.Compare,
        nodes.Concat,
        nodes.CondExpr,
        nodes.Const,
        nodes.Call,
        nodes.Dict,
        nodes.Filter,
        nodes.FilterBlock,
        nodes.For,
        nodes.Getattr,
        nodes.Getitem,
        nodes.If,
        nodes.Keyword,
        nodes.List,
        nodes.Macro,
        nodes.Name,
        nodes.NSRef,
        nodes.Operand,
        nodes.Output,
        nodes.Pair,
        nodes.Slice,
        nodes.Template,
        nodes.TemplateData,
        nodes.Test,
        nodes.Tuple,
        nodes.With,
        nodes.And,
        nodes.Or,
        nodes.Not,
        nodes.Neg,
        nodes.Pos,
        nodes.Add,
        nodes.Sub,
        nodes.Mul,
        nodes.Div,
        nodes.FloorDiv,
        nodes.Mod,
        nodes.Pow,
    }
)
"""The parts that a template may have. There are no files to include or to extend."""


def rewritten(template: nodes.Template, environment: Environment) -> nodes.Template:
    """Returns a parsed template in which everything is counted.

    Raises:
        TemplateSyntaxError: It has a part that isn't offered.
    """
    for node in template.find_all(nodes.Node):
        _check(node)
    changed: nodes.Template = _Counting().visit(template)
    changed.set_environment(environment)
    return changed


def _check(node: nodes.Node) -> None:
    if type(node) not in _ALLOWED:
        raise TemplateSyntaxError(f"{type(node).__name__.casefold()} is not offered", node.lineno or 1)
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateSyntaxError("recursive loops are not offered", node.lineno)
    if isinstance(node, nodes.Const) and not is_finite(node.value):
        raise TemplateSyntaxError("a number is too large", node.lineno)


class _Counting(NodeTransformer):
    def get_visitor(self, node: nodes.Node) -> Callable[..., Any] | None:
        if isinstance(node, nodes.Tuple) and node.ctx != "load":
            return None  # names that are assigned to
        return self._visitors.get(type(node))

    @cached_property
    def _visitors(self) -> Mapping[type[nodes.Node], Callable[..., nodes.Node]]:
        bodies = (
            nodes.Template,
            nodes.If,
            nodes.Macro,
            nodes.CallBlock,
            nodes.FilterBlock,
            nodes.AssignBlock,
            nodes.With,
        )
        return {
            **dict.fromkeys(bodies, self._bodies),
            **dict.fromkeys((nodes.List, nodes.Tuple, nodes.Dict), self._literal),
            nodes.For: self._loop,
            nodes.Concat: self._concatenation,
            nodes.Compare: self._comparison,
            nodes.Getitem: self._item,
        }

    def _bodies(self, node: Any) -> nodes.Node:
        """Lets each body begin by counting itself."""
        bodies = {name: getattr(node, name, None) for name in ("body", "else_")}
        works = {name: STEP + _work(body) for name, body in bodies.items() if body}
        self.generic_visit(node)
        for name, work in works.items():
            counting = nodes.ExprStmt(_filter(nodes.Const(work), SPEND), lineno=node.lineno)
            setattr(node, name, [counting, *getattr(node, name)])
        changed: nodes.Node = node
        return changed

    def _loop(self, node: nodes.For) -> nodes.Node:
        """Counts the items that a condition leaves out, too."""
        if node.test is not None:
            node.iter = _filter(node.iter, EACH, nodes.Const(STEP + _work([node.test])))
        return self._bodies(node)

    def _literal(self, node: nodes.Node) -> nodes.Node:
        return _filter(self.generic_visit(node), MADE)

    def _concatenation(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        first, *others = node.nodes
        return _filter(first, CONCAT, *others)

    def _comparison(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filter(node.expr, READ)
        for operand in node.ops:
            operand.expr = _filter(operand.expr, READ)
        return node

    def _item(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            ends = (node.arg.start, node.arg.stop, node.arg.step)
            return _filter(node.node, PART, *(end or nodes.Const(None) for end in ends))
        if not isinstance(node.arg, nodes.Const):
            node.arg = _filter(node.arg, READ)
        return node


def _work(body: Iterable[nodes.Node]) -> int:
    """Returns the work of the parts of a body that are not counted one by one, and of its constant texts."""
    work = 0
    for node in body:
        inner = [node, *node.find_all(nodes.Node)]
        work += NODE * len(inner) + sum(len(one.data) for one in inner if isinstance(one, nodes.TemplateData))
    return work


def _filter(node: Any, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(arguments), [], None, None, lineno=node.lineno)


# Their names begin with a space, so that no template can name them.
READ, MADE, CONCAT, PART, EACH, SPEND = " read", " made", " concat", " part", " each", " spend"


@pass_context
def _read(context: Context, value: Any) -> Any:
    _budget(context).read(value)
    return value


@pass_context
def _made(context: Context, value: Any) -> Any:
    budget = _budget(context)
    budget.spend(STEP)
    return budget.made(value)


@pass_context
def _concat(context: Context, *parts: Any) -> str:
    budget = _budget(context)
    budget.read(*parts)
    for part in parts:
        check_writable(part)
    return budget.made("".join(map(str, parts)))


@pass_context
def _part(context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    budget = _budget(context)
    budget.spend(STEP)
    return budget.made(value[start:stop:step])


@pass_context
def _each(context: Context, items: Any, work: int) -> Iterator[Any]:
    budget = _budget(context)
    for item in items:
        budget.spend(work)
        yield item


@pass_context
def _spend(context: Context, work: int) -> None:
    _budget(context).spend(work)


def _budget(context: Context) -> Budget:
    budget: Budget = context.budget  # type: ignore[attr-defined]
    return budget


COUNTING: Mapping[str, Callable[..., Any]] = {
    READ: _read,
    MADE: _made,
    CONCAT: _concat,
    PART: _part,
    EACH: _each,
    SPEND: _spend,
}
"""The filters that count, by their names."""
