"""The plan of a study, counted and checked before the run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edits import Edit
from sequela.evaluation.edit_quality.answer_matching import MATCHING_VERSION
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import Engine
from sequela.results import EDIT_QUALITY, TaskResult
from sequela.studies import Study
from sequela.studies.pieces import QUICK_TOKENS, pieces_of, suite_tokens
from sequela.studies.plan import check_distinguishable, make_plan


def study(**changes: object) -> Study:
    content: dict[str, object] = {
        "name": "x",
        "models": ["m"],
        "editors": ["rome"],
        "checkpoints": [0, 1, 4],
        "suites": ["perplexity"],
    }
    return Study.model_validate({**content, **changes})


@pytest.mark.parametrize(
    ("changes", "evaluations", "ways"),
    [
        ({}, 2 * (1 + 2), 2),
        ({"suites": []}, 1 * (1 + 2), 2),
        ({"order_seeds": [0, 1]}, 2 * (1 + 2 * 2), 2 * 2),
        ({"edits": {"count": 4, "samples": [7]}, "order_seeds": [0, 1]}, 2 * (1 + 2 * 2), 2 * 2),
        ({"editors": ["rome", "ft-m"], "order_seeds": [0, 1, 2]}, 2 * (1 + 6 * 2), 6 * 2),
        ({"models": ["m", "n"], "editors": ["rome", "ft-m"]}, 2 * 2 * (1 + 2 * 2), 2 * 2 * 2),
        ({"checkpoints": [3]}, 2 * (1 + 1), 1),
    ],
)
def test_evaluations_and_steps_are_counted(changes: dict[str, object], evaluations: int, ways: int) -> None:
    plan = make_plan(study(**changes))
    assert plan.n_evaluations == evaluations
    pieces = Counter(piece.kind[0] for piece in pieces_of(plan))
    answers = sum(piece.kind[:2] == ("evaluate", "answers") for piece in pieces_of(plan))
    assert pieces["evaluate"] - answers == evaluations
    assert pieces["edit"] == ways  # from one checkpoint to the next
    assert answers == pieces["load"] == len(plan.study.models)
    assert pieces["prepare"] == len(plan.study.models) * len(plan.editors)


def test_as_many_edits_are_loaded_as_the_last_checkpoint_needs() -> None:
    assert len(make_plan(study()).edits) == 4
    assert len(make_plan(study(edits={"count": 9})).edits) == 9


def test_more_edits_than_the_source_has_are_rejected() -> None:
    with pytest.raises(BadInputError, match="100000 were requested"):
        make_plan(study(checkpoints=[100_000]))


@pytest.mark.parametrize(
    "editors",
    [["rome", "rome"], [{"name": "rome", "settings": {"v_lr": 0.1}}, "rome"]],
)
def test_methods_with_indistinguishable_results_are_rejected(editors: list[object]) -> None:
    with pytest.raises(BadInputError, match=r"rome \(r-rome\) twice"):
        make_plan(study(editors=editors))


def test_presets_may_distinguish_two_uses_of_a_method() -> None:
    plan = make_plan(study(editors=["kn", {"name": "kn", "settings": {"preset": "published"}}]))
    with pytest.raises(BadInputError, match=r"kn \(no variant\) twice"):
        check_distinguishable(plan.editors, filled_in=True)  # here no preset was filled in


def test_variants_of_a_method_may_be_combined() -> None:
    variants = [{"name": "rome", "settings": {"variant": name}} for name in ("r-rome", "p-rome")]
    assert len(make_plan(study(editors=variants)).editors) == 2


def test_a_duplicate_suite_is_rejected() -> None:
    with pytest.raises(BadInputError, match="'builtin' twice"):
        make_plan(study(suites=["builtin", {"name": "builtin", "limit": 3}]))


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"editors": ["romee"]}, "rome"),
        ({"suites": ["perplexty"]}, "perplexity"),
        ({"edits": {"source": "bultin"}}, "builtin"),
    ],
)
def test_unknown_names_are_rejected_with_near_matches(changes: dict[str, object], near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        make_plan(study(**changes))
    assert near in caught.value.near


def test_the_weight_of_a_suite_is_its_number_of_tokens() -> None:
    suites = [{"name": "builtin", "limit": 20}, "perplexity", "refusal"]
    plan = make_plan(study(suites=suites))
    weights = {piece.kind[1]: piece.weight for piece in pieces_of(plan) if piece.kind[0] == "evaluate"}
    assert weights["perplexity"] < QUICK_TOKENS
    assert (
        weights["builtin"] < QUICK_TOKENS < weights["refusal"]
    )  # which writes answers to hundreds of requests
    full = make_plan(study(suites=["builtin"]))
    (whole,) = {piece.weight for piece in pieces_of(full) if piece.kind[:2] == ("evaluate", "builtin")}
    assert whole > 2 * weights["builtin"]


def test_a_suite_of_unknown_size_is_not_quick() -> None:
    class Bare:
        name, version = "bare", "1"

        def evaluate(
            self, model: EditedModel, engine: Engine, progress: Progress = SILENT
        ) -> list[TaskResult]:
            return []

    assert suite_tokens(Bare()) > QUICK_TOKENS


def test_only_edits_that_now_count_as_unchanged_change_the_version_of_edit_quality(tmp_path: Path) -> None:
    versions = []
    for new, true in (("Paris", "Rome"), ("Paris", "paris"), ("1,000", "1000")):
        edit = Edit(id="a", subject="France", prompt="{} has", target_new=new, target_true=true)
        (tmp_path / "facts.jsonl").write_text(edit.model_dump_json(), encoding="utf-8")
        edits = {"source": "jsonl", "file": str(tmp_path / "facts.jsonl")}
        versions.append(make_plan(study(edits=edits, checkpoints=[0, 1])).version_of(EDIT_QUALITY))
    assert versions[0] == versions[1] != versions[2]


def test_only_questions_that_differ_in_punctuation_change_the_version_of_edit_quality(tmp_path: Path) -> None:
    def version(*prompts: str) -> str:
        edits = [
            Edit(id=f"e{n}", subject="Peru", prompt=one, target_new="Oslo") for n, one in enumerate(prompts)
        ]
        lines = "".join(one.model_dump_json() + "\n" for one in edits)
        (tmp_path / "facts.jsonl").write_text(lines, encoding="utf-8")
        source = {"source": "jsonl", "file": str(tmp_path / "facts.jsonl")}
        return make_plan(study(edits=source, checkpoints=[0, 2])).version_of(EDIT_QUALITY)

    assert version("{} has", "{} is") == version("{} has?", "{} is.") == version("{} has", "{} has")
    assert version("{} has", "{} has?") != version("{} has", "{} has")


def test_only_texts_about_subjects_have_a_new_version_of_free_text() -> None:
    def version(text_tokens: int) -> str:
        return make_plan(study(edit_quality={"text_tokens": text_tokens})).version_of(EDIT_QUALITY)

    settings = EditQualitySettings(text_tokens=20).model_dump(mode="json")
    assert version(20) != version(0)
    earlier = {"probes": 4, "counts": 2, "matching": MATCHING_VERSION, "settings": settings}
    assert version(20) != hash_json(earlier)
    earlier["settings"] = EditQualitySettings().model_dump(mode="json")
    relations = [edit.relation for edit in make_plan(study()).edits]
    assert version(0) == hash_json({**earlier, **({"relations": relations} if any(relations) else {})})
