"""The keys of a harness definition that a task file may set under `harness`, and the checks of their values.

They are the keys that shape prompts and choices. Keys that name code, and those by which the harness scores
answers, are refused: Sequela reads and scores the answers itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2

from sequela.core.numbers import MAX_LENGTH
from sequela.core.validation import suggestion
from sequela.evaluation.lm_eval.sandbox.budget import LimitError
from sequela.evaluation.lm_eval.sandbox.rendering import check_syntax
from sequela.evaluation.lm_eval.template_errors import in_words

OUTPUT_TYPES = ("multiple_choice", "generate_until")

_CODE = (
    "class",
    "custom_dataset",
    "dataset_kwargs",
    "doc_to_audio",
    "doc_to_image",
    "process_docs",
    "process_results",
    "unsafe_code",
    "use_prompt",
)
"""Keys that name code or run it."""

_SCORING = ("metric_list", "filter_list", "repeats", "should_decontaminate", "doc_to_decontamination_query")
"""Keys of the harness's own scoring."""

_ELSEWHERE = {
    "num_fewshot": "shots",
    "task": "benchmark",
    "include": "include",
    "training_split": "examples",
    "test_split": "items",
    "metadata": "version",
}
"""Keys that are fields of the task file itself."""

Check = Callable[[Any], str]
"""Returns what is wrong with a value, or an empty text."""


def problem_of(harness: Mapping[str, Any], output_type: str) -> str:
    """Returns what is wrong with the keys under `harness`; an empty text if nothing is.

    Args:
        harness: The keys and values.
        output_type: The output type of the task file's protocol.
    """
    for key, value in harness.items():
        if value is None and key in (*CHECKS, *_CODE, *_SCORING):
            continue  # removes a key of the included definition
        if key not in CHECKS:
            return f"harness.{key} {_why_not(str(key))}"
        if wrong := CHECKS[key](value):
            return f"harness.{key} {wrong}"
    if harness.get("output_type") not in (None, output_type):
        return (
            f"harness.output_type is {harness['output_type']}, but the protocol implies {output_type}; "
            "leave it out"
        )
    return ""


def field_of(template: str, fields: Mapping[str, Any]) -> str:
    """Returns the name of the field that has a template, such as `harness.doc_to_text`; empty if none has."""
    for name, value in fields.items():
        if value == template:
            return name
        if isinstance(value, Mapping) and (inner := field_of(template, value)):
            return f"{name}.{inner}"
    return ""


def reason_of(
    error: Exception,
    task: str,
    fields: Mapping[str, Any],
    field: str = "",
    record: Mapping[str, Any] | None = None,
) -> str:
    """Returns why something can't be built, with the field that has the template, where it is known.

    Args:
        error: What was raised.
        task: The name of the task.
        fields: The fields of the task that may have templates.
        field: The field that was rendered, if known.
        record: The record that it was rendered for, if known.
    """
    if not isinstance(error, LimitError):
        named = f"{field} of the task {task!r}: " if field else ""
        return f"{named}{in_words(error, record)}"
    return f"{field_of(error.template, fields) or 'a template'} of the task {task!r}: {error}"


def _why_not(key: str) -> str:
    if key in _CODE:
        return "is not allowed: a task file is data and runs no code"
    if key in _SCORING:
        return "is not allowed: answers are scored by the fields `readings` and `metrics`"
    if key in _ELSEWHERE:
        return f"is not allowed; use the field {_ELSEWHERE[key]!r} of the task file"
    return f"is unknown{suggestion(key, list(CHECKS))}; known: {', '.join(CHECKS)}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) else f"is {value!r}, expected a text"


def _template(value: Any) -> str:
    if not isinstance(value, str):
        return f"is {value!r}, expected a template"
    try:
        check_syntax(value)
    except jinja2.TemplateSyntaxError as error:
        return f"is not a valid template: {error.message} (line {error.lineno})"
    return ""


def _target(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else _template(value)


def _choices(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(choice, str) for choice in value):
        wrong = ((number, _template(choice)) for number, choice in enumerate(value, start=1))
        return next((f"has a choice {number} that {problem}" for number, problem in wrong if problem), "")
    return _template(value) if isinstance(value, str) else "is neither a template nor a list of texts"


def _examples(value: Any) -> str:
    if not isinstance(value, dict):
        return "is not a mapping"
    for key, inner in value.items():
        if key not in _OF_EXAMPLES:
            return f"has the unknown key {key!r}{suggestion(key, list(_OF_EXAMPLES))}"
        if inner is not None and (wrong := _OF_EXAMPLES[key](inner)):
            return f"has a {key} that {wrong}"
    return ""


def _sampler(value: Any) -> str:
    known = ("first_n", "default")
    return "" if value in known else f"is {value!r}, expected {' or '.join(known)}"


def _samples(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return ""
    return "is not a list of items"


def _generation(value: Any) -> str:
    if not isinstance(value, dict):
        return "is not a mapping"
    known = ("until", "do_sample", "temperature")
    for key in value:
        if key == "max_gen_toks":
            return "has max_gen_toks; use the field 'max_new_tokens' of the task file"
        if key not in known:
            return f"has the unknown key {key!r}{suggestion(str(key), known)}"
    if value.get("do_sample") or value.get("temperature"):
        return "asks for sampling; answers are generated greedily"
    return stop_problem(value.get("until"))


def length_problem(max_gen_toks: Any) -> str:
    """Returns what is wrong with a definition's maximum length of answers; an empty text if nothing is."""
    if max_gen_toks is None:
        return ""
    is_whole = isinstance(max_gen_toks, int) and not isinstance(max_gen_toks, bool)
    if is_whole and 1 <= max_gen_toks <= MAX_LENGTH:
        return ""
    return f"has the max_gen_toks {max_gen_toks!r}, expected a whole number from 1 to {MAX_LENGTH:,}"


def stop_problem(until: Any) -> str:
    """Returns what is wrong with the stop texts of a definition; an empty text if nothing is."""
    if until is None:
        return ""
    stops: Sequence[Any] = [until] if isinstance(until, str) else until
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        return "has an `until` that is neither a text nor a list of texts"
    if "" in stops:
        return "has an empty text under `until`, at which every answer would end before it begins"
    return ""


_OF_EXAMPLES: Mapping[str, Check] = {
    "sampler": _sampler,
    "split": _text,
    "samples": _samples,
    "doc_to_text": _template,
    "doc_to_choice": _choices,
    "doc_to_target": _target,
    "gen_prefix": _template,
    "fewshot_delimiter": _text,
    "target_delimiter": _text,
}

CHECKS: Mapping[str, Check] = {
    "doc_to_text": _template,
    "doc_to_choice": _choices,
    "doc_to_target": _target,
    "description": _template,
    "gen_prefix": _template,
    "target_delimiter": _text,
    "fewshot_delimiter": _text,
    "fewshot_split": _text,
    "fewshot_config": _examples,
    "generation_kwargs": _generation,
    "output_type": lambda value: "" if value in OUTPUT_TYPES else f"is {value!r}",
    "dataset_path": lambda value: (
        _text(value) or ("names a script" if str(value).endswith((".py", "/")) else "")
    ),
    "dataset_name": _text,
}
"""The keys that may be set, each with its check."""
