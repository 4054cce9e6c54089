"""The protocols of the three locations where an edit can act.

Weights: ROME, MEMIT, fine-tuning … Activations: methods that hook a layer (GRACE, WISE). Requests: methods
that rewrite or reroute prompts (IKE, SERAC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sequela.core.joining import ANSWER
from sequela.edited.decisions import Decisions
from sequela.edited.thinking import Thinking
from sequela.models.language_model import Change, LanguageModel

if TYPE_CHECKING:
    from sequela.edited.edited_model import EditedModel


class WeightChange(Protocol):
    """A change of weights."""

    @property
    def content_hash(self) -> str:
        """A hash of the change, for the keys of results."""
        ...

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the first block whose output can differ; the number of layers if none can."""
        ...

    def apply(self, model: LanguageModel) -> Change:
        """Changes the weights in place; the returned object reverts the change exactly."""
        ...


class Intervention(Protocol):
    """A change of activations by hooks."""

    @property
    def content_hash(self) -> str:
        """A hash of the intervention."""
        ...

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the first block whose output can differ."""
        ...

    def install(self, model: LanguageModel, decisions: Decisions) -> Change:
        """Hooks the model; the returned object removes the hooks.

        Args:
            model: The model.
            decisions: Has the tokens at which to decide, for every pass.
        """
        ...


@dataclass(frozen=True)
class Route:
    """A router's decision on a prompt.

    Args:
        hit: True if an edit applies to the prompt; None if the router has no edits, as a chat template.
        answerer: The model that answers in place of the edited model; None for the edited model itself.
        thinking: How a generated text is divided into thinking and answer; None if it is all answer.
    """

    hit: bool | None = None
    answerer: EditedModel | None = None
    thinking: Thinking | None = None

    def then(self, later: Route) -> Route:
        """Combines this route with a later router's, whose answerer takes precedence; hits are merged."""
        hit = later.hit if self.hit is None else self.hit or bool(later.hit)
        return Route(hit, later.answerer or self.answerer, later.thinking or self.thinking)


NO_ROUTE = Route()
"""The route of a prompt without a router."""


@dataclass(frozen=True)
class Routed:
    """The result of routing a prompt.

    Args:
        prompt: The rewritten prompt.
        route: The route.
        closing: The text that closes a thought that the prompt leaves open.
    """

    prompt: str
    route: Route = NO_ROUTE
    closing: str = ""

    @property
    def answer_prompt(self) -> str:
        """The prompt up to the position of an answer, behind any thought: where given answers are scored."""
        return self.prompt.removesuffix(ANSWER) + self.closing if self.closing else self.prompt


class RequestRouter(Protocol):
    """A rewriter of prompts that may also route them to another model."""

    @property
    def content_hash(self) -> str:
        """A hash of the router."""
        ...

    def route(self, prompt: str) -> Routed:
        """Returns the rewritten prompt and its route."""
        ...
