"""Requests go to whom their route names, and their answers say whether a router found an edit for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sequela.edited import EditedModel
from sequela.inference.context_limit import Answer, Request, answer_within_context


def answer_by_route(
    model: EditedModel,
    requests: Sequence[Request],
    answer: Callable[[EditedModel, list[Request]], list[Answer]],
) -> list[Answer]:
    """Has each request answered by the model that its route names.

    Args:
        model: Who answers where a route names nobody.
        requests: All the requests.
        answer: Answers those of one model.
    """
    groups: dict[int, tuple[EditedModel, list[int]]] = {}
    for number, request in enumerate(requests):
        answerer = request.route.answerer or model
        groups.setdefault(id(answerer), (answerer, []))[1].append(number)
    answers: dict[int, Answer] = {}
    for answerer, numbers in groups.values():
        found = answer(answerer, [requests[number] for number in numbers])
        answers.update(zip(numbers, found, strict=True))
    return [_with_hit(answers[number], request.route.hit) for number, request in enumerate(requests)]


def answer_by_route_within_context(
    model: EditedModel,
    requests: Sequence[Request],
    reject: Callable[[Request], Answer],
    answer: Callable[[EditedModel, list[Request]], list[Answer]],
) -> list[Answer]:
    """The same, where each model refuses what is longer than its context.

    Args:
        model: Who answers where a route names nobody.
        requests: All the requests.
        reject: Makes the answer to one that is too long.
        answer: Answers those of one model that fit.
    """

    def fitted(one: EditedModel, asked: list[Request]) -> list[Answer]:
        limit, name = one.base.context_length, one.base.name
        return answer_within_context(limit, name, asked, reject, lambda fitting: answer(one, fitting))

    return answer_by_route(model, requests, fitted)


def _with_hit(answer: Answer, hit: bool | None) -> Answer:
    """An answer that says what a router found, beside what was found in the activations."""
    return answer if hit is None else replace(answer, hit=hit or bool(answer.hit))
