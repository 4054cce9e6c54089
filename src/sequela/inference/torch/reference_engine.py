"""Plain batches through the Hugging Face model: the reference that the faster engines are compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from transformers import DynamicCache

from sequela.core.batching import by_token_budget
from sequela.core.progress import Progress, counted
from sequela.edited import EditedModel
from sequela.edited.decisions import DecisionTokens
from sequela.inference.base_engine import BaseEngine
from sequela.inference.engine import Generation, GenerationRequest, Score, ScoreRequest
from sequela.inference.generation_state import GenerationState, TokenCount, token_count
from sequela.inference.torch.lm_head import Head, all_finite, append_argmax
from sequela.models import LanguageModel
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward

Row = tuple[int, ...]


class PlainEngine(BaseEngine):
    """Scores and generates with right-padded batches of a limited number of tokens.

    Args:
        token_budget: The maximum number of tokens, padding included, in one forward pass.
    """

    def __init__(self, token_budget: int = 4096) -> None:
        self.token_budget = token_budget

    @torch.inference_mode()
    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        """Scores continuations; requests that read the same tokens share one row."""
        has_interventions = bool(model.interventions)
        by_row: dict[tuple[Row, int], list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            decides_at = len(request.context) if has_interventions else 0
            by_row[request.context + request.continuation[:-1], decides_at].append(number)
        rows = list(by_row)
        scores: dict[int, Score] = {}
        with model, counted(progress, "scoring requests", len(requests)) as advance:
            head = Head(model.base)
            for group in by_token_budget([len(row) for row, _ in rows], self.token_budget):
                by_group_row = [[(number, requests[number]) for number in by_row[rows[i]]] for i in group]
                scores.update(_score_batch(model, head, [rows[i] for i in group], by_group_row))
                advance(sum(len(numbered) for numbered in by_group_row))
        return [scores[number] for number in range(len(requests))]

    @torch.inference_mode()
    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        """Continues prompts, many at a time, with a key-value cache."""
        answers: dict[int, Generation] = {}
        model.decisions.begin()
        with model, token_count(requests, progress) as count:
            head = Head(model.base)
            for group in self._generation_groups(model.base, requests):
                states = [GenerationState(number, requests[number]) for number in group]
                for state in self._decode(model, head, states, count):
                    hit = model.decisions.hits.get(state.number)
                    answers[state.number] = replace(state.answer(model.base), hit=hit)
        return [answers[number] for number in range(len(requests))]

    def _generation_groups(
        self, model: LanguageModel, requests: Sequence[GenerationRequest]
    ) -> Iterable[list[int]]:
        lengths = [request.length for request in requests]
        window: int | None = getattr(model.module.config, "sliding_window", None)
        if window is None or max(lengths, default=0) <= window:
            return by_token_budget(lengths, self.token_budget)
        # A sliding window counts cache slots. With padding between prompt and continuation it would
        # see too little, so only prompts of one length, which need no padding, go together.
        by_length: dict[int, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            by_length[len(request.prompt)].append(number)
        return (
            [numbers[i] for i in group]
            for numbers in by_length.values()
            for group in by_token_budget([lengths[n] for n in numbers], self.token_budget)
        )

    def _decode(
        self, edited: EditedModel, head: Head, states: list[GenerationState], count: TokenCount
    ) -> Iterable[GenerationState]:
        """Decodes one group; yields each state when it ends.

        A row's cache slots hold prompt, padding, generated tokens. The mask hides the padding, and the
        positions count only real tokens.
        """
        model = edited.base
        batch = pad_right([state.request.prompt for state in states], model.pad_id, model.device)
        lengths = torch.tensor(batch.lengths, device=model.device)
        numbers = torch.tensor([state.number for state in states], device=model.device)
        mask = (batch.positions < lengths[:, None]).long()
        cache = DynamicCache()
        with edited.decisions.for_pass(DecisionTokens.at(lengths, batch.ids.shape[1], numbers)):
            output = model.module.base_model(
                input_ids=batch.ids, position_ids=batch.positions, past_key_values=cache, use_cache=True
            )
        hidden = output.last_hidden_state[torch.arange(len(states), device=model.device), lengths - 1]
        while True:
            tokens = append_argmax(model, head.after_norm(hidden), states)
            count(states)
            going = [i for i, state in enumerate(states) if not state.ended_by]
            yield from (state for state in states if state.ended_by)
            if not going:
                return
            if len(going) < len(states):
                keep = torch.tensor(going, device=model.device)
                cache.batch_select_indices(keep)
                tokens, mask, lengths, numbers = tokens[keep], mask[keep], lengths[keep], numbers[keep]
                states = [states[i] for i in going]
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            with edited.decisions.for_pass(DecisionTokens.under(numbers[:, None])):
                output = model.module.base_model(
                    input_ids=tokens[:, None],
                    attention_mask=mask,
                    position_ids=lengths[:, None],
                    past_key_values=cache,
                    use_cache=True,
                )
            lengths = lengths + 1
            hidden = output.last_hidden_state[:, 0]


def _score_batch(
    edited: EditedModel,
    head: Head,
    rows: list[tuple[Row, int]],
    row_requests: list[list[tuple[int, ScoreRequest]]],
) -> Iterable[tuple[int, Score]]:
    """Scores the requests that read these rows; computes logits only at the positions they need.

    Args:
        edited: The model.
        head: Its head.
        rows: The tokens of each row, and the number of tokens up to the deciding one, itself included.
        row_requests: The requests that read each row, with their indices.
    """
    model = edited.base
    batch = pad_right([row for row, _ in rows], model.pad_id, model.device)
    edited.decisions.begin()
    decision_lengths = torch.tensor([length for _, length in rows], device=model.device)
    with edited.decisions.for_pass(DecisionTokens.at(decision_lengths, batch.ids.shape[1])):
        hidden = record_forward(model, batch, first=model.n_layers).final
    for row, requests in enumerate(row_requests):
        start = min(len(request.context) for _, request in requests) - 1
        logits = head.logits(hidden[row, start : batch.lengths[row]])
        logprobs = torch.log_softmax(logits, dim=-1)
        best = logprobs.argmax(dim=-1)
        finite = all_finite(logits)
        for number, request in requests:
            at = slice(len(request.context) - 1 - start, None)
            target = torch.tensor(request.continuation, device=logprobs.device)
            picked = logprobs[at].gather(1, target[:, None])[:, 0]
            token_greedy = (best[at] == target).tolist()
            is_finite, hit = bool(finite[at].all()), edited.decisions.hits.get(row)
            yield number, Score(tuple(picked.tolist()), tuple(token_greedy), is_finite, hit=hit)
