"""A model's chat template, as a request router: what a user asks becomes a user's turn.

Worked examples before a question stand in the same turn. The template is taken from the tokenizer and only
split around the user's text, so that the subject's and the target's tokens are found as in plain text.
"""

from __future__ import annotations

from dataclasses import dataclass

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.edited.protocols import Routed
from sequela.models.language_model import LanguageModel

_MARK = "\u241f"
"""Stands for the user's text while the template is asked for what comes around it."""


@dataclass(frozen=True)
class ChatTemplate:
    """What stands before and after a user's text up to where the model answers.

    Args:
        before: The text before, without the beginning token where the tokenizer puts that by itself.
        after: The text after.
    """

    before: str
    after: str

    @classmethod
    def of(cls, model: LanguageModel) -> ChatTemplate:
        """The template of a model.

        Raises:
            BadInputError: It has none, or one that changes what the user says.
        """
        tokenizer = model.tokenizer
        if not getattr(tokenizer, "chat_template", None):
            raise BadInputError(
                f"{model.name!r} has no chat template: it is a base model, or its tokenizer came without.",
                hint="Use the template none, or the instruction-tuned model.",
            )
        turn = [{"role": "user", "content": _MARK}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, mark, after = str(text).partition(_MARK)
        if not mark:
            raise BadInputError(f"The chat template of {model.name!r} doesn't keep what the user says.")
        beginning = tokenizer.bos_token
        if (
            beginning
            and before.startswith(beginning)
            and tokenizer.encode("")[:1] == [tokenizer.bos_token_id]
        ):
            before = before.removeprefix(beginning)
        return cls(before, after)

    @property
    def content_hash(self) -> str:
        """A hash of the template."""
        return hash_json({"before": self.before, "after": self.after})

    def rewrite(self, prompt: str) -> str:
        """The prompt as a user's turn, up to where the model answers."""
        return f"{self.before}{prompt}{self.after}"

    def route(self, prompt: str) -> Routed:
        """The same, as a router says it."""
        return Routed(self.rewrite(prompt))
