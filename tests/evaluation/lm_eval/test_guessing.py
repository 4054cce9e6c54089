"""The scores of guessing and of constant answers, from the right answers of a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.evaluation.lm_eval.aggregate import benchmark_results
from sequela.evaluation.lm_eval.catalog import files_of
from sequela.evaluation.lm_eval.generation_scoring import generation_records
from sequela.evaluation.lm_eval.guessing import guessing_of, pooled
from sequela.evaluation.lm_eval.item_records import ItemContext
from sequela.evaluation.lm_eval.local_data import read_local
from sequela.results import ItemRecord, Labels
from sequela.studies.baseline import Baseline, measurements
from support.suites import SUITES

(BBH,) = files_of("bbh")

OPEN = {"dyck_languages", "multistep_arithmetic_two", "object_counting", "word_sorting"}
"""The tasks of BBH that are not choices."""


def asked(targets: Sequence[str], prompt: str = "Q: What is it?", task: str = "t@1") -> list[ItemRecord]:
    return [
        ItemRecord(
            suite="s", task=task, metric="accuracy", protocol="generation", item=str(i), value=0.0,
            prompt=prompt, expected=target, details={"targets": [target]},
        )
        for i, target in enumerate(targets)
    ]  # fmt: skip


LETTERS = "Q: Which one?\nOptions:\n(A) red\n(B) blue\n(C) green\nA:"
BULLETS = "Q: Is it so?\nOptions:\n- Yes\n- No\nA:"


@pytest.mark.parametrize(
    ("targets", "prompt", "chance"),
    [
        (["(A)", "(C)", "(C)"], LETTERS, 1 / 3),
        (["Yes"], BULLETS, 1 / 2),
        (["yes", "no", "no"], "Q: Is it so?", 1 / 2),
        (["True", "False", "False"], "Q: not True is", 1 / 2),
        (["joy", "anger", "fear"] * 5, "Q: Which feeling?", 1 / 3),
        (["0", "1"] * 10, "Q: Spam?", 1 / 2),
        (["joy", "anger", "fear"], "Q: Which feeling?", None),  # three items show nothing
        ([str(n) for n in range(2, 19)] * 10, "Q: How many?", None),  # results of counting
        ([f"word{n}" for n in range(40)] * 9, "Q: Sort the words.", None),
        (["Paris"] * 20, "Q: Where?", None),
    ],
)
def test_the_chance_level_follows_from_options_or_a_closed_set(
    targets: Sequence[str], prompt: str, chance: float | None
) -> None:
    found = guessing_of(asked(targets, prompt))
    assert found.chance == (None if chance is None else pytest.approx(chance))
    if chance is None:
        assert found.constants == {}
    else:
        assert found.constants == {t: pytest.approx(targets.count(t) / len(targets)) for t in set(targets)}


def test_several_names_of_one_answer_are_no_closed_set() -> None:
    records = [one.model_copy(update={"details": {"targets": ["Rome", "Roma"]}}) for one in asked(["x"] * 50)]
    assert guessing_of(records).chance is None


def test_the_stated_chance_level_counts() -> None:
    found = guessing_of(asked(["yes", "no"] * 9), 0.4)
    assert (found.chance, found.constants) == (0.4, {"no": 0.5, "yes": 0.5})
    assert guessing_of(asked(["one", "two"]), 0.1).chance == 0.1


@given(st.lists(st.sampled_from(["joy", "anger", "fear", "calm"]), min_size=20, max_size=60))
def test_constants_add_up_and_chance_is_their_mean(targets: list[str]) -> None:
    found = guessing_of(asked(targets))
    if found.chance is not None:
        assert sum(found.constants.values()) == pytest.approx(1)
        assert found.chance == pytest.approx(1 / len(set(targets)))


def test_a_group_pools_its_tasks() -> None:
    parts = [guessing_of(asked(["yes", "no"] * 5)), guessing_of(asked([f"w{i}" for i in range(10)]))]
    assert pooled(parts).chance == pytest.approx(0.25)  # the second can't be guessed
    assert pooled(parts).constants == {"no": 0.25, "yes": 0.25}
    assert pooled(parts[1:]).chance is None


@pytest.mark.parametrize(
    ("answer", "name"), [("(B) blue.", "(B)"), ("B", "(B)"), ("(b)", "(B)"), ("maybe", "maybe"), ("", "")]
)
def test_an_answer_has_the_name_of_the_right_answer_that_it_gives(answer: str, name: str) -> None:
    assert guessing_of(asked(["(A)", "(B)"], LETTERS)).name(answer) == name


def bbh(write: Callable[[Random, ItemRecord], str], n: int = 20) -> dict[str, CheckedMeasurement]:
    """Returns the checked scores of all tasks of BBH on the real data, for a model that writes like this."""
    source, records, subtasks = Random(0), {}, {}
    for subject in sorted(OPEN | CHOICES.keys()):
        rows = read_local(BBH, subject).splits["test"][:n]
        task = f"bbh_{subject}@1"

        def sample(i: int, row: dict[str, Any], text: str, task: str = task) -> dict[str, Any]:
            return {
                "doc_id": i, "doc": row, "doc_hash": f"{i:064d}", "prompt_hash": "p",
                "target": row["target"], "arguments": [(f"{task} {i}", {})], "resps": [[text]],
            }  # fmt: skip

        def made(texts: Sequence[str], task: str = task, rows: Any = rows) -> list[ItemRecord]:
            context = ItemContext("bbh", task, "generation", lambda row: f"Q: {row['input']}\nA:")
            samples = [
                sample(i, row, text, task) for i, (row, text) in enumerate(zip(rows, texts, strict=True))
            ]
            return generation_records(samples, context, BBH.readings, lambda s: [s["target"]], lambda _: ())

        blank = made([""] * len(rows))
        records[task] = made([write(source, one) for one in blank])
        subtasks[task] = subject
    notes = dict.fromkeys([*records, "bbh@1"], "")
    results = benchmark_results(BBH, records, subtasks, notes, "bbh@1")
    labels = Labels(model="m", editor="none", edit_source="builtin", order_seed=0, n_edits=0)
    checked = check_validity(measurements(results, labels, Baseline()), SUITES)
    return {one.subtask: one for one in checked if one.metric == "accuracy"}


CHOICES = {
    "boolean_expressions": 2, "causal_judgement": 2, "date_understanding": 6, "disambiguation_qa": 3,
    "formal_fallacies": 2, "geometric_shapes": 10, "hyperbaton": 2, "logical_deduction_five_objects": 5,
    "logical_deduction_seven_objects": 7, "logical_deduction_three_objects": 3, "movie_recommendation": 4,
    "navigate": 2, "penguins_in_a_table": 5, "reasoning_about_colored_objects": 18, "ruin_names": 4,
    "salient_translation_error_detection": 6, "snarks": 2, "sports_understanding": 2,
    "temporal_sequences": 4, "tracking_shuffled_objects_five_objects": 5,
    "tracking_shuffled_objects_seven_objects": 7, "tracking_shuffled_objects_three_objects": 3,
    "web_of_lies": 2,
}  # fmt: skip
"""The tasks of BBH that are choices, with the number of options that most of their items have."""


def guess(source: Random, one: ItemRecord) -> str:
    task = one.task.removeprefix("bbh_").removesuffix("@1")
    if task in OPEN:
        return "So the answer is nothing."
    kind = one.expected
    words = {"True": ["True", "False"], "False": ["True", "False"], "valid": ["valid", "invalid"]}
    words |= {"invalid": ["valid", "invalid"], "Yes": ["Yes", "No"], "No": ["Yes", "No"]}
    words |= {"yes": ["yes", "no"], "no": ["yes", "no"]}
    options = words.get(kind) or [f"({letter})" for letter in "ABCDEFGHIJKLMNOPQR"[: CHOICES[task]]]
    return f"So the answer is {source.choice(options)}."


def test_a_guesser_of_bbh_has_no_headroom_in_any_task(real_data: Path) -> None:
    found = bbh(guess)
    whole = found.pop("")
    assert whole.form is not None
    assert whole.form.chance == pytest.approx(0.26, abs=0.02)
    assert whole.invalid_because.startswith("D6: no headroom")
    for task, one in found.items():
        assert one.form is not None
        if task in OPEN:
            assert one.form.chance is None, task
        else:
            # The number of options varies in `reasoning_about_colored_objects`, from 7 to 18.
            varies = 0.7 if task == "reasoning_about_colored_objects" else 0.15
            assert one.form.chance == pytest.approx(1 / CHOICES[task], rel=varies), task
            flagged = [flag.rule for flag in one.flags if flag.invalidates]
            assert {"D1", "D6"} & set(flagged), (task, one.raw_value, one.form)


def test_a_model_that_solves_bbh_keeps_its_scores(real_data: Path) -> None:
    for task, one in bbh(lambda source, one: f"So the answer is {one.expected}.").items():
        assert (task, one.value, one.flags) == (task, 1.0, ())


def test_one_answer_to_everything_is_constant_in_every_task(real_data: Path) -> None:
    for task, one in bbh(lambda *_: "So the answer is (A).").items():
        assert one.invalid_because.startswith("D1: constant answer: the answer is '(A)"), task
