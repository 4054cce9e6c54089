"""Reading of study files, with errors that give the key, the line and the allowed values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sequela.core.errors import BadInputError, SequelaError, near_matches
from sequela.core.text_files import read_text
from sequela.core.validation import Problem, problems_in
from sequela.core.yaml_files import MAX_YAML, Location, parse_yaml
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

PARTS: dict[str, type[BaseModel]] = {
    "editors": EditorChoice,
    "edits": EditsChoice,
    "suites": SuiteChoice,
    "edit_quality": EditQualitySettings,
    "statistics": CorpusSpec,
    "alarms": MonitorSettings,
    "on_bad_edit": BadEditPolicy,
}
"""The keys whose values are tables themselves."""

LONGEST_SHOWN = 200
"""The number of characters of a wrong value that a message repeats."""

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
"""Messages for those of pydantic's error types whose own message is in terms of Python."""


def read_study(path: Path) -> Study:
    """Reads a study file.

    Raises:
        BadInputError: The file can't be read, is not YAML, or has an invalid key, value or name; the message
            gives the line.
    """
    try:
        text = read_text(path, limit=MAX_YAML)
    except BadInputError as error:
        raise BadInputError(f"The study file {error.message}", hint=error.hint) from error
    return study_from_text(text, str(path))


def study_from_text(text: str, name: str) -> Study:
    """Reads a study from YAML text; `name` is used as the name of the file in errors.

    Raises:
        BadInputError: The text is not YAML, or has an invalid key, value or name.
    """
    document = parse_yaml(text, name)
    content, lines = document.content, document.lines
    if not isinstance(content, dict):
        raise BadInputError(f"{name}: a study is a table of keys and values, such as `name: my-study`.")
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        problems = [_described(problem, name, lines) for problem in _worth_reporting(problems_in(error))]
        raise BadInputError("\n".join(dict.fromkeys(problems))) from error
    _check_names(study, name, lines)
    return study


def _check_names(study: Study, name: str, lines: dict[Location, int]) -> None:
    """Checks the study's names and settings with the registries, none of which imports PyTorch for it."""
    checks: list[tuple[Location, Callable[[], object]]] = []
    for number, model in enumerate(study.models):
        checks.append((("models", number), lambda m=model: check_model_name(m)))  # type: ignore[misc]
    checks.append((("edits",), lambda: check_source(study.edits.source, study.edits.path)))
    checks.append((("statistics", "source"), lambda: local_file(study.statistics.source)))
    checks.append((("engine",), lambda: ENGINE_REGISTRY.get(study.engine)))
    checks.append((("edit_quality", "metrics"), study.edit_quality.further_metrics))
    for number, editor in enumerate(study.editors):
        checks.append((("editors", number), lambda e=editor: _check_editor(e)))  # type: ignore[misc]
        checks.append((("editors", number), lambda n=number: _check_only_once(study.editors, n)))  # type: ignore[misc]
    for number, suite in enumerate(study.suites):
        checks.append((("suites", number), lambda s=suite: check_options(s.name, s.options)))  # type: ignore[misc]
        checks.append((("suites", number), lambda n=number: _check_only_once(study.suites, n)))  # type: ignore[misc]
    for location, check in checks:
        try:
            check()
        except SequelaError as error:
            where = f"{name}, line {_line_of_named(error.message, location, lines)}"
            raise BadInputError(f"{where}: {error.message}", hint=error.hint) from error


def _check_only_once(choices: Sequence[EditorChoice] | Sequence[SuiteChoice], number: int) -> None:
    if choices[number] in choices[:number]:
        raise BadInputError(
            f"The study has {choices[number].name} twice with the same settings.", hint="Remove one of them."
        )


def _check_editor(choice: EditorChoice) -> None:
    check_editor(choice.name, choice.settings).info.check_batch_size(choice.batch_size)


def _line_of_named(message: str, location: Location, lines: dict[Location, int]) -> int:
    """Returns the line of the nested setting that a message mentions, or else that of `location`."""
    for inner, line in lines.items():
        key = inner[-1]
        below = len(inner) > len(location) and inner[: len(location)] == location
        if below and (repr(key) in message or f"{key} =" in message):
            return line
    return lines.get(location, 1)


def _worth_reporting(problems: list[Problem]) -> list[Problem]:
    """Omits the problem of an empty list if the list is empty only because its items are invalid."""
    invalid = {problem.location[0] for problem in problems if len(problem.location) > 1}
    return [one for one in problems if one.code != "too_short" or one.location[0] not in invalid]


def _described(problem: Problem, name: str, lines: dict[Location, int]) -> str:
    location = known = problem.location
    while known and known not in lines:
        known = known[:-1]
    where = f"{name}, line {lines[known]}" if known else name
    key = problem.key
    if problem.kind == "unknown":
        allowed = _allowed(location)
        near = near_matches(str(location[-1]), allowed)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown key {key!r}.{guess} Allowed: {', '.join(allowed)}."
    if problem.kind == "missing":
        return f"{where}: the key {key!r} is missing."
    message = _KINDS.get(problem.code, problem.message)
    given = _shown(problem.given)
    return f"{where}: {key + ': ' if key else ''}{message}{given}."


def _allowed(location: Location) -> list[str]:
    model = PARTS.get(str(location[0]), Study) if len(location) > 1 else Study
    return sorted(model.model_fields)


def _shown(value: Any) -> str:
    if not isinstance(value, str | int | float | bool | None):
        return ""
    text = repr(value)
    return f" (given: {text if len(text) <= LONGEST_SHOWN else f'{text[:LONGEST_SHOWN]}…'})"
