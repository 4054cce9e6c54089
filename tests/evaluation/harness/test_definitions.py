from __future__ import annotations

from pathlib import Path

import pytest

from sequela.evaluation.harness.catalog import CATALOG, mmlu_subjects
from sequela.evaluation.harness.definitions import StockFunction, read_definition, resolved
from sequela.ground.errors import SequelaError


def test_mmlu_has_57_subjects_that_share_one_template() -> None:
    subjects = mmlu_subjects()
    assert len(subjects) == 57
    for subject in subjects:
        definition = read_definition(f"mmlu/default/mmlu_{subject}.yaml")
        assert definition["task"] == f"mmlu_{subject}"
        assert definition["dataset_path"] == "cais/mmlu"
        assert "include" not in definition


def test_the_catalog_names_the_hub_data_sets_of_the_definitions() -> None:
    for entry in CATALOG:
        assert read_definition(entry.definition.format(subject="anatomy"))["dataset_path"] == entry.hub


def test_functions_are_imported_when_asked_for() -> None:
    definition = read_definition("toxigen/toxigen.yaml")
    assert definition["doc_to_target"] == StockFunction("lm_eval.tasks.toxigen.utils", "doc_to_target")
    target = resolved(definition)["doc_to_target"]
    assert [target({"toxicity_ai": ai, "toxicity_human": 2.5}) for ai in (3.0, 3.1)] == [0, 1]


def test_its_own_keys_win_over_what_it_includes() -> None:
    first, second = (read_definition(f"truthfulqa/truthfulqa_mc{i}.yaml") for i in (1, 2))
    assert second["doc_to_text"] == first["doc_to_text"]
    assert (first["metadata"]["version"], second["metadata"]["version"]) == (2.0, 3.0)


def test_a_missing_definition_is_named(tmp_path: Path) -> None:
    with pytest.raises(SequelaError, match="mmlu/none"):
        read_definition("mmlu/none.yaml")
