"""Edits and probes that edit quality leaves out because of the edits in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sequela.edited import EditedModel
from sequela.edits import Edit, EditSet, EditsInForce, Probe, Questions
from sequela.evaluation.edit_quality.left_out import select_probes
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    measure_edits,
    neighborhood_answers,
    rescore_records,
    task_results,
)
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import with_dropped

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
    assert (results["superseded", "from_edits"].value, results["superseded", "from_edits"].n) == (1, 3)
    counted = results["edited_neighbors", "from_edits"]
    assert (counted.value, counted.n, counted.stderr) == (1, 1, None)  # of the one neighbor of the others
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
        5,
    )


def test_every_count_is_of_all_edits_and_no_note_speaks_of_another_score(world_model: LanguageModel) -> None:
    """Of five edits one is superseded and one was dropped; only the superseded one has a paraphrase."""
    others = [lives_in(name, name, "Kyiv").model_copy(update={"paraphrases": ()}) for name in ("Mo", "Al")]
    again = ADA_AGAIN.model_copy(update={"paraphrases": ()})
    dropped = JO.model_copy(update={"paraphrases": ()})
    edits, engine, model = [ADA, again, *others, dropped], TorchEngine(), EditedModel(world_model)
    in_force = EditsInForce(Questions(edits), 5, frozenset({"jo"}))
    records = [
        *measure_edits(model, engine, edits, SUCCESS_AT_EDIT, SETTINGS),
        *measure_edits(model, engine, edits, RETENTION_AT_N, SETTINGS, in_force=in_force),
    ]
    results = {
        (one.task, one.metric, one.protocol): one
        for one in task_results(with_dropped(records, {"jo": "the loss is not finite"}))
    }
    assert results[RETENTION_AT_N, "efficacy", "free_decoding"].n == 4
    for task in (SUCCESS_AT_EDIT, RETENTION_AT_N):
        count = results[task, "dropped_edits", "from_edits"]
        assert (count.value, count.n) == (1, 5)
    count = results[RETENTION_AT_N, "superseded", "from_edits"]
    assert (count.value, count.n) == (1, 5)
    effective = results[RETENTION_AT_N, "effective_edits", "free_decoding"]
    superseded = "1 edit superseded by a later edit of the same question, not counted"
    assert (effective.n, effective.note) == (3, f"{superseded}; 1 edit dropped, not counted")
    with_note = {key[1] for key, one in results.items() if "counted with what the model" in one.note}
    assert with_note == {"efficacy", "neighborhood"}  # the dropped edit has no other prompts
    for protocol in ("free_decoding", "teacher_forced"):
        empty = results[RETENTION_AT_N, "paraphrase", protocol]
        assert (empty.value, empty.n, empty.note) == (None, 0, superseded)


def test_no_edit_is_effective_on_the_unedited_model(world_model: LanguageModel) -> None:
    records = measure_edits(EditedModel(world_model), TorchEngine(), [ADA], RETENTION_AT_N, SETTINGS)
    for results in (task_results(records, is_unedited=True), rescore_records(records, {}, is_unedited=True)):
        assert "efficacy" in {one.metric for one in results}
        assert "effective_edits" not in {one.metric for one in results}


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


def test_a_prompt_that_does_not_fit_is_left_out_of_its_edits_mean_and_counted(
    tiny_model: Callable[..., LanguageModel],
) -> None:
    """The other prompts of the edit decide; an edit none of whose prompts fits is not answered."""
    model, engine = EditedModel(tiny_model("llama", max_position_embeddings=30)), TorchEngine()
    filler = "He's sure they'll come; we've got bread, cheese and olives. " * 3
    edit = Edit(
        id="some",
        subject="Ada",
        prompt="{} plays",
        target_new="chess",
        target_true="go",
        paraphrases=("The game of Ada is", f"{filler}Ada plays"),
        portability=(Probe(prompt=f"{filler}Ada has a", answer="board"),),
        neighborhood=(Probe(prompt="Mo plays", answer="go"), Probe(prompt=f"{filler}Mo plays", answer="go")),
    )
    answers = neighborhood_answers(model, engine, [edit], SETTINGS)
    assert list(answers) == ["Mo plays"]
    records = measure_edits(model, engine, [edit], RETENTION_AT_N, SETTINGS, answers)
    found = {(one.metric, one.protocol): one for one in records}
    alone = edit.model_copy(
        update={"paraphrases": edit.paraphrases[:1], "neighborhood": edit.neighborhood[:1]}
    )
    short = measure_edits(model, engine, [alone], RETENTION_AT_N, SETTINGS, answers)
    for expected in short:
        one = found[expected.metric, expected.protocol]
        assert (one.value, one.too_long) == (expected.value, expected.too_long)
    assert found["neighborhood", "agreement"].value == 1.0
    assert found["portability", "free_decoding"].too_long is not None
    results = {(one.task, one.metric, one.protocol): one for one in task_results(records)}
    paraphrase = results["retention@n", "paraphrase", "teacher_forced"]
    assert (paraphrase.n, paraphrase.n_too_long) == (1, 0)
    assert paraphrase.note.startswith("1 prompt longer than the model's context (up to ")
    count = results["retention@n", "unasked_prompts", "from_edits"]
    assert (count.value, count.n) == (3, 6)
    applied = results["retention@n (applied)", "portability", "free_decoding"]
    assert (applied.value, applied.n) == (None, 0)


def test_stored_answers_are_scored_again_without_the_prompts_that_did_not_fit(
    tiny_model: Callable[..., LanguageModel],
) -> None:
    model, engine = EditedModel(tiny_model("llama", max_position_embeddings=30)), TorchEngine()
    filler = "He's sure they'll come; we've got bread, cheese and olives. " * 3
    (answer,) = neighborhood_answers(
        model,
        engine,
        [JO.model_copy(update={"neighborhood": (Probe(prompt="Jo is", answer="x"),)})],
        SETTINGS,
    ).values()
    edit = JO.model_copy(update={"target_new": answer.split()[0], "paraphrases": ("Jo is", f"{filler}Jo is")})
    records = measure_edits(model, engine, [edit], RETENTION_AT_N, SETTINGS)
    (paraphrase,) = [one for one in records if (one.metric, one.protocol) == ("paraphrase", "free_decoding")]
    (again,) = [
        one
        for one in rescore_records([paraphrase.model_copy(update={"value": 0.5, "too_long": 60})], {})
        if one.task == RETENTION_AT_N and one.metric == "paraphrase"
    ]
    assert (again.value, again.n_too_long) == (paraphrase.value, 0) == (1.0, 0)
