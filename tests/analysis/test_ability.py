"""The remaining ability and its interval; collapse by ability is tested in `test_validity`."""

from __future__ import annotations

from random import Random

import pytest

from sequela.analysis import Collapses
from sequela.analysis.ability import remaining_ability
from sequela.analysis.comparison import Comparisons
from sequela.reports import run_warnings
from sequela.results import AnswerDistribution, Measurement
from support.suites import SUITES


def scored(n_right: int, n_before: int, n: int, *, n_edits: int = 10, **changes: object) -> Measurement:
    fields: dict[str, object] = {
        "model": "m",
        "editor": "rome",
        "edit_source": "builtin",
        "order_seed": 0,
        "n_edits": n_edits,
        "suite": "mmlu",
        "task": "mmlu@1",
        "metric": "accuracy",
        "protocol": "letters",
        "value": n_right / n,
        "baseline": n_before / n,
        "n": n,
        "form": AnswerDistribution(chance=0.25),
    }
    return Measurement.model_validate({**fields, **changes})


@pytest.mark.parametrize("n", range(3, 10))
def test_a_few_items_show_nothing(n: int) -> None:
    """All of them lost, or all of them kept: neither is a verdict."""
    for n_right in (0, n):
        one = scored(n_right, n, n)
        found = Collapses.among([one], SUITES)
        assert (found.first(), found.is_healthy(one)) == ([], False)


def test_a_loss_on_a_few_items_is_reported_as_unclear() -> None:
    lost = [scored(0, 3, 3), scored(0, 3, 3, n_edits=20)]
    (warning,) = run_warnings(lost, SUITES)
    assert warning.startswith(
        "rome on m (shuffle seed 0): too few items to say whether it had collapsed after 20 edits: 0% of its "
        "ability above chance is left (95 % interval 0% to "
    )
    assert warning.endswith(", 3 items).")


def test_the_same_shares_on_more_items_are_a_verdict() -> None:
    few, many = scored(8, 14, 20), scored(160, 280, 400)
    assert Collapses.among([few], SUITES).first() == []
    assert [one.ability.n for one in Collapses.among([few], SUITES).unclear()] == [20]
    assert len(Collapses.among([many], SUITES).first()) == 1
    assert Collapses.among([many], SUITES).unclear() == []


def test_a_kept_ability_is_healthy_only_if_the_items_show_it() -> None:
    few, many = scored(14, 14, 20), scored(280, 280, 400)
    assert not Collapses.among([few], SUITES).is_healthy(few)
    assert Collapses.among([few], SUITES).unclear() == []  # nothing seems lost
    assert Collapses.among([many], SUITES).is_healthy(many)


def test_protocols_of_the_same_items_do_not_add_evidence() -> None:
    one = scored(8, 14, 20)
    again = [one, *(scored(8, 14, 20, protocol=name) for name in ("answers", "generation"))]
    comparisons = Comparisons.among(again)
    alone = remaining_ability([one], SUITES, comparisons, 0.5)
    together = remaining_ability(again, SUITES, comparisons, 0.5)
    assert alone is not None
    assert together is not None
    assert (together.n, together.high) == (20, pytest.approx(alone.high))


def test_parts_are_judged_by_their_items_together() -> None:
    """Of fifty subjects with four items each, hardly one is above chance for itself."""
    parts = [
        scored(
            1, 2, 4, task=f"mmlu_{i}@1", group="mmlu", subtask=str(i), form=AnswerDistribution(chance=0.25)
        )
        for i in range(50)
    ]
    (one,) = Collapses.among(parts, SUITES).first()
    assert one.reason.startswith("0% of its ability above chance is left")
    assert one.reason.endswith("200 items)")


@pytest.mark.parametrize(("n", "chance"), [(12, 0.25), (40, 0.25), (40, 0.0), (200, 0.5)])
def test_a_model_at_the_limit_is_rarely_called_collapsed(n: int, chance: float) -> None:
    """Both scores are drawn from a model that has lost exactly half; a 95 % interval errs in one of 40."""
    random, wrong, judged = Random(0), 0, 0
    level = 0.75
    halved = chance + (level - chance) / 2
    for _ in range(1000):
        before, after = (sum(random.random() < p for _ in range(n)) for p in (level, halved))
        one = scored(after, before, n, form=AnswerDistribution(chance=chance))
        found = Collapses.among([one], SUITES)
        wrong += bool(found.first())
        judged += 1
    assert wrong / judged < 0.05
