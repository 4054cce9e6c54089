"""The interface of engines: requests, answers, and the protocol `Engine`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sequela.core.errors import SequelaError
from sequela.core.joining import without_end_spaces
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.protocols import NO_ROUTE, Route
from sequela.edited.thinking import Thinking
from sequela.models import tokenize_prompt
from sequela.models.control_tokens import without_marks


@dataclass(frozen=True)
class ScoreRequest:
    """A request for the log-probabilities of `continuation` after `context`.

    Args:
        context: The token ids before the continuation; at least one.
        continuation: The token ids to be scored; at least one.
        route: The route that the model's routers chose.
        of: What asks it, such as `edit 12`, for messages; empty if unknown.

    Raises:
        SequelaError: The context or the continuation is empty.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    route: Route = NO_ROUTE
    of: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.context or not self.continuation:
            raise SequelaError("A score request needs at least one token of context and one of continuation.")

    @property
    def length(self) -> int:
        """The number of tokens that the model reads: all but the last one of the continuation."""
        return len(self.context) + len(self.continuation) - 1


@dataclass(frozen=True)
class Score:
    """The answer to a `ScoreRequest`.

    Args:
        token_logprobs: The natural log-probability of each continuation token, given all tokens before it.
        token_greedy: For each of them, True if it was the most likely token.
        finite: True if all logits behind the score are finite. Otherwise the score never wins.
        too_long: The length of the request in tokens if it exceeds the model's context; it was not run then.
        hit: True if a memory-based or in-context method found an edit that applies; None without one.
    """

    token_logprobs: tuple[float, ...]
    token_greedy: tuple[bool, ...]
    finite: bool
    too_long: int | None = None
    hit: bool | None = None

    @classmethod
    def for_too_long(cls, request: ScoreRequest) -> Score:
        """Returns the answer to a request that is too long. It has no log-probabilities and never wins."""
        n_tokens = len(request.continuation)
        return cls((math.nan,) * n_tokens, (False,) * n_tokens, False, request.length)

    @property
    def greedy(self) -> bool:
        """True if every token was the most likely one."""
        return self.finite and all(self.token_greedy)

    @property
    def logprob(self) -> float:
        """The sum over the tokens; minus infinity if a logit was not finite."""
        return math.fsum(self.token_logprobs) if self.finite else -math.inf

    @property
    def mean_logprob(self) -> float:
        """The mean over the tokens."""
        return self.logprob / len(self.token_logprobs)


@dataclass(frozen=True)
class GenerationRequest:
    """A request for the greedy continuation of `prompt`.

    Args:
        prompt: The token ids; at least one.
        max_new_tokens: The maximum number of tokens of the answer; at least 1.
        stop: Strings that end the answer; they are not part of it. One within white space at the beginning of
            the answer does not end it, and none ends a thought.
        route: The route that the model's routers chose, with the marks and the maximum length of thinking.
        of: As in `ScoreRequest`.

    Raises:
        SequelaError: The prompt or a stop string is empty, or `max_new_tokens` is below 1.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    route: Route = NO_ROUTE
    of: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.prompt or self.max_new_tokens < 1:
            raise SequelaError(
                "A generation request needs at least one token of prompt and at least one to generate."
            )
        if "" in self.stop:
            raise SequelaError("A stop string is empty; every answer would end before it begins.")

    @property
    def length(self) -> int:
        """The maximum number of tokens that the model reads: all but the last one that may be generated."""
        return len(self.prompt) + self.max_tokens - 1

    @property
    def thinking(self) -> Thinking | None:
        """The division of the text into thinking and answer; None if it is all answer."""
        return self.route.thinking

    @property
    def max_tokens(self) -> int:
        """The maximum number of generated tokens: those of the answer and of thinking."""
        return self.max_new_tokens + (0 if self.thinking is None else self.thinking.max_tokens)


@dataclass(frozen=True)
class Generation:
    """The answer to a `GenerationRequest`.

    Args:
        text: The generated answer without special tokens and stop strings, and without thinking.
        ids: The generated tokens, stop strings included.
        ended_by: `end` (an end token), `stop` (a stop string), `length`, or `too_long`.
        finite: True if all logits were finite; otherwise the text ends before the first that was not.
        too_long: The length of the request in tokens if it exceeds the model's context; it was not run then.
        hit: As in `Score`.
        thinking: The text before the answer: the model's thinking, with its marks. It is never an answer.
        unfinished_thinking: The number of generated tokens if the thinking doesn't end, so that there is no
            answer; None if it does, or if the model doesn't think.
    """

    text: str
    ids: tuple[int, ...]
    ended_by: str
    finite: bool
    too_long: int | None = None
    hit: bool | None = None
    thinking: str = ""
    unfinished_thinking: int | None = None

    @classmethod
    def for_too_long(cls, request: GenerationRequest) -> Generation:
        """Returns the answer to a request that is too long, an empty text."""
        return cls("", (), "too_long", False, request.length)


class Engine(Protocol):
    """Runs requests on an edited model and returns answers in the order of the requests.

    An answer doesn't depend on the other requests of the call. A request longer than the model's context is
    rejected, never truncated: its answer has the request's length as `too_long`.
    """

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        """Scores continuations."""
        ...

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        """Continues prompts greedily."""
        ...


def score_request(model: EditedModel, prompt: str, continuation: str, of: str = "") -> ScoreRequest:
    """Returns a request that scores a continuation of a prompt, joined as `tokenize_prompt` does.

    A thought that the prompt leaves open is closed before the continuation, which is no part of it.
    """
    routed = model.route(without_end_spaces(without_marks(prompt)))
    tokens = tokenize_prompt(model.base.tokenizer, routed.answer_prompt, target=continuation)
    return ScoreRequest(tokens.prompt_ids, tokens.target_ids, routed.route, of)


def generation_request(
    model: EditedModel, prompt: str, max_new_tokens: int, stop: tuple[str, ...] = (), of: str = ""
) -> GenerationRequest:
    """Returns a request that continues a prompt; spaces at its end don't count."""
    routed = model.route(without_end_spaces(without_marks(prompt)))
    tokens = tokenize_prompt(model.base.tokenizer, routed.prompt)
    return GenerationRequest(tokens.ids, max_new_tokens, stop, routed.route, of)
