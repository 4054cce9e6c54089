"""Reading a study file, with errors that name the key, the line and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sequela.core.errors import BadInputError, SequelaError, near_matches
from sequela.core.validation import Problem, problems_in
from sequela.editors import BadEditPolicy
from sequela.editors.registry import check_editor
from sequela.edits import check_source
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.monitor_rules import MonitorSettings
from sequela.evaluation.registry import check_options
from sequela.inference.registry import ENGINE_REGISTRY
from sequela.models.names import check_model_name
from sequela.statistics.corpus_spec import CorpusSpec, local_file
from sequela.studies.study import EditorChoice, EditsChoice, Study, SuiteChoice

Place = tuple[str | int, ...]

PARTS: dict[str, type[BaseModel]] = {
    "editors": EditorChoice,
    "edits": EditsChoice,
    "suites": SuiteChoice,
    "edit_quality": EditQualitySettings,
    "statistics": CorpusSpec,
    "alarms": MonitorSettings,
    "on_bad_edit": BadEditPolicy,
}
"""The keys whose values have keys of their own."""

_KINDS = {
    "tuple_type": "expected a list",
    "dict_type": "expected a table of keys and values",
    "model_type": "expected a table of keys and values",
    "model_attributes_type": "expected a table of keys and values",
    "string_type": "expected a text",
    "byte_size": "expected a size such as 4GiB",
    "byte_size_unit": "expected a size such as 4GiB",
    "too_short": "the list is empty",
    "string_pattern_mismatch": "expected letters, digits, '.', '_' and '-', a letter or digit first",
}
"""Pydantic's kinds of errors in the words of a study file, where Python's wouldn't be understood."""


def read_study(path: Path) -> Study:
    """Reads a study file.

    Raises:
        BadInputError: It is missing, no YAML, or a key, value or name is wrong; told with the line.
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
        lines: dict[Place, int] = {}
        for place, line in _lines(yaml.compose(text, Loader=yaml.SafeLoader)):
            if place in lines:
                raise BadInputError(
                    f"{name}, line {line}: the key {_dotted(place)!r} stands in line {lines[place]} already."
                )
            lines[place] = line
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "can't be read"
        raise BadInputError(f"{name}{where}: this is not YAML: {problem}.") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{name}: a study is a table of keys and values, such as `name: my-study`.")
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        problems = [_described(problem, name, lines) for problem in _worth_reporting(problems_in(error))]
        raise BadInputError("\n".join(dict.fromkeys(problems))) from error
    _check_names(study, name, lines)
    return study


def _check_names(study: Study, name: str, lines: dict[Place, int]) -> None:
    """Asks the registries about the study's names and settings; none of them imports PyTorch for it."""
    asked: list[tuple[Place, Callable[[], object]]] = []
    for number, model in enumerate(study.models):
        asked.append((("models", number), lambda m=model: check_model_name(m)))  # type: ignore[misc]
    asked.append((("edits",), lambda: check_source(study.edits.source, study.edits.path)))
    asked.append((("statistics", "source"), lambda: local_file(study.statistics.source)))
    asked.append((("engine",), lambda: ENGINE_REGISTRY.get(study.engine)))
    asked.append((("edit_quality", "metrics"), study.edit_quality.further_metrics))
    for number, editor in enumerate(study.editors):
        asked.append((("editors", number), lambda e=editor: _check_editor(e)))  # type: ignore[misc]
    for number, suite in enumerate(study.suites):
        asked.append((("suites", number), lambda s=suite: check_options(s.name, s.options)))  # type: ignore[misc]
    for place, ask in asked:
        try:
            ask()
        except SequelaError as error:
            where = f"{name}, line {_line_of_named(error.message, place, lines)}"
            raise BadInputError(f"{where}: {error.message}", hint=error.hint) from error


def _check_editor(choice: EditorChoice) -> None:
    check_editor(choice.name, choice.settings).info.check_batch_size(choice.batch_size)


def _line_of_named(message: str, place: Place, lines: dict[Place, int]) -> int:
    """The line of the setting below `place` that the message speaks of, else that of `place`."""
    for inner, line in lines.items():
        key = inner[-1]
        below = len(inner) > len(place) and inner[: len(place)] == place
        if below and (repr(key) in message or f"{key} =" in message):
            return line
    return lines.get(place, 1)


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


def _worth_reporting(problems: list[Problem]) -> list[Problem]:
    """Leaves out lists that are empty only because their items are wrong."""
    wrong = {problem.location[0] for problem in problems if len(problem.location) > 1}
    return [one for one in problems if one.code != "too_short" or one.location[0] not in wrong]


def _described(problem: Problem, name: str, lines: dict[Place, int]) -> str:
    place = known = problem.location
    while known and known not in lines:
        known = known[:-1]
    where = f"{name}, line {lines[known]}" if known else name
    key = problem.key
    if problem.kind == "unknown":
        allowed = _allowed(place)
        near = near_matches(str(place[-1]), allowed)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown key {key!r}.{guess} Allowed: {', '.join(allowed)}."
    if problem.kind == "missing":
        return f"{where}: the key {key!r} is missing."
    message = _KINDS.get(problem.code, problem.message)
    given = _shown(problem.given)
    return f"{where}: {key + ': ' if key else ''}{message}{given}."


def _allowed(place: Place) -> list[str]:
    model = PARTS.get(str(place[0]), Study) if len(place) > 1 else Study
    return sorted(model.model_fields)


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place)


def _shown(value: Any) -> str:
    return f" (given: {value!r})" if isinstance(value, str | int | float | bool | None) else ""
