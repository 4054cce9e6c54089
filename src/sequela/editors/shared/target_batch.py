"""The texts for target optimization: edits are optimized in parallel, and the lower blocks run only once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sequela.core.precision import SCORING_DTYPE
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.activations import Site, module_at
from sequela.models.forward.batch import index_of, pad_right
from sequela.models.forward.blocks import block_output
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward
from sequela.models.spans import BLANK

ESSENCE_PROMPT = f"{BLANK} is a"
"""The prompt whose continuation should not change (Meng et al. 2022, section 3.1)."""


@dataclass(frozen=True)
class EditTexts:
    """The texts on which one edit's target is optimized.

    Args:
        rewrites: The edit's prompt with its target in every context, the bare prompt first.
        essence: The essence prompt of the edit's subject.
    """

    rewrites: tuple[TokenizedPrompt, ...]
    essence: TokenizedPrompt

    @classmethod
    def of(cls, model: LanguageModel, edit: Edit, contexts: Sequence[str]) -> EditTexts:
        """Tokenizes the texts of an edit."""
        rewrites = tuple(
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in contexts
        )
        return cls(rewrites, tokenize_prompt(model.tokenizer, ESSENCE_PROMPT, edit.subject))

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """The token ids of each row, the essence prompt last, without tokens after the last prediction."""
        return [
            *(prompt.ids[:-1] for prompt in self.rewrites),
            self.essence.ids[: self.essence.subject_last + 1],
        ]

    @property
    def subject_last(self) -> list[int]:
        """The position of the subject's last token in each row."""
        return [prompt.subject_last for prompt in (*self.rewrites, self.essence)]

    @property
    def n_tokens(self) -> int:
        """The number of tokens that are recomputed in every step, including padding."""
        rows, starts = self.rows, self.subject_last
        return len(rows) * max(len(row) - start for row, start in zip(rows, starts, strict=True))


@dataclass(frozen=True)
class Terms:
    """The terms of the loss that depend on the model's output, each `[edits]`.

    Args:
        likelihood: The target's negative log-likelihood, in nats per token.
        kl: The divergence of the next-token distribution at the essence prompt from the initial one, in nats.
        highest: The mean probability of the most likely token at the positions that predict the target.
        target: The mean probability of the target's tokens at these positions.
    """

    likelihood: torch.Tensor
    kl: torch.Tensor
    highest: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True)
class TargetBatch:
    """A recorded pass over the texts of several edits, which is replayed from the edited layer up.

    By causality nothing before the subject's last token can change. Only positions from there on are
    recomputed, and logits are read only where a target is predicted.

    Args:
        recording: The recorded pass.
        sites: The sites at which changes are added.
        edit_of_row: The index of each row's edit, `[rows]`.
        columns: The column of the subject's last token in each row, `[rows]`.
        rows: The row of each prediction, `[predictions]`; a prediction is that of a target's token, or of
            the token after an edit's essence prompt.
        positions: The column at which it is predicted, `[predictions]`.
        ids: The target's token id, `[predictions]`; -1 for an essence prompt.
        weights: The weight in the edit's mean, `[predictions]`: equal for all contexts, and for all tokens
            within a context; 0 for an essence prompt.
        essence_before: The initial log-probabilities after each edit's essence prompt, `[edits, vocabulary]`.
    """

    recording: ForwardRecord
    sites: tuple[Site, ...]
    edit_of_row: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor
    essence_before: torch.Tensor

    @classmethod
    def of(
        cls, model: LanguageModel, texts: Sequence[EditTexts], sites: Sequence[Site]
    ) -> tuple[TargetBatch, dict[Site, torch.Tensor]]:
        """Runs the texts once.

        Returns:
            The batch, and the initial values of each site at the bare prompts' subjects, fp32 `[edits, d]`.
        """
        rows = [row for text in texts for row in text.rows]
        last = [position for text in texts for position in text.subject_last]
        batch = pad_right(rows, model.pad_id, model.device)
        with _outputs(model, sites) as seen:
            recording = record_forward(model, batch, min(map(_first_block, sites)), starts=last)
        device = model.device
        sizes = torch.tensor([len(text.rows) for text in texts], device=device)
        bare = sizes.cumsum(0) - sizes
        at_subject = torch.tensor(last, device=device)
        initial = {site: output[bare, at_subject[bare]].to(SCORING_DTYPE) for site, output in seen.items()}
        predictions = [
            prediction
            for text, first in zip(texts, bare.tolist(), strict=True)
            for prediction in _predictions(text, first, recording.starts)
        ]
        numbers = torch.tensor([prediction[:3] for prediction in predictions], device=device)
        columns = at_subject - torch.tensor(recording.starts, device=device)
        target_batch = cls(
            recording=recording,
            sites=tuple(sites),
            edit_of_row=torch.arange(len(texts), device=device).repeat_interleave(sizes),
            columns=columns,
            rows=numbers[:, 0],
            positions=numbers[:, 1],
            ids=numbers[:, 2],
            weights=torch.tensor([weight for *_, weight in predictions], device=device),
            essence_before=torch.empty(0, device=device),
        )
        with torch.no_grad():
            before = target_batch._log_probabilities(recording.final)[target_batch.ids < 0]
        return dataclasses.replace(target_batch, essence_before=before), initial

    def terms(self, deltas: Mapping[Site, torch.Tensor]) -> Terms:
        """Returns the loss terms with a change `[edits, d]` added at each site."""
        log_probabilities = self._log_probabilities(self._run(deltas))
        essence = self.ids < 0
        edit = self.edit_of_row[self.rows[~essence]]
        weights, predicted = self.weights[~essence], log_probabilities[~essence]
        picked = predicted.gather(1, self.ids[~essence, None])[:, 0]

        def mean(values: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(len(self.essence_before)).index_add(0, edit, weights * values)

        after = log_probabilities[essence]
        kl = (after.exp() * (after - self.essence_before)).sum(-1)
        with torch.no_grad():
            highest, target = mean(predicted.amax(-1).exp()), mean(picked.exp())
        return Terms(-mean(picked), kl, highest, target)

    def narrowed(self, edits: torch.Tensor) -> TargetBatch:
        """Returns the batch restricted to some edits, given by ascending indices `[edits]`."""
        number = torch.full((len(self.essence_before),), -1, device=edits.device)
        number[edits] = torch.arange(len(edits), device=edits.device)
        kept_rows = number[self.edit_of_row] >= 0
        row_number = kept_rows.cumsum(0) - 1
        kept = kept_rows[self.rows]
        return TargetBatch(
            recording=self.recording.select_rows(kept_rows.nonzero()[:, 0]),
            sites=self.sites,
            edit_of_row=number[self.edit_of_row[kept_rows]],
            columns=self.columns[kept_rows],
            rows=row_number[self.rows[kept]],
            positions=self.positions[kept],
            ids=self.ids[kept],
            weights=self.weights[kept],
            essence_before=self.essence_before[edits],
        )

    def _run(self, deltas: Mapping[Site, torch.Tensor]) -> torch.Tensor:
        """Returns the final hidden states with the deltas added at the subject's last token of every row."""
        model, hidden = self.recording.model, self.recording.hidden
        with ExitStack() as stack:
            for site in self.sites:
                if _first_block(site) > site.layer:
                    hidden = self._added(hidden, deltas[site])
                    continue

                def add(_: nn.Module, __: Any, output: torch.Tensor, site: Site = site) -> torch.Tensor:
                    return self._added(output, deltas[site])

                stack.callback(module_at(model, site).register_forward_hook(add).remove)
            return self.recording.replay(hidden)

    def _added(self, hidden: torch.Tensor, deltas: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(len(self.columns), device=self.columns.device)
        added = deltas[self.edit_of_row].to(hidden)
        return hidden.index_put(index_of(hidden, rows, self.columns), added, accumulate=True)

    def _log_probabilities(self, final: torch.Tensor) -> torch.Tensor:
        """Returns the log-probabilities of the predictions, `[predictions, vocabulary]`."""
        logits = read_logits(self.recording.model, final[self.rows, self.positions])
        return torch.log_softmax(logits, dim=-1)


def _first_block(site: Site) -> int:
    """Returns the lowest block that must be recomputed when a change is added at a site."""
    return site.layer + 1 if site.kind == "block" else site.layer


def _predictions(text: EditTexts, first: int, starts: Sequence[int]) -> Iterator[tuple[int, int, int, float]]:
    """Yields the row, column, token and weight of each prediction of an edit whose first row is `first`."""
    for row, prompt in enumerate(text.rewrites, start=first):
        before = len(prompt.prompt_ids) - 1 - starts[row]
        weight = 1.0 / (len(text.rewrites) * len(prompt.target_ids))
        for offset, token in enumerate(prompt.target_ids):
            yield row, before + offset, token, weight
    row = first + len(text.rewrites)
    yield row, text.essence.subject_last - starts[row], -1, 0.0


@contextmanager
def _outputs(model: LanguageModel, sites: Sequence[Site]) -> Iterator[dict[Site, torch.Tensor]]:
    """Records the output of each site during a pass."""
    seen: dict[Site, torch.Tensor] = {}
    with ExitStack() as stack:
        for site in sites:

            def keep(_: nn.Module, __: Any, output: Any, site: Site = site) -> None:
                seen[site] = block_output(output).detach().to(model.device)

            stack.callback(module_at(model, site).register_forward_hook(keep).remove)
        yield seen
