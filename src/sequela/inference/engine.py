"""What an engine is asked and what it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sequela.core.errors import SequelaError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.protocols import NO_ROUTE, Route
from sequela.models import tokenize_prompt


@dataclass(frozen=True)
class ScoreRequest:
    """How likely is `continuation` after `context`?

    Args:
        context: Token ids before; at least one.
        continuation: Token ids to be scored; at least one.
        route: What routers found for it.

    Raises:
        SequelaError: One of them is empty.
    """

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    route: Route = NO_ROUTE

    def __post_init__(self) -> None:
        if not self.context or not self.continuation:
            raise SequelaError("A score needs at least one token of context and one to be scored.")

    @property
    def length(self) -> int:
        """The tokens that are read: all but the last one of the continuation."""
        return len(self.context) + len(self.continuation) - 1


@dataclass(frozen=True)
class Score:
    """The answer to a `ScoreRequest`.

    Args:
        token_logprobs: Natural log-probability of each continuation token given all before it.
        token_greedy: For each of them, whether it was the most likely token.
        finite: Whether every logit that was read is a number. If not, the score can't win.
        too_long: Where the request is longer than the model's context and wasn't run: its tokens.
        hit: Whether a method beside the weights found something of its own to apply; None without one.
    """

    token_logprobs: tuple[float, ...]
    token_greedy: tuple[bool, ...]
    finite: bool
    too_long: int | None = None
    hit: bool | None = None

    @classmethod
    def for_too_long(cls, request: ScoreRequest) -> Score:
        """The answer to a request that is too long: nothing was read, it can't win."""
        n_tokens = len(request.continuation)
        return cls((math.nan,) * n_tokens, (False,) * n_tokens, False, request.length)

    @property
    def greedy(self) -> bool:
        """Whether every token was the most likely one."""
        return self.finite and all(self.token_greedy)

    @property
    def logprob(self) -> float:
        """The sum over the tokens; minus infinity where a logit was not a number."""
        return math.fsum(self.token_logprobs) if self.finite else -math.inf

    @property
    def mean_logprob(self) -> float:
        """The mean over the tokens."""
        return self.logprob / len(self.token_logprobs)


@dataclass(frozen=True)
class GenerationRequest:
    """Continue `prompt` greedily.

    Args:
        prompt: Token ids; at least one.
        max_new_tokens: Where to stop if nothing else does.
        stop: Strings that end the text; they are not part of it.
        route: What routers found for it.

    Raises:
        SequelaError: The prompt is empty, or no token may be generated.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    route: Route = NO_ROUTE

    def __post_init__(self) -> None:
        if not self.prompt or self.max_new_tokens < 1:
            raise SequelaError("A generation needs at least one token of prompt and one to be generated.")

    @property
    def length(self) -> int:
        """The most tokens that are read: all but the last one that may be generated."""
        return len(self.prompt) + self.max_new_tokens - 1


@dataclass(frozen=True)
class Generation:
    """The answer to a `GenerationRequest`.

    Args:
        text: What was generated, special tokens and stop strings left out.
        ids: The generated tokens, before stop strings were cut.
        ended_by: `end` (an end token), `stop` (a stop string), `length`, or `too_long`.
        finite: Whether every logit was a number; where not, the text ends there.
        too_long: Where the request is longer than the model's context and wasn't run: its tokens.
        hit: As in `Score`.
    """

    text: str
    ids: tuple[int, ...]
    ended_by: str
    finite: bool
    too_long: int | None = None
    hit: bool | None = None

    @classmethod
    def for_too_long(cls, request: GenerationRequest) -> Generation:
        """The answer to a request that is too long: nothing was generated."""
        return cls("", (), "too_long", False, request.length)


class Engine(Protocol):
    """Runs requests on an edited model. Answers come in the order of the requests.

    An answer doesn't depend on which other requests came with it. A request longer than the model's
    context is refused: its answer says so and holds its length; it is never cut in silence.
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


def score_request(model: EditedModel, prompt: str, continuation: str) -> ScoreRequest:
    """The request that scores a continuation of a prompt, one space between them."""
    routed = model.route(prompt)
    tokens = tokenize_prompt(model.base.tokenizer, routed.prompt, target=continuation)
    return ScoreRequest(tokens.prompt_ids, tokens.target_ids, routed.route)


def generation_request(
    model: EditedModel, prompt: str, max_new_tokens: int, stop: tuple[str, ...] = ()
) -> GenerationRequest:
    """The request that continues a prompt."""
    routed = model.route(prompt)
    tokens = tokenize_prompt(model.base.tokenizer, routed.prompt)
    return GenerationRequest(tokens.ids, max_new_tokens, stop, routed.route)
