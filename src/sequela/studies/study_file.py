"""Reading of study files, with errors that give the key, the line and the allowed values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sequela.core.arguments import check_path
from sequela.core.device_maps import read_device_map
from sequela.core.errors import BadInputError, SequelaError
from sequela.core.hardware_names import check_device_name
from sequela.core.text_files import read_text
from sequela.core.validation import Problem, problems_in
from sequela.core.visible_text import shortened
from sequela.core.yaml_files import MAX_YAML, Location, parse_yaml
from sequela.editors.hyperparameters import PRESET_NAMES, Hyperparameters
from sequela.editors.presets.presets import read_preset_file
from sequela.editors.registry import check_editor
from sequela.edits import EditSet, check_source
from sequela.evaluation.registry import check_suite
from sequela.inference.memory_limit import MemoryLimitError, check_memory_limit
from sequela.inference.registry import DEFAULT_ENGINE, ENGINE_REGISTRY
from sequela.models.names import check_model_name
from sequela.statistics.corpus_spec import local_file
from sequela.studies.edit_samples import check_samples
from sequela.studies.plugins import check_plugins_of_run
from sequela.studies.study import EditorChoice, Study, SuiteChoice
from sequela.studies.unknown_keys import allowed_keys, guess_key

LONGEST_SHOWN = 200
"""The number of characters of a wrong value that a message repeats."""

_NAME_FORM = "expected letters, digits, '.', '_' and '-', a letter or digit first"
"""The form of a study's name."""


def read_study(path: str | PathLike[str], output: Path | None = None) -> Study:
    """Reads a study file.

    Args:
        path: The file.
        output: The folder for the run, if the user chose one. If it has a run already, the plug-ins of that
            run are checked first: names that they provide would be unknown without them.

    Raises:
        BadInputError: The file can't be read, is not YAML, or has an invalid key, value or name; the message
            gives the line. Or a plug-in that the run used is not installed.
    """
    path = check_path("path", path)
    try:
        text = read_text(path, limit=MAX_YAML)
    except BadInputError as error:
        raise BadInputError(f"The study file {error.message}", hint=error.hint) from error
    return study_from_text(text, str(path), lambda study: check_plugins_of_run(run_folder(study, output)))


def run_folder(study: Study, output: Path | None) -> Path:
    """Returns the folder for a study's run: the one that the user chose, or `runs/<name of the study>`."""
    return output or Path("runs") / study.name


def study_from_text(text: str, name: str, before: Callable[[Study], None] = lambda study: None) -> Study:
    """Reads a study from YAML text.

    Args:
        text: The text.
        name: The name of the file in errors.
        before: A further check, made before names are looked up.

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
        problems = _worth_reporting(problems_in(error))
        sentences = [_described(problem, name, lines, content) for problem in problems]
        raise BadInputError("\n".join(dict.fromkeys(sentences))) from error
    before(study)
    _check_names(study, name, lines)
    return study


def check_memory(study: Study) -> None:
    """Rejects a memory limit that is too low whatever else the process does, before a model is loaded.

    Raises:
        MemoryLimitError: The limit is too low.
    """
    if study.engine == DEFAULT_ENGINE:
        check_memory_limit(study.memory, study.models, study.dtype)


def check_device(study: Study, path: Path) -> None:
    """Checks that the device which a study names is available; imports PyTorch if it is not the processor.

    Args:
        study: The study.
        path: Its file.

    Raises:
        SequelaError: The device is not available; the message gives the line.
    """
    if study.device is None or study.device.startswith("cpu"):
        return
    from sequela.models.loading import choose_device

    try:
        choose_device(study.device)
    except SequelaError as error:
        line = parse_yaml(read_text(path, limit=MAX_YAML), str(path)).lines.get(("device",), 1)
        raise BadInputError(f"{path}, line {line}: device: {error.message}", hint=error.hint) from error


def _check_names(study: Study, name: str, lines: dict[Location, int]) -> None:
    """Checks the study's names, settings and local files, without importing PyTorch."""
    edits: list[EditSet] = []
    checks: list[tuple[Location, Callable[[], object]]] = []
    if study.device is not None:
        checks.append((("device",), lambda: check_device_name(str(study.device))))
    if study.device_map is not None:
        checks.append((("device_map",), lambda: _check_device_map(study)))
    for number, model in enumerate(study.models):
        checks.append((("models", number), lambda m=model: check_model_name(m)))  # type: ignore[misc]
    checks.append((("edits",), lambda: edits.extend(_edits_at_hand(study))))
    checks.append((_key_of_count(lines), lambda: _check_count(study, edits)))
    checks.append((("statistics", "source"), lambda: local_file(study.statistics.source)))
    checks.append((("engine",), lambda: ENGINE_REGISTRY.get(study.engine)))
    checks.append((("edit_quality", "metrics"), study.edit_quality.further_metrics))
    for number, editor in enumerate(study.editors):
        checks.append((("editors", number), lambda e=editor: _check_editor(e, edits)))  # type: ignore[misc]
        checks.append((("editors", number), lambda n=number: _check_only_once(study.editors, n)))  # type: ignore[misc]
    for number, suite in enumerate(study.suites):
        checks.append((("suites", number), lambda s=suite: check_suite(s.name, s.options)))  # type: ignore[misc]
        checks.append((("suites", number), lambda n=number: _check_only_once(study.suites, n)))  # type: ignore[misc]
    checks.append((("memory",), lambda: check_memory(study)))
    for location, check in checks:
        try:
            check()
        except SequelaError as error:
            where = f"{name}, line {_line_of_named(error.message, location, lines)}"
            if isinstance(error, MemoryLimitError):
                error = error.naming("`memory`")
            raise BadInputError(f"{where}: {error.message}", hint=error.hint) from error


def _check_device_map(study: Study) -> None:
    if study.device_map is None:
        return
    read_device_map(study.device_map)
    if study.device is not None:
        raise BadInputError(
            "A study has either `device` or `device_map`, not both.", hint="Remove one of them."
        )
    if study.engine != DEFAULT_ENGINE:
        raise BadInputError(
            f"The engine {study.engine!r} places the weights itself; `device_map` has no effect on it.",
            hint=f"Remove `device_map`, or use the engine {DEFAULT_ENGINE}.",
        )


def _check_only_once(choices: Sequence[EditorChoice] | Sequence[SuiteChoice], number: int) -> None:
    if choices[number] in choices[:number]:
        raise BadInputError(
            f"The study has {choices[number].name} twice with the same settings.", hint="Remove one of them."
        )


def _check_editor(choice: EditorChoice, edits: Sequence[EditSet]) -> None:
    checked = check_editor(choice.name, choice.settings)
    checked.info.check_batch_size(choice.batch_size)
    if isinstance(checked.settings, Hyperparameters):
        if checked.settings.preset not in PRESET_NAMES:
            read_preset_file(Path(checked.settings.preset), checked.method)
        checked.settings.check_data()
    for some in edits:
        checked.info.check_subjects(some)


def _edits_at_hand(study: Study) -> Iterator[EditSet]:
    """Yields the study's edits if they can be read in a moment."""
    found = check_source(study.edits.source, study.edits.path)
    if found is not None:
        yield found


def _check_count(study: Study, edits: Sequence[EditSet]) -> None:
    needed = study.edits.count or study.n_edits
    for some in edits:
        if needed > len(some):
            by_default = study.edits.count is None and "checkpoints" not in study.model_fields_set
            what = f"edits.count = {needed}" if study.edits.count else study.name_of_checkpoint(needed)
            most = len(some)
            raise BadInputError(
                f"{what} needs {needed} edits, but the source {some.name!r} has {most}.",
                hint=f"Set `checkpoints`, such as `checkpoints: [0, {most}]`, or choose another source."
                if by_default
                else f"Choose at most {most}, or another source.",
            )
        check_samples(some, study.edits)


def _key_of_count(lines: dict[Location, int]) -> Location:
    """Returns the key that sets the number of edits."""
    keys: tuple[Location, ...] = (("edits", "count"), ("checkpoints",), ("edits",))
    return next((key for key in keys if key in lines), ())


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
    within = {one.location[:length] for one in problems for length in range(1, len(one.location))}
    return [one for one in problems if one.code != "too_short" or one.location not in within]


def _described(problem: Problem, name: str, lines: dict[Location, int], content: dict[str, Any]) -> str:
    location = known = problem.location
    while known and known not in lines:
        known = known[:-1]
    where = f"{name}, line {lines[known]}" if known else name
    key = problem.key
    if problem.kind == "unknown":
        allowed = allowed_keys(location)
        guess = guess_key(location, content)
        return f"{where}: unknown key {key!r}.{guess} Allowed: {', '.join(allowed)}."
    if problem.kind == "missing":
        return f"{where}: the key {key!r} is missing."
    message = _NAME_FORM if key == "name" and problem.code == "string_pattern_mismatch" else problem.message
    given = _shown(problem.given)
    return f"{where}: {key + ': ' if key else ''}{message}{given}."


def _shown(value: Any) -> str:
    if not isinstance(value, str | int | float | bool | None):
        return ""
    return f" (given: {shortened(repr(value), LONGEST_SHOWN)})"
