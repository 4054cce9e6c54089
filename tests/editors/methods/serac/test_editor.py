"""SERAC: its classifier, training and memory; the battery tests the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.progress import SILENT
from sequela.edited import EditedModel
from sequela.edited.protocols import Route
from sequela.editors import Resources, create_editor
from sequela.editors.methods.serac.counterfactual import check_vocabulary
from sequela.editors.methods.serac.editor import Serac, SeracState
from sequela.editors.methods.serac.learner import SeracNetwork
from sequela.editors.methods.serac.scope import ScopeClassifier, ScopeRouter
from sequela.editors.training.artifact import NETWORK, read_artifact
from sequela.editors.training.examples import Examples, TrainingEdits
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.training import Training
from sequela.edits import EditSet
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import LanguageModel
from sequela.statistics import Statistics
from support.edits import TINY_EDITS
from support.encoders import tiny_encoder
from support.sessions import edit_in_batches
from support.tiny import tiny_language_model
from support.tokenizers import sentencepiece
from support.world import World, load_world_model

QUICK = TrainingSettings(
    n_steps=40, batch_size=6, micro_batch=6, lr=3e-3, validate_every=20, n_held_out=6, edit_weight=1.0
)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, encoder = tmp_path_factory.mktemp("encoder"), tiny_encoder()
    encoder.module.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def facts(world: World) -> TrainingEdits:
    return TrainingEdits.of(EditSet("world", tuple(world.edits(32, phrasing=-1))), 6)


@pytest.fixture
def resources(world_model: LanguageModel, tmp_path: Path) -> Resources:
    return Resources(Statistics(world_model, folder=tmp_path))


def serac(encoder: Path, **settings: object) -> Serac:
    editor = create_editor("serac", {"encoder": str(encoder), "layers": [1, 2, 3], **settings})
    assert isinstance(editor, Serac)
    return editor


@pytest.fixture(scope="module")
def trained(
    world_folder: Path, facts: TrainingEdits, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("serac")
    Training(serac(encoder_folder), load_world_model(world_folder), facts, QUICK, folder, SILENT).run()
    return folder


class TestScope:
    def test_similarities_and_loss_are_those_of_the_formula(self) -> None:
        classifier = ScopeClassifier(tiny_encoder())
        texts = ["The cello is", "Ada plays the", "Bo lives in"]
        with torch.no_grad():
            embedded = classifier.embed(texts).double()
            scale = classifier.log_scale.double().exp()
            literal = torch.stack(
                [torch.stack([(-scale * ((r - e) ** 2).sum()).exp() for e in embedded[:2]]) for r in embedded]
            )
            torch.testing.assert_close(
                classifier.similarities(embedded, embedded[:2]), literal, rtol=1e-5, atol=1e-6
            )
            in_scope = torch.tensor([[True, False], [False, True], [False, False]])
            off = literal[~in_scope]
            expected = -literal[in_scope].log().mean() - (1 - off).log().mean()
            loss = classifier.loss(embedded, embedded[:2], in_scope)
            assert float(loss) == pytest.approx(float(expected), rel=1e-3)

    def test_equal_texts_have_similarity_1_and_a_finite_loss(self) -> None:
        classifier = ScopeClassifier(tiny_encoder())
        embedded = classifier.embed(["Ada plays the", "Ada plays the"])
        assert classifier.similarities(embedded, embedded).tolist() == [[1.0, 1.0], [1.0, 1.0]]
        wrong = ~torch.eye(2, dtype=torch.bool)
        assert bool(torch.isfinite(classifier.loss(embedded, embedded, wrong)))

    def test_training_is_without_dropout(self) -> None:
        classifier = ScopeClassifier(tiny_encoder()).train()
        assert not any(module.training for module in classifier.modules())
        assert torch.equal(classifier.embed(["Ada plays"]), classifier.embed(["Ada plays"]))

    def test_requests_near_no_edit_are_unchanged(self, encoder_folder: Path) -> None:
        model = tiny_language_model("llama")
        classifier = ScopeClassifier(tiny_encoder())
        with torch.no_grad():
            edits = classifier.embed(["Ada plays the", "Bo lives in"])
        answerer = EditedModel(model)
        router = ScopeRouter(
            classifier, "", edits, ("Ada plays the cello", "Bo lives in Oslo"), answerer, 0.999
        )
        assert router.route("Bo lives in").prompt == "Bo lives in Oslo\nBo lives in"
        assert router.route("Bo lives in").route == Route(True, answerer)
        assert router.route("Seven times three is").prompt == "Seven times three is"
        assert router.route("Seven times three is").route == Route(False)


def test_requests_in_scope_get_the_trained_answer_and_others_the_unedited_one(
    trained: Path, encoder_folder: Path, world: World, world_model: LanguageModel, resources: Resources
) -> None:
    editor = serac(encoder_folder, artifact=str(trained), threshold=0.999)
    edits = list(world.edits(32, phrasing=-1))[:4]
    *_, last = edit_in_batches(editor, world_model, edits, 2, resources)
    assert not any(report.dropped for report in last.reports)
    edited, plain, engine = (
        editor.edited(world_model, last.delta, last.state),
        EditedModel(world_model),
        TorchEngine(),
    )
    questions = [edit.question for edit in edits]
    others = ["Seven times three is", "A stone falls"]
    prompts = (*questions, *others)
    texts = engine.generate(edited, [generation_request(edited, prompt, 6) for prompt in prompts])
    bare = engine.generate(plain, [generation_request(plain, prompt, 6) for prompt in others])
    assert [text.hit for text in texts] == [True] * 4 + [False] * 2
    assert [text.ids for text in texts[4:]] == [text.ids for text in bare]
    requests = [score_request(edited, edit.question, edit.target_new) for edit in edits]
    measured = [-score.mean_logprob for score in engine.score(edited, requests)]
    assert measured[2:] == pytest.approx([report.final_loss for report in last.reports], rel=1e-4)


def test_an_edit_replaces_one_with_the_same_question(
    encoder_folder: Path, world_model: LanguageModel, resources: Resources
) -> None:
    editor = serac(encoder_folder, artifact="identity")
    first, second = TINY_EDITS[:2]
    again = first.model_copy(update={"id": "again", "target_new": second.target_new})
    *_, last = edit_in_batches(editor, world_model, [first, second, again], 1, resources)
    assert isinstance(last.state, SeracState)
    assert last.state.edits == (second.id, "again")
    assert len(last.state.tensors["embeddings"]) == 2
    assert last.reports[0].diagnostics["memory"] == 2
    routed = editor.edited(world_model, last.delta, last.state).route(first.question)
    assert routed.prompt == f"{first.question} {second.target_new}\n{first.question}"


class TestTraining:
    def test_it_learns_scopes_and_answers(self, trained: Path) -> None:
        artifact = read_artifact(trained)
        first, best = artifact.curve[0], artifact.best
        assert best.step > 0
        assert best.loss < 0.8 * first.loss
        assert best.kl < first.kl

    def test_all_trained_parameters_get_a_gradient(
        self, encoder_folder: Path, facts: TrainingEdits, world_model: LanguageModel
    ) -> None:
        learner = serac(encoder_folder).learner(world_model)
        network = learner.module
        assert isinstance(network, SeracNetwork)
        examples = Examples.of(world_model, facts.train[:4], "seed")
        for parts in (1, 4):
            learner.backward(examples, QUICK.model_copy(update={"micro_batch": parts}))
            assert float(network.classifier.log_scale.grad or 0.0) != 0.0
        untouched = {n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())}
        pooler = {name for name in untouched if "pooler" in name}
        assert {name.partition(".")[2][:2] for name in untouched - pooler} <= {"a."}
        assert learner.activation_bytes(examples, QUICK) > 0

    def test_the_adapters_are_equivalent_to_a_change_of_weights(
        self, trained: Path, encoder_folder: Path, world_model: LanguageModel
    ) -> None:
        network = serac(encoder_folder, artifact=str(trained)).trained(world_model)[1]
        assert isinstance(network, SeracNetwork)
        ids = torch.tensor([[5, 6, 7, 8]])
        with torch.no_grad(), network.adapters.in_force(world_model):
            hooked = world_model.module(ids).logits
        with torch.no_grad(), network.adapters.on(world_model):
            changed = world_model.module(ids).logits
        assert not torch.equal(changed, world_model.module(ids).logits)
        torch.testing.assert_close(hooked, changed, rtol=1e-4, atol=1e-4)

    def test_an_interrupted_training_gives_the_same_network(
        self, facts: TrainingEdits, encoder_folder: Path, world_folder: Path, tmp_path: Path
    ) -> None:
        short = QUICK.model_copy(update={"n_steps": 4, "validate_every": 2})
        for name, stops in (("whole", (4,)), ("parts", (2, 4))):
            for stop in stops:
                settings = short.model_copy(update={"n_steps": stop})
                model = load_world_model(world_folder)
                Training(serac(encoder_folder), model, facts, settings, tmp_path / name, SILENT).run()
        whole, parts = (load_file(tmp_path / name / NETWORK) for name in ("whole", "parts"))
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_counterfactual_model_with_another_vocabulary_is_rejected() -> None:
    model = tiny_language_model("llama")
    other = LanguageModel.wrap(model.module, sentencepiece(), "other")
    with pytest.raises(BadInputError, match="its tokenizer has another vocabulary"):
        check_vocabulary(model, other)


def test_continuing_with_another_network_is_rejected(
    trained: Path, encoder_folder: Path, world_model: LanguageModel, resources: Resources
) -> None:
    untrained = serac(encoder_folder, artifact="identity")
    state = untrained.prepare(world_model, resources)
    with pytest.raises(SequelaError, match="were computed with the network"):
        serac(encoder_folder, artifact=str(trained)).edit(world_model, TINY_EDITS[:1], state, resources)


def test_network_and_counterfactual_model_are_inputs(
    encoder_folder: Path, world_folder: Path, world_model: LanguageModel, resources: Resources
) -> None:
    editor = serac(encoder_folder, artifact="identity", counterfactual=str(world_folder))
    state = editor.prepare(world_model, resources)
    assert editor.inputs(world_model, state) == {
        "network": state.network,
        "counterfactual model": world_model.fingerprint,
    }
    itself = serac(encoder_folder, artifact="identity")
    assert itself.inputs(world_model, itself.prepare(world_model, resources)).keys() == {
        "network",
        "counterfactual model",
    }
