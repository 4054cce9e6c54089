"""Reading a study file, with errors that name the key, the line and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sequela.evaluation.edit_quality import EditQualitySettings
from sequela.ground.errors import BadInputError, near_matches
from sequela.statistics import CorpusSpec
from sequela.studies.study import EditorChoice, EditsChoice, Study

Place = tuple[str | int, ...]

PARTS: dict[str, type[BaseModel]] = {
    "editors": EditorChoice,
    "edits": EditsChoice,
    "edit_quality": EditQualitySettings,
    "statistics": CorpusSpec,
}
"""The keys whose values have keys of their own."""


def read_study(path: Path) -> Study:
    """Reads a study file.

    Raises:
        BadInputError: It is missing, no YAML, or a key or value is wrong; named by line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"The study file {path} can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"The study file {path} is not UTF-8 text.") from error
    return study_from_text(text, str(path))


def study_from_text(text: str, name: str) -> Study:
    """Reads a study from YAML text; `name` stands for the file in errors.

    Raises:
        BadInputError: As `read_study`.
    """
    try:
        content = yaml.safe_load(text)
        lines = dict(_lines(yaml.compose(text, Loader=yaml.SafeLoader)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "can't be read"
        raise BadInputError(f"{name}{where}: this is not YAML: {problem}.") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{name}: a study is a table of keys and values, such as `name: my-study`.")
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        problems = [_told(problem, name, lines) for problem in error.errors()]
        raise BadInputError("\n".join(dict.fromkeys(problems))) from error


def _lines(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """The line (from 1) of every key and list item."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            inner = (*place, number)
            yield inner, value.start_mark.line + 1
            yield from _lines(value, inner)


def _told(problem: ErrorDetails, name: str, lines: dict[Place, int]) -> str:
    place: Place = tuple(problem["loc"])
    known = place
    while known and known not in lines:
        known = known[:-1]
    where = f"{name}, line {lines[known]}" if known else name
    key = ".".join(str(part) for part in place)
    if problem["type"] == "extra_forbidden":
        allowed = _allowed(place)
        near = near_matches(str(place[-1]), allowed)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown key {key!r}.{guess} Allowed: {', '.join(allowed)}."
    if problem["type"] == "missing":
        return f"{where}: the key {key!r} is missing."
    message = problem["msg"].removeprefix("Value error, ")
    given = _shown(problem["input"])
    return f"{where}: {key + ': ' if key else ''}{message}{given}."


def _allowed(place: Place) -> list[str]:
    model = PARTS.get(str(place[0]), Study) if len(place) > 1 else Study
    return sorted(model.model_fields)


def _shown(value: Any) -> str:
    return f" (given: {value!r})" if isinstance(value, str | int | float | bool | None) else ""
