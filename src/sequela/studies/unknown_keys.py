"""Suggestions for the unknown keys of a study file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from sequela.core.errors import SequelaError, near_matches
from sequela.core.other_words import meant_by
from sequela.core.yaml_files import Location
from sequela.editors import BadEditPolicy
from sequela.editors.registry import check_editor
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.monitor_rules import MonitorSettings
from sequela.statistics.corpus_spec import CorpusSpec
from sequela.studies.study import EditorChoice, EditsChoice, Study, SuiteChoice

PARTS: Mapping[str, type[BaseModel]] = {
    "editors": EditorChoice,
    "edits": EditsChoice,
    "suites": SuiteChoice,
    "edit_quality": EditQualitySettings,
    "statistics": CorpusSpec,
    "alarms": MonitorSettings,
    "on_bad_edit": BadEditPolicy,
}
"""The keys whose values are tables themselves."""

OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    "alarms": ("health", "health check", "monitor"),
    "alarms.every": ("interval", "health interval", "monitor every"),
    "alarms.stop_when": (
        "health rule",
        "rule",
        "early stop",
        "early stopping",
        "stop",
        "stop rule",
        "collapse",
    ),
    "device": ("gpu", "accelerator"),
    "device_map": ("offload", "placement", "max memory per device"),
    "dtype": ("precision", "data type"),
    "edit_quality": ("quality", "probe", "efficacy"),
    "edit_quality.metrics": ("edit metric", "quality metric"),
    "editors": ("method", "algorithm", "editing method", "technique"),
    "editors.name": ("regularizer", "regularization", "regulariser"),
    "editors.settings": ("setting", "hyperparameter", "hyper parameter", "hparam", "parameter", "param"),
    "edits": ("fact", "data", "data set", "dataset", "request", "source"),
    "edits.count": ("n edits", "num edits", "number of edits", "edit count", "limit"),
    "edits.samples": ("sample", "edit sample", "sample seed", "subset", "edit seed"),
    "engine": ("backend",),
    "evaluation_template": ("template", "chat template", "prompt template"),
    "evaluation_template_args": ("chat template args", "template args"),
    "memory": ("memory limit", "max memory", "ram"),
    "models": ("language model", "checkpoint path", "llm"),
    "on_bad_edit": ("bad edit", "explosive edit", "bad edit policy"),
    "order_seeds": ("shuffle seed", "order", "shuffle", "permutation", "trajectory", "trajectories"),
    "statistics": ("covariance", "key covariance", "key statistic", "corpus", "mom2"),
    "suites": ("benchmark", "task", "evaluation", "eval", "evaluate", "metric", "measurement"),
    "think_end_token": ("thinking token", "end of thinking"),
}
"""Words of the glossary and of other programs for the keys of a study, in the singular, by key."""

_CLOSE = 0.8
"""The least similarity of a key to one of another table; names there have nothing else in common."""


def allowed_keys(location: Location) -> list[str]:
    """Returns the keys of the table in which a key is, in alphabetical order."""
    model = PARTS.get(str(location[0]), Study) if len(location) > 1 else Study
    return sorted(model.model_fields)


def guess_key(location: Location, content: Mapping[str, Any]) -> str:
    """Returns a sentence with the key that is probably meant by an unknown one; empty if none is likely.

    Args:
        location: The location of the unknown key.
        content: The study file.
    """
    key, allowed = str(location[-1]), allowed_keys(location)
    if location[0] == "editors" and len(location) > 1:
        settings = _settings_of(content["editors"][int(location[1])].get("name"))
        # A misspelled setting is more likely than a misspelled key of another part of the study.
        if (near := near_matches(key, [*settings, *allowed])) and near[0] in settings:
            return f" Did you mean 'settings.{near[0]}'? The settings of a method are under `settings`."
    meant = meant_by(key, OTHER_WORDS)
    if near := near_matches(key, allowed, cutoff=_CLOSE if meant else 0.5):
        return f" Did you mean {near[0]!r}?"
    if meant == "editors.name":
        return " Did you mean 'editors.name'? A regularizer follows the method's name, as in `memit+rect`."
    if meant:
        return f" Did you mean {meant!r}?"
    elsewhere = {f"{part}.{field}": field for part, model in PARTS.items() for field in model.model_fields}
    elsewhere |= {field: field for field in Study.model_fields} if len(location) > 1 else {}
    names = [key] if key in elsewhere.values() else near_matches(key, elsewhere.values(), 1, _CLOSE)
    paths = [path for path, field in elsewhere.items() if field in names]
    return f" Did you mean {' or '.join(map(repr, paths))}?" if paths else ""


def _settings_of(name: object) -> list[str]:
    """Returns the settings of a method; none if there is no such method."""
    try:
        checked = check_editor(str(name))
    except SequelaError:
        return []
    return [*type(checked.settings).model_fields, *(info.name for info, _ in checked.regularizers)]
