"""The texts of an edit that a method reads, and whether they fit the model's context."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.spans import BLANK, fill


@dataclass(frozen=True)
class ReadText:
    """A text that a method reads.

    Args:
        what: What it is, with its verb.
        prompt: The prompt; `{}` stands for the subject.
        subject: The subject; None leaves the prompt unchanged.
        target: The text that follows; empty for none.
        in_contexts: Whether it is read in every context; otherwise only alone.
    """

    what: str
    prompt: str
    subject: str | None = None
    target: str = ""
    in_contexts: bool = False

    @classmethod
    def of_edit(cls, edit: Edit) -> ReadText:
        """Returns the text that every method reads: the edit's prompt with its new target."""
        return cls("prompt and target have", edit.prompt, edit.subject, edit.target_new, in_contexts=True)

    def length(self, model: LanguageModel, context: str = BLANK) -> int:
        """Returns the number of its tokens in a context."""
        target = self.target or None
        return len(tokenize_prompt(model.tokenizer, self.prompt, self.subject, target, context).ids)

    def surely_fits(self, model: LanguageModel, further: int) -> bool:
        """Returns whether it fits whatever the tokenizer does: a token has a byte or more of the text.

        Few normalizers lengthen a text.

        Args:
            model: The model.
            further: The number of bytes of a context.
        """
        question = self.prompt if self.subject is None else fill(self.prompt, self.subject)
        return 4 * (len(f"{question} {self.target}".encode()) + further) + 8 < model.context_length


def too_long(model: LanguageModel, texts: Iterable[ReadText], contexts: Sequence[str]) -> str:
    """Returns the reason why an edit can't be read; empty if all its texts fit the model's context.

    Args:
        model: The model.
        texts: The texts of the edit that the method reads.
        contexts: The contexts in which the method reads them, the bare `{}` among them.
    """
    return next(filter(None, (_too_long(model, text, contexts) for text in texts)), "")


def _too_long(model: LanguageModel, text: ReadText, contexts: Sequence[str]) -> str:
    limit = model.context_length
    used = contexts if text.in_contexts else (BLANK,)
    if text.surely_fits(model, max(len(one.encode()) for one in used)):
        return ""
    bare, longest = text.length(model), max(text.length(model, one) for one in used)
    if longest <= limit:
        return ""
    what = text.what if bare > limit else f"in the longest of its contexts, {text.what}"
    length = bare if bare > limit else longest
    return f"{what} {length:,} tokens; the model's context has {limit:,}"


def may_exceed(model: LanguageModel, text: ReadText, context_tokens: int) -> bool:
    """Returns whether a text may not fit the model's context after a context of so many tokens."""
    further = context_tokens if text.in_contexts else 0
    if text.surely_fits(model, 4 * further):
        return False
    return text.length(model) + further > model.context_length
