from __future__ import annotations

import re
from collections import Counter

import pytest

from sequela.edits import EditSet, load_edits


@pytest.fixture(scope="module")
def builtin() -> EditSet:
    return load_edits("builtin")


def mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def test_there_are_at_least_200_edits_without_duplicates(builtin: EditSet):
    assert len(builtin) >= 200
    assert len({edit.id for edit in builtin}) == len(builtin)
    assert len({edit.subject for edit in builtin}) == len(builtin)
    assert {edit.source for edit in builtin} == {"builtin"}


def test_relations_are_diverse_and_mixed(builtin: EditSet):
    assert len(Counter(edit.prompt for edit in builtin)) >= 30
    assert len({edit.prompt for edit in builtin.first(20)}) == 20


def test_targets_differ_and_are_short(builtin: EditSet):
    for edit in builtin:
        assert edit.target_true, edit.id
        assert edit.target_new.casefold() != edit.target_true.casefold(), edit.id
        assert len(edit.target_new.split()) <= 4, edit.id


def test_prompts_do_not_contain_the_answer(builtin: EditSet):
    for edit in builtin:
        for text in (edit.question, *edit.paraphrases):
            assert not mentions(text, edit.target_new), edit.id
            assert not mentions(text, edit.target_true or ""), edit.id


def test_paraphrases_name_the_subject_and_differ(builtin: EditSet):
    for edit in builtin:
        assert len({edit.question, *edit.paraphrases}) == 3, edit.id
        assert all(mentions(text, edit.subject) for text in edit.paraphrases), edit.id


def test_neighbors_are_about_subjects_that_no_edit_changes(builtin: EditSet):
    subjects = re.compile("|".join(rf"(?<!\w){re.escape(edit.subject)}(?!\w)" for edit in builtin))
    for edit in builtin:
        assert 3 <= len({probe.prompt for probe in edit.neighborhood}) <= 4, edit.id
        for probe in edit.neighborhood:
            assert subjects.search(probe.prompt) is None, (edit.id, probe.prompt)
            assert probe.answer, edit.id
            assert probe.answer != edit.target_new, edit.id
            assert not mentions(probe.prompt, probe.answer), (edit.id, probe.prompt)


def test_portability_is_about_the_subject(builtin: EditSet):
    with_portability = [edit for edit in builtin if edit.portability]
    assert len(with_portability) >= 50
    for edit in with_portability:
        assert all(mentions(probe.prompt, edit.subject) for probe in edit.portability), edit.id


def test_prompts_end_where_the_answer_begins(builtin: EditSet):
    for edit in builtin:
        texts = [edit.question, *edit.paraphrases]
        texts += [probe.prompt for probe in (*edit.neighborhood, *edit.portability)]
        assert all(text == text.strip() and text[-1] not in ".?!" for text in texts), edit.id
