"""Requests go to whom their route names, and their answers say whether a router found an edit for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sequela.edited import EditedModel
from sequela.inference.context_limit import Answer, Request, where_they_fit


def by_answerer(
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
    return [_told(answers[number], request.route.hit) for number, request in enumerate(requests)]


def answered(
    model: EditedModel,
    requests: Sequence[Request],
    refuse: Callable[[Request], Answer],
    answer: Callable[[EditedModel, list[Request]], list[Answer]],
) -> list[Answer]:
    """The same, where each model refuses what is longer than its context.

    Args:
        model: Who answers where a route names nobody.
        requests: All the requests.
        refuse: Makes the answer to one that is too long.
        answer: Answers those of one model that fit.
    """

    def fitted(one: EditedModel, asked: list[Request]) -> list[Answer]:
        limit, name = one.base.context_length, one.base.name
        return where_they_fit(limit, name, asked, refuse, lambda fitting: answer(one, fitting))

    return by_answerer(model, requests, fitted)


def _told(answer: Answer, hit: bool | None) -> Answer:
    """An answer that says what a router found, beside what was found in the activations."""
    return answer if hit is None else replace(answer, hit=hit or bool(answer.hit))
