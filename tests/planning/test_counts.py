"""Counts of tokens: those of the engine, without a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.precision import Precision
from sequela.core.progress import SILENT
from sequela.edited import EditedModel
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, measure_edits
from sequela.inference import TorchEngine
from sequela.models import load_model
from sequela.planning.counting import GeneratingCall, ScoringCall
from sequela.planning.counts import Counts
from sequela.planning.planned_model import PlannedModel
from sequela.planning.work import Work
from sequela.results import EDIT_QUALITY
from sequela.studies import Study
from sequela.studies.plan import make_plan


def counts_of(study: Study) -> Counts:
    return Counts(PlannedModel(make_plan(study), study.models[0], Precision("float32"), SILENT))


def test_they_are_the_numbers_of_tokens_that_an_engine_runs(make_study: Callable[..., Study]) -> None:
    study = make_study()
    counts, plan = counts_of(study), make_plan(study)
    model = load_model(study.models[0], device="cpu")
    for suite in plan.suites:
        engine = TorchEngine()
        results = suite.evaluate(EditedModel(model), engine)
        work = counts.suites[suite.name]
        assert work.scored_tokens == engine.counters.unique_tokens
        assert sum(c.positions for c in work.calls if isinstance(c, ScoringCall)) == (
            engine.counters.asked_positions
        )
        assert work.n_items == sum(len(result.items) for result in results)


def test_they_include_the_measurement_of_edits(make_study: Callable[..., Study]) -> None:
    study = make_study()
    counts, plan = counts_of(study), make_plan(study)
    engine, model = TorchEngine(), load_model(study.models[0], device="cpu")
    items = measure_edits(EditedModel(model), engine, plan.edits, RETENTION_AT_N, study.edit_quality)
    work = counts.suites[EDIT_QUALITY]
    assert work.n_items == len(items)
    generated = engine.counters.computed_tokens - engine.counters.unique_tokens - work.prompt_tokens
    assert 0 < generated <= work.most_generated_tokens
    assert counts.quality(1).n_items == pytest.approx(len(items) / len(plan.edits))
    assert counts.quality(len(plan.edits)) == work


def test_bytes_give_an_estimate_without_a_tokenizer(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study()
    real = counts_of(study)
    load_model(study.models[0], device="cpu").module.config.save_pretrained(tmp_path)
    estimated = counts_of(make_study(models=[str(tmp_path)]))
    for name, work in real.suites.items():
        ratio = estimated.suites[name].scored_tokens / work.scored_tokens
        assert 0.2 < ratio < 5, name
        assert estimated.suites[name].most_generated_tokens == work.most_generated_tokens


def test_work_can_be_scaled_and_repeated() -> None:
    work = Work((ScoringCall(4, 40, 8, 10), GeneratingCall(20, 5, (8, 8))), 6, 600, 1.0)
    half = work.scaled(0.5)
    assert (half.scored_tokens, half.prompt_tokens, half.most_generated_tokens) == (20, 10, 8)
    assert (half.n_items, half.own_seconds) == (3, 0.5)
    thrice = work.times(3)
    assert (thrice.scored_tokens, thrice.most_generated_tokens, thrice.item_bytes) == (120, 48, 1800)
