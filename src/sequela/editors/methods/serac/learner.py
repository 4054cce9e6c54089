"""What is trained for SERAC: the classifier of scopes and the counterfactual model's adapters, side by side.

In a batch every edit's question and paraphrase belong to it and to no other edit, and its neighbor belongs to
none. The counterfactual model is to answer questions and paraphrases behind the right edit, and to answer
neighbors behind an edit that has nothing to do with them as the base does without it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from sequela.editors.methods.serac.counterfactual import Adapters
from sequela.editors.methods.serac.scope import ScopeClassifier, with_statement
from sequela.editors.shared.target_loss import collate, target_logits
from sequela.editors.training.examples import Examples, Wording
from sequela.editors.training.learner import IndependentLearner, TrainingOutcome
from sequela.editors.training.passes import Passes, activation_bytes
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.replay import record_forward
from sequela.models.spans import continued


class SeracNetwork(nn.Module):
    """All that is trained.

    Args:
        classifier: Tells to which edit a request belongs.
        adapters: Make the counterfactual model of its base.
    """

    def __init__(self, classifier: ScopeClassifier, adapters: Adapters) -> None:
        super().__init__()
        self.classifier = classifier
        self.adapters = adapters


class SeracLearner(IndependentLearner):
    """Trains both; the edits of a part are each other's strangers.

    Args:
        network: Both.
        counterfactual: The model that has the adapters.
        first: Its lowest layer with one.
        threshold: The similarity from which on a request belongs to an edit.
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
        """What each edit does behind its own statement, and what the classifier makes of each request."""
        in_force = partial(self._adapters.in_force, self._model)
        found = self._passes(examples).outcome(self._model, in_force, self.gradient_checkpointing)
        similarities, loss = self._scopes(examples)
        n = len(examples)
        own = torch.arange(n, device=similarities.device)
        best = similarities.max(dim=1)
        inside = best.values >= self._threshold
        right_scope = (inside[:n] & (best.indices[:n] == own)).tolist()
        outside = (~inside[n:]).tolist()
        return TrainingOutcome(
            edit_loss=found.edit_loss + loss,
            kl=found.kl,
            efficacy=found.efficacy,
            paraphrase=[said and scope for said, scope in zip(found.paraphrase, right_scope, strict=True)],
            locality=[stays or out for stays, out in zip(found.locality, outside, strict=True)],
        )

    def bytes_of_part(self, examples: Examples) -> int:
        """The counterfactual model's passes; the encoder's are small beside them."""
        features = sum(b.shape[1] for b in self._adapters.b.values())
        return activation_bytes(
            self._model, self._behind_statements(examples), self._first, features, self.gradient_checkpointing
        )

    def _scopes(self, examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
        """How much paraphrases, then neighbors, belong to each edit, `[2 edits, edits]`; and the loss."""
        worded = examples.wordings
        edits = self._classifier.embed([one.question for one in worded])
        requests = self._classifier.embed(
            [*(one.paraphrase for one in worded), *(one.neighbor for one in worded)]
        )
        belongs = torch.zeros(len(requests), len(edits), dtype=torch.bool, device=requests.device)
        belongs.fill_diagonal_(True)
        loss = self._classifier.loss(requests, edits, belongs)
        return self._classifier.similarities(requests, edits).detach(), loss

    def _passes(self, examples: Examples) -> Passes:
        behind = self._behind_statements(examples)
        passes = Passes.of(self._model, behind, self._first)
        bare = record_forward(self._model, collate(self._model, examples.neighbors), self._model.n_layers)
        with torch.no_grad():
            before = target_logits(self._model, bare.final, examples.neighbors)
        return replace(passes, before=tuple(before))

    def _behind_statements(self, examples: Examples) -> Examples:
        """The same rows, each with its edit's statement in front."""

        def behind(worded: Wording, prompt: str, answer: str) -> TokenizedPrompt:
            statement = continued(worded.question, worded.answer)
            return tokenize_prompt(self._model.tokenizer, with_statement(statement, prompt), target=answer)

        return replace(
            examples,
            prompts=tuple(behind(one, one.question, one.answer) for one in examples.wordings),
            paraphrases=tuple(behind(one, one.paraphrase, one.answer) for one in examples.wordings),
            neighbors=tuple(behind(one, one.neighbor, one.neighbor_answer) for one in examples.wordings),
        )
