from __future__ import annotations

from pathlib import Path

import pytest
from lm_eval.tasks import TaskManager

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.evaluation.lm_eval.catalog import definitions_folder
from sequela.evaluation.lm_eval.harness_tasks.index import members_of, read_index


@pytest.mark.slow
def test_the_names_are_those_of_the_harness() -> None:
    """Compares all names and files with the harness's own index."""
    manager, index = TaskManager(), read_index(definitions_folder())
    assert sorted(index.tags) == manager.all_tags
    assert sorted(index.groups) == manager.all_groups
    assert sorted(index.tasks) == manager.all_subtasks
    for name, path in (index.tasks | index.groups).items():
        assert path == manager.task_index[name].yaml_path
    for name, tasks in index.tags.items():
        assert set(tasks) == manager.task_index[name].tags


def test_the_members_of_a_task_a_group_and_a_tag() -> None:
    assert list(members_of("arc_easy").files) == ["arc_easy"]
    assert {"mmlu_anatomy", "mmlu_astronomy"} < set(members_of("mmlu").files)
    assert len(members_of("mmlu_continuation").files) == 57  # through groups defined in its file
    assert set(members_of("ai2_arc").files) == {"arc_challenge", "arc_easy"}


def test_the_error_for_an_unknown_name_suggests_similar_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'hellaswag'"):
        members_of("helaswag")


def test_names_are_read_in_every_yaml_notation(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("tag: [one, 'two']\ndataset_path: x\n")
    (tmp_path / "a.yaml").write_text("include: base\n\"task\": 'quoted'  # a comment\n")
    (tmp_path / "b.yaml").write_text(
        "task: plain # a comment\ninclude: base\ntag:\n  # why\n  - three\n- four\n"
    )
    (tmp_path / "c.yaml").write_text("group: both\ntask:\n  - quoted\n  - plain\n")
    (tmp_path / "d.yaml").write_text("group: both\ntask: [plain]\n")
    index = read_index.__wrapped__(tmp_path)
    assert set(index.tasks) == {"quoted", "plain"}
    assert index.groups == {"both": tmp_path / "c.yaml"}
    assert index.tags == {"one": ("quoted",), "two": ("quoted",), "three": ("plain",), "four": ("plain",)}


@pytest.mark.parametrize("text", ["dataset_path: x\n", "group: g\ntask: [a]\n"])
def test_a_file_without_a_single_task_is_rejected(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(BadInputError, match="does not define a single task"):
        members_of(str(tmp_path / "mine.yaml"))
