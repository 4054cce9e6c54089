"""What edit quality leaves out because of the edits in force."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sequela.edited import EditedModel
from sequela.edits import Edit, EditSet, EditsInForce, Probe, Questions
from sequela.evaluation.edit_quality.left_out import select_probes
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    measure_edits,
    neighborhood_answers,
    task_results,
)
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel

SETTINGS = EditQualitySettings(max_new_tokens=4, prefixes=0, attack=False)


def lives_in(id_: str, subject: str, target: str, neighbors: Sequence[str] = ()) -> Edit:
    return Edit(
        id=id_,
        subject=subject,
        prompt="{} lives in",
        target_new=target,
        paraphrases=(f"The home of {subject} is",),
        neighborhood=tuple(Probe(prompt=text, answer="Bern") for text in neighbors),
    )


ADA = lives_in("ada", "Ada", "Rome", ("Tom lives in", "Jo lives in", "The home of Jo is", "Al lives in"))
ADA_AGAIN = lives_in("again", "Ada", "Oslo")
JO = lives_in("jo", "Jo", "Lima", ("Jo lives in",))
EDITS = (ADA, ADA_AGAIN, JO)


def selected(n_edits: int, dropped: Sequence[str] = ()) -> dict[str, list[str]]:
    """The measured neighborhood prompts by edit."""
    in_force = EditsInForce(Questions(EDITS), n_edits, frozenset(dropped))
    probes = select_probes(EDITS[:n_edits], RETENTION_AT_N, SETTINGS, in_force)
    found: dict[str, list[str]] = {edit.id: [] for edit, _ in probes.asked}
    for edit, probe in probes.asked:
        if probe.metric == "neighborhood":
            found[edit.id].append(probe.prompt)
    return found


def test_superseded_edits_and_edited_neighbors_leave_when_the_later_edit_is_in_force() -> None:
    assert selected(1) == {"ada": [one.prompt for one in ADA.neighborhood]}
    assert selected(2) == {"again": []}
    assert selected(3) == {"again": [], "jo": []}
    assert selected(3, dropped=["again"]) == {
        "ada": ["Tom lives in", "Al lives in"],
        "again": [],  # it was dropped, and counts as a failure
        "jo": [],
    }
    assert selected(3, dropped=["again", "jo"]) == {
        "ada": [one.prompt for one in ADA.neighborhood],
        "again": [],
        "jo": ["Jo lives in"],
    }


def test_nothing_is_left_out_of_the_unedited_model() -> None:
    for in_force in (None, EditsInForce.of(())):
        probes = select_probes(EDITS, RETENTION_AT_N, SETTINGS, in_force)
        assert {edit.id for edit, _ in probes.asked} == {"ada", "again", "jo"}
        assert probes.counts == ()


def test_what_is_left_out_is_counted_where_the_scores_are(world_model: LanguageModel) -> None:
    edited, engine = EditedModel(world_model), TorchEngine()
    answers = neighborhood_answers(edited, engine, EDITS, SETTINGS)
    in_force = EditsInForce.of([ADA, JO, ADA_AGAIN, lives_in("last", "Tom", "Kyiv")])
    records = measure_edits(
        edited, engine, [ADA, JO, ADA_AGAIN], RETENTION_AT_N, SETTINGS, answers, in_force=in_force
    )
    results = {(one.metric, one.protocol): one for one in task_results(records)}
    efficacy = results["efficacy", "free_decoding"]
    assert efficacy.n == 2
    assert efficacy.note == "1 edit superseded by a later edit of the same question, not counted"
    assert results["effective_edits", "free_decoding"].n == 2
    assert (results["superseded", "from_edits"].value, results["superseded", "from_edits"].n) == (1, 1)
    counted = results["edited_neighbors", "from_edits"]
    assert (counted.value, counted.n, counted.stderr) == (1, 1, None)
    assert ("neighborhood", "agreement") not in results  # no neighbor is left
    (superseded,) = [one for one in records if one.metric == "superseded"]
    assert (superseded.item, superseded.details) == ("ada", {"superseded_by": "again"})


def test_a_neighborhood_score_states_how_many_prompts_it_leaves_out(world_model: LanguageModel) -> None:
    edited, engine = EditedModel(world_model), TorchEngine()
    answers = neighborhood_answers(edited, engine, [ADA, JO], SETTINGS)
    records = measure_edits(
        edited, engine, [ADA, JO], RETENTION_AT_N, SETTINGS, answers, in_force=EditsInForce.of([ADA, JO])
    )
    results = {(one.metric, one.protocol): one for one in task_results(records)}
    neighborhood = results["neighborhood", "agreement"]
    assert neighborhood.n == 1
    assert neighborhood.note == "3 prompts that an edit in force changes on purpose, not counted"
    assert results["efficacy", "free_decoding"].note == ""
    assert (results["edited_neighbors", "from_edits"].value, results["edited_neighbors", "from_edits"].n) == (
        3,
        2,
    )


@pytest.mark.parametrize("true", ["Orran", "orran", "the Orran."])
def test_two_answers_that_are_the_same_have_no_probability_and_no_attack(
    world_model: LanguageModel, world_edits: EditSet, true: str
) -> None:
    settings = EditQualitySettings(max_new_tokens=4, prefixes=0)
    same = Edit(
        id="same",
        subject="Mira Dolvan",
        prompt="{} speaks the language",
        target_new="Orran",
        target_true=true,
        neighborhood=(Probe(prompt="Tom speaks", answer="Orran"), Probe(prompt="Jo speaks", answer="Ilvan")),
    )
    edits = [same, *world_edits[:2]]
    records = measure_edits(EditedModel(world_model), TorchEngine(), edits, RETENTION_AT_N, settings)
    kinds = {(one.metric, one.protocol) for one in records if one.item == "same"}
    assert ("efficacy", "free_decoding") in kinds
    assert ("efficacy", "probability") not in kinds
    assert "attack_robustness" not in {metric for metric, _ in kinds}
    (neighborhood,) = [
        one
        for one in records
        if one.item == "same" and one.metric == "neighborhood" and one.protocol == "probability"
    ]
    assert [one["prompt"] for one in neighborhood.details["prompts"]] == ["Jo speaks"]
    by_kind = {(one.metric, one.protocol): one.n for one in task_results(records)}
    assert (by_kind["efficacy", "free_decoding"], by_kind["efficacy", "probability"]) == (3, 2)


def test_the_n_of_portability_is_the_number_of_edits_that_have_such_questions(
    world_model: LanguageModel,
) -> None:
    with_questions = ADA.model_copy(update={"portability": (Probe(prompt="Ada pays in", answer="lira"),)})
    records = measure_edits(
        EditedModel(world_model), TorchEngine(), [with_questions, JO], RETENTION_AT_N, SETTINGS
    )
    by_kind = {(one.metric, one.protocol): one.n for one in task_results(records)}
    assert (by_kind["portability", "free_decoding"], by_kind["efficacy", "free_decoding"]) == (1, 2)
