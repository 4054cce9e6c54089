"""A language model with edits in its weights, its activations or its prompts."""

from __future__ import annotations

from types import TracebackType

from sequela.core.hashing import hash_json
from sequela.edited.decisions import Decisions
from sequela.edited.protocols import NO_ROUTE, Intervention, RequestRouter, Routed, WeightChange
from sequela.models.language_model import Change, LanguageModel


class EditedModel:
    """A base model with its edits, as every engine and evaluation takes it.

    It is a context manager: inside `with edited:` the edits are in force, afterwards the base is restored bit
    for bit. It can be entered again inside; the outermost block restores the base. With interventions, every
    pass must be announced to `decisions` (`Decisions.for_pass`).

    Args:
        base: The unedited model.
        weights: The change of weights, if any.
        interventions: The changes of activations.
        routers: The routers of prompts, in order.
    """

    def __init__(
        self,
        base: LanguageModel,
        weights: WeightChange | None = None,
        interventions: tuple[Intervention, ...] = (),
        routers: tuple[RequestRouter, ...] = (),
    ) -> None:
        self.base = base
        self.weights = weights
        self.interventions = interventions
        self.routers = routers
        self.decisions = Decisions()
        self._depth = 0
        self._in_force: list[Change] = []

    @property
    def content_hash(self) -> str:
        """A hash of the base's fingerprint and of all edits."""
        return hash_json(
            {
                "base": self.base.fingerprint,
                "weights": None if self.weights is None else self.weights.content_hash,
                "interventions": [part.content_hash for part in self.interventions],
                "routers": [part.content_hash for part in self.routers],
            }
        )

    @property
    def lowest_block(self) -> int:
        """The first block whose output can differ from the base's; the number of layers if none can."""
        parts = (*self.interventions, *(() if self.weights is None else (self.weights,)))
        return min((part.lowest_block(self.base) for part in parts), default=self.base.n_layers)

    @property
    def n_changes(self) -> int:
        """The number of changes that are in force inside `with`."""
        return len(self.interventions) + (self.weights is not None)

    def route(self, prompt: str) -> Routed:
        """Passes a prompt through all routers; returns the final prompt and its route."""
        result = Routed(prompt, NO_ROUTE)
        for router in self.routers:
            routed = router.route(result.prompt)
            result = Routed(routed.prompt, result.route.then(routed.route), routed.closing)
        return result

    def __enter__(self) -> EditedModel:
        if self._depth == 0:
            try:
                if self.weights is not None:
                    self._in_force.append(self.weights.apply(self.base))
                for part in self.interventions:
                    self._in_force.append(part.install(self.base, self.decisions))
            except BaseException:
                self._revert()
                raise
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._depth == 1:
            self._revert()
        self._depth -= 1

    def _revert(self) -> None:
        while self._in_force:
            self._in_force[-1].revert()
            self._in_force.pop()
