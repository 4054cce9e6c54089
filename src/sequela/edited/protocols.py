"""The three seats where an edit can sit, as the edited model knows them.

Weights: ROME, MEMIT, fine-tuning … Activations: methods that watch a layer (GRACE,
WISE). Requests: methods that rewrite or re-route what is asked (IKE, SERAC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sequela.edited.decisions import Decisions
from sequela.models.language_model import Change, LanguageModel

if TYPE_CHECKING:
    from sequela.edited.edited_model import EditedModel


class WeightChange(Protocol):
    """A change of weights."""

    @property
    def content_hash(self) -> str:
        """A hash of what the change is, for keys of results."""
        ...

    def lowest_block(self, model: LanguageModel) -> int:
        """The first block whose output can differ; the number of layers if none can."""
        ...

    def apply(self, model: LanguageModel) -> Change:
        """Changes the weights in place; the returned change takes it back exactly."""
        ...


class Intervention(Protocol):
    """Something that watches activations."""

    @property
    def content_hash(self) -> str:
        """A hash of what the intervention is."""
        ...

    def lowest_block(self, model: LanguageModel) -> int:
        """The first block whose output can differ."""
        ...

    def install(self, model: LanguageModel, decisions: Decisions) -> Change:
        """Hooks the model; the returned change removes the hooks.

        Args:
            model: The model.
            decisions: Where it reads, in every pass, at which tokens to decide.
        """
        ...


@dataclass(frozen=True)
class Route:
    """What a router found for a prompt besides its new text.

    Args:
        hit: Whether an edit was found to apply; None where nothing looks, as in a chat template.
        answerer: Who answers in place of the edited model; None: the model itself.
    """

    hit: bool | None = None
    answerer: EditedModel | None = None

    def then(self, later: Route) -> Route:
        """This route and that of a later router: a hit of one is a hit, and the later answerer counts."""
        hit = later.hit if self.hit is None else self.hit or bool(later.hit)
        return Route(hit, later.answerer or self.answerer)


NO_ROUTE = Route()
"""The route of a prompt that nothing looked at."""


@dataclass(frozen=True)
class Routed:
    """A prompt as a router leaves it.

    Args:
        prompt: What is asked instead.
        route: What was found.
    """

    prompt: str
    route: Route = NO_ROUTE


class RequestRouter(Protocol):
    """Something that rewrites a request before it reaches the model, or has another model answer it."""

    @property
    def content_hash(self) -> str:
        """A hash of what the router is."""
        ...

    def route(self, prompt: str) -> Routed:
        """What is asked instead, and of whom."""
        ...
