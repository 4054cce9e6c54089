"""How much each neuron of a model's MLPs adds to the probability of a token: integrated gradients.

Dai, Dong, Hao, Sui, Chang, Wei, "Knowledge Neurons in Pretrained Transformers" (ACL 2022), eq. 3:
`a / m * sum_s dP(s / m * a) / da` over m points between no activation and the activation `a`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sequela.core.batching import retry_on_oom
from sequela.core.precision import SCORING_DTYPE
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site, SiteKind, module_at
from sequela.models.forward.batch import pad_right, places_in
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

TOKENS_AT_ONCE = 256
"""How many rows of one token are run again side by side; each has its own logits and gradients."""


@dataclass(frozen=True)
class Attributions:
    """What was found for some questions.

    Args:
        scores: Each neuron's attribution, fp32 `[questions, layers, d_ff]`.
        keys: The keys at the same place, fp32 `[questions, layers, d_ff]`.
    """

    scores: torch.Tensor
    keys: torch.Tensor


@dataclass(frozen=True)
class Question:
    """A token that the model is to predict.

    Args:
        ids: The tokens before it.
        answer: The token.
    """

    ids: tuple[int, ...]
    answer: int


def attributions(
    model: LanguageModel, questions: Sequence[Question], n_points: int, kind: SiteKind = "key"
) -> Attributions:
    """What each neuron, at the last position before the token, adds to the token's probability.

    The points are `0, 1/(m-1), …, 1`, both ends included, as in the released code; with one point it is
    the gradient without any activation, as in the published runs on large models.

    Blocks below a layer are not run again for it, and of those above only the last position.

    Args:
        model: The model as it is now.
        questions: What is to be predicted.
        n_points: m, how many points the integral is summed over.
        kind: `key` (the input of the MLP's output projection) or `preactivation`.
    """
    last = [len(question.ids) - 1 for question in questions]
    batch = pad_right([question.ids for question in questions], model.pad_id, model.device)
    recording = record_forward(model, batch, 0, last)
    search = _Attribution(
        columns=torch.tensor(last, device=model.device) - torch.tensor(recording.starts, device=model.device),
        answers=torch.tensor([question.answer for question in questions], device=model.device),
        factors=torch.linspace(0, 1, n_points, device=model.device),
    )
    scores, keys = [], []
    for layer in range(model.n_layers):
        site, key = Site(kind, layer), Site("key", layer)
        above, activations = search.activations(recording, {site, key})
        scores.append(search.integrated(recording, site, activations[site]))
        keys.append(activations[key].to(SCORING_DTYPE))
        recording = above
    return Attributions(torch.stack(scores, dim=1), torch.stack(keys, dim=1))


@dataclass(frozen=True)
class _Attribution:
    """What is asked of every layer alike.

    Args:
        columns: The column that predicts, for each question.
        answers: The token whose probability counts.
        factors: The points of the integral, `[m]`.
    """

    columns: torch.Tensor
    answers: torch.Tensor
    factors: torch.Tensor

    def activations(
        self, recording: ForwardRecord, sites: Iterable[Site]
    ) -> tuple[ForwardRecord, dict[Site, torch.Tensor]]:
        """Runs one block; returns the recording above it and what is at its sites, `[questions, d_ff]`."""
        seen: dict[Site, torch.Tensor] = {}
        places = (torch.arange(len(self.columns), device=self.columns.device), self.columns)
        with ExitStack() as stack:
            for site in sites:

                def keep(_: nn.Module, args: tuple[torch.Tensor, ...], site: Site = site) -> None:
                    seen[site] = args[0][places_in(args[0], *places)].to(recording.model.device)

                stack.callback(module_at(recording.model, site).register_forward_pre_hook(keep).remove)
            return recording.advance(), seen

    def integrated(self, recording: ForwardRecord, site: Site, activation: torch.Tensor) -> torch.Tensor:
        """The integral for one layer, `[questions, d_ff]`."""
        n_points = len(self.factors)
        rows = torch.arange(len(self.columns), device=self.columns.device).repeat_interleave(n_points)
        factors = self.factors.repeat(len(self.columns))
        gradients: dict[int, torch.Tensor] = {}

        def attempt(tokens: int) -> None:
            at_once = max(1, tokens // recording.hidden.shape[1])
            while (start := len(gradients)) < len(rows):
                part = slice(start, start + at_once)
                scaled = activation[rows[part]] * factors[part, None].to(activation.dtype)
                found = self._gradients(recording.select_rows(rows[part]), site, rows[part], scaled)
                gradients.update(enumerate(found, start=start))

        retry_on_oom(TOKENS_AT_ONCE, attempt)
        stacked = torch.stack([gradients[row] for row in range(len(rows))]).to(SCORING_DTYPE)
        sums = stacked.reshape(len(self.columns), n_points, -1).sum(1)
        return activation.to(SCORING_DTYPE) * sums / n_points

    def _gradients(
        self, recording: ForwardRecord, site: Site, questions: torch.Tensor, scaled: torch.Tensor
    ) -> torch.Tensor:
        """The gradient of each row's probability by what is put at the site, `[rows, d_ff]`."""
        model = recording.model
        columns = self.columns[questions]
        places = (torch.arange(len(columns), device=columns.device), columns)
        with torch.enable_grad():
            scaled.requires_grad_(True)

            def put(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
                entered = args[0]
                return (entered.index_put(places_in(entered, *places), scaled.to(entered)), *args[1:])

            hook = module_at(model, site).register_forward_pre_hook(put)
            try:
                final = recording.replay()
            finally:
                hook.remove()
            logits = read_logits(model, final[places])
            chosen = torch.softmax(logits, dim=-1).gather(1, self.answers[questions, None])
            (gradient,) = torch.autograd.grad(chosen.sum(), scaled)
        return gradient
