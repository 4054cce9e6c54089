"""The state of one generation request, and its stopping rules.

A text ends before the first stop string in it. White space before an answer is no answer, so a stop string
within it does not count: many models begin an answer with a line break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sequela.core.progress import Progress, counted
from sequela.inference.engine import Generation, GenerationRequest
from sequela.models import LanguageModel

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
    """

    number: int
    request: GenerationRequest
    ids: list[int] = field(default_factory=list)
    ended_by: str = ""
    finite: bool = True
    asked: int = 0

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
        if self.request.stop and self._stopped(model):
            self.ended_by = "stop"
        elif len(self.ids) >= self.request.max_new_tokens:
            self.ended_by = "length"

    @property
    def not_asked(self) -> int:
        """The number of tokens up to the maximum that were not predicted because the text ended."""
        return self.request.max_new_tokens - self.asked

    def answer(self, model: LanguageModel) -> Generation:
        """Returns the answer, after the text has ended."""
        text = _decode(model, self.ids)
        return Generation(text[: self._stop_at(text)], tuple(self.ids), self.ended_by, self.finite)

    def _stopped(self, model: LanguageModel) -> bool:
        """Returns whether the text contains a stop string, which can only end in the newest token.

        A character takes at most four tokens, so it is enough to search the last tokens first.
        """
        last = 4 * max(map(len, self.request.stop)) + 4
        end = _decode(model, self.ids[-last:])
        if not any(stop in end for stop in self.request.stop):
            return False
        return self._stop_at(_decode(model, self.ids)) is not None

    def _stop_at(self, text: str) -> int | None:
        """Returns the position of the first stop string that isn't within leading white space."""
        leading = len(text) - len(text.lstrip())
        positions = [text.find(stop, max(0, leading - len(stop) + 1)) for stop in self.request.stop]
        return min((position for position in positions if position >= 0), default=None)


def _decode(model: LanguageModel, ids: Sequence[int]) -> str:
    text: str = model.tokenizer.decode(ids, skip_special_tokens=True)
    return text


TokenCount = Callable[[Sequence[GenerationState]], None]
"""A callback that receives the states that each took one token."""


@contextmanager
def token_count(requests: Sequence[GenerationRequest], progress: Progress) -> Iterator[TokenCount]:
    """Reports the progress of generation token by token for the duration of the `with` block.

    Texts of one batch end at about the same time, so a count of texts would stay at 0 for long. Each request
    counts with its maximum number of tokens.
    """
    with counted(
        progress, "generating tokens", sum(request.max_new_tokens for request in requests)
    ) as advance:

        def count(states: Sequence[GenerationState]) -> None:
            advance(len(states) + sum(state.not_asked for state in states if state.ended_by))

        yield count
