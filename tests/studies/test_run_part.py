"""Parts of a study, run one after the other into one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.results import Status, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.run_part import RunPart
from support.grown import content_of
from support.runs import WorkloadLog, measured

MakeStudy = Callable[..., Study]

FT_M = {"name": "ft-m", "settings": {"num_steps": 3}}
GRACE = {"name": "grace", "settings": {"num_steps": 2}}


@pytest.fixture
def study(make_study: MakeStudy) -> Study:
    """Two methods and two orders, of which one trajectory each ends early."""
    alarms = {"every": 1, "stop_when": "relative_change > 1e-9"}
    return make_study(editors=[FT_M, GRACE], order_seeds=[0, 1], alarms=alarms)


def without_load(content: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what tells in how many parts a study was run: loads, and the order of remarks."""
    costs = [one for one in content["costs"] if one.step in ("edit", "evaluate")]
    sorted_ones = {name: sorted(content[name], key=str) for name in ("notes", "early ends", "components")}
    return {**content, **sorted_ones, "costs": costs}


def test_three_parts_are_the_whole_study(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    parts = [
        RunPart(editors=("grace",), order_seeds=(1,)),
        RunPart(editors=("ft-m",)),
        RunPart(order_seeds=(0,), models=study.models),
    ]
    results = [
        run_study(study, folder, command=f"part {number}", part=one) for number, one in enumerate(parts)
    ]
    assert [one.status for one in results] == [Status.PARTIAL, Status.PARTIAL, Status.COMPLETE]
    assert results[0].done < results[1].done < results[2].done == results[2].planned
    history = read_manifest(folder).history
    assert [(one.command, one.part) for one in history] == [
        ("part 0", "editor grace; seed 1"),
        ("part 1", "editor ft-m"),
        ("part 2", f"model {study.models[0]}; seed 0"),
    ]
    run_study(study, tmp_path / "whole")
    assert without_load(content_of(folder)) == without_load(content_of(tmp_path / "whole"))


@pytest.mark.slow
def test_a_part_counts_the_whole_and_a_run_of_all_completes_it(study: Study, tmp_path: Path) -> None:
    folder, log = tmp_path / "run", WorkloadLog()
    result = run_study(study, folder, log, part=RunPart(editors=("grace",), order_seeds=(0,)))
    assert log.workload.n_done == log.workload.n_pieces
    manifest = read_manifest(folder)
    assert (manifest.config["order_seeds"], len(manifest.config["editors"])) == ([0, 1], 2)
    assert result.planned == manifest.evaluations_planned > result.done
    assert manifest.incompleteness(result.done) == (
        f"incomplete: {result.done} of {result.planned} evaluations (the rest was not asked for)"
    )
    assert {(one.editor, one.order_seed) for one in measured(folder)} == {("none", 0), ("grace", 0)}
    again = run_study(study, folder, part=RunPart(editors=("grace",), order_seeds=(0,)))
    assert again == result
    assert run_study(study, folder).status is Status.COMPLETE
    run_study(study, tmp_path / "whole")
    assert measured(folder) == measured(tmp_path / "whole")


def test_a_part_of_a_changed_study(study: Study, make_study: MakeStudy, tmp_path: Path) -> None:
    folder, part = tmp_path / "run", RunPart(editors=("grace",))
    first = make_study(editors=[FT_M], order_seeds=[0], checkpoints=[0, 1, 2], suites=[])
    run_study(first, folder)
    more = make_study(editors=[FT_M, GRACE], order_seeds=[0], checkpoints=[0, 1, 2], suites=[])
    assert run_study(more, folder, update=True, part=part).status is Status.COMPLETE
    run_study(more, tmp_path / "whole")
    assert measured(folder) == measured(tmp_path / "whole")
    with open_store(folder) as one, open_store(tmp_path / "whole") as other:
        assert [key for key in other.evaluations() if key not in one.evaluations()] == []


def test_early_ends_of_other_parts_stay_in_an_update(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, alarms = tmp_path / "run", {"every": 1, "stop_when": ["perplexity > 0.1x"]}
    small = {"order_seeds": [0], "suites": [], "alarms": alarms}
    run_study(make_study(editors=[FT_M], checkpoints=[0, 1, 2], **small), folder)
    more = make_study(editors=[FT_M, GRACE], checkpoints=[0, 2], **small)
    for part in (RunPart(editors=("grace",)), RunPart(editors=("ft-m",))):
        assert run_study(more, folder, update=True, part=part).status is Status.COMPLETE
    run_study(more, tmp_path / "whole")
    ends, whole = read_manifest(folder), read_manifest(tmp_path / "whole")
    assert set(ends.early_ends) == set(whole.early_ends)
    assert len(ends.early_ends) == 2
    assert ends.evaluations_planned == whole.evaluations_planned
    assert set(ends.notes) == set(whole.notes)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (RunPart(editors=("graze",)), "--editor graze: .*\n.*'grace'. It has: ft-m, grace"),
        (RunPart(order_seeds=(7,)), "--seed 7: the study has no such seed.\nIt has: 0, 1"),
        (RunPart(models=("none",)), "--model none: the study has no such model"),
    ],
)
def test_names_that_the_study_does_not_have(study: Study, tmp_path: Path, part: RunPart, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        run_study(study, tmp_path / "run", part=part)
    assert not (tmp_path / "run").exists()
