"""A study of edits that contradict one another: what retention counts, and its baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.edits import Edit, Probe
from sequela.reports import markdown_page, write_report
from sequela.reports.report_data import read_report_data
from sequela.results import (
    EDIT_QUALITY,
    ItemRecord,
    KnownBefore,
    Manifest,
    Measurement,
    known_before_of,
    open_store,
    read_manifest,
)
from sequela.studies import Study, run_study
from sequela.studies.plan import make_plan
from support.world import World


@pytest.fixture(scope="session")
def contradicting(
    make_study: Callable[..., Study], world: World, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run of three edits: the third supersedes the first and is a neighbor of the second."""
    folder = tmp_path_factory.mktemp("contradicting")
    first, second = world.edits(2, phrasing=-1)
    third = first.model_copy(update={"id": "third", "target_new": "Orran", "neighborhood": ()})
    neighbors = (Probe(prompt=first.question, answer=first.target_true), *second.neighborhood[:1])
    edits: list[Edit] = [first, second.model_copy(update={"neighborhood": neighbors}), third]
    file = folder / "facts.jsonl"
    file.write_text("".join(f"{edit.model_dump_json()}\n" for edit in edits), encoding="utf-8")
    study = make_study(
        edits={"source": "jsonl", "file": str(file)},
        editors=[{"name": "ft-m", "settings": {"num_steps": 2}}],
        order_seeds=[ORDER],
        checkpoints=[0, 2, 3],
        suites=[],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder / "cache"))
        run_study(study, folder / "run")
    return folder / "run"


def _order_of_three() -> int:
    """Returns a shuffle seed that leaves three edits in their order."""
    import random

    for seed in range(100):
        order = [0, 1, 2]
        random.Random(seed).shuffle(order)
        if order == [0, 1, 2]:
            return seed
    raise AssertionError


ORDER = _order_of_three()


def retained(run: Path, n_edits: int) -> dict[tuple[str, str], Measurement]:
    with open_store(run) as store:
        return {
            (one.metric, one.protocol): one
            for one in store.measurements()
            if (one.task, one.n_edits) == ("retention@n", n_edits)
        }


def test_a_superseded_edit_leaves_the_denominator_of_retention(contradicting: Path) -> None:
    assert retained(contradicting, 0)["efficacy", "free_decoding"].n == 3
    before, after = retained(contradicting, 2), retained(contradicting, 3)
    assert before["efficacy", "free_decoding"].n == 2
    assert ("superseded", "from_edits") not in before
    efficacy = after["efficacy", "free_decoding"]
    assert efficacy.n == 2
    assert "1 edit superseded by a later edit of the same question, not counted" in efficacy.note
    assert after["superseded", "from_edits"].value == 1
    assert after["superseded", "from_edits"].baseline is None


def test_an_edited_neighbor_leaves_the_score_and_its_baseline(contradicting: Path, world: World) -> None:
    with open_store(contradicting) as store:
        items = {
            (key.n_edits, item.item): item
            for key in store.evaluations()
            if key.suite == "edit_quality"
            for item in store.items(key)
            if (item.task, item.metric, item.protocol) == ("retention@n", "neighborhood", "free_decoding")
        }
    first, second = world.edits(2, phrasing=-1)

    def prompts(item: ItemRecord) -> dict[str, float]:
        return {one["prompt"]: one["value"] for one in item.details["prompts"]}

    unedited = prompts(items[0, second.id])
    assert set(unedited) == {first.question, second.neighborhood[0].prompt}
    # The first edit asks the same question, so it is in force at both checkpoints.
    for n_edits in (2, 3):
        assert set(prompts(items[n_edits, second.id])) == {second.neighborhood[0].prompt}
        measured = retained(contradicting, n_edits)
        assert measured["edited_neighbors", "from_edits"].value == 1
    assert items.keys() == {(0, first.id), (0, second.id), (2, first.id), (2, second.id), (3, second.id)}
    baseline = retained(contradicting, 3)["neighborhood", "free_decoding"].baseline
    assert baseline == unedited[second.neighborhood[0].prompt]


def test_every_record_of_edit_quality_states_what_the_unedited_model_answered(contradicting: Path) -> None:
    with open_store(contradicting) as store:
        items = [
            item for key in store.evaluations() if key.suite == "edit_quality" for item in store.items(key)
        ]
        items += [item for record in store.edit_records() for item in record.success]
    assert {item.task for item in items} == {"success@edit", "retention@n"}
    assert {known_before_of(item) for item in items} == {KnownBefore.OLD}


def test_the_manifest_and_the_report_have_the_findings_about_the_edits(
    contradicting: Path, tmp_path: Path
) -> None:
    (findings,) = read_manifest(contradicting).edit_findings.values()
    kinds = ["contradiction", "shared_key", "edited_neighbor"]
    assert [one.kind for one in findings] == kinds
    report = read_report_data(contradicting)
    assert [(row.count, row.of, row.n_edits, row.models) for row in report.edit_findings] == [
        (1, 2, 2, ""),
        (2, 3, 2, ""),
        (1, 4, 1, ""),
    ]
    page = write_report(contradicting, tmp_path).read_text(encoding="utf-8")
    assert '<section id="edit-set">' in page
    for text in (page, markdown_page(contradicting)):
        assert "Questions with several new answers" in text
        assert "1 edit superseded by a later edit of the same question, not counted" in text


@pytest.mark.slow
def test_the_report_splits_every_edit_score(contradicting: Path) -> None:
    (table,) = read_report_data(contradicting).edit_splits
    assert table.columns == ("all edits", "old answer before", "key shared with another edit")
    scores = {(row.task, row.quantity, row.protocol): row.cells for row in table.rows}
    every, old, sharing = scores["retention@n", "efficacy", "free decoding"]
    assert every == old
    assert every.endswith("(2)")  # the second edit and the third
    assert sharing.endswith("(1)")  # the third; the first is superseded
    assert scores["success@edit", "efficacy", "free decoding"][0].endswith("(3)")
    assert scores["retention@n", "neighborhood", "free decoding"][2] == "–"


def test_a_run_of_an_earlier_version_has_no_findings_and_no_groups(finished: Path) -> None:
    content = json.loads((finished / "manifest.json").read_text(encoding="utf-8"))
    del content["edit_findings"], content["digest"]
    assert Manifest.model_validate(content).edit_findings == {}
    assert read_report_data(finished).edit_splits == ()


def test_relations_are_part_of_the_version_of_edit_quality(
    make_study: Callable[..., Study], world: World, tmp_path: Path
) -> None:
    versions = set()
    for relation in (None, "P19", "P20"):
        edit = world.edits(1, phrasing=-1)[0].model_copy(update={"relation": relation})
        file = tmp_path / "facts.jsonl"
        file.write_text(edit.model_dump_json(), encoding="utf-8")
        study = make_study(edits={"source": "jsonl", "file": str(file)}, checkpoints=[0, 1])
        versions.add(make_plan(study).version_of(EDIT_QUALITY))
    assert len(versions) == 3
