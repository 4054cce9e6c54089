"""Whether a request falls in the scope of an edit: SERAC's classifier (Mitchell et al. 2022, section 4).

Requests and edits are embedded by one sentence encoder; a request belongs to an edit by
`exp(-scale ||e - r||²)`, which is 1 for the same text. Encoder and scale are trained together.
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
"""The scale before training: texts with a cosine of 0.7 lie on the border."""

MIN_DISTANCE = 1e-6
"""Keeps the logarithm of `1 - exp(-x)` finite where two texts are the same."""


class ScopeClassifier(nn.Module):
    """Similarities of requests and edits.

    Args:
        encoder: The encoder; its weights are trained too.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        super().__init__()
        self._encoder = encoder
        self.weights = encoder.module
        self.log_scale = nn.Parameter(torch.tensor(math.log(START)))

    def train(self, mode: bool = True) -> ScopeClassifier:
        """Stays in evaluation mode: dropout would make a training that is taken up again another one."""
        super().train(False)
        return self

    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """Embeddings of texts, `[texts, width]`; gradients flow unless they are switched off around it."""
        return self._encoder.embed(self._encoder.tokenize(texts)).float()

    def exponents(self, requests: torch.Tensor, edits: torch.Tensor) -> torch.Tensor:
        """`scale ||e - r||²`, minus the logarithm of the similarities, `[requests, edits]`.

        Args:
            requests: Embeddings, `[requests, width]`.
            edits: Embeddings, `[edits, width]`.
        """
        apart = (requests[:, None] - edits[None]).square().sum(-1)
        return self.log_scale.exp().to(apart.device) * apart

    def similarities(self, requests: torch.Tensor, edits: torch.Tensor) -> torch.Tensor:
        """How much each request belongs to each edit, from 0 to 1, `[requests, edits]`."""
        return (-self.exponents(requests, edits)).exp()

    def loss(self, requests: torch.Tensor, edits: torch.Tensor, belongs: torch.Tensor) -> torch.Tensor:
        """Cross-entropy in nats: the mean over those that belong together plus that over the others.

        Args:
            requests: Embeddings, `[requests, width]`.
            edits: Embeddings, `[edits, width]`.
            belongs: Whether a request belongs to an edit, `[requests, edits]`, bool.
        """
        exponents = self.exponents(requests, edits)
        apart = -torch.log(-torch.expm1(-(exponents + MIN_DISTANCE)))
        parts = [part for part in (exponents[belongs], apart[~belongs]) if len(part)]
        return torch.stack([part.mean() for part in parts]).sum()


@dataclass(frozen=True, eq=False)
class ScopeRouter:
    """Has requests that fall in an edit's scope answered with that edit in front of them.

    Args:
        classifier: The trained classifier.
        network: A hash of it.
        edits: Embeddings of the edits' questions, `[edits, width]`.
        statements: What is put in front of a request in the scope of each.
        answerer: Who answers such requests.
        threshold: The similarity from which on a request belongs to an edit.
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
        """A hash of the classifier, the edits and who answers."""
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
        """The nearest edit's statement and the prompt, or the prompt as it is where no edit is near."""
        # The choices of one question come one by one, each with the same prompt.
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
    """A request as the counterfactual model is asked it."""
    return f"{statement}\n{prompt}"
