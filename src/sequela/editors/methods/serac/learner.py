"""The training of SERAC's scope classifier together with the counterfactual model's adapters.

In a batch, each edit's question and paraphrase are in the scope of that edit only, and its neighbor is in the
scope of none. The counterfactual model learns to answer questions and paraphrases after the statement of
their edit, and to answer neighbors after an unrelated statement as the base model does without it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from sequela.core.joining import continued
from sequela.editors.methods.serac.counterfactual import Adapters
from sequela.editors.methods.serac.scope import ScopeClassifier, with_statement
from sequela.editors.shared.target_loss import collate, target_logits
from sequela.editors.training.examples import Examples, Wording
from sequela.editors.training.learner import IndependentLearner, TrainingOutcome
from sequela.editors.training.passes import Passes, activation_bytes
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.replay import record_forward


class SeracNetwork(nn.Module):
    """The trained module.

    Args:
        classifier: The scope classifier.
        adapters: The adapters of the counterfactual model.
    """

    def __init__(self, classifier: ScopeClassifier, adapters: Adapters) -> None:
        super().__init__()
        self.classifier = classifier
        self.adapters = adapters


class SeracLearner(IndependentLearner):
    """The learner of classifier and adapters; edits of a micro-batch are negative examples for each other.

    Args:
        network: The classifier and the adapters.
        counterfactual: The base of the counterfactual model.
        first: The lowest layer with an adapter.
        threshold: The minimum similarity of a request in an edit's scope.
    """

    def __init__(
        self, network: SeracNetwork, counterfactual: LanguageModel, first: int, threshold: float
    ) -> None:
        super().__init__(network)
        self._classifier = network.classifier
        self._adapters = network.adapters
        self._model = counterfactual
        self._first = first
        self._threshold = threshold

    def outcome(self, examples: Examples) -> TrainingOutcome:
        """Returns the outcome of both the counterfactual model and the classifier.

        A paraphrase succeeds if it is answered and classified correctly; locality holds if either holds.
        """
        in_force = partial(self._adapters.in_force, self._model)
        answers = self._passes(examples).outcome(self._model, in_force, self.gradient_checkpointing)
        similarities, loss = self._scopes(examples)
        n = len(examples)
        own = torch.arange(n, device=similarities.device)
        best = similarities.max(dim=1)
        inside = best.values >= self._threshold
        right_scope = (inside[:n] & (best.indices[:n] == own)).tolist()
        outside = (~inside[n:]).tolist()
        return TrainingOutcome(
            edit_loss=answers.edit_loss + loss,
            kl=answers.kl,
            efficacy=answers.efficacy,
            paraphrase=[
                correct and scope for correct, scope in zip(answers.paraphrase, right_scope, strict=True)
            ],
            locality=[unchanged or out for unchanged, out in zip(answers.locality, outside, strict=True)],
        )

    def bytes_of_part(self, examples: Examples) -> int:
        """Returns an estimate in bytes of the counterfactual model's passes; the encoder's are small."""
        features = sum(b.shape[1] for b in self._adapters.b.values())
        return activation_bytes(
            self._model, self._with_statements(examples), self._first, features, self.gradient_checkpointing
        )

    def _scopes(self, examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns similarities of paraphrases and neighbors to edits, `[2 edits, edits]`, and the loss."""
        wordings = examples.wordings
        edits = self._classifier.embed([one.question for one in wordings])
        requests = self._classifier.embed(
            [*(one.paraphrase for one in wordings), *(one.neighbor for one in wordings)]
        )
        in_scope = torch.zeros(len(requests), len(edits), dtype=torch.bool, device=requests.device)
        in_scope.fill_diagonal_(True)
        loss = self._classifier.loss(requests, edits, in_scope)
        return self._classifier.similarities(requests, edits).detach(), loss

    def _passes(self, examples: Examples) -> Passes:
        passes = Passes.of(self._model, self._with_statements(examples), self._first)
        bare = record_forward(self._model, collate(self._model, examples.neighbors), self._model.n_layers)
        with torch.no_grad():
            before = target_logits(self._model, bare.final, examples.neighbors)
        return replace(passes, before=tuple(before))

    def _with_statements(self, examples: Examples) -> Examples:
        """Returns the same rows, each with its edit's statement before the prompt."""

        def prefixed(wording: Wording, prompt: str, answer: str) -> TokenizedPrompt:
            statement = continued(wording.question, wording.answer)
            return tokenize_prompt(self._model.tokenizer, with_statement(statement, prompt), target=answer)

        return replace(
            examples,
            prompts=tuple(prefixed(one, one.question, one.answer) for one in examples.wordings),
            paraphrases=tuple(prefixed(one, one.paraphrase, one.answer) for one in examples.wordings),
            neighbors=tuple(prefixed(one, one.neighbor, one.neighbor_answer) for one in examples.wordings),
        )
