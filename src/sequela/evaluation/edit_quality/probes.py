"""The probes of an edit: the prompts by which it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from sequela.core.errors import BadInputError
from sequela.core.numbers import MAX_LENGTH
from sequela.core.validation import NumericModel
from sequela.edits import Edit
from sequela.edits.checks import is_unchanged
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.evaluation.edit_quality.plugin_metrics import PROBE_REGISTRY, ProbeMetric
from sequela.results.metrics import (
    ATTACK_ROBUSTNESS,
    EFFICACY,
    NEIGHBORHOOD,
    PARAPHRASE,
    PORTABILITY,
    PREFIX_ROBUSTNESS,
)

UNRELATED = (
    "The shop on the corner opens at nine and closes when the baker is tired.",
    "Last night it rained, and in the morning the street was full of leaves.",
    "My neighbor has painted the fence green for the third time.",
    "Nobody could say afterwards who had left the window open.",
    "The second train was late, so we walked along the river instead.",
    "There were seven cups on the table and only one of them was clean.",
    "She put the letter back into the drawer without reading it.",
    "On Tuesdays the library lends out board games as well.",
    "The recipe asks for two onions, but three do no harm.",
    "At the far end of the field somebody was flying a kite.",
    "He counted the steps every time, and every time there were more.",
    "The committee met twice and decided to meet again.",
)
"""Sentences unrelated to any edit, to put before a prompt."""


class EditQualitySettings(NumericModel):
    """The settings of edit quality.

    Args:
        max_new_tokens: The maximum number of tokens in free decoding; the same for every target.
        max_neighborhood: The maximum number of neighborhood prompts per edit; the first ones are used.
        max_portability: The maximum number of portability questions per edit; the first ones are used.
        prefixes: The number of unrelated sentences to put before an edit's prompt, each in a separate prompt.
        attack: Whether to repeat the prompt after a statement of the old fact.
        text_tokens: The length in tokens of the texts that a model writes about each edit's subject, for
            fluency and consistency; 0 leaves these out.
        metrics: Further metrics from installed packages, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_new_tokens: int = Field(default=16, ge=1, le=MAX_LENGTH)
    max_neighborhood: int = Field(default=5, ge=0)
    max_portability: int = Field(default=5, ge=0)
    prefixes: int = Field(default=1, ge=0, le=len(UNRELATED))
    attack: bool = True
    text_tokens: int = Field(default=0, ge=0, le=MAX_LENGTH)
    metrics: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves `metrics` out if it is empty, so that runs from before it was added can be continued."""
        content: dict[str, Any] = serialize(self)
        return content if self.metrics else {key: content[key] for key in content if key != "metrics"}

    def further_metrics(self) -> tuple[ProbeMetric, ...]:
        """Returns the metrics from packages.

        Raises:
            UnknownNameError: No installed package provides a metric of that name.
            BadInputError: A package can't be used, or a metric is named twice.
        """
        if len(set(self.metrics)) < len(self.metrics):
            raise BadInputError(f"edit_quality: metrics has a duplicate: {', '.join(self.metrics)}.")
        return tuple(PROBE_REGISTRY.get(name) for name in self.metrics)


@dataclass(frozen=True)
class ProbePrompt:
    """One prompt of one edit: `expected` should be more likely than `rival`.

    Args:
        metric: The metric it belongs to.
        prompt: The text to be continued.
        expected: The right answer; None if only agreement with the unedited model counts.
        rival: The competing answer, if there is one.
        counts: Returns whether a freely decoded answer matches the expected one.
    """

    metric: str
    prompt: str
    expected: str | None
    rival: str | None
    counts: Callable[[str, str], bool] = starts_with_answer


def probes_of(edit: Edit, settings: EditQualitySettings) -> list[ProbePrompt]:
    """Returns all prompts of an edit.

    * `efficacy`: the edit's own prompt.
    * `prefix_robustness`: the prompt after an unrelated sentence, drawn with the edit's id as the seed.
    * `paraphrase`: other prompts that ask the same.
    * `portability`: questions whose answer follows from the edit.
    * `attack_robustness`: the prompt after a statement of the old fact; if the old answer comes back, the
      edit was superficial (arXiv 2505.12636). An edit whose new answer is the old one has none.
    * `neighborhood`: questions about other subjects.
    * the settings' `metrics`: the prompts of metrics from packages.
    """
    new, true = edit.target_new, edit.target_true
    probes = [ProbePrompt(EFFICACY.name, edit.question, new, true)]
    for sentence in Random(edit.id).sample(UNRELATED, settings.prefixes):
        probes.append(ProbePrompt(PREFIX_ROBUSTNESS.name, f"{sentence} {edit.question}", new, true))
    probes += [ProbePrompt(PARAPHRASE.name, text, new, true) for text in edit.paraphrases]
    for further in edit.portability[: settings.max_portability]:
        probes.append(ProbePrompt(PORTABILITY.name, further.prompt, further.answer, None))
    if settings.attack and true is not None and not is_unchanged(edit):
        probes.append(
            ProbePrompt(ATTACK_ROBUSTNESS.name, f"{edit.question} {true}. {edit.question}", new, true)
        )
    for neighbor in edit.neighborhood[: settings.max_neighborhood]:
        probes.append(ProbePrompt(NEIGHBORHOOD.name, neighbor.prompt, neighbor.answer, new))
    for metric in settings.further_metrics():
        for probe in metric.prompts(edit):
            probes.append(ProbePrompt(metric.name, probe.prompt, probe.answer, None, metric.counts))
    return probes
