"""Old answers that are no answers: data sets write a control token where none is known."""

from __future__ import annotations

from collections.abc import Callable

from sequela.edits.edit import Edit, Probe


def without_control_answers(edit: Edit, is_control_token: Callable[[str], bool]) -> Edit:
    """Returns the edit without the answers that are control tokens of a tokenizer, as if they were missing.

    Args:
        edit: The edit.
        is_control_token: Returns whether a text is one of the tokenizer's control tokens.
    """

    def known(answer: str | None) -> str | None:
        return None if answer is not None and is_control_token(answer) else answer

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
