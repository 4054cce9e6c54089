"""Graphs: merged tasks, order, errors in words, parts of a graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.scheduling import TaskGraph
from support.scheduling import task

DIAMOND = TaskGraph([task("d", "b", "c", weight=4), task("b", "a", weight=2), task("c", "a"), task("a")])


def test_needs_come_first_and_otherwise_the_order_is_the_users() -> None:
    assert DIAMOND.keys == ("a", "b", "c", "d")
    assert TaskGraph([task("x"), task("z", "y"), task("w"), task("y")]).keys == ("x", "y", "z", "w")


@settings(deadline=None)
@given(st.data())
def test_any_order_of_the_same_tasks_has_needs_first(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    tasks = [
        task(str(i), *(str(j) for j in data.draw(st.sets(st.integers(0, i - 1)) if i else st.just(set()))))
        for i in range(n)
    ]
    graph = TaskGraph(data.draw(st.permutations(tasks)))
    assert set(graph) == set(tasks)
    for i, one in enumerate(graph):
        assert set(one.needs) <= set(graph.keys[:i])
    assert TaskGraph(graph).keys == graph.keys
    assert TaskGraph(tasks).keys == tuple(one.key for one in tasks)


def test_equal_tasks_are_one() -> None:
    graph = TaskGraph([task("a", weight=3), task("b", "a"), replace(task("a"), label="the same")])
    assert (len(graph), graph["a"].weight) == (2, 3)


def test_different_tasks_of_one_key_are_an_error() -> None:
    with pytest.raises(SequelaError, match="the key a: 'task a', which differ in payload"):
        TaskGraph([task("a", payload=1), task("a", payload=2)])
    with pytest.raises(SequelaError, match="the key a: 'task a' and 'another'"):
        TaskGraph([task("a"), replace(task("a", kind="other"), label="another")])


def test_an_unknown_need_is_named() -> None:
    with pytest.raises(SequelaError, match="'task a' needs what no task makes: y, z"):
        TaskGraph([task("a", "b", "y", "z"), task("b")])


def test_a_circle_is_named() -> None:
    with pytest.raises(SequelaError, match="circle: 'task b' needs 'task c' needs 'task b'"):
        TaskGraph([task("a", "b"), task("b", "c"), task("c", "b")])
    with pytest.raises(SequelaError, match="circle: 'task a' needs 'task a'"):
        TaskGraph([task("a", "a")])


def test_a_long_chain_is_a_graph() -> None:
    n = 5_000
    graph = TaskGraph(reversed([task("0"), *(task(str(i), str(i - 1)) for i in range(1, n))]))
    assert graph.keys == tuple(map(str, range(n)))
    assert graph.chain_weights()["0"] == n


def test_parts() -> None:
    assert DIAMOND.with_dependents(["b"]) == {"b", "d"}
    assert DIAMOND.with_needs(["b"]) == {"a", "b"}
    assert DIAMOND.only(["c"]).keys == ("a", "c")
    assert DIAMOND.without(["c"]).keys == ("a", "b")
    assert DIAMOND.extended([task("e", "c"), task("a")]).keys == ("a", "b", "c", "d", "e")
    assert DIAMOND.dependents("a") == ("b", "c")


def test_chains() -> None:
    assert DIAMOND.chain_weights() == {"a": 7, "b": 6, "c": 5, "d": 4}
    assert DIAMOND.chain_weights({"a", "c"}) == {"a": 2, "c": 1}
