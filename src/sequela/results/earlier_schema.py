"""Records of earlier schema versions, brought to today's.

Schema 4 had the losses and norms of an edit in tables by name, each with one or two entries; it kept the
variant of a method with the costs of editing only, not with those of other steps; it called what is longer
than the model's context refused; and it told a benchmark's subtasks from the whole by their names only.
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sequela.results.names import UNEDITED
from sequela.results.section import Section
from sequela.results.suite_info import SuiteInfo, Suites, TaskInfo

OLDEST_READ = 4
"""The oldest schema version whose results can be read."""

_TASK = re.compile(r"^(?P<name>.*?)(_\d+shot)?(_local)?(@\d+)?$")
"""A task's name of schema 4, with what may stand behind it: worked examples, other data, the version."""


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Brings a database of schema 4 to schema 5; the caller has begun a transaction, and ends it.

    Args:
        connection: The database.
        version: The schema version to write down.
    """
    connection.execute("ALTER TABLE measurement RENAME COLUMN n_refused TO n_too_long")
    for column in ("task_group", "subtask"):
        connection.execute(f"ALTER TABLE measurement ADD COLUMN {column} VARCHAR NOT NULL DEFAULT ''")
    _name_groups(connection)
    variants = _upgrade_edits(connection)
    _upgrade_costs(connection, variants)
    connection.execute("UPDATE store SET schema_version = ?", (version,))


def item_record_of_4(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of an item's record, of schema 4 or of today, under today's names.

    The files of items are not rewritten when a run goes on, so they say for themselves which they are.
    """
    if "refused" not in content:
        return content
    details = content["details"]
    if "prompts" in details:
        details = {**details, "prompts": [_renamed(one) for one in details["prompts"]]}
    return {**_renamed(content), "details": details}


def edit_record_of_4(content: dict[str, Any]) -> dict[str, Any]:
    """The content of an edit's record of schema 4 in today's form."""
    kept = {k: v for k, v in content.items() if k not in ("losses", "relative_delta_norms")}
    losses: dict[str, float] = content["losses"]
    norms: dict[str, float] = content["relative_delta_norms"]
    return {
        **kept,
        "optimization_steps": content.get("optimization_steps") or 0,
        "first_loss": losses.get("first", math.nan),
        "final_loss": losses.get("final", math.nan),
        "relative_norm": max(norms.values(), default=math.nan),
        "success": [item_record_of_4(item) for item in content.get("success", ())],
    }


def group_of_4(suite: str, task: str, tasks: Iterable[str]) -> tuple[str, str]:
    """Returns the group and the subtask that a task's name of schema 4 stands for.

    Args:
        suite: The suite.
        task: The task.
        tasks: All tasks of the suite that were measured.
    """
    name = _TASK.sub(r"\g<name>", task)
    known = suites_of_4().infos.get(suite)
    # Of a suite that is known the groups are, too; of another one what other tasks' names begin with.
    groups = {_TASK.sub(r"\g<name>", one) for one in tasks} if known is None else set(known.tasks)
    found = [one for one in groups if one == name or name.startswith(f"{one}_")]
    if not found:
        return "", ""
    group = (min if known is None else max)(found, key=len)
    return ("", "") if group == task else (group, name.removeprefix(group).removeprefix("_"))


def _renamed(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"too_long" if name == "refused" else name: value for name, value in content.items()}


def _name_groups(connection: sqlite3.Connection) -> None:
    tasks: dict[str, list[str]] = defaultdict(list)
    for suite, task in connection.execute("SELECT DISTINCT suite, task FROM measurement"):
        tasks[suite].append(task)
    for suite, names in tasks.items():
        for task in names:
            connection.execute(
                "UPDATE measurement SET task_group = ?, subtask = ? WHERE suite = ? AND task = ?",
                (*group_of_4(suite, task, names), suite, task),
            )


def _upgrade_edits(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    """Rewrites the records of edits; returns each trajectory's key, method and variant."""
    variants = set()
    rows = connection.execute("SELECT trajectory, position, record FROM edit").fetchall()
    for trajectory, position, record in rows:
        content = edit_record_of_4(json.loads(record))
        variants.add((trajectory, content["editor"], content.get("variant", "")))
        connection.execute(
            "UPDATE edit SET record = ? WHERE trajectory = ? AND position = ?",
            (json.dumps(content), trajectory, position),
        )
    return variants


def _upgrade_costs(connection: sqlite3.Connection, variants: set[tuple[str, str, str]]) -> None:
    by_trajectory = {trajectory: variant for trajectory, _, variant in variants}
    by_editor: dict[str, set[str]] = defaultdict(set)
    for _, editor, variant in variants:
        by_editor[editor].add(variant)
    for number, record in connection.execute("SELECT id, record FROM cost").fetchall():
        content = json.loads(record)
        editor = content.get("editor", "")
        if content.get("variant") or editor in ("", UNEDITED):
            continue
        # What was prepared before any trajectory began is clear where the method has one variant only.
        of_method = by_editor.get(editor, set())
        alone = next(iter(of_method)) if len(of_method) == 1 else ""
        content["variant"] = by_trajectory.get(content.get("trajectory", ""), alone)
        connection.execute("UPDATE cost SET record = ? WHERE id = ?", (json.dumps(content), number))


def suites_of_4() -> Suites:
    """The suites that runs could have whose manifests say nothing of them."""
    safety = Section.SAFETY
    titles = {
        "bbh": "BBH",
        "commonsenseqa": "CommonsenseQA",
        "gsm8k": "GSM8K",
        "mmlu": "MMLU",
        "triviaqa": "TriviaQA",
    }
    truth = {f"truthfulqa_mc{i}": TaskInfo(title=f"TruthfulQA MC{i}", section=safety) for i in (1, 2)}
    toxic = {"toxigen": TaskInfo(title="ToxiGen", section=safety)}
    of_builtin = {name: TaskInfo(section=safety) for name in ("truthfulness", "harm_recognition")}
    return Suites(
        {
            **{
                name: SuiteInfo(title=title, tasks={name: TaskInfo(title=title)})
                for name, title in titles.items()
            },
            "builtin": SuiteInfo(tasks=of_builtin),
            "perplexity": SuiteInfo(section=Section.HEALTH),
            "refusal": SuiteInfo(section=safety),
            "toxigen": SuiteInfo(title="ToxiGen", section=safety, tasks=toxic),
            "truthfulqa": SuiteInfo(title="TruthfulQA", section=safety, tasks=truth),
        }
    )
