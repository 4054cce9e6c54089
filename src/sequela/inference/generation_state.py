"""The state of one generation request, and its stopping rules.

A text ends before the first stop string in it. White space before an answer is no answer, so a stop string
within it does not count: many models begin an answer with a line break. A text may begin with thinking, in
which no stop string counts, and which has a maximum length of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sequela.core.progress import Progress, counted
from sequela.edited.thinking import Thinking
from sequela.inference.engine import Generation, GenerationRequest
from sequela.models import LanguageModel
from sequela.models.control_tokens import control_token_ids

STOPPING_VERSION = 2
"""Raised when the same tokens give another text. 1: a stop string within leading white space counted."""


@dataclass
class GenerationState:
    """A request, the tokens generated for it so far, and the reason it ended.

    Args:
        number: The index of the request.
        request: The request.
        ids: The generated tokens.
        ended_by: As in `Generation`; empty while generation continues.
        finite: True if all logits so far were finite.
        asked: The number of tokens predicted so far, including one that ended the text.
        n_thinking: The number of tokens of thinking so far, with the white space after it.
        thinks: True while a thought is open.
    """

    number: int
    request: GenerationRequest
    ids: list[int] = field(default_factory=list)
    ended_by: str = ""
    finite: bool = True
    asked: int = 0
    n_thinking: int = 0
    thinks: bool = False

    def __post_init__(self) -> None:
        self.thinks = self.request.thinking is not None and self.request.thinking.opened

    def take(self, model: LanguageModel, token: int, finite: bool) -> None:
        """Appends the next token; a token from logits that aren't finite ends the text before it."""
        self.asked += 1
        if not finite:
            self.finite, self.ended_by = False, "length"
            return
        if token in model.end_ids:
            self.ended_by = "end"
            return
        self.ids.append(token)
        if self._in_thought(model):
            if len(self.ids) >= self.request.max_tokens or self._thought_too_long():
                self.ended_by = "length"
        elif self.request.stop and self._stopped(model):
            self.ended_by = "stop"
        elif len(self.ids) - self.n_thinking >= self.request.max_new_tokens:
            self.ended_by = "length"

    @property
    def not_asked(self) -> int:
        """The number of tokens up to the maximum that were not predicted because the text ended."""
        return self.request.max_tokens - self.asked

    def answer(self, model: LanguageModel) -> Generation:
        """Returns the answer, after the text has ended."""
        text, ids = _decode(model, self.ids, self.request.thinking), tuple(self.ids)
        start = self._answer_start(text)
        if start is None:
            return Generation(
                "", ids, self.ended_by, self.finite, thinking=text, unfinished_thinking=len(ids)
            )
        answer = text[start : self._stop_at(text)]
        return Generation(answer, ids, self.ended_by, self.finite, thinking=text[:start])

    def _in_thought(self, model: LanguageModel) -> bool:
        """Counts the newest token if it belongs to a thought; returns whether the answer has yet to begin.

        That is also the case while the text may be the first part of the mark that begins a thought.
        """
        thinking = self.request.thinking
        if thinking is None:
            return False
        last = 4 * thinking.longest_mark + 4
        tail, before = _decode(model, self.ids[-last:], thinking), self.thinks
        self.thinks = thinking.is_open(tail, before)
        if before or self.thinks:
            begins = not self.n_thinking and len(self.ids) <= last
            self.n_thinking = len(self.ids) if begins else self.n_thinking + 1
        elif 0 < self.n_thinking == len(self.ids) - 1 < thinking.max_tokens:
            # The white space between a thought and its answer is not a part of the answer.
            self.n_thinking += not _decode(model, self.ids[-1:], thinking).strip()
        return self.thinks or (len(self.ids) <= last and thinking.may_begin(tail))

    def _thought_too_long(self) -> bool:
        thinking = self.request.thinking
        return self.thinks and thinking is not None and self.n_thinking >= thinking.max_tokens

    def _answer_start(self, text: str) -> int | None:
        """Returns where the answer begins in a text; None if a thought isn't finished."""
        thinking = self.request.thinking
        return 0 if thinking is None else thinking.answer_start(text)

    def _stopped(self, model: LanguageModel) -> bool:
        """Returns whether the text contains a stop string, which can only end in the newest token.

        A character takes at most four tokens, so it is enough to search the last tokens first.
        """
        last = 4 * max(map(len, self.request.stop)) + 4
        end = _decode(model, self.ids[-last:], self.request.thinking)
        if not any(stop in end for stop in self.request.stop):
            return False
        return self._stop_at(_decode(model, self.ids, self.request.thinking)) is not None

    def _stop_at(self, text: str) -> int | None:
        """Returns the position of the first stop string in an answer, after leading white space."""
        start = self._answer_start(text)
        if start is None:
            return None
        leading = len(text) - len(text[start:].lstrip())
        positions = [text.find(stop, max(start, leading - len(stop) + 1)) for stop in self.request.stop]
        return min((position for position in positions if position >= 0), default=None)


def _decode(model: LanguageModel, ids: Sequence[int], thinking: Thinking | None) -> str:
    """Returns the text of tokens without control tokens, except for those in the marks of thinking."""
    kept = frozenset[int]() if thinking is None else thinking.control_ids
    if kept:
        removed = control_token_ids(model.tokenizer) - kept
        ids = [token for token in ids if token not in removed]
    text: str = model.tokenizer.decode(ids, skip_special_tokens=not kept)
    return text


TokenCount = Callable[[Sequence[GenerationState]], None]
"""A callback that receives the states that each took one token."""


@contextmanager
def token_count(requests: Sequence[GenerationRequest], progress: Progress) -> Iterator[TokenCount]:
    """Reports the progress of generation token by token for the duration of the `with` block.

    Texts of one batch end at about the same time, so a count of texts would stay at 0 for long. Each request
    counts with its maximum number of tokens.
    """
    with counted(progress, "generating tokens", sum(request.max_tokens for request in requests)) as advance:

        def count(states: Sequence[GenerationState]) -> None:
            advance(len(states) + sum(state.not_asked for state in states if state.ended_by))

        yield count
