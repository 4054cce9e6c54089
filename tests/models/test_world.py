"""The trained world model has the properties that other tests rely on."""

from __future__ import annotations

from sequela.edited import EditedModel
from sequela.edits import EditSet
from sequela.inference import TorchEngine, generation_request
from sequela.models import LanguageModel
from support.world import KNOWN_SHARE, World, known_share


def test_it_completes_the_facts_of_its_world(world_model: LanguageModel, world: World) -> None:
    assert known_share(world_model, world) >= KNOWN_SHARE


def test_it_generates_the_true_answers_of_the_edits(world_model: LanguageModel, world_edits: EditSet) -> None:
    model = EditedModel(world_model)
    requests = [generation_request(model, edit.question, 12) for edit in world_edits]
    answers = TorchEngine().generate(model, requests)
    right = [
        answer.text.strip().startswith(f"{edit.target_true}.")
        for answer, edit in zip(answers, world_edits, strict=True)
    ]
    assert sum(right) >= 19


def test_the_edits_change_facts_of_twenty_people_and_have_probes(world_edits: EditSet) -> None:
    assert len({edit.subject for edit in world_edits}) == len(world_edits) == 20
    assert all(edit.target_new != edit.target_true for edit in world_edits)
    assert all(edit.paraphrases and len(edit.neighborhood) >= 2 for edit in world_edits)
