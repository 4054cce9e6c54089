"""Prompts with a common prefix are grouped, and a group's prefix is everything its prompts share."""

from __future__ import annotations

from itertools import takewhile
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.inference.torch.prefixes import MIN_SHARED_PREFIX, group_by_prefix
from support.tries import Row, rows


@settings(deadline=None)
@given(rows(longest=12))
def test_every_prompt_is_in_one_group(prompts: list[Row]) -> None:
    members = [number for group in group_by_prefix(prompts) for number in group.members]
    assert sorted(members) == list(range(len(prompts)))


@settings(deadline=None)
@given(rows(longest=12))
def test_a_prefix_is_all_that_its_members_share_before_their_last_token(prompts: list[Row]) -> None:
    for group in group_by_prefix(prompts):
        if len(group.members) > 1:
            columns = zip(*(prompts[number][:-1] for number in group.members), strict=False)
            common = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
            assert group.prefix == tuple(common)
            assert len(common) >= MIN_SHARED_PREFIX * max(len(prompts[number]) for number in group.members)
        else:
            assert group.prefix == ()


@settings(deadline=None)
@given(rows(longest=12), st.randoms(use_true_random=False))
def test_the_order_of_the_prompts_does_not_matter(prompts: list[Row], order: Random) -> None:
    def grouped(given_prompts: list[Row]) -> list[tuple[Row, list[Row]]]:
        groups = group_by_prefix(given_prompts)
        return [(group.prefix, sorted(given_prompts[n] for n in group.members)) for group in groups]

    before = grouped(prompts)
    order.shuffle(prompts)
    assert grouped(prompts) == before


def test_few_shot_prompts_are_grouped_by_their_examples() -> None:
    anatomy, law = tuple(range(100, 120)), tuple(range(200, 220))
    prompts = [(*anatomy, 1, 2), (*law, 1, 2), (*anatomy, 3), (*law, 4, 5, 6), (*anatomy, 1, 7), (8, 9)]
    found = [(group.prefix, set(group.members)) for group in group_by_prefix(prompts)]
    assert found == [((), {5}), (anatomy, {0, 2, 4}), (law, {1, 3})]


def test_equal_prompts_share_all_but_their_last_token() -> None:
    (group,) = group_by_prefix([(5, 6, 7), (5, 6, 7)])
    assert group.prefix == (5, 6)


def test_prompts_of_one_token_share_nothing() -> None:
    assert all(group.prefix == () for group in group_by_prefix([(5,), (5,)]))


def test_without_prompts_there_is_no_group() -> None:
    assert group_by_prefix([]) == []
