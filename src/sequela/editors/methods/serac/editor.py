"""SERAC: edits kept as texts, and another model that answers in their scope (Mitchell et al. 2022).

A request in the scope of an edit goes, with the edit's statement in front of it, to a counterfactual model;
all others go to the model as it is. So whatever a benchmark loses, it loses on the requests that hit: engines
count them. Edits are rows of a memory. It grows by one text with every edit, and every request is compared
with all of them.

What is different from the released code: the choice is a switch at one similarity, when scoring as when
writing, and never a mixture of two models' probabilities; an edit with an earlier one's very question takes
its place; the classifier begins with an encoder of sentences, not of words; the counterfactual model is by
default the edited model's base with low-rank adapters, and it is trained, too, to leave alone what an edit
in front of it has nothing to do with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

from sequela.core.seeding import seeded
from sequela.edited import Delta, EditedModel
from sequela.editors.base import EditOutcome, EditReport, Resources
from sequela.editors.methods.serac.counterfactual import Adapters, check_vocabulary
from sequela.editors.methods.serac.learner import SeracLearner, SeracNetwork
from sequela.editors.methods.serac.scope import ScopeClassifier, ScopeRouter, with_statement
from sequela.editors.methods.serac.settings import SERAC, SeracHyperparameters
from sequela.editors.shared.target_loss import target_losses, tokenize_edits
from sequela.editors.training.learner import Learner
from sequela.editors.training.trained_editor import TrainedEditor, TrainedState
from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.loading import load_model
from sequela.models.sentence_encoder import load_sentence_encoder
from sequela.models.spans import continued


class SeracState(TrainedState):
    """The memory: an edit in every row, and `embeddings` `[rows, width]` of the questions among the tensors.

    Args:
        questions: The edits' questions.
        answers: Their new answers.
        edits: Their ids.
    """

    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.questions)

    def with_edit(self, edit: Edit, embedding: torch.Tensor) -> SeracState:
        """The memory with one more edit, in place of an earlier one that asks the very same.

        Args:
            edit: The edit.
            embedding: Of its question, `[1, width]`.
        """
        kept = [row for row, question in enumerate(self.questions) if question != edit.question]
        embeddings = [self.tensors["embeddings"][kept], embedding] if len(self) else [embedding]
        return self.model_copy(
            update={
                "questions": (*(self.questions[row] for row in kept), edit.question),
                "answers": (*(self.answers[row] for row in kept), edit.target_new),
                "edits": (*(self.edits[row] for row in kept), edit.id),
                "tensors": {"embeddings": torch.cat(embeddings)},
            }
        )

    @property
    def statements(self) -> tuple[str, ...]:
        """What each edit says."""
        return tuple(continued(q, a) for q, a in zip(self.questions, self.answers, strict=True))


class Serac(TrainedEditor[SeracHyperparameters, SeracState]):
    """Keeps edits as texts and has requests in their scope answered by another model."""

    info = SERAC
    inference_only_settings: ClassVar[tuple[str, ...]] = ("threshold",)
    training_defaults: ClassVar[Mapping[str, float]] = {"edit_weight": 1.0}
    state_class = SeracState

    def __init__(self, hyperparameters: SeracHyperparameters) -> None:
        super().__init__(hyperparameters)
        self._counterfactual: tuple[str, LanguageModel] | None = None

    @property
    def variant(self) -> str:
        """`untrained`, if it is that."""
        return "untrained" if self.hyperparameters.is_untrained else ""

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """None of the edited model's."""
        return ()

    def lowest_block(self, model: LanguageModel) -> int:
        """What enters the edited model's blocks stays as it is in all of them."""
        return model.n_layers

    def adapted_layers(self, counterfactual: LanguageModel) -> tuple[int, ...]:
        """The counterfactual model's layers that have adapters, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        return tuple(range(counterfactual.n_layers // 2, counterfactual.n_layers))

    def counterfactual(self, model: LanguageModel) -> LanguageModel:
        """The model that answers in an edit's scope, without its adapters; loaded once for a model.

        Raises:
            BadInputError: It reads other tokens than the edited model.
        """
        name = self.hyperparameters.counterfactual
        if name is None:
            return model
        if self._counterfactual is None or self._counterfactual[0] != model.fingerprint:
            other = load_model(name, device=str(model.device), dtype=str(model.dtype).removeprefix("torch."))
            check_vocabulary(model, other)
            self._counterfactual = (model.fingerprint, other)
        return self._counterfactual[1]

    def learner(self, model: LanguageModel, seed: int = 0) -> Learner:
        """The classifier and the adapters."""
        counterfactual = self.counterfactual(model)
        layers = self.adapted_layers(counterfactual)
        counterfactual.check_layers(layers)
        encoder = load_sentence_encoder(self.hyperparameters.encoder, model.device)
        with seeded(seed, model.device):
            adapters = Adapters(counterfactual, layers, self.hyperparameters.rank)
        network = SeracNetwork(ScopeClassifier(encoder), adapters).to(model.device)
        return SeracLearner(network, counterfactual, layers[0], self.hyperparameters.threshold)

    def prepare(self, model: LanguageModel, resources: Resources) -> SeracState:
        """Finds what was trained; the memory is empty."""
        return SeracState(network=self.trained(model)[0])

    def routers(self, model: LanguageModel, state: SeracState) -> tuple[ScopeRouter, ...]:
        """The memory, once it has an edit."""
        if not len(state):
            return ()
        self.check_network(model, state)
        known, network = self.trained(model)
        assert isinstance(network, SeracNetwork)
        answerer = network.adapters.on(self.counterfactual(model))
        return (
            ScopeRouter(
                network.classifier,
                known,
                state.tensors["embeddings"],
                state.statements,
                answerer,
                self.hyperparameters.threshold,
            ),
        )

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: SeracState, resources: Resources
    ) -> EditOutcome[SeracState]:
        """Adds the edits to the memory.

        Raises:
            SequelaError: The state came from another network.
        """
        self.check_network(model, state)
        _, network = self.trained(model)
        assert isinstance(network, SeracNetwork)
        answerer = network.adapters.on(self.counterfactual(model))
        before = target_losses(model, tokenize_edits(model, edits))[0]
        after = target_losses_of(answerer, edits)
        reports = []
        for row, edit in enumerate(edits):
            made = bool(torch.isfinite(after[row]))
            if made:
                with torch.no_grad():
                    state = state.with_edit(edit, network.classifier.embed([edit.question]))
            reports.append(
                EditReport(
                    edit_id=edit.id,
                    optimization_steps=0,
                    first_loss=float(before[row]),
                    final_loss=float(after[row]),
                    relative_norm=0.0,
                    dropped="" if made else "the loss is not finite",
                    diagnostics={"memory": float(len(state))},
                )
            )
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))


def target_losses_of(answerer: EditedModel, edits: Sequence[Edit]) -> torch.Tensor:
    """The loss of each edit's target where its own question is sent, `[edits]`, in nats a token."""
    asked = [
        tokenize_prompt(
            answerer.base.tokenizer,
            with_statement(continued(edit.question, edit.target_new), edit.question),
            target=edit.target_new,
        )
        for edit in edits
    ]
    with answerer:
        return target_losses(answerer.base, asked)[0]
