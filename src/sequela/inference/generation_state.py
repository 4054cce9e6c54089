"""One request while it is being continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sequela.core.progress import Progress, counted
from sequela.inference.engine import Generation, GenerationRequest
from sequela.models import LanguageModel


@dataclass
class GenerationState:
    """A request, what was generated for it so far, and why it ended.

    Args:
        number: Its place among the requests.
        request: The request.
        ids: What was generated.
        ended_by: As in `Generation`; empty while it goes on.
        finite: Whether every logit was a number so far.
        asked: How many tokens were asked for so far, one that ended it included.
    """

    number: int
    request: GenerationRequest
    ids: list[int] = field(default_factory=list)
    ended_by: str = ""
    finite: bool = True
    asked: int = 0

    def take(self, model: LanguageModel, token: int, finite: bool) -> None:
        """Takes the next token; a token from logits that aren't finite ends the text before it."""
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
        """How many of the tokens that it might have had are not asked for, now that it has ended."""
        return self.request.max_new_tokens - self.asked

    def answer(self, model: LanguageModel) -> Generation:
        """The answer, once it ended."""
        text = _decode(model, self.ids)
        return Generation(text[: self._stop_at(text)], tuple(self.ids), self.ended_by, self.finite)

    def _stopped(self, model: LanguageModel) -> bool:
        """Whether the text has a stop string, which can only end with the newest token.

        A character takes four tokens at most, so the last tokens are enough to look at first.
        """
        last = 4 * max(map(len, self.request.stop)) + 4
        if self._stop_at(_decode(model, self.ids[-last:])) is None:
            return False
        return self._stop_at(_decode(model, self.ids)) is not None

    def _stop_at(self, text: str) -> int | None:
        places = [place for stop in self.request.stop if (place := text.find(stop)) >= 0]
        return min(places, default=None)


def _decode(model: LanguageModel, ids: Sequence[int]) -> str:
    text: str = model.tokenizer.decode(ids, skip_special_tokens=True)
    return text


TokenCount = Callable[[Sequence[GenerationState]], None]
"""Is told of streams that each took a token."""


@contextmanager
def token_count(requests: Sequence[GenerationRequest], progress: Progress) -> Iterator[TokenCount]:
    """Within the block, progress is told of generation token by token.

    Texts that are continued side by side end at about the same time: counted by text, they would stand at 0
    for long. Each request counts with the most tokens it may have.
    """
    with counted(progress, "generating tokens", sum(one.max_new_tokens for one in requests)) as advance:

        def took(states: Sequence[GenerationState]) -> None:
            advance(len(states) + sum(state.not_asked for state in states if state.ended_by))

        yield took
