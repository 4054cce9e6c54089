"""Greedy decoding of many prompts at once: shared prefixes are read once, new rows replace ended ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import torch

from sequela.edited import EditedModel
from sequela.edited.decisions import NO_DECISION, DecisionTokens
from sequela.inference.engine import GenerationRequest
from sequela.inference.generation_state import GenerationState, TokenCount
from sequela.inference.torch.attention.base import attention_replaced
from sequela.inference.torch.attention.kv_slots import Prefix, Row, Slots
from sequela.inference.torch.attention.rows import RowAttention
from sequela.inference.torch.counters import TokenCounters
from sequela.inference.torch.lm_head import Head, append_argmax
from sequela.inference.torch.packed_linear import fastest_linears
from sequela.inference.torch.prefixes import group_by_prefix

MIN_FREE_SLOTS_SHARE = 0.25  # the share of slots that must be free before new rows are read, in few big packs


class Decoder:
    """Continues prompts greedily on a model with its edits in force.

    Args:
        model: The model.
        requests: The prompts; none longer than the model's context.
        most_rows: The maximum number of rows at a time.
        kept: The maximum number of tokens whose keys and values are kept; it may limit the rows further.
        tokens: The approximate number of tokens of new rows that are read at once.
        counters: Counts the work that is done.
        count: Receives the states that took a token.
        pack_weights: If true, the blocks' weights may be in memory a second time, packed.
    """

    def __init__(
        self,
        model: EditedModel,
        requests: Sequence[GenerationRequest],
        most_rows: int,
        kept: int,
        tokens: int,
        counters: TokenCounters,
        count: TokenCount,
        pack_weights: bool = True,
    ) -> None:
        self._edited = model
        self._model = model.base
        self._pack_weights = pack_weights
        self._tokens = tokens
        self._counters = counters
        self._count = count
        self._attention = RowAttention(Slots())
        self._states: list[GenerationState] = []  # one for each row in use
        self._waiting: deque[tuple[GenerationState, Prefix | None, tuple[int, ...]]] = deque()
        prompts = [request.prompt for request in requests]
        for group in group_by_prefix(prompts):
            prefix = Prefix(group.prefix) if group.prefix else None
            for number in group.members:
                self._waiting.append((GenerationState(number, requests[number]), prefix, prompts[number]))
        starts = [0 if prefix is None else prefix.length for _, prefix, _ in self._waiting]
        lengths = [state.request.length for state, _, _ in self._waiting]
        longest = max(length - start for length, start in zip(lengths, starts, strict=True))
        self._n_slots = max(1, min(len(requests), most_rows, (kept - max(starts)) // longest))

    def run(self) -> Iterator[GenerationState]:
        """Yields each state when it has ended."""
        with ExitStack() as stack:
            stack.enter_context(fastest_linears(self._model, may_pack=self._pack_weights))
            stack.enter_context(attention_replaced(self._model, self._attention))
            head = Head(self._model)
            while self._waiting or self._states:
                if self._should_enter():
                    while self._waiting and len(self._states) < self._n_slots:
                        yield from self._enter(head)
                if self._states:
                    yield from self._step(head)

    def _should_enter(self) -> bool:
        free = self._n_slots - len(self._states)
        return not self._states or free >= max(1, MIN_FREE_SLOTS_SHARE * self._n_slots)

    def _enter(self, head: Head) -> Iterator[GenerationState]:
        """Reads as many waiting prompts as fit."""
        states: list[GenerationState] = []
        rows: list[Row] = []
        ids: list[int] = []
        positions: list[int] = []
        while self._waiting and len(self._states) + len(states) < self._n_slots:
            state, prefix, prompt = self._waiting[0]
            row = Row(prefix, len(prompt) - (prefix.length if prefix else 0))
            if rows and len(ids) + row.length > self._tokens:
                break
            self._waiting.popleft()
            if prefix is not None and not prefix.layers:
                self._read_prefix(prefix)
            ids += prompt[row.start :]
            positions += range(row.start, len(prompt))
            states.append(state)
            rows.append(row)
        self._attention.begin_rows(rows)
        last = torch.tensor([row.length for row in rows], device=self._model.device).cumsum(0) - 1
        decision_ids = torch.full((1, len(ids)), NO_DECISION, device=self._model.device)
        decision_ids[0, last] = torch.tensor([state.number for state in states], device=self._model.device)
        hidden = self._run([ids], [positions], DecisionTokens(decision_ids != NO_DECISION, decision_ids))[0]
        self._states += states
        yield from self._take(head, hidden[last], len(self._states) - len(states))

    def _read_prefix(self, prefix: Prefix) -> None:
        self._attention.begin_prefix(prefix)
        undecided = torch.full((1, prefix.length), NO_DECISION, device=self._model.device)
        self._run([list(prefix.ids)], [list(range(prefix.length))], DecisionTokens.under(undecided))

    def _step(self, head: Head) -> Iterator[GenerationState]:
        """Reads the last token of every row in use."""
        rows = self._attention.slots.rows
        for row in rows:
            row.length += 1
        self._attention.begin_step()
        ids = [[state.ids[-1]] for state in self._states]
        decision_ids = torch.tensor([[state.number] for state in self._states], device=self._model.device)
        hidden = self._run(
            ids, [[row.start + row.length - 1] for row in rows], DecisionTokens.under(decision_ids)
        )
        yield from self._take(head, hidden[:, 0], 0)

    def _take(self, head: Head, normed: torch.Tensor, first: int) -> Iterator[GenerationState]:
        """Appends the next token to the states from `first` on; yields and removes those that end."""
        append_argmax(self._model, head.after_norm(normed), self._states[first:])
        self._count(self._states[first:])
        self._counters.asked_positions += len(normed)
        for slot in reversed(range(first, len(self._states))):
            state = self._states[slot]
            if state.ended_by:
                self._attention.slots.leave(slot)
                last = self._states.pop()
                if slot < len(self._states):
                    self._states[slot] = last
                yield state

    def _run(
        self, ids: list[list[int]], positions: list[list[int]], decision_tokens: DecisionTokens
    ) -> torch.Tensor:
        """Runs tokens `[rows, width]` through the model and its final norm; returns `[rows, width, d]`."""
        device = self._model.device
        with self._edited.decisions.for_pass(decision_tokens):
            output = self._model.module.base_model(
                input_ids=torch.tensor(ids, device=device),
                position_ids=torch.tensor(positions, device=device),
                use_cache=False,
            )
        self._counters.computed_tokens += len(ids) * len(ids[0])
        hidden: torch.Tensor = output.last_hidden_state
        return hidden
