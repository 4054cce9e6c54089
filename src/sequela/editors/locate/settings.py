"""What the settings and the state of all locate-then-edit methods have in common."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.editor import EditorState, Resources
from sequela.editors.locate.contexts import sample_contexts
from sequela.models import LanguageModel
from sequela.models.spans import BLANK

N_CONTEXTS = 5
"""Sampled contexts beside the bare prompt (Meng et al. 2023, released code)."""


class LocateState(EditorState):
    """What a locate-then-edit method carries from batch to batch.

    Args:
        contexts: The context templates, the bare `{}` first; taken from the unedited model.
        statistics: The key under which the second moments are kept; empty if none are used.
    """

    contexts: tuple[str, ...] = Field(default=(BLANK,), min_length=1)
    statistics: str = ""


def first_state(
    model: LanguageModel, resources: Resources, n_contexts: int, layers: tuple[int, ...], *, whiten: bool
) -> LocateState:
    """Samples contexts and collects statistics, both from the unedited model."""
    model.check_layers(layers)
    contexts = resources.contexts or sample_contexts(model, n_contexts, resources.seed)
    if whiten:
        resources.statistics.prepare(layers)
    return LocateState(contexts=contexts, statistics=resources.statistics.key if whiten else "")
