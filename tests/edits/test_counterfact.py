from __future__ import annotations

from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edits import Probe, load_edits


def official(case_id: int = 7) -> dict[str, Any]:
    return {
        "case_id": case_id,
        "pararel_idx": 11,
        "requested_rewrite": {
            "prompt": "{} flows into the",
            "relation_id": "P403",
            "subject": "the Danube",
            "target_new": {"str": "North Sea", "id": "Q1693"},
            "target_true": {"str": "Black Sea", "id": "Q166"},
        },
        "paraphrase_prompts": ["It rained. The mouth of the Danube is at the"],
        "neighborhood_prompts": ["The Dnieper flows into the", "The Dniester ends in the"],
        "attribute_prompts": [],
        "generation_prompts": ["The Danube's mouth"],
    }


def flat(case_id: int = 3, **changes: Any) -> dict[str, Any]:
    record = {
        "case_id": case_id,
        "prompt": "The mouth of the Danube is at the",
        "subject": "Danube",
        "target_new": "North Sea",
        "ground_truth": "Black Sea",
        "rephrase_prompt": "The Danube ends in the",
        "locality_prompt": "The Dnieper flows into the",
        "locality_ground_truth": "Black Sea",
    }
    return record | changes


def test_official_schema(write_records):
    (edit,) = load_edits("counterfact", write_records([official()]))
    assert (edit.id, edit.subject, edit.prompt) == ("7", "the Danube", "{} flows into the")
    assert (edit.target_new, edit.target_true) == ("North Sea", "Black Sea")
    assert edit.paraphrases == ("It rained. The mouth of the Danube is at the",)
    assert edit.neighborhood[1] == Probe(prompt="The Dniester ends in the", answer="Black Sea")
    assert edit.source == "counterfact"


def test_the_subject_in_the_flat_schema_becomes_a_placeholder(write_records):
    (edit,) = load_edits("counterfact-easyedit", write_records([flat()]))
    assert edit.prompt == "The mouth of the {} is at the"
    assert edit.question == flat()["prompt"]
    assert edit.paraphrases == ("The Danube ends in the",)
    assert edit.neighborhood == (Probe(prompt="The Dnieper flows into the", answer="Black Sea"),)


def test_schemas_are_distinguished_record_by_record(write_records):
    edits = load_edits("counterfact", write_records([official(1), flat(2)]))
    assert [edit.prompt for edit in edits] == ["{} flows into the", "The mouth of the {} is at the"]


def test_subject_in_another_letter_case_is_taken_from_the_prompt(write_records):
    (edit,) = load_edits("counterfact", write_records([flat(subject="DANUBE ")]))
    assert (edit.prompt, edit.subject) == ("The mouth of the {} is at the", "Danube")


def test_the_last_whole_word_occurrence_of_the_subject_is_replaced(write_records):
    record = flat(prompt="Oslo, Osloites say, is not Oslo but", subject="Oslo")
    (edit,) = load_edits("counterfact", write_records([record]))
    assert edit.prompt == "Oslo, Osloites say, is not {} but"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "Rhine"}, "the subject 'Rhine' is not in the prompt"),
        ({"subject": "Dan"}, "the subject 'Dan' is not in the prompt"),
        ({"subject": " "}, "its subject is empty"),
        ({"target_new": "  "}, "its target is empty"),
        ({"target_new": None}, "the field 'target_new'"),
    ],
)
def test_invalid_record_is_named_by_file_and_number(write_records, changes, message):
    path = write_records([flat(1), flat(2, **changes)])
    with pytest.raises(BadInputError) as caught:
        load_edits("counterfact", path)
    assert f"{path}, record 2: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("field", ["case_id", "prompt", "subject", "target_new", "ground_truth"])
def test_missing_field_of_the_flat_schema(write_records, field):
    record = flat()
    del record[field]
    with pytest.raises(BadInputError, match=rf"record 1: the field '{field}' is missing"):
        load_edits("counterfact", write_records([record]))


def test_missing_inner_field_is_named_by_its_path(write_records):
    record = official()
    del record["requested_rewrite"]["target_new"]["str"]
    with pytest.raises(BadInputError, match=r"'requested_rewrite\.target_new\.str' is missing"):
        load_edits("counterfact", write_records([record]))


def test_repeated_id_names_both_records(write_records):
    with pytest.raises(BadInputError, match="record 3 has the id '1' of record 1"):
        load_edits("counterfact", write_records([flat(1), flat(2), flat(1)]))
