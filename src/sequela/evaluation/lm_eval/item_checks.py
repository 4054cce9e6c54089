"""Checks of items before the run: each prompt can be built, and each right answer can be given.

Data from the user's own files are checked in full. Items from the hub are what was published, and only what
could not be run or scored is an error there.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lm_eval.api.task import ConfigurableTask

from sequela.core.arguments import as_whole_number
from sequela.core.errors import BadInputError
from sequela.core.visible_text import is_blank, shortened
from sequela.evaluation.lm_eval.answer_extraction import COMPARISONS
from sequela.evaluation.lm_eval.data_layout import Row
from sequela.evaluation.lm_eval.harness_keys import reason_of
from sequela.evaluation.lm_eval.labeled_choices import labels_problem
from sequela.evaluation.lm_eval.sandbox.rendering import (
    UNBUILDABLE,
    plain_fields,
    template_fields,
    written_fields,
)
from sequela.evaluation.lm_eval.task_file import TaskFile
from sequela.results.metrics import AUROC

ShownChoices = Callable[[Row], Sequence[str]]
"""Returns the choices that were shown with an item with generated answers."""

_SHOWN = 60
"""The number of characters of a right answer that a message repeats."""


class ItemChecks:
    """The checks of the items and few-shot examples of one task.

    Args:
        task: The harness's task.
        file: The task file.
        definition: The harness's definition of the task.
        choices_of: Returns the choices that were shown with an item with generated answers.
        full: Whether texts and right answers are checked too, because the data are the user's own.
    """

    def __init__(
        self,
        task: ConfigurableTask,
        file: TaskFile,
        definition: Mapping[str, Any],
        choices_of: ShownChoices,
        full: bool,
    ) -> None:
        self._task, self._file, self._choices_of, self._full = task, file, choices_of, full
        self._templates = {"harness": definition, "options": file.options}

    def check(self, document: Row, where: str, what: str = "prompt") -> None:
        """Builds the prompt of an item or example with its choices and right answer.

        Args:
            document: The item or example.
            where: Its file and number, for messages.
            what: The word for what is built from it, for messages.

        Raises:
            BadInputError: Something of it can't be built, or can't be used.
        """
        try:
            problem = self._problem(document)
        except _UnbuildableError as unbuildable:
            error = unbuildable.error
            reason = next(self._nulls(document), "") or reason_of(
                error, self._file.name, self._templates, unbuildable.field, document
            )
            raise BadInputError(f"{where}: no {what} can be built from it ({reason}).") from error
        if problem:
            raise BadInputError(f"{where}: {problem}.")

    def _problem(self, document: Row) -> str:
        """Returns what is wrong with an item; an empty text if nothing is."""
        task = self._task
        if self._full and self._file.targets and (wrong := labels_problem(document, self._file.targets)):
            return wrong
        with _naming("harness.doc_to_text"):
            question = task.doc_to_text(document)
        with _naming("harness.gen_prefix"):
            task.doc_to_prefix(document)
        with _naming("harness.description"):
            task.resolve_field(document, task.config.description)
        with _naming("harness.doc_to_target"):
            target = task.doc_to_target(document)
        if self._file.protocol != "generation":
            with _naming("harness.doc_to_choice"):
                offered = task.doc_to_choice(document)
            return self._choice_problem(offered, target) or (
                self._text_problem(question, document) if self._full else ""
            )
        with _naming("options"):
            choices = self._choices_of(document)
        if not self._full:
            return ""
        return self._text_problem(question, document) or self._gold_problem(target, choices, question)

    def _text_problem(self, question: Any, document: Row) -> str:
        template = self._task.config.doc_to_text
        for path in written_fields(template) if isinstance(template, str) else ():
            if _is_blank(_value_at(document, path)):
                return (
                    f"the field {_dotted(path)!r} is empty, and the prompt would lack it (if it may be, "
                    f"write `{{% if {path[0]} %}}` around it in doc_to_text)"
                )
        if not isinstance(question, str):
            return f"the prompt is {_shown(question)}, expected a text"
        if self._file.items:
            for path in plain_fields(template) if isinstance(template, str) else ():
                value = _value_at(document, path)
                if isinstance(value, list | dict):
                    return (
                        f"the field {_dotted(path)!r} is {_shown(value)}, expected a text (to write a list, "
                        "use a loop or `| join(', ')` in doc_to_text)"
                    )
        return "the prompt is empty" if _is_blank(question) else ""

    def _choice_problem(self, choices: Any, target: Any) -> str:
        """Returns what is wrong with the choices of an item and the index of the right one."""
        if not isinstance(choices, list | tuple):
            return f"its choices are {_shown(choices)}, expected a list"
        for number, choice in enumerate(choices, start=1):
            if self._full and (choice is None or _is_blank(choice)):
                return f"choice {number} of {len(choices)} is {'null' if choice is None else 'empty'}"
            if not isinstance(choice, str) and choice is not None:
                return f"choice {number} of {len(choices)} is {_shown(choice)}, expected a text"
        if self._file.items and (wrong := _undecidable(choices)):
            return wrong
        if AUROC.name in self._file.metrics and len(choices) != 2:
            return f"the metric auroc needs two choices; there are {len(choices)}"
        index = as_whole_number(target)
        if index is None or not 0 <= index < len(choices):
            return (
                f"its right choice{self._fields()} is {_shown(target)}, expected the index of one of its "
                f"{len(choices)} choices, from 0 to {len(choices) - 1}"
            )
        return ""

    def _gold_problem(self, target: Any, choices: Sequence[str], question: Any) -> str:
        """Returns why nothing could count as right; an empty text if something could."""
        given = target if isinstance(target, list) else [target]
        if None in given:
            return f"the right answer{self._fields()} is null"
        targets = [str(one) for one in given]
        for name, parser in self._file.readings.items():
            matches = COMPARISONS[parser.compare]
            if any(_is_blank(one) for one in targets) or not any(matches(one, [one]) for one in targets):
                shown = " or ".join(map(_shown, targets)) or "an empty list"
                return (
                    f"the right answer{self._fields()} can't be given: no answer could match {shown} as a "
                    f"{parser.compare} (the reading {name})"
                )
            if parser.compare == "letter":
                letters = tuple(string.ascii_uppercase[: len(choices) or None])
                if not any(one in letters for one in targets):
                    return self._not_an_option(targets, letters)
        listed = _listed_options(question)
        options = [_OPTION.fullmatch(one.strip()) for one in targets]
        if listed and options and all(one is not None and one[1] not in listed for one in options):
            return self._not_an_option(targets, listed)
        return ""

    def _not_an_option(self, targets: Sequence[str], letters: Sequence[str]) -> str:
        return (
            f"the right answer{self._fields()} is {' or '.join(map(_shown, targets))}, and the options are "
            f"{', '.join(letters)}"
        )

    def _fields(self) -> str:
        """Returns the fields that the right answer is made of, in words."""
        template = self._task.config.doc_to_target
        if not isinstance(template, str):
            return ""
        names = [template] if template in self._task.features else template_fields(template)
        return f" (from {', '.join(map(repr, names))})" if names else ""

    def _nulls(self, document: Row) -> Iterator[str]:
        """Yields the fields of an item that the templates read and that are null, in words."""
        config = self._task.config
        for template in (config.doc_to_text, config.doc_to_target, config.doc_to_choice, self._file.options):
            if isinstance(template, str):
                for name in template_fields(template):
                    if document.get(name, "") is None:
                        yield f"the field {name!r} is null"


_OPTION = re.compile(r"\(([A-Z])\)")
_LISTED = re.compile(r"(?m)^\s*([A-Z])\)\s|\(([A-Z])\)")


def _listed_options(question: Any) -> list[str]:
    """Returns the letters of the options that a question lists, from A on; empty if it lists none."""
    if not isinstance(question, str):
        return []
    letters = dict.fromkeys(match[1] or match[2] for match in _LISTED.finditer(question))
    return [*letters] if {"A", "B"} <= letters.keys() else []


def _undecidable(choices: Sequence[str]) -> str:
    """Returns why no score could tell the choices apart; an empty text if one could."""
    if len(choices) == 1:
        return "it has 1 choice, which would always be the most likely"
    first: dict[str, int] = {}
    for number, choice in enumerate(choices, start=1):
        same = first.setdefault(choice.strip(), number)
        if same != number:
            return f"its choices {same} and {number} are the same text, {_shown(choice)}"
    return ""


class _UnbuildableError(Exception):
    """An error that was raised while a field of the task file was rendered."""

    def __init__(self, field: str, error: Exception) -> None:
        super().__init__(str(error))
        self.field, self.error = field, error


@contextmanager
def _naming(field: str) -> Iterator[None]:
    try:
        yield
    except UNBUILDABLE as error:
        raise _UnbuildableError(field, error) from error


def _value_at(document: Mapping[str, Any], path: Sequence[str | int]) -> Any:
    value: Any = document
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
    return value


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and is_blank(value)


def _dotted(path: Sequence[str | int]) -> str:
    """Returns a path as a template writes it, where an index is in brackets and counts from 0."""
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).removeprefix(".")


def _shown(value: Any) -> str:
    return shortened(repr(value), _SHOWN)
