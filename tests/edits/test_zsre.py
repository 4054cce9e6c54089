from __future__ import annotations

from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edits import Probe, load_edits


def question(**changes: Any) -> dict[str, Any]:
    record = {
        "subject": "Lake Ohrid",
        "src": "What river flows out of Lake Ohrid?",
        "pred": "Drin",
        "rephrase": "Which river leaves Lake Ohrid?",
        "alt": "Vardar",
        "answers": ["Black Drin", "Drin"],
        "loc": "nq question: who built the first lighthouse",
        "loc_ans": "Sostratus",
        "cond": "Drin >> Vardar || What river flows out of Lake Ohrid?",
    }
    return record | changes


def test_evaluation_record(write_records):
    further = {"Recalled Relation": "(Vardar, mouth, Aegean Sea)"}
    further |= {"New Question": "Where does the water of Lake Ohrid end?", "New Answer": "Aegean Sea"}
    (edit,) = load_edits("zsre", write_records([question(portability=further)]))
    assert (edit.id, edit.subject, edit.prompt) == ("0", "Lake Ohrid", "What river flows out of {}?")
    assert (edit.target_new, edit.target_true) == ("Vardar", "Black Drin")
    assert edit.paraphrases == ("Which river leaves Lake Ohrid?",)
    assert edit.neighborhood == (
        Probe(prompt="nq question: who built the first lighthouse?", answer="Sostratus"),
    )
    assert edit.portability == (Probe(prompt="Where does the water of Lake Ohrid end?", answer="Aegean Sea"),)


def test_training_record_has_no_portability(write_records):
    (edit,) = load_edits("zsre-train", write_records([question()]))
    assert edit.portability == ()


@pytest.mark.parametrize("field", ["subject", "src", "rephrase", "alt", "answers", "loc", "loc_ans"])
def test_missing_field(write_records, field):
    record = question()
    del record[field]
    with pytest.raises(BadInputError, match=rf"facts\.json, record 2: the field '{field}' is missing"):
        load_edits("zsre", write_records([question(), record]))


def test_unusable_records_of_a_published_file_are_listed(write_records, monkeypatch, tmp_path):
    (tmp_path / "zsre").mkdir()
    records = [question(), question(alt=" "), question(subject="Lake Prespa"), question()]
    write_records(records, "zsre/zsre_mend_eval.json")
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path))
    edits = load_edits("zsre")
    assert [edit.id for edit in edits] == ["0", "3"]
    assert [skipped.number for skipped in edits.skipped] == [2, 3]
    assert str(edits.skipped[0]) == "record 2: its target is empty"
    assert "'Lake Prespa' is not in the prompt" in edits.skipped[1].reason
    assert edits.shuffled(1).first(1).skipped == edits.skipped


def test_unusable_record_in_an_own_file_is_an_error(write_records):
    path = write_records([question(), question(alt="")])
    with pytest.raises(BadInputError, match="record 2: its target is empty"):
        load_edits("zsre", path)


def test_published_file_without_usable_records_is_an_error(write_records, monkeypatch, tmp_path):
    (tmp_path / "zsre").mkdir()
    write_records([question(alt="")], "zsre/zsre_mend_eval.json")
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path))
    with pytest.raises(BadInputError, match="none of the 1 records is usable"):
        load_edits("zsre")
