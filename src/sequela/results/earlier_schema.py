"""Upgrades of records from earlier schema versions.

Schema 5 did not compare an edited model with the unedited one on the items that both answered, and knew no
thinking and no arguments of chat templates.

Schema 4 stored the losses and norms of an edit in tables by name, each with one or two entries. It stored a
method's variant with the costs of editing only, not with those of other steps. It called items longer than
the model's context `refused`, and distinguished a benchmark's subtasks from their group by name only.
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

LAST_BEFORE_MIGRATIONS = 6
"""The schema version that this module leads to; `migrations` leads from there to the current one."""

_TASK = re.compile(r"^(?P<name>.*?)(_\d+shot)?(_local)?(@\d+)?$")
"""A task name of schema 4 with its optional suffixes: few-shot examples, local data, version."""


def upgrade(connection: sqlite3.Connection, found: int) -> None:
    """Upgrades a database from schema 4 or 5 to schema 6 within a transaction of the caller.

    Args:
        connection: The database.
        found: Its schema version.
    """
    if found == 4:
        _upgrade_4(connection)
    _upgrade_5(connection)
    connection.execute("UPDATE store SET schema_version = ?", (LAST_BEFORE_MIGRATIONS,))


def _upgrade_5(connection: sqlite3.Connection) -> None:
    for column in (
        "shared JSON",
        "n_unfinished_thinking INTEGER NOT NULL DEFAULT 0",
        "edit_template_args JSON NOT NULL DEFAULT '{}'",
        "template_args JSON NOT NULL DEFAULT '{}'",
        "think_end_token VARCHAR NOT NULL DEFAULT ''",
        "max_thinking_tokens INTEGER",
    ):
        connection.execute(f"ALTER TABLE measurement ADD COLUMN {column}")


def _upgrade_4(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE measurement RENAME COLUMN n_refused TO n_too_long")
    for column in ("task_group", "subtask"):
        connection.execute(f"ALTER TABLE measurement ADD COLUMN {column} VARCHAR NOT NULL DEFAULT ''")
    _name_groups(connection)
    variants = _upgrade_edits(connection)
    _upgrade_costs(connection, variants)


def item_record_of_4(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields of an item record of schema 4 or later under the current names.

    The item files are not rewritten when a run is resumed, so the schema is recognized from the fields.
    """
    if "refused" not in content:
        return content
    details = content["details"]
    if "prompts" in details:
        details = {**details, "prompts": [_renamed(one) for one in details["prompts"]]}
    return {**_renamed(content), "details": details}


def edit_record_of_4(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of an edit record of schema 4 in the current form."""
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
    """Returns the group and the subtask that a task name of schema 4 denotes.

    Args:
        suite: The suite.
        task: The task name.
        tasks: All measured tasks of the suite.
    """
    name = _TASK.sub(r"\g<name>", task)
    known = suites_of_4().infos.get(suite)
    # A known suite has known groups. In any other suite, a group is a task whose name prefixes other names.
    groups = {_TASK.sub(r"\g<name>", one) for one in tasks} if known is None else set(known.tasks)
    matches = [one for one in groups if one == name or name.startswith(f"{one}_")]
    if not matches:
        return "", ""
    group = (min if known is None else max)(matches, key=len)
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
    """Rewrites the edit records and returns the key, method and variant of each trajectory."""
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
        # A cost from before the first trajectory has a known variant only if the method has a single one.
        of_method = by_editor.get(editor, set())
        only_variant = next(iter(of_method)) if len(of_method) == 1 else ""
        content["variant"] = by_trajectory.get(content.get("trajectory", ""), only_variant)
        connection.execute("UPDATE cost SET record = ? WHERE id = ?", (json.dumps(content), number))


def suites_of_4() -> Suites:
    """Returns the suites of runs whose manifests do not describe their suites."""
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
