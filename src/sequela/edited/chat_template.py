"""A model's chat template as a request router, which turns a prompt into a user's turn.

Few-shot examples before a question are in the same turn. The template is taken from the tokenizer and only
split around the user's text, so that the subject's and the target's tokens are found as in plain text. Its
control tokens are marked (`models.control_tokens`); the same tokens in a user's text are only text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.joining import ANSWER, with_space, without_end_spaces
from sequela.edited.protocols import Routed
from sequela.models.control_tokens import mark_control_tokens, without_marks
from sequela.models.language_model import LanguageModel

_MARK = "\u241f"
"""A placeholder for the user's text, around which the template is split."""

_REPLY = "\u2420"
"""A placeholder for the model's answer, by which the template shows what precedes an answer."""

_ASKING_VERSION = 2
"""Raised when the same template asks the same question differently. 1: answers were scored together with the
line break that ends the template; after a template without one, own suites put a space before them."""


@dataclass(frozen=True)
class ChatTemplate:
    """The texts before and after a user's text, up to the model's answer.

    Args:
        before: The text before, without the beginning-of-text token if the tokenizer adds it.
        after: The text after. It ends with `ANSWER` if the answer follows directly where plain text would
            have a space.
    """

    before: str
    after: str

    @classmethod
    def of(cls, model: LanguageModel) -> ChatTemplate:
        """Returns the template of a model.

        Raises:
            BadInputError: The model has no template, or one that changes the user's text.
        """
        tokenizer = model.tokenizer
        if not getattr(tokenizer, "chat_template", None):
            raise BadInputError(
                f"{model.name!r} has no chat template: it is a base model, or its tokenizer has none.",
                hint="Use the template none, or the instruction-tuned model.",
            )
        turn = [{"role": "user", "content": _MARK}]
        text = str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
        before, mark, after = text.partition(_MARK)
        if not mark:
            raise BadInputError(f"The chat template of {model.name!r} changes the user's text.")
        beginning = tokenizer.bos_token
        if (
            beginning
            and before.startswith(beginning)
            and tokenizer.encode("")[:1] == [tokenizer.bos_token_id]
        ):
            before = before.removeprefix(beginning)
        after = _up_to_answer(after, _lead(tokenizer, turn, text))
        return cls(mark_control_tokens(tokenizer, before), mark_control_tokens(tokenizer, after))

    @property
    def content_hash(self) -> str:
        """A hash of how a question is asked and an answer scored."""
        return hash_json({"edits": self.edits_hash, "asking": _ASKING_VERSION})

    @property
    def edits_hash(self) -> str:
        """A hash of how an edit's prompt and target are put together."""
        content = {"before": without_marks(self.before), "after": without_marks(self.after)}
        return hash_json({**content, "joined": ""} if self.after.endswith(ANSWER) else content)

    def rewrite(self, prompt: str) -> str:
        """Returns the prompt as a user's turn, up to the model's answer."""
        return f"{self.before}{without_end_spaces(without_marks(prompt))}{self.after}"

    def route(self, prompt: str) -> Routed:
        """Like `rewrite`, as a `RequestRouter`."""
        return Routed(self.rewrite(prompt))


def _lead(tokenizer: Any, turn: list[dict[str, str]], asked: str) -> str | None:
    """Returns the text between the end of a template and an answer; None if the template doesn't show it."""
    try:
        answered = tokenizer.apply_chat_template(
            [*turn, {"role": "assistant", "content": _REPLY}], tokenize=False
        )
    except Exception:  # noqa: BLE001 - a template may reject any conversation, with any error
        return None
    head, found, _ = str(answered).partition(_REPLY)
    return head.removeprefix(asked) if found and head.startswith(asked) else None


def _up_to_answer(after: str, lead: str | None) -> str:
    """Returns the end of a template, marked if the rule for plain text would join the answer differently."""
    usual = with_space(after, "a").removesuffix("a")
    if lead is None:  # after a word or a colon an answer needs a space, after a control token none
        lead = usual if after[-1:].isalnum() or after.endswith(":") else ""
    if lead == usual or lead not in ("", " "):
        return after
    return f"{after}{lead}{ANSWER}"
