"""The order of tasks, and their distribution to workers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.scheduling import UNLIMITED, Resources, Task, TaskGraph
from sequela.scheduling.policy import Policy
from support.scheduling import task


def policy_of(tasks: Sequence[Task], n_workers: int = 1, workers: Sequence[Resources] = ()) -> Policy:
    """Returns a policy to which the tasks without needs are added."""
    graph = TaskGraph(tasks)
    policy = Policy(graph, [*graph], workers or [UNLIMITED] * n_workers)
    for one in graph:
        if not one.needs:
            policy.add(one)
    return policy


def chosen(policy: Policy) -> list[tuple[int, str]]:
    """Returns all assignments that are possible at once."""
    found = []
    while pair := policy.choose():
        found.append((pair[0], pair[1].key))
    return found


def order(policy: Policy) -> list[str]:
    """Returns the order in which the first worker does all ready tasks."""
    keys = []
    while pair := policy.choose():
        keys.append(pair[1].key)
        policy.release(pair[0])
    return keys


def test_one_worker_follows_the_users_order_whatever_the_weights() -> None:
    tasks = [task("c", weight=1), task("a", weight=9), task("b", weight=5), task("z", "a", weight=99)]
    assert order(policy_of(tasks)) == ["c", "a", "b"]


def test_one_worker_goes_on_with_what_it_holds() -> None:
    places = {"a": ("m", "x"), "b": ("n",), "c": ("m", "y"), "d": ("m", "x"), "e": ()}
    tasks = [task(key, place=place) for key, place in places.items()]
    assert order(policy_of(tasks)) == ["a", "d", "c", "b", "e"]


def test_a_long_chain_starts_early_when_there_are_several_workers() -> None:
    tasks = [*(task(f"short {i}") for i in range(6)), task("x", weight=2), task("y", "x", weight=2)]
    assert chosen(policy_of(tasks, 2)) == [(0, "short 0"), (1, "short 1")]
    policy = policy_of(tasks, 2)
    taken = []
    while pair := policy.choose():
        taken.append(pair[1].key)
        policy.release(pair[0])
    # The chain of weight 4 is urgent as soon as not more than 8 are left, of which each worker has 4.
    assert taken[:3] == ["short 0", "short 1", "x"]
    assert chosen(policy_of(tasks, 3)) == [(0, "x"), (1, "short 0"), (2, "short 1")]


def test_among_urgent_tasks_the_heaviest_chain_is_first() -> None:
    tasks = [task("a", weight=5), task("b", weight=9), task("c", weight=7)]
    assert chosen(policy_of(tasks, 8)) == [(0, "b"), (1, "c"), (2, "a")]


def test_a_task_goes_to_the_worker_that_holds_its_place() -> None:
    tasks = [task("a", place=("m", "x")), task("b", place=("m", "y")), task("c", "a", place=("m", "x"))]
    policy = policy_of([*tasks, task("d", "b", place=("m", "y"))], 2)
    assert chosen(policy) == [(0, "a"), (1, "b")]
    policy.release(0)
    policy.release(1)
    policy.add(task("d", "b", place=("m", "y")))
    policy.add(task("c", "a", place=("m", "x")))
    assert sorted(chosen(policy)) == [(0, "c"), (1, "d")]


def test_a_worker_leaves_what_another_one_holds_if_it_can() -> None:
    tasks = [task("a", place=("x",)), task("b", place=("x",)), task("c", place=("y",))]
    policy = policy_of([*tasks, *(task(f"z{i}", place=("z",)) for i in range(9))], 2)
    assert chosen(policy) == [(0, "a"), (1, "c")]


def test_no_worker_waits_for_another_one() -> None:
    tasks = [task(key, place=("x",)) for key in "abc"]
    assert chosen(policy_of(tasks, 3)) == [(0, "a"), (1, "b"), (2, "c")]


def test_a_replaced_worker_holds_nothing() -> None:
    policy = policy_of([task("a", place=("x",)), task("b", place=("y",)), task("c", place=("x",))])
    assert policy.choose() == (0, task("a", place=("x",)))
    policy.forget(0)
    policy.release(0)
    assert order(policy) == ["b", "c"]


def test_a_task_goes_to_the_smallest_worker_that_it_fits() -> None:
    workers = [Resources(8, gpus=1), Resources(2), Resources(4)]
    tasks = [task("a"), task("b", resources=Resources(3)), task("c", resources=Resources(3, gpus=1))]
    assert chosen(policy_of(tasks, workers=workers)) == [(1, "a"), (2, "b"), (0, "c")]
    assert chosen(policy_of([task("d", resources=Resources(9))], workers=workers)) == []


def test_a_removed_task_is_not_chosen() -> None:
    tasks = [task("a"), task("b"), task("c")]
    policy = policy_of(tasks)
    policy.remove(tasks[0])
    assert order(policy) == ["b", "c"]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_the_choice_is_deterministic_and_leaves_no_worker_idle(data: st.DataObject) -> None:
    places = st.lists(st.sampled_from("xyz"), max_size=2).map(tuple)
    weights = st.integers(0, 9).map(float)
    n_workers = data.draw(st.integers(1, 4))
    tasks = [
        task(str(i), place=data.draw(places), weight=data.draw(weights))
        for i in range(data.draw(st.integers(0, 12)))
    ]
    rounds = []
    for policy in (policy_of(tasks, n_workers), policy_of(tasks, n_workers)):
        taken: list[list[tuple[int, str]]] = []
        while some := chosen(policy):
            taken.append(some)
            for worker, _ in some:
                policy.release(worker)
        rounds.append(taken)
    assert rounds[0] == rounds[1]
    assert sorted(key for some in rounds[0] for _, key in some) == sorted(one.key for one in tasks)
    assert all(len(some) == n_workers for some in rounds[0][:-1])
