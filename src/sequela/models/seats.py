"""The three seats where an edit can sit, as the edited model knows them.

Weights: ROME, MEMIT, fine-tuning … Activations: methods that watch a layer (GRACE,
WISE). Requests: methods that rewrite or re-route what is asked (IKE, SERAC).
"""

from __future__ import annotations

from typing import Protocol

from sequela.models.decisions import Decisions
from sequela.models.language_model import Change, LanguageModel


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


class RequestRouter(Protocol):
    """Something that rewrites a request before it reaches the model."""

    @property
    def content_hash(self) -> str:
        """A hash of what the router is."""
        ...

    def rewrite(self, prompt: str) -> str:
        """The prompt that the model is given instead."""
        ...
