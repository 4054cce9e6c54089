"""Training of MALMEN on a model that was trained on facts: gradients in parts, and learning."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from sequela.core.progress import SILENT
from sequela.edited import Delta, EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.methods.malmen.editor import Malmen, MalmenLearner
from sequela.editors.shared.gradient_factors import changed_together
from sequela.editors.training.artifact import read_artifact
from sequela.editors.training.examples import Examples, TrainingEdits
from sequela.editors.training.passes import Passes
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.training import Training
from sequela.edits import EditSet
from sequela.models import LanguageModel
from sequela.statistics import Statistics
from support.sessions import edit_in_batches
from support.tiers import quick_cases
from support.world import World, load_world_model

SETTINGS = {"layers": [1, 2], "rank": 32, "edit_lr": 1e-3}
QUICK = TrainingSettings(
    n_steps=8, batch_size=6, micro_batch=2, lr=1e-3, validate_every=4, n_held_out=6, edit_weight=1.0
)


@pytest.fixture(scope="module")
def facts(world: World) -> TrainingEdits:
    return TrainingEdits.of(EditSet("world", tuple(world.edits(32, phrasing=-1))), 6)


def malmen(**settings: object) -> Malmen:
    editor = create_editor("malmen", {**SETTINGS, **settings})
    assert isinstance(editor, Malmen)
    return editor


def partly_trained_learner(model: LanguageModel, token: str) -> MalmenLearner:
    """Returns a learner with all parameters changed from their initial values."""
    learner = malmen(token=token).learner(model)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in learner.module.named_parameters():
            scale = {"edit_lr": 1e-3, "log_ridge": 1.0}.get(name, 0.05)
            parameter += scale * torch.randn(parameter.shape, generator=source)
    return learner


@pytest.mark.parametrize(
    "case", quick_cases(itertools.product(("mask", "ans"), (1, 4, 6)), [("mask", 4), ("ans", 1)])
)
def test_the_gradient_in_parts_is_that_of_the_whole(
    world_model: LanguageModel, facts: TrainingEdits, case: tuple[str, int]
) -> None:
    """The reference is plain autograd through model, regression and network at once."""
    token, micro_batch = case
    examples = Examples.of(world_model, facts.train[:6], "test")
    settings = QUICK.model_copy(update={"micro_batch": micro_batch})
    learner, whole = (partly_trained_learner(world_model, token) for _ in range(2))
    loss = learner.backward(examples, settings)

    _, tokens = whole._read([examples])
    whole.module.update_statistics(tokens)
    updates = whole.module(tokens)
    outcome = Passes.of(world_model, examples, 1).outcome(
        world_model, lambda: changed_together(world_model, updates)
    )
    expected = outcome.loss(settings)
    expected.backward()

    assert loss == pytest.approx(float(expected.detach()), rel=1e-4)
    for (name, actual), parameter in zip(
        learner.module.named_parameters(), whole.module.parameters(), strict=True
    ):
        assert actual.grad is not None
        assert parameter.grad is not None
        assert float(parameter.grad.norm()) > 0, name
        assert float((actual.grad - parameter.grad).norm()) < 1e-3 * float(parameter.grad.norm()), name


def test_training_uses_the_same_change_as_editing(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    """The losses in training are those with the edits' delta applied."""
    editor = malmen(artifact="identity", edit_lr=0.05)
    resources = Resources(Statistics(world_model, folder=tmp_path))
    outcome = editor.edit(world_model, facts.train[:4], editor.prepare(world_model, resources), resources)
    examples = Examples.of(world_model, facts.train[:4], "test")
    whole = QUICK.model_copy(update={"batch_size": 4, "micro_batch": 4})
    with torch.no_grad():
        (seen,) = editor.learner(world_model).evaluate(examples, whole)
    assert isinstance(outcome.delta, Delta)
    with EditedModel(world_model, outcome.delta):
        passes = Passes.of(world_model, examples, 1)
        applied = passes.outcome(world_model, lambda: changed_together(world_model, {}))
    assert float(seen.edit_loss) == pytest.approx(float(applied.edit_loss), rel=1e-4)
    assert seen.efficacy == applied.efficacy


@pytest.fixture(scope="module")
def trained(world_folder: Path, facts: TrainingEdits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that was trained long enough to edit."""
    folder = tmp_path_factory.mktemp("malmen")
    longer = QUICK.model_copy(update={"n_steps": 40, "validate_every": 20, "micro_batch": 6})
    Training(malmen(), load_world_model(world_folder), facts, longer, folder, SILENT).run()
    return folder


def test_the_network_learns_to_edit(trained: Path) -> None:
    artifact = read_artifact(trained)
    first, best = artifact.curve[0], artifact.best
    assert best.step > 0
    assert best.loss < 0.8 * first.loss
    assert best.efficacy > first.efficacy


def test_batches_add_up_or_replace_each_other(
    trained: Path, facts: TrainingEdits, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits, resources = facts.held_out[:4], Resources(Statistics(world_model, folder=tmp_path))
    last_only = malmen(artifact=str(trained), sequence="last-only")
    assert last_only.variant == "last-only"
    *_, last = edit_in_batches(last_only, world_model, edits, 2, resources)
    (alone,) = edit_in_batches(last_only, world_model, edits[2:], 2, resources)
    assert last.delta.content_hash == alone.delta.content_hash
    first, added = edit_in_batches(malmen(artifact=str(trained)), world_model, edits, 2, resources)
    for name, update in added.delta.updates.items():
        own = update.to_dense() - first.delta.updates[name].to_dense()
        assert float(own.norm()) > 0
    assert added.delta.content_hash != last.delta.content_hash


def test_a_batch_is_not_the_sum_of_its_edits(
    trained: Path, facts: TrainingEdits, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits, resources = facts.held_out[:3], Resources(Statistics(world_model, folder=tmp_path))
    editor = malmen(artifact=str(trained))
    state = editor.prepare(world_model, resources)
    together = editor.edit(world_model, edits, state, resources).delta
    alone = Delta.empty(world_model.fingerprint)
    for edit in edits:
        alone = alone + editor.edit(world_model, [edit], state, resources).delta
    for name, update in together.updates.items():
        difference = update.to_dense() - alone.updates[name].to_dense()
        assert float(difference.norm()) > 0.01 * float(update.to_dense().norm())


@pytest.mark.slow
def test_an_interrupted_training_resumes_to_the_same_curve(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    whole = Training(malmen(), world_model, facts, QUICK, tmp_path / "whole", SILENT).run()
    first = QUICK.model_copy(update={"n_steps": 4})
    Training(malmen(), world_model, facts, first, tmp_path / "parts", SILENT).run()
    parts = Training(malmen(), world_model, facts, QUICK, tmp_path / "parts", SILENT).run()
    assert whole.network == parts.network
    assert [one.loss for one in whole.curve] == [one.loss for one in parts.curve]
