"""The tasks that are to be done, and the outcomes of those whose needs are not there."""

from __future__ import annotations

from sequela.scheduling import Outcome, State, TaskGraph
from sequela.scheduling.agenda import Agenda
from support.scheduling import task

GRAPH = TaskGraph(
    [task("stats"), task("edit", "stats"), task("more", "edit"), task("eval1", "edit"), task("eval2", "more")]
)


def agenda(*stored: str, graph: TaskGraph = GRAPH) -> Agenda:
    return Agenda(graph, lambda task: task.key in stored)


def states(of: Agenda) -> dict[str, str]:
    return {key: outcome.state.value for key, outcome in of.outcomes.items()}


def ended(outcomes: list[Outcome]) -> list[tuple[str, State, str, str | None]]:
    return [(one.task.key, one.state, one.reason, one.because) for one in outcomes]


def test_without_a_store_everything_is_to_be_done() -> None:
    assert [one.key for one in agenda().todo] == list(GRAPH.keys)


def test_what_only_stored_tasks_need_is_not_needed() -> None:
    of = agenda("eval1", "eval2", "edit")
    assert of.todo == ()
    assert of.is_over
    assert states(of) == {
        "stats": "not needed",
        "edit": "stored",
        "more": "not needed",
        "eval1": "stored",
        "eval2": "stored",
    }


def test_a_stored_need_lets_tasks_start() -> None:
    of = agenda("eval1", "edit")
    assert [one.key for one in of.todo] == ["more", "eval2"]
    assert [one.key for one in of.newly_ready()] == ["more"]
    assert of.newly_ready() == []
    of.end(Outcome(GRAPH["more"], State.DONE))
    assert [one.key for one in of.newly_ready()] == ["eval2"]


def test_dependents_of_a_failure_are_not_run_and_name_it() -> None:
    of = agenda("stats")
    assert ended(of.end(Outcome(GRAPH["edit"], State.FAILED)))[1:] == [
        ("more", State.NOT_RUN, "'task edit' failed", "edit"),
        ("eval1", State.NOT_RUN, "'task edit' failed", "edit"),
        ("eval2", State.NOT_RUN, "'task edit' failed", "edit"),
    ]
    assert of.is_over


def test_dependents_of_a_skipped_task_are_skipped_for_its_reason() -> None:
    of = agenda("stats", "edit", "eval1")
    skipped = Outcome(GRAPH["more"], State.SKIPPED, reason="stopped early")
    assert ended(of.end(skipped))[1:] == [("eval2", State.SKIPPED, "stopped early", "more")]


def test_the_reason_does_not_depend_on_which_need_ended_first() -> None:
    graph = TaskGraph([task("a"), task("b"), task("c", "a", "b")])
    for order in ("ab", "ba"):
        of = agenda(graph=graph)
        first = of.end(Outcome(graph[order[0]], State.FAILED))
        assert [one.task.key for one in first] == [order[0]]
        last = of.end(Outcome(graph[order[1]], State.FAILED))
        assert ended(last)[1:] == [("c", State.NOT_RUN, "'task a' failed", "a")]


def test_cancelled_tasks_and_their_dependents_end() -> None:
    of = agenda("stats", "edit", "eval1")
    assert ended(of.cancel(["more", "eval1", "unknown"])) == [
        ("more", State.CANCELLED, "on request", None),
        ("eval2", State.CANCELLED, "'task more' was cancelled", "more"),
    ]
    assert of.newly_ready() == []
    assert of.is_over


def test_a_dependent_may_be_cancelled_before_its_need_ends() -> None:
    of = agenda("stats", "edit", "eval1")
    of.cancel(["eval2"])
    assert [one.task.key for one in of.end(Outcome(GRAPH["more"], State.DONE))] == ["more"]
    assert of.is_over


def test_a_lost_output_is_made_again_with_what_that_takes() -> None:
    of = agenda("edit", "eval1")
    assert [one.key for one in of.newly_ready()] == ["more"]
    assert [one.key for one in of.reopen(GRAPH["more"], ["edit"])] == ["edit", "stats"]
    assert [one.key for one in of.newly_ready()] == ["stats"]
    of.end(Outcome(GRAPH["stats"], State.DONE))
    assert [one.key for one in of.newly_ready()] == ["edit"]
    assert [one.task.key for one in of.end(Outcome(GRAPH["edit"], State.DONE))] == ["edit"]
    assert [one.key for one in of.newly_ready()] == ["more"]


def test_a_task_that_waits_for_others_waits_for_a_lost_output_too() -> None:
    graph = TaskGraph([task("a"), task("b"), task("reader", "a"), task("both", "a", "b")])
    of = agenda("a", graph=graph)
    assert [one.key for one in of.newly_ready()] == ["b", "reader"]
    of.reopen(graph["reader"], ["a"])
    of.end(Outcome(graph["b"], State.DONE))
    assert [one.key for one in of.newly_ready()] == ["a"]
    of.end(Outcome(graph["a"], State.DONE))
    assert [one.key for one in of.newly_ready()] == ["reader", "both"]


def test_a_lost_output_that_fails_stops_the_task_that_waits() -> None:
    of = agenda("stats", "edit", "eval1")
    of.newly_ready()
    assert of.reopen(GRAPH["more"], ["edit"]) == [GRAPH["edit"]]
    assert [one.task.key for one in of.end(Outcome(GRAPH["edit"], State.FAILED))] == ["edit", "more", "eval2"]
    assert of.is_over


def test_a_result_is_made_although_all_that_reads_it_is_stored() -> None:
    graph = TaskGraph([task("stats"), task("edit", "stats", is_result=True), task("eval", "edit")])
    of = agenda("eval", graph=graph)
    assert [one.key for one in of.todo] == ["stats", "edit"]
    assert states(of) == {"eval": "stored"}
    assert agenda("eval", "edit", graph=graph).is_over
