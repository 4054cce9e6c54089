"""SERAC's classifier of requests in the scope of an edit (Mitchell et al. 2022, section 4).

Requests and edits are embedded by the same sentence encoder. The similarity of a request r and an edit e is
`exp(-scale ||e - r||²)`, which is 1 for equal texts. Encoder and scale are trained together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from sequela.core.hashing import hash_json, hash_tensors
from sequela.edited import EditedModel
from sequela.edited.protocols import Route, Routed
from sequela.editors.methods.serac.settings import IN_SCOPE
from sequela.models.sentence_encoder import SentenceEncoder

START = math.log(2) / 0.6
"""The scale before training, with which a cosine of 0.7 gives a similarity of 0.5."""

MIN_DISTANCE = 1e-6
"""The term that keeps the logarithm of `1 - exp(-x)` finite for equal texts."""


class ScopeClassifier(nn.Module):
    """The classifier of requests by their similarity to edits.

    Args:
        encoder: The sentence encoder; its weights are trained, too.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        super().__init__()
        self._encoder = encoder
        self.weights = encoder.module
        self.log_scale = nn.Parameter(torch.tensor(math.log(START)))

    def train(self, mode: bool = True) -> ScopeClassifier:
        """Keeps evaluation mode, because with dropout a resumed training would differ."""
        super().train(False)
        return self

    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """Returns embeddings of texts, `[texts, width]`; gradients flow unless disabled by the caller."""
        return self._encoder.embed(self._encoder.tokenize(texts)).float()

    def exponents(self, requests: torch.Tensor, edits: torch.Tensor) -> torch.Tensor:
        """Returns `scale ||e - r||²`, the negative logarithm of the similarities, `[requests, edits]`.

        Args:
            requests: The requests' embeddings, `[requests, width]`.
            edits: The edits' embeddings, `[edits, width]`.
        """
        squares = (requests[:, None] - edits[None]).square().sum(-1)
        return self.log_scale.exp().to(squares.device) * squares

    def similarities(self, requests: torch.Tensor, edits: torch.Tensor) -> torch.Tensor:
        """Returns the similarity of each request to each edit, from 0 to 1, `[requests, edits]`."""
        return (-self.exponents(requests, edits)).exp()

    def loss(self, requests: torch.Tensor, edits: torch.Tensor, in_scope: torch.Tensor) -> torch.Tensor:
        """Returns the cross-entropy in nats: the mean over pairs in scope plus the mean over all others.

        Args:
            requests: The requests' embeddings, `[requests, width]`.
            edits: The edits' embeddings, `[edits, width]`.
            in_scope: The mask of requests in an edit's scope, `[requests, edits]`, bool.
        """
        exponents = self.exponents(requests, edits)
        out_of_scope = -torch.log(-torch.expm1(-(exponents + MIN_DISTANCE)))
        parts = [part for part in (exponents[in_scope], out_of_scope[~in_scope]) if len(part)]
        return torch.stack([part.mean() for part in parts]).sum()


@dataclass(frozen=True, eq=False)
class ScopeRouter:
    """The router of requests in an edit's scope to the counterfactual model, with the edit's statement.

    Args:
        classifier: The trained classifier.
        network: The hash of the trained network.
        edits: The embeddings of the edits' questions, `[edits, width]`.
        statements: The statement of each edit, which precedes a request in its scope.
        answerer: The counterfactual model.
        threshold: The minimum similarity of a request in an edit's scope.
    """

    classifier: ScopeClassifier
    network: str
    edits: torch.Tensor
    statements: tuple[str, ...]
    answerer: EditedModel
    threshold: float = IN_SCOPE
    _known: dict[str, Routed] = field(default_factory=dict, repr=False)

    @property
    def content_hash(self) -> str:
        """The hash of the classifier, the edits and the counterfactual model."""
        return hash_json(
            {
                "network": self.network,
                "edits": hash_tensors([("embeddings", self.edits)]),
                "statements": self.statements,
                "answerer": self.answerer.content_hash,
                "threshold": self.threshold,
            }
        )

    def route(self, prompt: str) -> Routed:
        """Returns the prompt after the nearest edit's statement, or unchanged if it is in no edit's scope."""
        # Multiple-choice benchmarks repeat a prompt for each choice.
        if prompt not in self._known:
            self._known[prompt] = self._routed(prompt)
        return self._known[prompt]

    @torch.no_grad()
    def _routed(self, prompt: str) -> Routed:
        similarities = self.classifier.similarities(self.classifier.embed([prompt]), self.edits)[0]
        nearest = int(similarities.argmax())
        if float(similarities[nearest]) < self.threshold:
            return Routed(prompt, Route(hit=False))
        return Routed(with_statement(self.statements[nearest], prompt), Route(True, self.answerer))


def with_statement(statement: str, prompt: str) -> str:
    """Returns a request in the format given to the counterfactual model."""
    return f"{statement}\n{prompt}"
