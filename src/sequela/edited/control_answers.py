"""Old answers that are no answers: data sets write a control token where none is known."""

from __future__ import annotations

from collections.abc import Iterable

from transformers import PreTrainedTokenizerBase

from sequela.edits import Edit, Probe
from sequela.models.control_tokens import is_control_token


def without_control_answers(edits: Iterable[Edit], tokenizer: PreTrainedTokenizerBase) -> list[Edit]:
    """Returns edits without the answers that are control tokens of a tokenizer, as if they were missing."""
    return [_cleaned(edit, tokenizer) for edit in edits]


def _cleaned(edit: Edit, tokenizer: PreTrainedTokenizerBase) -> Edit:
    def known(answer: str | None) -> str | None:
        return None if answer is not None and is_control_token(tokenizer, answer) else answer

    def cleaned(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
        return tuple(Probe(prompt=probe.prompt, answer=known(probe.answer)) for probe in probes)

    answers = [edit.target_true, *(probe.answer for probe in (*edit.neighborhood, *edit.portability))]
    if all(known(answer) == answer for answer in answers):
        return edit
    return edit.model_copy(
        update={
            "target_true": known(edit.target_true),
            "neighborhood": cleaned(edit.neighborhood),
            "portability": cleaned(edit.portability),
        }
    )
