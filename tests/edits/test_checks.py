"""The checks of edit sets: contradictions, repeats, shared keys, edited neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sequela.edits import Edit, Finding, FindingKind, Probe, check_edits, load_edits


def edit(id_: str, prompt: str, target: str, subject: str = "Ada Winter", **changes: object) -> Edit:
    fields = {"id": id_, "subject": subject, "prompt": prompt, "target_new": target}
    return Edit.model_validate({**fields, **changes})


def found(edits: Sequence[Edit], kind: FindingKind, **limits: int) -> Finding | None:
    return {one.kind: one for one in check_edits(edits, **limits)}.get(kind)


BORN = edit("born", "{} was born in", "Oslo")


def test_a_set_without_faults_has_no_findings() -> None:
    assert check_edits([BORN, edit("plays", "The instrument of {} is the", "cello")]) == ()
    assert check_edits(load_edits("builtin")) == ()


def test_questions_with_several_answers_are_counted_with_their_edits() -> None:
    others = [
        edit("b", "{} was born in", "Rome"),
        edit("c", "{} was born in ", "oslo"),
        edit("d", "{} is", "x"),
    ]
    finding = found([BORN, *others], FindingKind.CONTRADICTION)
    assert finding is not None
    assert (finding.count, finding.of, finding.edit_ids) == (1, 2, ("born", "b", "c"))
    assert finding.sentence.startswith("Questions with several new answers: 1 of 2, in 3 edits. ")
    assert "Oslo (born), then Rome (b), then oslo (c)" in finding.examples[0]
    repeats = found([BORN, *others], FindingKind.REPEAT)
    assert repeats is not None
    assert (repeats.count, repeats.edit_ids) == (1, ("c",))


@pytest.mark.parametrize(("new", "true"), [("Paris", "Paris"), ("Paris", "paris"), ("the Hague", "Hague.")])
def test_edits_whose_new_answer_is_the_old_one_are_counted(new: str, true: str) -> None:
    finding = found([edit("a", "{} lives in", new, target_true=true), BORN], FindingKind.UNCHANGED)
    assert finding is not None
    assert (finding.count, finding.of, finding.edit_ids) == (1, 2, ("a",))


def test_two_relations_of_a_subject_share_a_key_if_nothing_differs_before_it() -> None:
    works = edit("works", "{} worked as a", "cook")
    later = edit("later", "The town of {} is", "Rome")
    same_place = edit("place", "The town of {} was", "Bern")
    finding = found([BORN, works, later, same_place], FindingKind.SHARED_KEY)
    assert finding is not None
    assert finding.edit_ids == ("born", "works", "later", "place")
    assert "something else: 4." in finding.consequence
    assert found([BORN, later], FindingKind.SHARED_KEY) is None


def test_edits_without_a_subject_share_no_key() -> None:
    bare = [Edit(id=id_, prompt="Water boils at", target_new=id_) for id_ in "ab"]
    assert [one.kind for one in check_edits(bare)] == [FindingKind.CONTRADICTION]


def test_a_paraphrase_that_another_edit_answers_differently_is_counted() -> None:
    asks = edit("asks", "The birthplace of {} is", "Rome", paraphrases=("Ada Winter was born in",))
    finding = found([BORN, asks], FindingKind.EDITED_PARAPHRASE)
    assert finding is not None
    assert (finding.count, finding.of, finding.edit_ids) == (1, 1, ("asks", "born"))
    agreeing = asks.model_copy(update={"target_new": "Oslo"})
    assert found([BORN, agreeing], FindingKind.EDITED_PARAPHRASE) is None


def test_neighborhood_prompts_that_an_edit_changes_on_purpose_are_counted() -> None:
    neighbors = tuple(
        Probe(prompt=text, answer="Bern")
        for text in (
            "Ada Winter was born in",
            "The home of Ada Winter is",
            "Tom was born in",
            "Jo was born in",
        )
    )
    asks = edit("asks", "{} was born in", "Rome", subject="Jo", neighborhood=neighbors)
    moved = BORN.model_copy(update={"paraphrases": ("The home of Ada Winter is",)})
    edited = found([moved, asks], FindingKind.EDITED_NEIGHBOR)
    assert edited is not None
    assert (edited.count, edited.of, edited.edit_ids) == (2, 4, ("asks",))  # another's question, and its own
    reworded = found([moved, asks], FindingKind.REWORDED_NEIGHBOR)
    assert reworded is not None
    assert (reworded.count, reworded.of) == (1, 4)
    measured = found([moved, asks], FindingKind.EDITED_NEIGHBOR, max_neighborhood=1)
    assert measured is not None
    assert (measured.count, measured.of) == (1, 1)


def test_a_neighborhood_prompt_in_other_words_of_the_same_relation_is_counted() -> None:
    first = edit("a", "{} was born in", "Oslo", relation="P19")
    second = edit(
        "b",
        "The birthplace of {} is",
        "Rome",
        subject="Jo",
        relation="P19",
        neighborhood=(Probe(prompt="The birthplace of Ada Winter is", answer="Bern"),),
    )
    finding = found([first, second], FindingKind.REWORDED_NEIGHBOR)
    assert finding is not None
    assert finding.edit_ids == ("b",)


COUNTS = {
    "counterfact": {"contradiction": (3, 6), "shared_key": (2, 2), "edited_neighbor": (20, 15)},
    "counterfact-easyedit": {
        "contradiction": (62, 143),
        "shared_key": (439, 439),
        "edited_neighbor": (214, 214),
    },
    "zsre": {"unchanged": (29, 29), "shared_key": (26, 26)},
    "zsre-train": {"unchanged": (17, 17)},
    "knowedit": {"contradiction": (17, 37), "shared_key": (39, 39)},
    "knowedit-zsre": {"contradiction": (10, 20), "shared_key": (52, 52)},
}
"""The number of cases and of edits in the published files."""


@pytest.mark.parametrize("source", COUNTS)
def test_the_findings_of_the_published_sets(source: str, real_data: Path) -> None:
    findings = {one.kind.value: one for one in check_edits(load_edits(source), max_neighborhood=5)}
    counted = {kind: (findings[kind].count, len(findings[kind].edit_ids)) for kind in COUNTS[source]}
    assert counted == COUNTS[source]


@pytest.mark.parametrize(
    ("paraphrase", "count"),
    [("Ada Winter was born in", 1), ("ada winter was born  in:", 1), ("The birthplace of Ada Winter is", 0)],
)
def test_a_paraphrase_that_is_its_own_question_is_counted(paraphrase: str, count: int) -> None:
    finding = found([BORN.model_copy(update={"paraphrases": (paraphrase,)})], FindingKind.OWN_PARAPHRASE)
    assert (finding.count if finding else 0) == count


def test_several_places_for_the_subject_are_counted() -> None:
    finding = found([edit("twice", "{} and {} were born in", "Oslo"), BORN], FindingKind.SEVERAL_BLANKS)
    assert finding is not None
    assert (finding.count, finding.of, finding.edit_ids) == (1, 2, ("twice",))


@pytest.mark.parametrize("end", ["?", " ?", " ", ":", "…", "...", "？", "?!"])
def test_punctuation_at_the_end_makes_no_other_question(end: str) -> None:
    edits = [
        edit("one", "The birthplace of {} is", "Rome"),
        edit("two", f"The birthplace of {{}} is{end}", "Oslo"),
    ]
    contradiction = found(edits, FindingKind.CONTRADICTION)
    assert contradiction is not None
    assert contradiction.edit_ids == ("one", "two")
    shared = found(edits, FindingKind.SHARED_KEY)
    assert shared is not None
    assert shared.consequence.endswith("asks something else: 0.")


def test_the_reference_page_has_every_kind_of_finding() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "edit-checks.md"
    text = page.read_text(encoding="utf-8")
    assert [kind.value for kind in FindingKind if f"`{kind.value}`" not in text] == []
