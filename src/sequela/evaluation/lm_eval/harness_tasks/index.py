"""An index of the harness's tasks and groups, read from its YAML files without importing it.

The harness's own index parses 14,000 YAML files, which takes eight seconds of processor time. Here only the
few top-level keys that define names are read from the text of the files, in under a second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.paths import user_path
from sequela.core.text_files import read_text
from sequela.core.yaml_files import MAX_YAML, PlainLoader, parse_yaml
from sequela.evaluation.lm_eval.catalog import definitions_folder, is_path

_TOP_LEVEL = re.compile(
    r"""^(?P<quote>["']?)(?P<key>task|group|tag|include|class)(?P=quote)[ ]*:[ ]*(?P<value>.*)$""",
    re.MULTILINE,
)
_LIST_ITEM = re.compile(r"\s*(?:#.*)?\n\s*-\s*([^\n]*)")
_QUOTED = re.compile(r"""(["'])(.*?)\1""")


class FunctionName(str):
    """The name of a Python function that a definition refers to, in place of the function."""

    __slots__ = ()


@dataclass(frozen=True)
class TaskIndex:
    """The tasks, groups and tags of the installed harness, by name.

    Args:
        tasks: The file of each single task.
        groups: The file of each group.
        tags: The tasks with each tag.
    """

    tasks: Mapping[str, Path]
    groups: Mapping[str, Path]
    tags: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """All names in alphabetical order."""
        return tuple(sorted({*self.tasks, *self.groups, *self.tags}))


@dataclass(frozen=True)
class Members:
    """The tasks that a name includes.

    Args:
        files: The YAML file of each task, by the task's name.
        group_files: The YAML files of the group and its subgroups.
    """

    files: Mapping[str, Path]
    group_files: tuple[Path, ...]

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the definitions."""
        return tuple(sorted({path.parent for path in (*self.files.values(), *self.group_files)}))


def members_of(name: str) -> Members:
    """Returns the tasks of a task, group or tag, or those of a YAML file of the user's own.

    Raises:
        UnknownNameError: The installed harness defines no such name.
        BadInputError: The file is missing or defines no task.
        SequelaError: lm-evaluation-harness is not installed.
    """
    if is_path(name):
        return _members_of_file(user_path(name))
    index = read_index(definitions_folder())
    if name not in index.tasks and name not in index.groups and name not in index.tags:
        raise UnknownNameError("task of lm-evaluation-harness", name, index.names)
    files: dict[str, Path] = {}
    group_files: list[Path] = []
    _collect(name, index, files, group_files)
    return Members(files, tuple(group_files))


@lru_cache(maxsize=1)
def read_index(folder: Path) -> TaskIndex:
    """Returns the index of a folder of YAML files; the first definition of a name counts.

    Args:
        folder: The harness's folder of definitions; it is read only once.
    """
    tasks: dict[str, Path] = {}
    groups: dict[str, Path] = {}
    tags: dict[str, list[str]] = {}
    included: dict[Path, dict[str, list[str]]] = {}
    for path in _yaml_files(folder):
        keys = _keys_with_includes(path, included, ())
        if "class" not in keys and "group" in keys:
            for name in keys["group"][:1]:
                if name not in tasks:
                    groups.setdefault(name, path)
        elif len(keys.get("task", [])) == 1:
            (name,) = keys["task"]
            if name in tasks or name in groups:
                continue
            tasks[name] = path
            for tag in keys.get("tag", []):
                tags.setdefault(tag, []).append(name)
    return TaskIndex(tasks, groups, {tag: tuple(sorted(names)) for tag, names in tags.items()})


def definition_files(path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yields a definition's file and all files that it includes.

    Args:
        path: The file.
        above: The files that include it.

    Raises:
        BadInputError: An included file is missing, is no definition, or includes itself.
    """
    yield path
    for name in _included(read_plain(path)):
        included = path.parent / name
        if not included.is_file():
            raise BadInputError(f"{path} includes {name}, which is missing.")
        if included.resolve() in (*above, path.resolve()):
            raise BadInputError(f"{path} includes {name}, which includes it in turn.")
        yield from definition_files(included, (*above, path.resolve()))


def read_whole(path: Path) -> dict[str, Any]:
    """Reads a YAML definition with the files that it includes; its own keys take precedence.

    Raises:
        BadInputError: As for `definition_files`.
    """
    for _ in definition_files(path):  # all of them are there and none includes itself
        pass
    return _merged(path)


def _merged(path: Path) -> dict[str, Any]:
    own = read_plain(path)
    whole: dict[str, Any] = {}
    for name in _included(own):
        whole |= _merged(path.parent / name)
    return whole | {key: value for key, value in own.items() if key != "include"}


def _included(definition: Mapping[str, Any]) -> list[str]:
    names = definition.get("include") or []
    return [names] if isinstance(names, str) else [str(name) for name in names]


def read_plain(path: Path) -> dict[str, Any]:
    """Reads a YAML definition without its included files; functions are replaced by their names.

    Raises:
        BadInputError: The file is not a YAML mapping.
    """

    class Loader(PlainLoader):
        """A loader of YAML with `!function`."""

    def function_name(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> FunctionName:
        return FunctionName(loader.construct_scalar(node))

    Loader.add_constructor("!function", function_name)
    try:
        text = read_text(path, limit=MAX_YAML)
        content = parse_yaml(text, str(path), Loader, unique_keys=False).content
    except BadInputError as error:
        raise BadInputError(f"{path} can't be read as a task definition: {error}", hint=error.hint) from error
    if not isinstance(content, dict):
        raise BadInputError(
            f"{path} is not a task definition: expected keys and values, such as `task: my_task`."
        )
    return content


def _members_of_file(path: Path) -> Members:
    if not path.is_file():
        raise BadInputError(f"The file {path} does not exist.", hint="Name a task definition in YAML.")
    whole = read_whole(path)
    name = whole.get("task")
    if "group" in whole or not isinstance(name, str):
        raise BadInputError(
            f"{path} does not define a single task.",
            hint="Name a file with `task: NAME`; groups can be run only if they come with the harness.",
        )
    return Members({name: path}, ())


def _collect(name: str, index: TaskIndex, files: dict[str, Path], group_files: list[Path]) -> None:
    if name in index.groups:
        path = index.groups[name]
        if path not in group_files:
            group_files.append(path)
            _collect_children(read_plain(path).get("task") or [], index, files, group_files)
    elif name in index.tasks:
        files[name] = index.tasks[name]
    else:
        for task in index.tags[name]:
            files[task] = index.tasks[task]


def _collect_children(
    children: Any, index: TaskIndex, files: dict[str, Path], group_files: list[Path]
) -> None:
    for child in [children] if isinstance(children, str | dict) else children:
        name = child if isinstance(child, str) else child.get("group") or child.get("task")
        if isinstance(name, str) and (name in index.groups or name in index.tasks or name in index.tags):
            _collect(name, index, files, group_files)
        elif isinstance(child, dict) and "group" in child:
            _collect_children(child.get("task") or [], index, files, group_files)


def _yaml_files(folder: Path) -> list[Path]:
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        if not parent.endswith((".ipynb_checkpoints", "__pycache__"))
        for name in names
        if name.endswith(".yaml")
    ]
    return sorted(found, key=Path.as_posix)


def _keys_with_includes(
    path: Path, included: dict[Path, dict[str, list[str]]], above: tuple[Path, ...]
) -> dict[str, list[str]]:
    """Returns the values of the relevant keys; a file's own take precedence over included ones."""
    own = _keys(path)
    inherited: dict[str, list[str]] = {}
    for name in own.get("include", []):
        target = path.parent / name
        if target in above or not target.is_file():
            continue
        if target not in included:
            included[target] = _keys_with_includes(target, included, (*above, path))
        inherited |= included[target]
    return {**inherited, **own}


def _keys(path: Path) -> dict[str, list[str]]:
    text = path.read_text(encoding="utf-8", errors="replace")
    found: dict[str, list[str]] = {}
    for match in _TOP_LEVEL.finditer(text):
        values = _values(match["value"].rstrip("\r"), text, match.end())
        found[match["key"]] = values
    return found


def _values(value: str, text: str, end: int) -> list[str]:
    """Returns the strings of a YAML value on one line, or of the list below it."""
    value = value.strip()
    if value.startswith("["):
        return [_scalar(one) for one in value.partition("]")[0][1:].split(",") if one.strip()]
    if value and not value.startswith("#"):
        return [_scalar(value)]
    items: list[str] = []
    while match := _LIST_ITEM.match(text, end):
        items.append(_scalar(match[1]))
        end = match.end()
    return items


def _scalar(value: str) -> str:
    value = value.strip()
    quoted = _QUOTED.match(value)
    return quoted[2] if quoted else re.split(r"\s+#", value)[0].strip()
