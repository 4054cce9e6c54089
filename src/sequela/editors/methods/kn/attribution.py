"""Attribution of a token's probability to the neurons of a model's MLPs by integrated gradients.

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
from sequela.models.forward.batch import index_of, pad_right
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

TOKENS_AT_ONCE = 256
"""The number of tokens that are recomputed in parallel; each has its own logits and gradients."""


@dataclass(frozen=True)
class Attributions:
    """The attributions for some questions.

    Args:
        scores: Each neuron's attribution, fp32 `[questions, layers, d_ff]`.
        keys: The keys at the same positions, fp32 `[questions, layers, d_ff]`.
    """

    scores: torch.Tensor
    keys: torch.Tensor


@dataclass(frozen=True)
class Question:
    """A token to predict after other tokens.

    Args:
        ids: The ids of the tokens before it.
        answer: The id of the token to predict.
    """

    ids: tuple[int, ...]
    answer: int


def attributions(
    model: LanguageModel, questions: Sequence[Question], n_points: int, kind: SiteKind = "key"
) -> Attributions:
    """Returns each neuron's attribution to the answer's probability, at the position that predicts it.

    The points are `0, 1/(m-1), …, 1`, including both ends, as in the released code. With one point the
    attribution uses the gradient at zero activation, as in the published runs on large models.

    For a layer, the blocks below it are not recomputed, and those above only at the last position.

    Args:
        model: The model with all earlier edits applied.
        questions: The tokens to predict.
        n_points: m, the number of points of the integral.
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
    """The data of an attribution that is the same for every layer.

    Args:
        columns: The column that predicts the answer, `[questions]`.
        answers: The ids of the answers, `[questions]`.
        factors: The points of the integral, `[m]`.
    """

    columns: torch.Tensor
    answers: torch.Tensor
    factors: torch.Tensor

    def activations(
        self, recording: ForwardRecord, sites: Iterable[Site]
    ) -> tuple[ForwardRecord, dict[Site, torch.Tensor]]:
        """Runs one block; returns the recording above it and its sites' activations, `[questions, d_ff]`."""
        seen: dict[Site, torch.Tensor] = {}
        positions = (torch.arange(len(self.columns), device=self.columns.device), self.columns)
        with ExitStack() as stack:
            for site in sites:

                def keep(_: nn.Module, args: tuple[torch.Tensor, ...], site: Site = site) -> None:
                    seen[site] = args[0][index_of(args[0], *positions)].to(recording.model.device)

                stack.callback(module_at(recording.model, site).register_forward_pre_hook(keep).remove)
            return recording.advance(), seen

    def integrated(self, recording: ForwardRecord, site: Site, activation: torch.Tensor) -> torch.Tensor:
        """Returns the integral for one layer, `[questions, d_ff]`."""
        n_points = len(self.factors)
        rows = torch.arange(len(self.columns), device=self.columns.device).repeat_interleave(n_points)
        factors = self.factors.repeat(len(self.columns))
        gradients: dict[int, torch.Tensor] = {}

        def attempt(tokens: int) -> None:
            at_once = max(1, tokens // recording.hidden.shape[1])
            while (start := len(gradients)) < len(rows):
                part = slice(start, start + at_once)
                scaled = activation[rows[part]] * factors[part, None].to(activation.dtype)
                new = self._gradients(recording.select_rows(rows[part]), site, rows[part], scaled)
                gradients.update(enumerate(new, start=start))

        retry_on_oom(TOKENS_AT_ONCE, attempt)
        stacked = torch.stack([gradients[row] for row in range(len(rows))]).to(SCORING_DTYPE)
        sums = stacked.reshape(len(self.columns), n_points, -1).sum(1)
        return activation.to(SCORING_DTYPE) * sums / n_points

    def _gradients(
        self, recording: ForwardRecord, site: Site, questions: torch.Tensor, scaled: torch.Tensor
    ) -> torch.Tensor:
        """Returns the gradient of each row's probability with respect to the site's input, `[rows, d_ff]`."""
        model = recording.model
        columns = self.columns[questions]
        positions = (torch.arange(len(columns), device=columns.device), columns)
        with torch.enable_grad():
            scaled.requires_grad_(True)

            def put(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
                inputs = args[0]
                return (inputs.index_put(index_of(inputs, *positions), scaled.to(inputs)), *args[1:])

            hook = module_at(model, site).register_forward_pre_hook(put)
            try:
                final = recording.replay()
            finally:
                hook.remove()
            logits = read_logits(model, final[positions])
            chosen = torch.softmax(logits, dim=-1).gather(1, self.answers[questions, None])
            (gradient,) = torch.autograd.grad(chosen.sum(), scaled)
        return gradient
