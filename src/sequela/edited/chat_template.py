"""A model's chat template as a request router, which turns a prompt into a user's turn.

Few-shot examples before a question are in the same turn. The template is taken from the tokenizer and only
split around the user's text, so that the subject's and the target's tokens are found as in plain text.
"""

from __future__ import annotations

from dataclasses import dataclass

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.edited.protocols import Routed
from sequela.models.language_model import LanguageModel

_MARK = "\u241f"
"""A placeholder for the user's text, around which the template is split."""


@dataclass(frozen=True)
class ChatTemplate:
    """The texts before and after a user's text, up to the model's answer.

    Args:
        before: The text before, without the beginning-of-text token if the tokenizer adds it.
        after: The text after.
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
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, mark, after = str(text).partition(_MARK)
        if not mark:
            raise BadInputError(f"The chat template of {model.name!r} changes the user's text.")
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
        """Returns the prompt as a user's turn, up to the model's answer."""
        return f"{self.before}{prompt}{self.after}"

    def route(self, prompt: str) -> Routed:
        """Like `rewrite`, as a `RequestRouter`."""
        return Routed(self.rewrite(prompt))
