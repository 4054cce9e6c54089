"""The texts that target values are optimised on: many edits side by side, their lower part run once."""

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
from sequela.models.forward.batch import pad_right, places_in
from sequela.models.forward.blocks import block_output
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward
from sequela.models.spans import BLANK

ESSENCE_PROMPT = f"{BLANK} is a"
"""The prompt whose continuation shall stay as it was (Meng et al. 2022, section 3.1)."""


@dataclass(frozen=True)
class EditTexts:
    """What one edit's target is optimised on.

    Args:
        rewrites: Its prompt with its target in every context, the bare prompt first.
        essence: The essence prompt of its subject.
    """

    rewrites: tuple[TokenizedPrompt, ...]
    essence: TokenizedPrompt

    @classmethod
    def of(cls, model: LanguageModel, edit: Edit, contexts: Sequence[str]) -> EditTexts:
        """Turns an edit into tokens."""
        rewrites = tuple(
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in contexts
        )
        return cls(rewrites, tokenize_prompt(model.tokenizer, ESSENCE_PROMPT, edit.subject))

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """Token ids of each row, the essence prompt last; what nothing is read behind is left out."""
        return [
            *(prompt.ids[:-1] for prompt in self.rewrites),
            self.essence.ids[: self.essence.subject_last + 1],
        ]

    @property
    def subject_last(self) -> list[int]:
        """Where the subject ends in each row."""
        return [prompt.subject_last for prompt in (*self.rewrites, self.essence)]

    @property
    def n_tokens(self) -> int:
        """How many tokens are run again in every step, padding included."""
        rows, starts = self.rows, self.subject_last
        return len(rows) * max(len(row) - start for row, start in zip(rows, starts, strict=True))


@dataclass(frozen=True)
class Terms:
    """The parts of the loss that the model decides, each `[edits]`.

    Args:
        likelihood: The target's negative log-likelihood, in nats a token.
        kl: Divergence of the essence prompt's next token from what it was, in nats.
        highest: The mean probability of the most likely token where the target is predicted.
        target: The mean probability of the target's token there.
    """

    likelihood: torch.Tensor
    kl: torch.Tensor
    highest: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True)
class TargetBatch:
    """A recorded pass over the texts of several edits, run again from the edited layer up.

    By causality nothing before the subject's last token can change: only what comes from there on is
    run again, and only where a target is predicted are logits read.

    Args:
        recording: The pass.
        sites: Where something is added.
        edit_of_row: Which edit each row belongs to, `[rows]`.
        columns: The column of the subject's last token in each row, `[rows]`.
        rows: The row of each question, `[questions]`; a question is a token of a target, or an edit's
            essence prompt.
        places: The column that predicts it, `[questions]`.
        ids: The target's token; -1 for an essence prompt.
        weights: Its part of the edit's mean, `[questions]`: contexts count alike, and so do the
            tokens within one; 0 for an essence prompt.
        essence_before: Log-probabilities behind each edit's essence prompt, `[edits, vocabulary]`.
    """

    recording: ForwardRecord
    sites: tuple[Site, ...]
    edit_of_row: torch.Tensor
    columns: torch.Tensor
    rows: torch.Tensor
    places: torch.Tensor
    ids: torch.Tensor
    weights: torch.Tensor
    essence_before: torch.Tensor

    @classmethod
    def of(
        cls, model: LanguageModel, texts: Sequence[EditTexts], sites: Sequence[Site]
    ) -> tuple[TargetBatch, dict[Site, torch.Tensor]]:
        """Runs the texts once.

        Returns:
            The batch, and what stands at each site at the bare prompts' subjects, fp32 `[edits, d]`.
        """
        rows = [row for text in texts for row in text.rows]
        last = [place for text in texts for place in text.subject_last]
        batch = pad_right(rows, model.pad_id, model.device)
        with _outputs(model, sites) as seen:
            recording = record_forward(model, batch, min(map(_first_block, sites)), starts=last)
        device = model.device
        sizes = torch.tensor([len(text.rows) for text in texts], device=device)
        bare = sizes.cumsum(0) - sizes
        at_subject = torch.tensor(last, device=device)
        initial = {site: output[bare, at_subject[bare]].to(SCORING_DTYPE) for site, output in seen.items()}
        questions = [
            question
            for text, first in zip(texts, bare.tolist(), strict=True)
            for question in _questions(text, first, recording.starts)
        ]
        numbers = torch.tensor([question[:3] for question in questions], device=device)
        columns = at_subject - torch.tensor(recording.starts, device=device)
        made = cls(
            recording=recording,
            sites=tuple(sites),
            edit_of_row=torch.arange(len(texts), device=device).repeat_interleave(sizes),
            columns=columns,
            rows=numbers[:, 0],
            places=numbers[:, 1],
            ids=numbers[:, 2],
            weights=torch.tensor([weight for *_, weight in questions], device=device),
            essence_before=torch.empty(0, device=device),
        )
        with torch.no_grad():
            before = made._log_probabilities(recording.final)[made.ids < 0]
        return dataclasses.replace(made, essence_before=before), initial

    def terms(self, deltas: Mapping[Site, torch.Tensor]) -> Terms:
        """The loss with something added at each site, `[edits, d]`."""
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
        """The same with some edits only, in their order, `[edits]` ascending."""
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
            places=self.places[kept],
            ids=self.ids[kept],
            weights=self.weights[kept],
            essence_before=self.essence_before[edits],
        )

    def _run(self, deltas: Mapping[Site, torch.Tensor]) -> torch.Tensor:
        """Final hidden states with the deltas added at the subject's last token of every row."""
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
        return hidden.index_put(places_in(hidden, rows, self.columns), added, accumulate=True)

    def _log_probabilities(self, final: torch.Tensor) -> torch.Tensor:
        """Log-probabilities at the questions, `[questions, vocabulary]`."""
        logits = read_logits(self.recording.model, final[self.rows, self.places])
        return torch.log_softmax(logits, dim=-1)


def _first_block(site: Site) -> int:
    """The lowest block that has to be run again when something is added at a site."""
    return site.layer + 1 if site.kind == "block" else site.layer


def _questions(text: EditTexts, first: int, starts: Sequence[int]) -> Iterator[tuple[int, int, int, float]]:
    """Row, column, token and weight of each question of an edit whose first row is `first`."""
    for row, prompt in enumerate(text.rewrites, start=first):
        before = len(prompt.prompt_ids) - 1 - starts[row]
        weight = 1.0 / (len(text.rewrites) * len(prompt.target_ids))
        for offset, token in enumerate(prompt.target_ids):
            yield row, before + offset, token, weight
    row = first + len(text.rewrites)
    yield row, text.essence.subject_last - starts[row], -1, 0.0


@contextmanager
def _outputs(model: LanguageModel, sites: Sequence[Site]) -> Iterator[dict[Site, torch.Tensor]]:
    """Keeps what is at each site during a pass."""
    seen: dict[Site, torch.Tensor] = {}
    with ExitStack() as stack:
        for site in sites:

            def keep(_: nn.Module, __: Any, output: Any, site: Site = site) -> None:
                seen[site] = block_output(output).detach().to(model.device)

            stack.callback(module_at(model, site).register_forward_hook(keep).remove)
        yield seen
