"""The token spans of subject and target, the only definition in the program.

Positions come from the tokenizer's character offsets, never from joining strings of tokens or counting their
lengths. So leading-space BPE, sentencepiece and byte-level Unicode all follow one rule: a token belongs to a
span of text if it covers any of its characters.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from sequela.core.errors import SequelaError
from sequela.core.joining import ANSWER, QUESTION, with_space, without_end_spaces
from sequela.models.control_tokens import EncodedText, encode_text, without_marks

BLANK = "{}"
"""The placeholder of the subject in a prompt, and of the prompt in a context template."""


@dataclass(frozen=True)
class Span:
    """Token positions `start <= i < stop`."""

    start: int
    stop: int

    @property
    def last(self) -> int:
        """The span's last position."""
        return self.stop - 1

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class TokenizedPrompt:
    """A tokenized prompt with its spans.

    Args:
        text: The whole text: context, prompt and target.
        ids: Its token ids, special tokens included.
        subject: The span of the subject (at the last `{}`), if the prompt has one.
        target: The span of the target, if there is one; it ends the text.
    """

    text: str
    ids: tuple[int, ...]
    subject: Span | None
    target: Span | None

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The tokens before the target."""
        return self.ids if self.target is None else self.ids[: self.target.start]

    @property
    def target_ids(self) -> tuple[int, ...]:
        """The target's tokens; none if there is no target."""
        return () if self.target is None else self.ids[self.target.start :]

    @property
    def subject_last(self) -> int:
        """The position of the subject's last token, where locate-then-edit methods compute keys and values.

        Raises:
            SequelaError: The prompt has no subject.
        """
        if self.subject is None:
            raise SequelaError(f"The prompt {self.text!r} has no subject.")
        return self.subject.last


def fill(template: str, value: str) -> str:
    """Replaces every `{}` in the template by `value`; other braces are unchanged."""
    return template.replace(BLANK, value)


def tokenize_prompt(
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    subject: str | None = None,
    target: str | None = None,
    context: str = BLANK,
) -> TokenizedPrompt:
    """Tokenizes a prompt with its subject, a target and a context, and finds the spans.

    Args:
        tokenizer: A fast tokenizer.
        prompt: The prompt; `{}` stands for the subject. Without a subject it is unchanged, except that
            spaces at its end don't count.
        subject: The text that replaces `{}`.
        target: The text that follows, separated by a space if one belongs there (`joining`).
        context: A text around the prompt, with `{}` where the prompt goes. In a chat template it is a part of
            the user's turn, as everything that is asked.

    Returns:
        The token ids of the whole text, and the spans of subject and target.

    Raises:
        SequelaError: `{}` is missing from the prompt or the context, or subject or target is empty.
    """
    if BLANK not in context:
        raise SequelaError(f"The context {context!r} has no {BLANK} for the prompt.")
    before, _, after = context.partition(BLANK)
    if prompt.count(QUESTION) == 2:
        opening, prompt, closing = prompt.split(QUESTION)
        before, after = opening + before, after + closing
    subject_at: tuple[int, int] | None = None
    if subject is None:
        filled = prompt
    else:
        if BLANK not in prompt:
            raise SequelaError(f"The prompt {prompt!r} has no {BLANK} for the subject {subject!r}.")
        if not subject.strip():
            raise SequelaError(f"The subject of the prompt {prompt!r} is empty.")
        head, _, tail = prompt.rpartition(BLANK)
        start = len(without_marks(before + fill(head, subject)))
        subject_at = (start, start + len(subject))
        filled = fill(head, subject) + subject + tail
    text = without_end_spaces(before + filled + after)
    target_at: tuple[int, int] | None = None
    if target is not None:
        if not target.strip():
            raise SequelaError(f"The target of the prompt {prompt!r} is empty.")
        continuation = with_space(text, target)
        asked = without_end_spaces(text.removesuffix(ANSWER))
        continuation = text.removesuffix(ANSWER)[len(asked) :] + continuation  # a space of a chat template
        start = len(without_marks(asked))
        target_at = (start, start + len(continuation))
        encoded = _encode_joined(tokenizer, asked, continuation)
    else:
        encoded = encode_text(tokenizer, without_end_spaces(text.removesuffix(ANSWER)))
    offsets = [_with_its_space(left, right, encoded.text) for left, right in encoded.offsets]
    span = None if subject_at is None else _covering(offsets, *subject_at, encoded.text)
    target_span = None if target_at is None else _covering(offsets, *target_at, encoded.text)
    ids = encoded.ids
    if target_span is not None:
        # A tokenizer may end every text with a special token; it is not part of the target.
        ids = ids[: target_span.stop]
    return TokenizedPrompt(encoded.text, ids, span, target_span)


def _encode_joined(tokenizer: PreTrainedTokenizerBase, prompt: str, continuation: str) -> EncodedText:
    """Tokenizes a prompt with its continuation.

    If a token would have characters of both, they are tokenized apart: a model that continues the prompt
    can't take back its last token.
    """
    whole = encode_text(tokenizer, prompt + continuation)
    start = len(without_marks(prompt))
    if not any(left < start < right for left, right in whole.offsets):
        return whole
    first = encode_text(tokenizer, prompt)
    # After a line break, since some tokenizers put a space before the first word of a text.
    second = encode_text(tokenizer, f"\n{continuation}", add_special_tokens=False)
    offsets = [_with_its_space(left, right, second.text) for left, right in second.offsets]
    kept = [i for i, (left, right) in enumerate(offsets) if right > left >= 1]
    n_prompt = 1 + max(i for i, (left, right) in enumerate(first.offsets) if left < right)
    return EncodedText(
        whole.text,
        (*first.ids[:n_prompt], *(second.ids[i] for i in kept)),
        (
            *first.offsets[:n_prompt],
            *((start + offsets[i][0] - 1, start + offsets[i][1] - 1) for i in kept),
        ),
    )


def _with_its_space(left: int, right: int, text: str) -> tuple[int, int]:
    """Returns the characters of a token, including those of a token that is only a space.

    Many byte-level tokenizers omit spaces from the offsets, so such a token has an empty range after its
    space. (Added special tokens have an empty range at 0.)
    """
    if left == right > 0 and text[left - 1].isspace():
        return left - 1, right
    return left, right


def _covering(offsets: list[tuple[int, int]], start: int, stop: int, text: str) -> Span:
    covered = [i for i, (left, right) in enumerate(offsets) if left < right and left < stop and right > start]
    if not covered:
        raise SequelaError(f"The tokenizer drops {text[start:stop]!r} from the text {text!r}.")
    return Span(covered[0], covered[-1] + 1)
