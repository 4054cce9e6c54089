"""What the settings and the state of all locate-then-edit methods have in common."""

from __future__ import annotations

from pydantic import Field

from sequela.core.errors import SequelaError
from sequela.editors.base import EditorState, Resources
from sequela.editors.shared.contexts import sample_contexts
from sequela.models import LanguageModel
from sequela.models.spans import BLANK


class LocateState(EditorState):
    """What a locate-then-edit method carries from batch to batch.

    Args:
        contexts: The context templates, the bare `{}` first; taken from the unedited model.
        statistics: The key under which the second moments are kept; empty if none are used.
    """

    contexts: tuple[str, ...] = Field(default=(BLANK,), min_length=1)
    statistics: str = ""


def initial_state(
    model: LanguageModel, resources: Resources, n_contexts: int, layers: tuple[int, ...], *, whiten: bool
) -> LocateState:
    """Samples contexts and collects statistics, both from the unedited model."""
    model.check_layers(layers)
    if whiten:
        resources.statistics.check_model(model)
    contexts = resources.contexts or sample_contexts(model, n_contexts, resources.seed)
    if whiten:
        resources.statistics.prepare(layers)
    return LocateState(contexts=contexts, statistics=resources.statistics.key if whiten else "")


def check_statistics(state: LocateState, resources: Resources) -> None:
    """Refuses to go on with other statistics than those a trajectory began with.

    Raises:
        SequelaError: They are others; with both keys.
    """
    if state.statistics not in ("", resources.statistics.key):
        raise SequelaError(
            f"These edits began with the statistics {state.statistics}; those at hand are "
            f"{resources.statistics.key}.",
            hint="Go on with the same model, text and number of tokens, or begin anew.",
        )
