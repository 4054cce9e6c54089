"""What the unedited model answers to an edit's own prompt."""

from __future__ import annotations

import pytest

from sequela.edited import EditedModel
from sequela.edits import Edit, EditSet
from sequela.evaluation.edit_quality.known_before import (
    known_before,
    known_before_all,
    with_known_before,
)
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, measure_edits, rescore_records
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import KnownBefore, known_before_of

EDIT = Edit(id="a", subject="France", prompt="{} is led from", target_new="Rome", target_true="Paris")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" Rome, since 1950", KnownBefore.NEW),
        (" paris.", KnownBefore.OLD),
        (" London", KnownBefore.OTHER),
        ("", KnownBefore.NOTHING),
        (" \n ...", KnownBefore.NOTHING),
    ],
)
def test_an_answer_is_the_new_one_the_old_one_another_or_nothing(answer: str, expected: KnownBefore) -> None:
    assert known_before(answer, EDIT) is expected


def test_without_a_known_old_answer_another_answer_is_another() -> None:
    assert known_before("Paris", EDIT.model_copy(update={"target_true": None})) is KnownBefore.OTHER
    same = EDIT.model_copy(update={"target_new": "Paris"})
    assert known_before("Paris", same) is KnownBefore.NEW


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("New York City, which", KnownBefore.OLD),
        ("New York, which", KnownBefore.NEW),
        ("the new york city", KnownBefore.OLD),
        ("New Yorkers", KnownBefore.OTHER),
    ],
)
def test_of_two_answers_that_begin_alike_the_longer_counts(answer: str, expected: KnownBefore) -> None:
    city = EDIT.model_copy(update={"target_new": "New York", "target_true": "New York City"})
    assert known_before(answer, city) is expected
    other = {KnownBefore.OLD: KnownBefore.NEW, KnownBefore.NEW: KnownBefore.OLD}
    turned = EDIT.model_copy(update={"target_new": "New York City", "target_true": "New York"})
    assert known_before(answer, turned) is other.get(expected, expected)


def test_every_record_of_an_edit_gets_the_column_and_rescoring_keeps_it(
    world_model: LanguageModel, world_edits: EditSet
) -> None:
    first, second = world_edits[:2]
    swapped = second.model_copy(update={"target_new": second.target_true, "target_true": second.target_new})
    settings = EditQualitySettings(max_new_tokens=8, prefixes=0, attack=False)
    records = measure_edits(
        EditedModel(world_model), TorchEngine(), [first, swapped], RETENTION_AT_N, settings
    )
    known = known_before_all(records, [first, swapped])
    assert known == {first.id: KnownBefore.OLD, second.id: KnownBefore.NEW}
    tagged = with_known_before(records, known)
    assert {(one.item, known_before_of(one)) for one in tagged} == set(known.items())
    assert {known_before_of(one) for one in records} == {None}
    broken = [one.model_copy(update={"finite": False}) for one in records]
    assert set(known_before_all(broken, [first, swapped]).values()) == {KnownBefore.NOTHING}
    rescored = [item for result in rescore_records(tagged, {}) for item in result.items]
    assert {(one.item, known_before_of(one)) for one in rescored} == set(known.items())
