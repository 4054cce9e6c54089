"""Tuning of a method's settings for a model by a sweep over held-out edits.

Each combination of settings is applied to every held-out edit separately (or to batches of them) and scored
by a harmonic mean, as Meng et al. 2022 score methods: of efficacy, paraphrase, and agreement with the
unedited model on neighborhood prompts, by free decoding. Agreement replaces correctness on these because
a small model has few correct answers to begin with. For equal scores, the smaller change of weights wins.
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
from sequela.edits import Edit, EditsInForce, Questions
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
"""The names of the scored metrics, by metric and protocol."""

SETTINGS = EditQualitySettings(max_new_tokens=12, max_neighborhood=3)


@dataclass(frozen=True)
class Trial:
    """The result of one combination of settings.

    Args:
        settings: The settings.
        score: The harmonic mean of the smoothed metrics for which the edits have items.
        metrics: The mean of each metric over the edits, by free decoding.
        relative_norm: The mean of `||Delta|| / ||W||` over the edits.
        dropped: The number of edits that could not be applied.
        n: The number of edits.
        seconds: The mean wall-clock time per edit, in seconds.
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
    """Returns the combinations of settings to try: the Cartesian product of the axes.

    Args:
        editor: The method.
        model: The model.
        axes: The values by setting. By default, layers at several depths, and the steps and the clamp factor
            for methods with target optimization.

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
    """Runs a trial for each combination of settings; returns the trials, the best first."""
    answers = neighborhood_answers(EditedModel(model), engine, edits, SETTINGS, progress)
    _collect_statistics(model, editor, grid, resources)
    base = {name: getattr(editor.hyperparameters, name) for name in editor.hyperparameters.model_fields_set}
    task = progress.start(f"settings of {editor.name}", len(grid))
    trials = []
    for settings in grid:
        method = create_editor(editor.name, {**base, **settings})
        session = EditSession(model, method, resources, batch_size).with_preset()
        trials.append(_run_trial(session, settings, edits, engine, answers))
        progress.say(f"{format_settings(settings)}: score {trials[-1].score:.3f}")
        progress.advance(task)
    progress.finish(task)
    return sorted(trials, key=lambda trial: (-trial.score, trial.relative_norm))


def _collect_statistics(
    model: LanguageModel, editor: AnyEditor, grid: Sequence[dict[str, Any]], resources: Resources
) -> None:
    """Collects the key statistics of all trials in one pass, if the method uses them."""
    layers = sorted({layer for settings in grid for layer in settings.get("layers", ())})
    model.check_layers(tuple(layers))
    if getattr(editor.prepare(model, resources), "statistics", ""):
        resources.statistics.prepare(layers)


def format_settings(settings: dict[str, Any]) -> str:
    """Formats settings in one line."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _run_trial(
    session: EditSession, settings: dict[str, Any], edits: Sequence[Edit], engine: Engine, answers: Answers
) -> Trial:
    unedited = session.start()
    values: dict[str, list[float]] = {name: [] for name in METRICS.values()}
    norms, dropped, seconds = list[float](), 0, 0.0
    for batch in session.batches(edits):
        result = session.apply_batch(batch, unedited)
        seconds += result.seconds
        edited = session.edited(result)
        unapplied = frozenset(report.edit_id for report in result.reports if report.dropped)
        in_force = EditsInForce(Questions(batch), len(batch), unapplied)
        for item in measure_edits(
            edited, engine, batch, SUCCESS_AT_EDIT, SETTINGS, answers, in_force=in_force
        ):
            name = METRICS.get((item.metric, item.protocol))
            if name is not None:
                values[name].append(item.value)
        norms.extend(report.relative_norm for report in result.reports if not report.dropped)
        dropped += len(batch) - len(result.applied)
    metrics = {name: sum(scores) / len(scores) for name, scores in values.items() if scores}
    return Trial(
        settings=settings,
        score=harmonic_mean([smoothed(scores) for scores in values.values() if scores]),
        metrics=metrics,
        relative_norm=sum(norms) / len(norms) if norms else 0.0,
        dropped=dropped,
        n=len(edits),
        seconds=seconds / len(edits),
    )


def smoothed(values: Sequence[float]) -> float:
    """Returns the mean with an additional item of 0.5: never 0, so that no metric hides the others."""
    return (sum(values) + 0.5) / (len(values) + 1)


def harmonic_mean(values: Sequence[float]) -> float:
    """Returns the harmonic mean of positive numbers."""
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
            f"{editor.name} has neither layers nor steps to tune.", hint="Give settings with --axis."
        )
    return axes


def _layer_choices(editor: AnyEditor, model: LanguageModel) -> list[list[int]]:
    """Returns layer ranges of the method's default size at five depths."""
    span = len(editor.layers_of(model))
    last = [round(depth * (model.n_layers - 1)) for depth in (0.15, 0.25, 0.35, 0.5, 0.65)]
    choices = [list(range(max(0, high - span + 1), high + 1)) for high in last]
    return [layers for n, layers in enumerate(choices) if layers not in choices[:n]]
