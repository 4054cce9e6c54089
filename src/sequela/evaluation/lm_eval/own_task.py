"""A harness task of a user's own task file, whose prompts and answers are joined as everywhere in Sequela."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from sequela.core.joining import with_space, without_end_spaces

JOINING_VERSION = 1
"""Raised when the same prompt and answer are joined differently."""

DELIMITER = " "
"""The harness's default text between a prompt and its answer."""


class OwnTask(ConfigurableTask):  # type: ignore[misc]
    """Leaves out the default delimiter where no space belongs, as after a Chinese prompt or a dollar sign.

    Another `target_delimiter` is used as it is. Spaces at the end of a prompt don't count.
    """

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
