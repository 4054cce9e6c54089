"""Results of edits whose texts are treated as before keep their keys; others get new ones."""

from __future__ import annotations

from typing import Any

import pytest

from sequela.edits import Edit, load_edits
from sequela.studies.text_rules import text_rules

PLAIN: dict[str, Any] = {
    "id": "a",
    "subject": "France",
    "prompt": "The capital of {} is",
    "target_new": "Rome",
    "target_true": "Paris",
    "paraphrases": ("France's seat of government is in",),
}


def test_the_built_in_edits_keep_their_keys() -> None:
    assert text_rules(load_edits("builtin")) == text_rules([Edit(**PLAIN)]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "法国", "prompt": "{}的首都是", "target_new": "罗马"},
        {"prompt": "The ticket to {} costs $", "target_new": "18"},
        {"prompt": "The capital of {} is "},
        {"paraphrases": ("In France rules ",)},
        {"neighborhood": ({"prompt": "西班牙的首都是", "answer": "马德里"},)},
        {"target_true": "<|endoftext|>"},
        {"subject": "<|im_end|>"},
        {"target_new": "</s>"},
    ],
)
def test_edits_that_are_joined_or_tokenized_differently_get_new_keys(change: dict[str, Any]) -> None:
    assert text_rules([Edit(**PLAIN), Edit(**{**PLAIN, **change, "id": "b"})]) == 2
