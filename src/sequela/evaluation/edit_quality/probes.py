"""What an edit is asked about, and with which prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from sequela.core.errors import BadInputError
from sequela.edits import Edit
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.evaluation.edit_quality.probe_metric import PROBE_REGISTRY, ProbeMetric
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
"""Text that has nothing to do with any edit, to stand before a question."""


class EditQualitySettings(BaseModel):
    """How edit quality is measured.

    Args:
        max_new_tokens: Where free decoding ends if the model doesn't end it; the same for every target.
        max_neighborhood: Most neighborhood prompts per edit, the first ones.
        max_portability: Most portability questions per edit, the first ones.
        prefixes: How many unrelated sentences are put before an edit's question, each in a prompt of its own.
        attack: Whether the question is asked once more after the old fact was stated.
        text_tokens: How long the texts are that a model writes about each edit's subject, for fluency and
            consistency; 0 leaves these out.
        metrics: Further metrics that installed packages bring, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(default=16, ge=1)
    max_neighborhood: int = Field(default=5, ge=0)
    max_portability: int = Field(default=5, ge=0)
    prefixes: int = Field(default=1, ge=0, le=len(UNRELATED))
    attack: bool = True
    text_tokens: int = Field(default=0, ge=0)
    metrics: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves `metrics` out where there are none: runs from before there were any can go on."""
        content: dict[str, Any] = serialize(self)
        return content if self.metrics else {key: content[key] for key in content if key != "metrics"}

    def further_metrics(self) -> tuple[ProbeMetric, ...]:
        """The metrics that packages bring.

        Raises:
            UnknownNameError: No installed package brings one of that name.
            BadInputError: A package can't be used, or a metric is named twice.
        """
        if len(set(self.metrics)) < len(self.metrics):
            raise BadInputError(f"edit_quality: metrics names something twice: {', '.join(self.metrics)}.")
        return tuple(PROBE_REGISTRY.get(name) for name in self.metrics)


@dataclass(frozen=True)
class ProbePrompt:
    """One prompt of one edit: `expected` is to win over `rival`.

    Args:
        metric: What it measures.
        prompt: The text to be continued.
        expected: The answer that counts; None where only agreement with the unedited model does.
        rival: The answer it competes with, if there is one.
        counts: Returns whether a freely decoded answer says the expected one.
    """

    metric: str
    prompt: str
    expected: str | None
    rival: str | None
    counts: Callable[[str, str], bool] = starts_with_answer


def probes_of(edit: Edit, settings: EditQualitySettings) -> list[ProbePrompt]:
    """Everything an edit is asked about.

    * `efficacy`: the question itself.
    * `prefix_robustness`: the question after an unrelated sentence; which one is drawn by the edit's id.
    * `paraphrase`: other prompts that ask the same.
    * `portability`: questions whose answer follows from the edit.
    * `attack_robustness`: the question after the old fact was stated once more; where the old answer comes
      back, the edit was superficial (arXiv 2505.12636).
    * `neighborhood`: questions about other subjects.
    * the settings' `metrics`: the prompts of packages.
    """
    new, true = edit.target_new, edit.target_true
    probes = [ProbePrompt(EFFICACY.name, edit.question, new, true)]
    for sentence in Random(edit.id).sample(UNRELATED, settings.prefixes):
        probes.append(ProbePrompt(PREFIX_ROBUSTNESS.name, f"{sentence} {edit.question}", new, true))
    probes += [ProbePrompt(PARAPHRASE.name, text, new, true) for text in edit.paraphrases]
    for further in edit.portability[: settings.max_portability]:
        probes.append(ProbePrompt(PORTABILITY.name, further.prompt, further.answer, None))
    if settings.attack and true is not None:
        probes.append(
            ProbePrompt(ATTACK_ROBUSTNESS.name, f"{edit.question} {true}. {edit.question}", new, true)
        )
    for neighbor in edit.neighborhood[: settings.max_neighborhood]:
        probes.append(ProbePrompt(NEIGHBORHOOD.name, neighbor.prompt, neighbor.answer, new))
    for metric in settings.further_metrics():
        for asked in metric.prompts(edit):
            probes.append(ProbePrompt(metric.name, asked.prompt, asked.answer, None, metric.counts))
    return probes
