"""Training of MEND's network on a model that was trained on facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError, FingerprintMismatchError, IntegrityError, SequelaError
from sequela.core.progress import SILENT, Progress, SilentProgress
from sequela.editors import Resources, create_editor
from sequela.editors.methods.mend.editor import Mend
from sequela.editors.training.artifact import NETWORK, artifact_folder, describe_artifact, read_artifact
from sequela.editors.training.examples import Examples, TrainingEdits
from sequela.editors.training.passes import Passes, PassStore
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.trained_editor import TrainedEditor
from sequela.editors.training.training import Training
from sequela.edits import EditSet
from sequela.models import LanguageModel, load_model
from sequela.statistics import Statistics
from support.at_once import at_once, train
from support.edits import TINY_EDITS
from support.sessions import edit_batch, edit_in_batches
from support.tiny import tiny_language_model
from support.world import World, load_world_model

SETTINGS = {"layers": [1, 2], "rank": 32, "edit_lr": 1e-3, "n_hidden": 1}
QUICK = TrainingSettings(
    n_steps=8, batch_size=4, micro_batch=4, lr=1e-3, validate_every=4, n_held_out=6, edit_weight=1.0
)


class RecordingProgress(SilentProgress):
    """Records the only task."""

    description = ""
    total: int | None = 0
    done = 0

    def start(self, description: str, total: int | None) -> int:
        self.description, self.total = description, total
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        self.done += units


@pytest.fixture(scope="module")
def facts(world: World) -> TrainingEdits:
    return TrainingEdits.of(EditSet("world", tuple(world.edits(32, phrasing=-1))), 6)


def training(
    model: LanguageModel,
    facts: TrainingEdits,
    folder: Path,
    settings: TrainingSettings = QUICK,
    progress: Progress = SILENT,
) -> Training:
    editor = create_editor("mend", SETTINGS)
    assert isinstance(editor, Mend)
    return Training(editor, model, facts, settings, folder, progress)


@pytest.fixture(scope="module")
def trained(world_folder: Path, facts: TrainingEdits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network that was trained long enough to edit."""
    folder = tmp_path_factory.mktemp("mend")
    longer = QUICK.model_copy(update={"n_steps": 100, "validate_every": 25})
    training(load_world_model(world_folder), facts, folder, longer).run()
    return folder


def test_the_network_learns_to_edit(trained: Path) -> None:
    artifact = read_artifact(trained)
    first, best = artifact.curve[0], artifact.best
    assert best.step > 0
    assert best.loss < 0.8 * first.loss
    assert best.efficacy > first.efficacy
    assert [point.step for point in artifact.curve] == [0, 25, 50, 75, 100]
    assert first.train_loss is None


def test_the_editor_uses_the_trained_network(
    trained: Path, world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits = list(world.edits(32, phrasing=-1))[-6:]
    resources = Resources(Statistics(world_model, folder=tmp_path))
    losses = {}
    for artifact in (str(trained), "identity"):
        editor = create_editor("mend", {**SETTINGS, "artifact": artifact})
        results = [edit_in_batches(editor, world_model, [edit], 1, resources) for edit in edits]
        reports = [report for steps in results for step in steps for report in step.reports]
        assert not any(report.dropped for report in reports)
        losses[artifact] = sum(report.final_loss for report in reports) / len(reports)
    assert losses[str(trained)] < losses["identity"]


def test_last_only_applies_only_the_last_edit(
    trained: Path, world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits = list(world.edits(3, phrasing=-1))
    resources = Resources(Statistics(world_model, folder=tmp_path))
    settings = {**SETTINGS, "artifact": str(trained)}
    last_only = create_editor("mend", {**settings, "sequence": "last-only"})
    assert last_only.variant == "last-only"
    *_, last = edit_in_batches(last_only, world_model, edits, 1, resources)
    (alone,) = edit_in_batches(last_only, world_model, edits[-1:], 1, resources)
    assert last.delta.content_hash == alone.delta.content_hash
    *_, added = edit_in_batches(create_editor("mend", settings), world_model, edits, 1, resources)
    assert added.delta.content_hash != last.delta.content_hash


def test_last_only_with_a_regularizer_applies_only_the_last_edit(
    trained: Path, world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits = list(world.edits(3, phrasing=-1))
    resources = Resources(Statistics(world_model, folder=tmp_path))
    settings = {**SETTINGS, "artifact": str(trained), "sequence": "last-only", "rect": {"keep": 0.5}}
    regularized = create_editor("mend+rect", settings)
    assert regularized.info.needs_training
    *_, last = edit_in_batches(regularized, world_model, edits, 1, resources)
    (alone,) = edit_in_batches(regularized, world_model, edits[-1:], 1, resources)
    assert last.delta.content_hash == alone.delta.content_hash


def test_last_only_keeps_the_earlier_edit_if_the_next_is_dropped(
    world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    first, second = world.edits(2, phrasing=-1)
    resources = Resources(Statistics(world_model, folder=tmp_path))
    settings = {**SETTINGS, "artifact": "identity", "sequence": "last-only"}
    editor = create_editor("mend", settings)
    (earlier,) = edit_in_batches(editor, world_model, [first], 1, resources)
    token = world_model.tokenizer(f" {second.target_new}", add_special_tokens=False)["input_ids"][-1]
    world_model.module.get_output_embeddings().weight.data[token] = float("nan")
    step = edit_batch(editor, world_model, [second], earlier.delta, earlier.state, resources)
    assert step.reports[0].dropped
    assert step.delta.content_hash == earlier.delta.content_hash


def test_continuing_with_another_network_is_rejected(
    trained: Path, world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    edits, resources = world.edits(1, phrasing=-1), Resources(Statistics(world_model, folder=tmp_path))
    state = create_editor("mend", {**SETTINGS, "artifact": "identity"}).prepare(world_model, resources)
    editor = create_editor("mend", {**SETTINGS, "artifact": str(trained)})
    with pytest.raises(SequelaError, match="were computed with the network") as caught:
        editor.edit(world_model, list(edits), state, resources)
    assert state.network in caught.value.message


def test_an_interrupted_training_resumes_to_the_same_curve(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    whole = training(world_model, facts, tmp_path / "whole").run()
    first = QUICK.model_copy(update={"n_steps": 4})
    training(world_model, facts, tmp_path / "parts", first).run()
    parts = training(world_model, facts, tmp_path / "parts").run()
    dumps = [artifact.model_dump(exclude={"curve", "training"}) for artifact in (whole, parts)]
    assert dumps[0] == dumps[1]
    curves = [
        [one.model_dump(exclude={"seconds", "train_loss"}) for one in artifact.curve]
        for artifact in (whole, parts)
    ]
    assert curves[0] == curves[1]
    assert [one.train_loss for one in whole.curve[1:]] == [one.train_loss for one in parts.curve[1:]]


def test_progress_is_in_steps_or_in_seconds_if_time_is_limited(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    short = QUICK.model_copy(update={"n_steps": 2})
    by_steps, by_time = RecordingProgress(), RecordingProgress()
    training(world_model, facts, tmp_path / "steps", short, by_steps).run()
    limited = short.model_copy(update={"minutes": 100.0})
    training(world_model, facts, tmp_path / "time", limited, by_time).run()
    assert (by_steps.description, by_steps.total, by_steps.done) == ("training mend", 2, 2)
    assert (by_time.description, by_time.total) == ("training mend, seconds", 6000)


def test_smaller_micro_batches_give_the_same_loss(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    losses = []
    for micro in (4, 2):
        settings = QUICK.model_copy(update={"n_steps": 1, "micro_batch": micro})
        artifact = training(world_model, facts, tmp_path / str(micro), settings).run()
        losses.append(artifact.curve[0].loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("method", ["mend", "malmen"])
def test_recomputing_blocks_gives_the_same_curve_with_less_memory(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path, method: str
) -> None:
    curves, needed = [], []
    for recompute in (False, True):
        settings = QUICK.model_copy(update={"n_steps": 4, "gradient_checkpointing": recompute})
        editor = create_editor(method, {name: SETTINGS[name] for name in ("layers", "rank", "edit_lr")})
        assert isinstance(editor, TrainedEditor)
        one = Training(editor, world_model, facts, settings, tmp_path / str(recompute), SILENT)
        needed.append(one.memory_bytes())
        curves.append([point.loss for point in one.run().curve])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)
    assert needed[1] < needed[0]
    assert not world_model.changes
    assert not any(module._forward_hooks for module in world_model.module.modules())


@pytest.mark.parametrize("method", ["mend", "malmen"])
def test_with_a_cache_validation_runs_only_the_upper_layers(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path, method: str
) -> None:
    """The curve is the same; blocks below the edited layers run only at the first validation and in steps."""
    runs, needed, curves = [], [], []
    block = world_model.family.block(world_model.module, 0)
    for cache_mib in (0, 16):
        settings = QUICK.model_copy(update={"n_steps": 2, "validate_every": 1, "cache_mib": cache_mib})
        editor = create_editor(method, {"layers": [1, 2], "rank": 32})
        assert isinstance(editor, TrainedEditor)
        one = Training(editor, world_model, facts, settings, tmp_path / str(cache_mib), SILENT)
        needed.append(one.memory_bytes())
        passed: list[int] = []
        hook = block.register_forward_hook(lambda *_, passed=passed: passed.append(1))
        curves.append([point.loss for point in one.run().curve])
        hook.remove()
        runs.append(len(passed))
    assert curves[0] == curves[1]
    # 2 batches (6 held-out edits, 4 at a time), 3 passes each, at 2 later validations.
    assert runs[0] - runs[1] == 2 * 3 * 2
    assert needed[0] < needed[1]


def test_passes_that_do_not_fit_are_not_cached(world_model: LanguageModel, facts: TrainingEdits) -> None:
    store = PassStore(world_model, 1)
    first, second = Examples.of(world_model, facts.held_out, "held out").split(3)
    passes = store.of(first, 0)
    assert store.kept(first) is None
    assert store.of(first, passes.n_bytes) is store.kept(first)
    store.of(second, passes.n_bytes)
    assert store.kept(second) is None
    assert store.n_bytes == passes.n_bytes > first_logits(passes)


def first_logits(passes: Passes) -> int:
    return sum(logits.nbytes for logits in passes.before)


def test_training_ends_without_improvement(
    world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
) -> None:
    settings = QUICK.model_copy(
        update={"n_steps": 50, "validate_every": 1, "patience": 2, "lr": 10.0, "n_held_out": 6}
    )
    artifact = training(world_model, facts, tmp_path, settings).run()
    assert artifact.curve[-1].step < 50
    assert artifact.step <= artifact.curve[-1].step - 2


def test_every_edit_is_used_once_per_epoch(facts: TrainingEdits) -> None:
    n = len(facts.train)
    seen = [edit.id for step in range(2 * n // 4) for edit in facts.batch(step, 4, seed=3)]
    assert len(set(seen[:n])) == n
    assert len(set(seen[n:])) == n
    assert seen[:n] != seen[n:]


def test_the_seed_determines_the_paraphrases(world: World, world_model: LanguageModel) -> None:
    edits = list(world.edits(4, phrasing=-1))
    assert Examples.of(world_model, edits, "a") == Examples.of(world_model, edits, "a")


def test_too_few_edits_are_reported_before_training() -> None:
    bare = tuple(edit.model_copy(update={"paraphrases": ()}) for edit in TINY_EDITS)
    with pytest.raises(BadInputError, match="have no paraphrase, or no neighborhood prompt") as caught:
        TrainingEdits.of(EditSet("few", bare), 2)
    assert "At least 20" in (caught.value.hint or "")


class TestArtifacts:
    def editor(self, folder: Path) -> Mend:
        editor = create_editor("mend", {**SETTINGS, "artifact": str(folder)})
        assert isinstance(editor, Mend)
        return editor

    def test_it_is_found_in_the_default_folder(
        self,
        trained: Path,
        world_model: LanguageModel,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path))
        editor, resources = (
            create_editor("mend", SETTINGS),
            Resources(Statistics(world_model, folder=tmp_path)),
        )
        assert isinstance(editor, Mend)
        with pytest.raises(SequelaError, match="must be trained before it can edit") as caught:
            editor.prepare(world_model, resources)
        assert "sequela train-editor mend" in (caught.value.hint or "")
        folder = artifact_folder("mend", world_model, editor.training_dependent_settings)
        folder.parent.mkdir(parents=True)
        folder.symlink_to(trained)
        state = create_editor("mend", SETTINGS).prepare(world_model, resources)
        assert state.network == read_artifact(trained).network

    def test_one_for_another_model_is_rejected_with_both_fingerprints(
        self, trained: Path, world_model: LanguageModel, tmp_path: Path
    ) -> None:
        other = tiny_language_model("llama")
        resources = Resources(Statistics(other, folder=tmp_path))
        with pytest.raises(FingerprintMismatchError) as caught:
            self.editor(trained).prepare(other, resources)
        assert world_model.fingerprint in caught.value.message
        assert other.fingerprint in caught.value.message

    def test_other_settings_are_rejected(
        self, trained: Path, world_model: LanguageModel, tmp_path: Path
    ) -> None:
        editor = create_editor("mend", {**SETTINGS, "rank": 16, "artifact": str(trained)})
        with pytest.raises(SequelaError, match="trained with other settings: rank = 32"):
            editor.prepare(world_model, Resources(Statistics(world_model, folder=tmp_path)))

    def test_changed_tensors_are_rejected(
        self, trained: Path, world_model: LanguageModel, tmp_path: Path
    ) -> None:
        for path in trained.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        content = bytearray((tmp_path / NETWORK).read_bytes())
        content[-1] ^= 1
        (tmp_path / NETWORK).write_bytes(bytes(content))
        with pytest.raises(IntegrityError, match="was changed after it was saved"):
            self.editor(tmp_path).prepare(world_model, Resources(Statistics(world_model, folder=tmp_path)))

    def test_a_training_with_other_settings_starts_anew(
        self, world_model: LanguageModel, facts: TrainingEdits, tmp_path: Path
    ) -> None:
        training(world_model, facts, tmp_path, QUICK.model_copy(update={"n_steps": 4})).run()
        again = training(world_model, facts, tmp_path, QUICK.model_copy(update={"lr": 1e-4})).run()
        fresh = training(world_model, facts, tmp_path / "fresh", QUICK.model_copy(update={"lr": 1e-4})).run()
        assert again.network == fresh.network
        assert json.loads((tmp_path / "training.json").read_text())["step"] == 8


def test_the_base_model_is_unchanged(trained: Path, world_model: LanguageModel) -> None:
    assert not world_model.changes
    assert not any(weight.requires_grad for weight in world_model.module.parameters())
    assert not any(module._forward_hooks for module in world_model.module.modules())
    assert torch.is_grad_enabled()


@pytest.mark.slow
def test_of_two_trainings_of_one_network_the_second_waits_and_uses_the_first(
    world_folder: Path, facts: TrainingEdits, tmp_path: Path
) -> None:
    both = at_once(2, train, world_folder, facts, tmp_path)
    (first, n_first), (second, n_second) = sorted(both, key=lambda one: one[1])
    assert first == second == read_artifact(tmp_path).network
    assert (n_first, n_second) == (0, 3)


def test_a_step_that_is_not_in_the_curve_is_rejected_where_it_is_read(trained: Path, tmp_path: Path) -> None:
    artifact = read_artifact(trained)
    assert artifact.best.step == artifact.step
    describe_artifact(tmp_path, artifact.model_copy(update={"step": 10**6}))
    with pytest.raises(BadInputError, match="the step 1000000 of the saved network is not in its curve"):
        read_artifact(tmp_path)
    describe_artifact(tmp_path, artifact.model_copy(update={"curve": ()}))
    with pytest.raises(BadInputError, match="saved without a validation"):
        _ = read_artifact(tmp_path).best


def test_a_network_is_not_trained_on_a_model_with_offloaded_weights(
    world_folder: Path, facts: TrainingEdits, tmp_path: Path
) -> None:
    model = load_model(world_folder, device_map="disk")
    with pytest.raises(BadInputError, match="whose weights are offloaded"):
        training(model, facts, tmp_path)
