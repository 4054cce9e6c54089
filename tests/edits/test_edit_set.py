from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import BadInputError
from sequela.edits import Edit, EditSet


def edits(count: int) -> EditSet:
    return EditSet(
        "test",
        tuple(Edit(id=str(i), subject=f"s{i}", prompt="{} is", target_new="new") for i in range(count)),
    )


@given(count=st.integers(0, 40), seed=st.integers(0, 2**32))
def test_shuffling_is_a_permutation_that_depends_on_the_seed_alone(count: int, seed: int):
    ordered = edits(count)
    shuffled = ordered.shuffled(seed)
    assert shuffled == edits(count).shuffled(seed)
    assert sorted(shuffled, key=lambda edit: int(edit.id)) == list(ordered)


@given(total=st.integers(1, 40), number=st.integers(0, 2**63 - 1), data=st.data())
def test_a_sample_has_some_of_the_edits_in_their_order(total: int, number: int, data: st.DataObject):
    count = data.draw(st.integers(1, total))
    found = edits(total).sample(number, count)
    assert len(found) == count
    assert [edit for edit in edits(total) if edit in found] == list(found)
    assert found == edits(total).sample(number, count)
    assert set(found) <= set(edits(total).sample(number, data.draw(st.integers(count, total))))


@given(order=st.permutations(range(12)), number=st.integers(0, 99))
def test_a_sample_depends_neither_on_the_order_nor_on_the_other_fields(order: list[int], number: int):
    ordered = edits(12)
    other = EditSet("b", tuple(ordered[i].model_copy(update={"target_new": "other"}) for i in order))
    assert {edit.id for edit in other.sample(number, 5)} == {edit.id for edit in ordered.sample(number, 5)}


@given(number=st.integers(0, 10**6))
def test_a_further_edit_takes_the_place_of_at_most_one(number: int):
    before, after = (set(edits(total).sample(number, 7)) for total in (30, 31))
    assert len(before - after) <= 1


def test_all_edits_are_in_about_as_many_samples():
    times = Counter(edit.id for number in range(1000) for edit in edits(20).sample(number, 5))
    assert len(times) == 20
    assert all(abs(n - 250) < 5 * 14 for n in times.values())  # 14 is the standard deviation


def test_the_edits_of_a_sample_never_change():
    # A fixed expectation: stored results name a sample by its number.
    assert [edit.id for edit in edits(20).sample(0, 4)] == ["11", "12", "13", "18"]
    assert [edit.id for edit in edits(20).sample(1, 4)] == ["2", "5", "13", "16"]


@pytest.mark.parametrize(
    ("number", "count", "problem"),
    [
        (-1, 2, "The sample -1 was requested"),
        (2**63, 2, "64 bits"),
        (True, 2, "`number`"),
        (0, 0, "0 edits of 'test' were requested"),
        (0, 9, "has 8 edits; 9 were requested"),
    ],
)
def test_a_sample_that_cannot_be_taken_is_rejected(number: int, count: int, problem: str):
    with pytest.raises(BadInputError, match=problem):
        edits(8).sample(number, count)


def test_the_order_for_a_seed_never_changes():
    # A fixed expectation: stored results of earlier studies identify their order by its seed.
    assert [edit.id for edit in edits(8).shuffled(1)] == ["3", "6", "1", "5", "7", "0", "4", "2"]


def test_content_hash_depends_on_the_order():
    assert edits(8).content_hash == edits(8).content_hash
    assert edits(8).content_hash != edits(8).shuffled(1).content_hash


def test_first_keeps_the_order():
    assert [edit.id for edit in edits(5).first(2)] == ["0", "1"]


@pytest.mark.parametrize("count", [-1, 0, 6])
def test_first_rejects_an_invalid_count(count: int):
    with pytest.raises(BadInputError, match=str(count)):
        edits(5).first(count)


def test_repeated_id_is_rejected():
    edit = edits(1)[0]
    with pytest.raises(BadInputError, match="two edits with the id '0'"):
        EditSet("test", (edit, edit))
