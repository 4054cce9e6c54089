from __future__ import annotations

from sequela.edited.control_answers import without_control_answers
from sequela.edits import Edit, Probe
from support.tokenizers import byte_level, sentencepiece


def test_an_answer_that_is_a_control_token_counts_as_missing() -> None:
    edit = Edit(
        id="a",
        subject="France",
        prompt="The capital of {} is",
        target_new="Rome",
        target_true="<|end|>",
        neighborhood=(Probe(prompt="Spain's is", answer="<|end|>"), Probe(prompt="Peru's is", answer="Lima")),
    )
    (found,) = without_control_answers([edit], byte_level())  # it ends texts with this token
    assert found.target_true is None
    assert [probe.answer for probe in found.neighborhood] == [None, "Lima"]
    (unchanged,) = without_control_answers([edit], sentencepiece())
    assert unchanged is edit
