from __future__ import annotations

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
