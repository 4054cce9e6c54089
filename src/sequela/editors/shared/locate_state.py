"""The state of locate-then-edit methods, and the steps that create and check it."""

from __future__ import annotations

from pydantic import Field

from sequela.core.errors import SequelaError
from sequela.editors.base import EditorState, Resources
from sequela.editors.shared.contexts import sample_contexts
from sequela.models import LanguageModel
from sequela.models.spans import BLANK


class LocateState(EditorState):
    """The state that a locate-then-edit method keeps from batch to batch.

    Args:
        contexts: The context templates, the bare `{}` first, sampled from the unedited model.
        statistics: The key under which the key covariances are stored; empty if none are used.
    """

    contexts: tuple[str, ...] = Field(default=(BLANK,), min_length=1)
    statistics: str = ""

    @property
    def context_templates(self) -> tuple[str, ...]:
        """The contexts in which the method reads every edit's prompt with its target."""
        return self.contexts


def initial_state(
    model: LanguageModel, resources: Resources, n_contexts: int, layers: tuple[int, ...], *, whiten: bool
) -> LocateState:
    """Samples contexts and, if `whiten` is set, computes key covariances, both with the unedited model."""
    model.check_layers(layers)
    if whiten:
        resources.statistics.check_model(model)
    contexts = resources.contexts or sample_contexts(model, n_contexts, resources.seed)
    if whiten:
        resources.statistics.prepare(layers)
    return LocateState(contexts=contexts, statistics=resources.statistics.key if whiten else "")


def check_statistics(state: LocateState, resources: Resources) -> None:
    """Rejects statistics that differ from those of the earlier edits.

    Raises:
        SequelaError: The statistics differ. The message names both keys.
    """
    if state.statistics not in ("", resources.statistics.key):
        raise SequelaError(
            f"The earlier edits used the statistics {state.statistics}; the current statistics are "
            f"{resources.statistics.key}.",
            hint="Continue with the same model, text and number of tokens, or start again without the "
            "earlier edits.",
        )
