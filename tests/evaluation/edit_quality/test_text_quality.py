"""Texts about edited subjects."""

from __future__ import annotations

import math

import pytest

from sequela.edited import EditedModel
from sequela.edits import Edit, EditSet
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.edit_quality.text_quality import measure_texts, reference_texts
from sequela.evaluation.ngrams import ngram_entropy
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import ItemRecord

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
