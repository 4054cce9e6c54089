"""The addresses of outputs: what changes them, and what studies may differ in and still share outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sequela.core.precision import Precision
from sequela.core.progress import SILENT
from sequela.studies import Study
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.plan import make_plan
from sequela.studies.task_keys import TaskKeys
from sequela.studies.tasks import Position

MakeStudy = Callable[..., Study]
Keys = dict[str, str]

FT_M = {"name": "ft-m", "settings": {"num_steps": 30, "lr": 2e-3}}
ROME = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8}}


@pytest.fixture
def keys_of(make_study: MakeStudy) -> Callable[..., Keys]:
    """Returns the keys of the outputs of a study with one method, by what they are."""

    def keys(**changes: Any) -> Keys:
        plan = make_plan(make_study(**{"editors": [FT_M], **changes}))
        (model,) = plan.study.models
        workspace = ModelWorkspace(plan, model, Precision(changes.get("dtype", "float32")), SILENT)
        method = [choice.name for choice, _ in plan.editors].index("ft-m")
        made = {
            n: workspace.checkpoint_output(position(workspace, method, plan.study.order_seeds[0], n))
            for n in (1, 2)
        }
        of = workspace.keys
        return dict(
            _named(
                [
                    ("answers", of.unedited_answers()),
                    ("quality", of.unedited_quality()),
                    ("health", of.unedited_health("1")),
                    *((f"{suite.name}", of.unedited(suite)) for suite in plan.suites),
                    *((f"after {n}", made[n]) for n in made),
                    *((f"quality after {n}", of.measured_quality(made[n])) for n in made),
                    *((f"{suite.name} after 1", of.measured(made[1], suite)) for suite in plan.suites),
                ]
            )
        )

    return keys


def position(workspace: ModelWorkspace, method: int, seed: int, n_edits: int) -> Position:
    return Position(workspace.model.name, method, order_seed=seed, n_edits=n_edits)


def _named(outputs: list[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, output in outputs:
        yield name, output.key


def changed(one: Keys, other: Keys) -> set[str]:
    return {name for name in one if name in other and one[name] != other[name]}


def test_every_output_has_its_own_address(keys_of: Callable[..., Keys]) -> None:
    found = keys_of()
    assert len(set(found.values())) == len(found) == 11
    assert found == keys_of()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another"},
        {"editors": [ROME, FT_M]},
        {"checkpoints": [0, 2]},
        {"order_seeds": [0, 1]},
        {"memory": "8GiB"},
        {"alarms": {"mark_when": ["perplexity > 2x"]}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_decides_no_output_is_in_no_key(
    keys_of: Callable[..., Keys], changes: dict[str, object]
) -> None:
    assert not changed(keys_of(), keys_of(**changes))


EDITED = {"after 1", "after 2", "quality after 1", "quality after 2", "builtin after 1", "perplexity after 1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"editors": [{"name": "ft-m", "settings": {"num_steps": 31, "lr": 2e-3}}]}, EDITED),
        ({"seed": 1}, EDITED),
        ({"on_bad_edit": {"relative_norm": 0.5, "action": "stop"}}, EDITED),
        ({"alarms": {"every": 1}}, EDITED),
        ({"edit_quality": {"max_new_tokens": 9}}, {"answers", "quality", *EDITED}),
        (
            {"suites": [{"name": "builtin", "limit": 2}, {"name": "perplexity", "window": 32}]},
            {"builtin", "builtin after 1"},
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_decides_an_output_is_in_its_key(
    keys_of: Callable[..., Keys], changes: dict[str, object], expected: set[str]
) -> None:
    assert changed(keys_of(), keys_of(**changes)) == expected


def test_the_type_of_the_weights_decides_everything(keys_of: Callable[..., Keys]) -> None:
    first = keys_of()
    assert changed(first, keys_of(dtype="bfloat16")) == set(first)


def test_the_cut_into_batches_decides_a_checkpoint(make_study: MakeStudy) -> None:
    def after_two(batch_size: int) -> str:
        study = make_study(editors=[{**FT_M, "batch_size": batch_size}], checkpoints=[0, 2])
        plan = make_plan(study)
        workspace = ModelWorkspace(plan, study.models[0], Precision("float32"), SILENT)
        return workspace.checkpoint_output(position(workspace, 0, 0, 2)).key

    assert after_two(1) != after_two(2)


def test_the_order_of_edits_decides_a_checkpoint_and_nothing_else_does(make_study: MakeStudy) -> None:
    plan = make_plan(make_study(editors=[FT_M], order_seeds=list(range(6))))
    workspace = ModelWorkspace(plan, plan.study.models[0], Precision("float32"), SILENT)
    by_order = {
        (
            tuple(edit.id for edit in workspace.trajectories[0, None, seed].edits[:n]),
            workspace.checkpoint_output(position(workspace, 0, seed, n)).key,
        )
        for seed in range(6)
        for n in (1, 2)
    }
    assert len(by_order) == len({ids for ids, _ in by_order}) == len({key for _, key in by_order}) == 4


def test_the_description_of_an_output_is_what_its_key_hashes(make_study: MakeStudy) -> None:
    plan = make_plan(make_study(editors=[FT_M]))
    workspace = ModelWorkspace(plan, plan.study.models[0], Precision("float32"), SILENT)
    assert isinstance(workspace.keys, TaskKeys)
    about = workspace.checkpoint_output(position(workspace, 0, 0, 2)).about
    assert about["method"] == "ft-m"
    assert [len(batch) for batch in about["edits"]] == [1, 1]
    assert about["model"] == workspace.model.fingerprint
