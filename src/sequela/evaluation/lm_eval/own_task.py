"""A harness task of a user's own task file: texts stay texts, and are joined as everywhere in Sequela."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import lm_eval.utils
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from sequela.core.joining import with_space, without_end_spaces
from sequela.evaluation.lm_eval.data_layout import Row
from sequela.evaluation.lm_eval.sandbox.characters import check_characters
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, template_fields

JOINING_VERSION = 1
"""Raised when the same prompt and answer are joined differently."""

DELIMITER = " "
"""The harness's default text between a prompt and its answer."""


_INDEX = re.compile("0|[1-9][0-9]{0,8}")
"""The index of a choice as a text."""

TEXT_VERSION = 1
"""Raised when another text that the harness would read as a number or list is kept as a text."""


class OwnTask(ConfigurableTask):  # type: ignore[misc]
    """Keeps texts as texts, and joins them with a space where one belongs.

    The harness reads a rendered text that looks like a number as the index of a choice, even if it is the
    prompt, and one that looks like a list as a list, even if it is the text of a field. Here a prompt is
    always a text, and a right answer is a list only if the template doesn't just repeat a text of the item.
    A list of templates is rendered for each item.

    The default delimiter is left out where no space belongs, as after a Chinese prompt or a dollar sign.
    Another `target_delimiter` is used as it is. Spaces at the end of a prompt don't count.
    """

    _is_built = False

    def __init__(self, config: dict[str, Any]) -> None:
        # The constructor tries the first item. What it raises for a wrong one names neither record nor field;
        # `ItemChecks` tries every item that is run.
        super().__init__(config=config)
        self._is_built = True

    def doc_to_text(self, doc: Row, doc_to_text: Any = None) -> Any:
        """Returns the prompt of an item; a list or an object that is a field is returned as it is."""
        if not self._is_built:
            return ""
        template = self.config.doc_to_text if doc_to_text is None else doc_to_text
        if not isinstance(template, str):
            return super().doc_to_text(doc, doc_to_text)
        if template in self.features:
            return _number_as_text(doc[template])
        return lm_eval.utils.apply_template(template, doc)

    def doc_to_target(self, doc: Row, doc_to_target: Any = None) -> Any:
        """Returns the right answer of an item: a text, the index of a choice, or a list of right answers."""
        if not self._is_built:
            return ""
        template = self.config.doc_to_target if doc_to_target is None else doc_to_target
        if not isinstance(template, str) or template in self.features:
            return super().doc_to_target(doc, doc_to_target)
        text: str = lm_eval.utils.apply_template(template, doc)
        if self.config.doc_to_choice is not None:
            return int(text) if _INDEX.fullmatch(text) else text
        return text if repeats_a_field(template, text, doc) else _answers_in(text, doc)

    def doc_to_choice(self, doc: Row, doc_to_choice: Any = None) -> Any:
        """Returns the choices of an item."""
        if not self._is_built:
            return []
        template = self.config.doc_to_choice if doc_to_choice is None else doc_to_choice
        if isinstance(template, list):
            return [lm_eval.utils.apply_template(one, doc) for one in template]
        if not isinstance(template, str) or template in self.features:
            return super().doc_to_choice(doc, doc_to_choice)
        return _value_in(lm_eval.utils.apply_template(template, doc).strip(), doc)

    def doc_to_prefix(self, doc: Row) -> Any:
        """Returns the beginning of the answer to an item; None if there is none."""
        return _number_as_text(super().doc_to_prefix(doc))

    @staticmethod
    def resolve_field(doc: Row, field: str | None = None) -> Any:
        """Returns the text of a field or template; None if there is none."""
        return _number_as_text(ConfigurableTask.resolve_field(doc, field))

    def build_qa_turn(
        self,
        *,
        q: str | None = None,
        c: list[str] | None = None,
        a: str | int | list[str] | None = None,
        gen_prefix: str | None = None,
        tgt_delim: str = DELIMITER,
        few_delim: str = "\n\n",
    ) -> list[Any]:
        """Builds a question, with its answer if it is a few-shot example."""
        if not c:
            a = list(map(_number_as_text, a)) if isinstance(a, list) else _number_as_text(a)
        if tgt_delim == DELIMITER and isinstance(q, str):
            q = without_end_spaces(q)
            answer = gen_prefix or _answer(c, a)
            tgt_delim = _delimiter(q, answer) if answer else tgt_delim
        turn: list[Any] = super().build_qa_turn(
            q=q, c=c, a=a, gen_prefix=gen_prefix, tgt_delim=tgt_delim, few_delim=few_delim
        )
        return turn

    def construct_requests(
        self, doc: dict[str, Any], ctx: str | list[str], **kwargs: Any
    ) -> list[Instance] | Instance:
        """Builds the requests of an item."""
        requests: list[Instance] | Instance = super().construct_requests(doc, ctx, **kwargs)
        if self.config.target_delimiter != DELIMITER or self.multiple_input:
            return requests
        for request in requests if isinstance(requests, list) else ():
            context, continuation = request.arguments
            choice = continuation.removeprefix(DELIMITER)
            request.arguments = (context, _delimiter(context, choice) + choice)
        return requests


def _answer(choices: list[str] | None, answer: str | int | list[str] | None) -> str:
    """Returns the text of an example's answer."""
    if choices and isinstance(answer, int):
        return choices[answer]
    return str(answer[0] if isinstance(answer, list) else answer) if answer not in (None, "", []) else ""


def _delimiter(prompt: str, answer: str) -> str:
    """Returns the default delimiter, or an empty text where no space belongs."""
    if not prompt or not answer or prompt[-1].isspace():
        return DELIMITER
    return with_space(prompt, answer).removesuffix(answer)


def texts_kept(task: ConfigurableTask, documents: Iterable[Row]) -> bool:
    """Returns whether the harness would read a text of the items in another way than `OwnTask`.

    Results of earlier versions, which read texts as the harness does, are then not results of this one.
    """
    if not isinstance(task, OwnTask):
        return False
    lists = (task.config.doc_to_choice, task.fewshot_cfg.doc_to_choice)
    return any(_changes(one) for some in lists if isinstance(some, list) for one in some) or any(
        _reads_otherwise(task, document) for document in documents
    )


def _reads_otherwise(task: OwnTask, document: Row) -> bool:
    if task.config.doc_to_choice is not None:
        text = task.doc_to_text(document)
        return isinstance(text, str) and text.isdigit()
    target = task.doc_to_target(document)
    is_read = isinstance(target, str) and isinstance(task.config.doc_to_target, str)
    return (
        is_read and task.config.doc_to_target not in task.features and _answers_in(target, document) != target
    )


def _changes(template: str) -> bool:
    """Returns whether a text may be rendered as another one."""
    return any(sign in template for sign in ("{{", "{%", "{#"))


def repeats_a_field(template: str, text: str, document: Row) -> bool:
    """Returns whether a rendered text is the text of a field that the template reads."""
    return any(
        value.strip() == text.strip()
        for name in template_fields(template)
        for value in _texts_in(document.get(name))
    )


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts_in(part)


def _answers_in(text: str, document: Row) -> Any:
    """Returns a rendered text that is a list as that list; another text as it is."""
    is_list = len(text) >= 2 and (text[0], text[-1]) == ("[", "]")
    return _value_in(text, document) if is_list else text


def _value_in(text: str, document: Row) -> Any:
    """Returns the Python value that a text writes; the text if it writes none.

    Raises:
        TemplateRuntimeError: A text in it has a character that nothing can use.
    """
    try:
        value = ast.literal_eval(text)
    except UNBUILDABLE:
        return text
    check_characters(value, document)
    return value


def _number_as_text(value: Any) -> Any:
    """Returns a number as the text that a template writes for it; another value as it is."""
    return str(value) if isinstance(value, int | float) else value
