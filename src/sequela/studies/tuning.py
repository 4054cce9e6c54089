"""TaskResult settings for a method on a model: a sweep on edits that are held out for it.

Each setting edits every held-out fact on its own (or one batch of them) and is judged by a harmonic mean, as
Meng et al. 2022 judge methods: of efficacy, paraphrase, and agreement with the unedited model on
neighboring facts, by free decoding. (Not of right neighborhood answers: a small model has few to begin
with.) Where two settings are as good, the one that changes the weights less is better.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.editors import AnyEditor, Resources, create_editor
from sequela.editors.session import EditSession
from sequela.edits import Edit
from sequela.evaluation.edit_quality.measure import (
    SUCCESS_AT_EDIT,
    Answers,
    measure_edits,
    neighborhood_answers,
)
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import Engine
from sequela.models import LanguageModel

METRICS = {
    ("efficacy", "free_decoding"): "efficacy",
    ("paraphrase", "free_decoding"): "paraphrase",
    ("neighborhood", "agreement"): "agreement",
}
"""What counts, by metric and protocol, and what it is called."""

SETTINGS = EditQualitySettings(max_new_tokens=12, max_neighborhood=3)


@dataclass(frozen=True)
class Trial:
    """What one setting reached.

    Args:
        settings: What was tried.
        score: The harmonic mean of the (smoothed) metrics that the edits have items for.
        metrics: Each metric by free decoding, mean over the edits.
        relative_norm: The mean of the edits' `||Delta|| / ||W||`.
        dropped: How many edits could not be made.
        n: How many edits.
        seconds: Wall-clock time of an edit.
    """

    settings: dict[str, Any]
    score: float
    metrics: dict[str, float]
    relative_norm: float
    dropped: int
    n: int
    seconds: float


def grid_of(
    editor: AnyEditor, model: LanguageModel, axes: Mapping[str, Sequence[Any]] | None = None
) -> list[dict[str, Any]]:
    """The settings to try: every combination of the axes.

    Args:
        editor: The method.
        model: The model.
        axes: Values by setting; by default the layers at several depths, and steps and clamp for methods
            that seek target values.

    Raises:
        BadInputError: The method has no such setting.
    """
    fields = type(editor.hyperparameters).model_fields
    axes = axes or _usual_axes(editor, model)
    wrong = [name for name in axes if name not in fields]
    if wrong:
        raise BadInputError(
            f"{editor.name} has no setting {wrong[0]!r}.", hint=f"It has: {', '.join(fields)}."
        )
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def tune(
    model: LanguageModel,
    editor: AnyEditor,
    edits: Sequence[Edit],
    grid: Sequence[dict[str, Any]],
    engine: Engine,
    resources: Resources,
    batch_size: int = 1,
    progress: Progress = SILENT,
) -> list[Trial]:
    """Tries every setting of a grid; returns the trials, the best first."""
    answers = neighborhood_answers(EditedModel(model), engine, edits, SETTINGS, progress)
    _collect_statistics(model, editor, grid, resources)
    base = {name: getattr(editor.hyperparameters, name) for name in editor.hyperparameters.model_fields_set}
    task = progress.start(f"settings of {editor.name}", len(grid))
    trials = []
    for settings in grid:
        method = create_editor(editor.name, {**base, **settings})
        session = EditSession(model, method, resources, batch_size).with_preset()
        trials.append(_tried(session, settings, edits, engine, answers))
        progress.say(f"{format_settings(settings)}: score {trials[-1].score:.3f}")
        progress.advance(task)
    progress.finish(task)
    return sorted(trials, key=lambda trial: (-trial.score, trial.relative_norm))


def _collect_statistics(
    model: LanguageModel, editor: AnyEditor, grid: Sequence[dict[str, Any]], resources: Resources
) -> None:
    """Collects what all trials need in one pass, for a method that uses statistics."""
    layers = sorted({layer for settings in grid for layer in settings.get("layers", ())})
    model.check_layers(tuple(layers))
    if getattr(editor.prepare(model, resources), "statistics", ""):
        resources.statistics.prepare(layers)


def format_settings(settings: dict[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _tried(
    session: EditSession, settings: dict[str, Any], edits: Sequence[Edit], engine: Engine, answers: Answers
) -> Trial:
    unedited = session.start()
    values: dict[str, list[float]] = {name: [] for name in METRICS.values()}
    norms, dropped, seconds = list[float](), 0, 0.0
    for batch in session.batches(edits):
        result = session.make(batch, unedited)
        seconds += result.seconds
        edited = session.edited(result)
        for item in measure_edits(edited, engine, batch, SUCCESS_AT_EDIT, SETTINGS, answers):
            name = METRICS.get((item.metric, item.protocol))
            if name is not None:
                values[name].append(item.value)
        norms.extend(report.relative_norm for report in result.reports if not report.dropped)
        dropped += len(batch) - len(result.made)
    metrics = {name: sum(found) / len(found) for name, found in values.items() if found}
    return Trial(
        settings=settings,
        score=harmonic_mean([smoothed(found) for found in values.values() if found]),
        metrics=metrics,
        relative_norm=sum(norms) / len(norms) if norms else 0.0,
        dropped=dropped,
        n=len(edits),
        seconds=seconds / len(edits),
    )


def smoothed(values: Sequence[float]) -> float:
    """The mean with one item more that is half right: never 0, so that nothing hides the other metrics."""
    return (sum(values) + 0.5) / (len(values) + 1)


def harmonic_mean(values: Sequence[float]) -> float:
    """The harmonic mean of positive numbers."""
    return len(values) / sum(1 / value for value in values)


def _usual_axes(editor: AnyEditor, model: LanguageModel) -> dict[str, Sequence[Any]]:
    fields = type(editor.hyperparameters).model_fields
    axes: dict[str, Sequence[Any]] = {}
    if "layers" in fields:
        axes["layers"] = _layer_choices(editor, model)
    if "v_num_grad_steps" in fields:
        axes["v_num_grad_steps"] = [15, 25]
        axes["clamp_norm_factor"] = [1.0, 4.0]
    if not axes:
        raise BadInputError(
            f"{editor.name} has neither layers nor steps to be tuned.", hint="Name settings with --axis."
        )
    return axes


def _layer_choices(editor: AnyEditor, model: LanguageModel) -> list[list[int]]:
    """As many layers as the method takes by default, at five depths."""
    span = len(editor.layers_of(model))
    last = [round(depth * (model.n_layers - 1)) for depth in (0.15, 0.25, 0.35, 0.5, 0.65)]
    choices = [list(range(max(0, high - span + 1), high + 1)) for high in last]
    return [layers for n, layers in enumerate(choices) if layers not in choices[:n]]
