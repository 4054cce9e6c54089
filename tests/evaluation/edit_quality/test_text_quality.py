"""Texts about edited subjects."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from sequela.edited import Delta, Dense, EditedModel
from sequela.edits import Edit, EditSet
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, task_results
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.edit_quality.text_quality import measure_texts, reference_texts
from sequela.evaluation.ngrams import ngram_entropy
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import ItemRecord, TaskResult
from sequela.results.applied import with_dropped
from sequela.studies.baseline import Baseline

SETTINGS = EditQualitySettings(text_tokens=12)


def measured(
    model: LanguageModel, edit: Edit, settings: EditQualitySettings = SETTINGS, **references: str
) -> dict[str, ItemRecord]:
    known = {prompt: references[name] for name, prompt in zip(references, edit.attribute, strict=True)}
    records = measure_texts(EditedModel(model), TorchEngine(), [edit], RETENTION_AT_N, settings, known)
    return {one.metric: one for one in records}


def test_a_text_like_its_reference_is_consistent(world_model: LanguageModel, world_edits: EditSet) -> None:
    edit = world_edits[0]
    text = measured(world_model, edit)["fluency"].details["texts"][0]
    about = edit.model_copy(update={"attribute": ("Somebody else",)})
    assert measured(world_model, about, reference=text)["consistency"].value == pytest.approx(1.0)
    other = measured(world_model, about, reference="zzz qqq xxx")["consistency"]
    assert other.value == 0.0
    assert 0 < measured(world_model, about, reference=f"{text} zzz qqq")["consistency"].value < 1


def test_fluency_is_the_mean_entropy_of_the_texts(world_model: LanguageModel, world_edits: EditSet) -> None:
    edit = world_edits[0].model_copy(update={"generation": ("My favorite", "Once upon a time")})
    record = measured(world_model, edit)["fluency"]
    texts = record.details["texts"]
    assert len(texts) == 2
    assert record.value == pytest.approx(math.fsum(map(ngram_entropy, texts)) / 2)
    assert (record.protocol, record.item, record.prompt) == ("free_text", edit.id, "My favorite")


def test_without_references_there_is_no_consistency(world_model: LanguageModel, world_edits: EditSet) -> None:
    assert set(measured(world_model, world_edits[0])) == {"fluency"}


def test_references_are_the_unedited_models_own(world_model: LanguageModel, world_edits: EditSet) -> None:
    edit = world_edits[0].model_copy(update={"attribute": ("Mira Dolvan speaks", "Rurik Harrow speaks")})
    found = reference_texts(EditedModel(world_model), TorchEngine(), [edit, edit], SETTINGS)
    assert set(found) == set(edit.attribute)
    assert all(text for text in found.values())


def test_no_texts_are_generated_by_default(world_model: LanguageModel, world_edits: EditSet) -> None:
    off = EditQualitySettings()
    assert measured(world_model, world_edits[0], off) == {}
    assert reference_texts(EditedModel(world_model), TorchEngine(), world_edits[:2], off) == {}


def results(model: EditedModel, *edits: Edit, settings: EditQualitySettings = SETTINGS) -> list[TaskResult]:
    """Returns the results of texts about edits, with a reference text for each attribute prompt."""
    known = {prompt: "a text" for edit in edits for prompt in edit.attribute}
    return task_results(measure_texts(model, TorchEngine(), edits, RETENTION_AT_N, settings, known))


def broken(model: LanguageModel) -> EditedModel:
    name = model.family.mlp_out_name(model.n_layers - 1)
    nan = torch.full_like(model.family.as_out_in(model.module.get_parameter(name)), math.nan)
    return EditedModel(model, Delta(model.fingerprint, {name: Dense(nan)}))


class TestTextsThatWereNotCompleted:
    """A text that breaks off has no entropy: 0 is that of a model that repeats itself."""

    def test_non_finite_logits_have_no_value_and_are_counted(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = [one.model_copy(update={"attribute": ("Somebody else",)}) for one in world_edits[:3]]
        found = results(broken(world_model), *edits)
        assert {one.metric for one in found} == {"fluency", "consistency"}
        for one in found:
            assert (one.value, one.stderr, one.n, one.n_nonfinite) == (None, None, 0, 3)
            assert "3 edits without a text, not counted: 3 with a non-finite logit" in one.note

    def test_references_are_only_complete_texts(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edit = world_edits[0].model_copy(update={"attribute": ("Mira Dolvan speaks",)})
        assert reference_texts(broken(world_model), TorchEngine(), [edit], SETTINGS) == {}

    def test_the_mean_is_over_the_others(
        self, tiny_model: Callable[..., LanguageModel], world_edits: EditSet
    ) -> None:
        model = EditedModel(tiny_model("llama", max_position_embeddings=40))
        short, long = (
            Edit(id=name, subject="Ada", prompt=prompt, target_new="chess")
            for name, prompt in (("short", "{} plays"), ("long", "so much " * 60 + "{} plays"))
        )
        (alone,) = results(model, short)
        found = results(model, short, long)[0]
        assert found.value == alone.value
        assert (found.n, found.n_too_long, alone.n_too_long) == (1, 1, 0)
        (nothing,) = results(model, long)
        assert (nothing.value, nothing.n, nothing.n_too_long) == (None, 0, 1)

    def test_baselines_are_over_texts_that_both_models_completed(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = world_edits[:2]
        before = measure_texts(EditedModel(world_model), TorchEngine(), edits, RETENTION_AT_N, SETTINGS, {})
        lost = before[1].model_copy(update={"finite": False, "value": 0.0})
        baseline = Baseline()
        baseline.remember([], before)
        edited = task_results([before[0], lost])[0]
        assert baseline.compare(edited) == (before[0].value, None)
        baseline = Baseline()
        baseline.remember([], [before[0], lost])
        shared = baseline.compare(task_results(before)[0])[1]
        assert shared is not None
        assert (shared.value, shared.baseline, shared.n) == (before[0].value, before[0].value, 1)

    def test_a_dropped_edit_is_left_out_of_the_score_of_applied_ones(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        records = measure_texts(
            EditedModel(world_model), TorchEngine(), world_edits[:3], RETENTION_AT_N, SETTINGS, {}
        )
        records[0] = records[0].model_copy(update={"finite": False, "value": 0.0})
        found = task_results(with_dropped(records, {records[1].item: "a reason"}))
        assert [one.value for one in found if one.metric == "fluency"] == [
            pytest.approx((records[1].value + records[2].value) / 2),
            records[2].value,
        ]
