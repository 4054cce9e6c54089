"""The built-in suite: its items and settings."""

from collections import Counter

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.edited import EditedModel
from sequela.evaluation.multiple_choice import MultipleChoiceItem, chance_level
from sequela.evaluation.suite import Suite
from sequela.evaluation.suites.builtin import CATEGORIES, BuiltinSuite, version_of
from sequela.inference import TorchEngine, WorkingMemory
from support.tiny import tiny_language_model

NAMES = [name for name, _ in CATEGORIES]


@pytest.fixture(params=NAMES)
def items(request: pytest.FixtureRequest) -> tuple[MultipleChoiceItem, ...]:
    return BuiltinSuite(categories=[request.param]).items[request.param]


def test_there_are_at_least_six_categories() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 6


def test_a_category_has_at_least_forty_items(items: tuple[MultipleChoiceItem, ...]) -> None:
    assert len(items) >= 40


def test_right_answers_are_balanced_over_positions(items: tuple[MultipleChoiceItem, ...]) -> None:
    positions = Counter(item.answer for item in items)
    assert set(positions) == {0, 1, 2, 3}
    assert max(positions.values()) - min(positions.values()) <= 1


def test_no_answer_that_ignores_the_prompt_beats_chance(items: tuple[MultipleChoiceItem, ...]) -> None:
    # The items of a set share their choices, and every choice is right equally often, so any preference among
    # the choices that ignores the prompt is right for a quarter of the items.
    sets: dict[frozenset[str], Counter[str]] = {}
    for item in items:
        sets.setdefault(frozenset(item.choices), Counter())[item.expected] += 1
    for choices, expected in sets.items():
        assert set(expected) == choices
        assert len(set(expected.values())) == 1
    assert chance_level(items) == 0.25


def test_texts_are_clean(items: tuple[MultipleChoiceItem, ...]) -> None:
    for item in items:
        for text in (item.prompt, *item.choices):
            assert text == text.strip()
            assert "  " not in text


def test_prompts_and_ids_are_unique_over_all_categories() -> None:
    everything = [item for items in BuiltinSuite().items.values() for item in items]
    assert len({item.prompt for item in everything}) == len(everything)
    assert len({item.id for item in everything}) == len(everything)


def test_limit_takes_the_first_items_of_each_category() -> None:
    whole, part = BuiltinSuite().items, BuiltinSuite(limit=5).items
    assert part == {name: items[:5] for name, items in whole.items()}
    with pytest.raises(BadInputError, match="the limit is 1000; the largest category has"):
        _ = BuiltinSuite(limit=1000).items


def test_categories_are_run_in_the_order_asked_for() -> None:
    assert list(BuiltinSuite(categories=["reading", "arithmetic"]).items) == ["reading", "arithmetic"]


def test_the_error_for_an_unknown_category_suggests_similar_names() -> None:
    with pytest.raises(UnknownNameError) as caught:
        BuiltinSuite(categories=["aritmetic"])
    assert caught.value.near[0] == "arithmetic"


@pytest.mark.parametrize(
    "settings", [{"limit": 0}, {"categories": []}, {"categories": ["reading", "reading"]}]
)
def test_invalid_settings_are_rejected(settings: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        BuiltinSuite(**settings)


def test_the_version_depends_on_every_part_of_every_item_that_is_run() -> None:
    items = BuiltinSuite(categories=["reading"]).items
    versions = {version_of(items), version_of({"language": items["reading"]})}
    versions |= {BuiltinSuite().version, BuiltinSuite(limit=5).version}
    first, *rest = items["reading"]
    other_order = (*first.choices[1:], first.choices[0])
    for changes in (
        {"prompt": first.prompt + " old"},
        {"answer": (first.answer + 1) % 4},
        {"choices": other_order},
        {"id": "x"},
    ):
        versions.add(version_of({"reading": (first.model_copy(update=changes), *rest)}))
    assert len(versions) == 8
    assert BuiltinSuite(categories=["reading"]).version == version_of(items)


def test_evaluate_returns_one_result_per_category_with_all_its_items() -> None:
    suite: Suite = BuiltinSuite(limit=4, categories=["language", "arithmetic"])
    model = EditedModel(tiny_language_model("llama"))
    results = suite.evaluate(model, TorchEngine())
    assert [result.task for result in results] == ["language", "arithmetic"]
    for result in results:
        assert (result.suite, result.metric, result.protocol) == ("builtin", "accuracy", "loglikelihood")
        assert result.n == len(result.items) == 4
        assert result.value == sum(record.value for record in result.items) / 4
        assert result.note.startswith("chance 0.25")


@pytest.mark.slow
def test_answers_do_not_depend_on_the_batch_size() -> None:
    suite = BuiltinSuite(limit=6)
    model = EditedModel(tiny_language_model("gpt2"))
    large = suite.evaluate(model, TorchEngine(WorkingMemory(most_tokens=8192)))
    small = suite.evaluate(model, TorchEngine(WorkingMemory(most_tokens=1)))
    for one, other in zip(large, small, strict=True):
        for left, right in zip(one.items, other.items, strict=True):
            assert left.details["logprobs"] == pytest.approx(right.details["logprobs"], abs=1e-4)


def test_describe_returns_size_and_chance() -> None:
    (description,) = BuiltinSuite(categories=["harm_recognition"], limit=7).describe()
    assert (description.name, description.items, description.chance) == ("harm_recognition", 7, 0.25)
