from __future__ import annotations

from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edits import Probe, load_edits


def request(**changes: Any) -> dict[str, Any]:
    record = {
        "case_id": 5,
        "prompt": "The architect of Villa Savoye is",
        "subject": "Villa Savoye",
        "target_new": "Alvar Aalto",
        "ground_truth": "Le Corbusier",
        "portability": {
            "reasoning": {
                "prompt": ["The country where the architect of Villa Savoye was born is"],
                "ground_truth": ["Finland"],
            }
        },
        "locality": {
            "Relation_Specificity": {"prompt": ["Villa Savoye stands in"], "ground_truth": ["Poissy"]},
            "Forgetfulness": {"prompt": ["Another villa of that year is"], "ground_truth": ["Tugendhat"]},
        },
    }
    return record | changes


def test_parallel_lists(write_records):
    (edit,) = load_edits("knowedit", write_records([request()]))
    assert (edit.id, edit.prompt, edit.target_true) == ("5", "The architect of {} is", "Le Corbusier")
    assert edit.neighborhood == (
        Probe(prompt="Villa Savoye stands in", answer="Poissy"),
        Probe(prompt="Another villa of that year is", answer="Tugendhat"),
    )
    assert [probe.answer for probe in edit.portability] == ["Finland"]


def test_lists_of_pairs_with_aliases_and_empty_entries(write_records):
    record = request(
        locality={
            "Relation_Specificity": [
                {"prompt": "Villa Savoye stands in", "ground_truth": [["Poissy", "Poissy, France"]]},
                {"prompt": "Villa Savoye is owned by", "ground_truth": [[]]},
            ]
        },
        portability={},
        rephrase="Villa Savoye was designed by",
    )
    del record["case_id"]
    (edit,) = load_edits("knowedit", write_records([record]))
    assert edit.id == "0"
    assert edit.neighborhood == (Probe(prompt="Villa Savoye stands in", answer="Poissy"),)
    assert edit.paraphrases == ("Villa Savoye was designed by",)


@pytest.mark.parametrize("nothing", ["<|endoftext|>", "", None, ["<|endoftext|>"]])
def test_unknown_true_answer(write_records, nothing):
    (edit,) = load_edits("knowedit-zsre", write_records([request(ground_truth=nothing)]))
    assert edit.target_true is None


@pytest.mark.parametrize("field", ["prompt", "subject", "target_new", "portability", "locality"])
def test_missing_field(write_records, field):
    record = request()
    del record[field]
    with pytest.raises(BadInputError, match=rf"record 1: the field '{field}' is missing"):
        load_edits("knowedit", write_records([record]))


def test_lists_of_different_lengths_are_rejected(write_records):
    record = request(portability={"reasoning": {"prompt": ["One", "Two"], "ground_truth": ["1"]}})
    with pytest.raises(BadInputError, match=r"record 1: .*2 prompts and 1 answers"):
        load_edits("knowedit", write_records([record]))
