"""SERAC: edits stored as texts, with a counterfactual model for their scope (Mitchell et al. 2022).

A request in the scope of an edit is answered by a counterfactual model, with the edit's statement before the
prompt; all others are answered by the unedited model. A benchmark's score can therefore change only through
requests that hit an edit, which engines count. The memory has one row per edit, and every request is compared
with all of them.

Differences from the released code: the model is selected by a threshold on the similarity, in scoring as in
generation, and the two models' probabilities are never mixed; an edit with the same question as an earlier
one replaces it; the classifier is initialized with a sentence encoder instead of a word-level one; the
counterfactual model is by default the edited model's base with low-rank adapters, and it is also trained to
ignore statements that are unrelated to the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

from sequela.core.joining import continued
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


class SeracState(TrainedState):
    """The memory: one edit per row, with the questions' `embeddings` `[rows, width]` among the tensors.

    Args:
        questions: The edits' questions.
        answers: The edits' new answers.
        edits: The edits' ids.
    """

    questions: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.questions)

    def with_edit(self, edit: Edit, embedding: torch.Tensor) -> SeracState:
        """Returns the memory with one more edit, which replaces an earlier one with the same question.

        Args:
            edit: The edit.
            embedding: The embedding of its question, `[1, width]`.
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
        """The statement of each edit: its question with its new answer."""
        return tuple(continued(q, a) for q, a in zip(self.questions, self.answers, strict=True))


class Serac(TrainedEditor[SeracHyperparameters, SeracState]):
    """Stores edits as texts and routes requests in their scope to a counterfactual model."""

    info = SERAC
    inference_only_settings: ClassVar[tuple[str, ...]] = ("threshold",)
    training_defaults: ClassVar[Mapping[str, float]] = {"edit_weight": 1.0}
    state_class = SeracState

    def __init__(self, hyperparameters: SeracHyperparameters) -> None:
        super().__init__(hyperparameters)
        self._counterfactual: tuple[str, LanguageModel] | None = None

    @property
    def variant(self) -> str:
        """The label `untrained` if the network is untrained; otherwise empty."""
        return "untrained" if self.hyperparameters.is_untrained else ""

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns no layers, because the edited model's weights are not changed."""
        return ()

    def lowest_block(self, model: LanguageModel) -> int:
        """Returns the number of layers, because no block is changed."""
        return model.n_layers

    def adapted_layers(self, counterfactual: LanguageModel) -> tuple[int, ...]:
        """Returns the counterfactual model's layers with adapters, ascending."""
        layers = self.hyperparameters.layers
        if layers is not None:
            return tuple(sorted(set(layers)))
        return tuple(range(counterfactual.n_layers // 2, counterfactual.n_layers))

    def counterfactual(self, model: LanguageModel) -> LanguageModel:
        """Returns the base of the counterfactual model, without its adapters, loaded once per model.

        Raises:
            BadInputError: Its vocabulary differs from the edited model's.
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
        """Returns the learner of the classifier and the adapters."""
        counterfactual = self.counterfactual(model)
        layers = self.adapted_layers(counterfactual)
        counterfactual.check_layers(layers)
        encoder = load_sentence_encoder(self.hyperparameters.encoder, model.device)
        with seeded(seed, model.device):
            adapters = Adapters(counterfactual, layers, self.hyperparameters.rank)
        network = SeracNetwork(ScopeClassifier(encoder), adapters).to(model.device)
        return SeracLearner(network, counterfactual, layers[0], self.hyperparameters.threshold)

    def prepare(self, model: LanguageModel, resources: Resources) -> SeracState:
        """Loads the trained network and returns an empty memory."""
        return SeracState(network=self.trained(model, resources.progress)[0])

    def inputs(self, model: LanguageModel, state: SeracState) -> Mapping[str, str]:
        """Returns the hashes of the network and of the counterfactual model without its adapters."""
        base = self.counterfactual(model).fingerprint
        return {**super().inputs(model, state), "counterfactual model": base}

    def routers(self, model: LanguageModel, state: SeracState) -> tuple[ScopeRouter, ...]:
        """Returns the router that looks requests up in the memory, once it has an edit."""
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
            SequelaError: The earlier edits used another network.
        """
        self.check_network(model, state)
        _, network = self.trained(model)
        assert isinstance(network, SeracNetwork)
        answerer = network.adapters.on(self.counterfactual(model))
        before = target_losses(model, tokenize_edits(model, edits))[0]
        after = target_losses_of(answerer, edits)
        reports = []
        for row, edit in enumerate(edits):
            finite = bool(torch.isfinite(after[row]))
            if finite:
                with torch.no_grad():
                    state = state.with_edit(edit, network.classifier.embed([edit.question]))
            reports.append(
                EditReport(
                    edit_id=edit.id,
                    optimization_steps=0,
                    first_loss=float(before[row]),
                    final_loss=float(after[row]),
                    relative_norm=0.0,
                    dropped="" if finite else "the loss is not finite",
                    diagnostics={"memory": float(len(state))},
                )
            )
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))


def target_losses_of(answerer: EditedModel, edits: Sequence[Edit]) -> torch.Tensor:
    """Returns the loss of each edit's target after its statement and question, `[edits]`, nats per token."""
    prompts = [
        tokenize_prompt(
            answerer.base.tokenizer,
            with_statement(continued(edit.question, edit.target_new), edit.question),
            target=edit.target_new,
        )
        for edit in edits
    ]
    with answerer:
        return target_losses(answerer.base, prompts)[0]
