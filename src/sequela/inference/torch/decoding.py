"""Continuing many prompts at once: common beginnings read once, rows leave and enter as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import torch

from sequela.edited import EditedModel
from sequela.edited.decisions import NOBODY, Places
from sequela.inference.engine import GenerationRequest
from sequela.inference.generation_state import Stream, TokenCount
from sequela.inference.torch.attention.base import attention_replaced
from sequela.inference.torch.attention.kv_slots import Prefix, Row, Slots
from sequela.inference.torch.attention.rows import RowAttention
from sequela.inference.torch.counters import Work
from sequela.inference.torch.lm_head import Head, take_best
from sequela.inference.torch.packed_linear import packed_linears
from sequela.inference.torch.prefixes import group_by_prefix

LEAST_ENTERING = 0.25  # of the slots that must be free before new rows are read: few big packs


class Decoder:
    """Continues prompts greedily on a model with its edits in force.

    Args:
        model: The model.
        requests: The prompts; none longer than the model's context.
        most_rows: The most rows at a time.
        kept: For how many tokens keys and values may be kept; it may make fewer rows.
        tokens: About how many tokens of new rows are read at once.
        work: Is told what was computed.
        count: Is told of every token that a stream takes.
        pack_weights: Whether the blocks' weights may be in memory a second time, packed.
    """

    def __init__(
        self,
        model: EditedModel,
        requests: Sequence[GenerationRequest],
        most_rows: int,
        kept: int,
        tokens: int,
        work: Work,
        count: TokenCount,
        pack_weights: bool = True,
    ) -> None:
        self._edited = model
        self._model = model.base
        self._pack_weights = pack_weights
        self._tokens = tokens
        self._work = work
        self._count = count
        self._attention = RowAttention(Slots())
        self._streams: list[Stream] = []  # one for each row in use
        self._waiting: deque[tuple[Stream, Prefix | None, tuple[int, ...]]] = deque()
        prompts = [request.prompt for request in requests]
        for group in group_by_prefix(prompts):
            prefix = Prefix(group.prefix) if group.prefix else None
            for number in group.members:
                self._waiting.append((Stream(number, requests[number]), prefix, prompts[number]))
        starts = [0 if prefix is None else prefix.length for _, prefix, _ in self._waiting]
        lengths = [stream.request.length for stream, _, _ in self._waiting]
        longest = max(length - start for length, start in zip(lengths, starts, strict=True))
        self._n_slots = max(1, min(len(requests), most_rows, (kept - max(starts)) // longest))

    def run(self) -> Iterator[Stream]:
        """Yields each stream when it has ended."""
        with ExitStack() as stack:
            if self._pack_weights:
                stack.enter_context(packed_linears(self._model))
            stack.enter_context(attention_replaced(self._model, self._attention))
            head = Head(self._model)
            while self._waiting or self._streams:
                if self._should_enter():
                    while self._waiting and len(self._streams) < self._n_slots:
                        yield from self._enter(head)
                if self._streams:
                    yield from self._step(head)

    def _should_enter(self) -> bool:
        free = self._n_slots - len(self._streams)
        return not self._streams or free >= max(1, LEAST_ENTERING * self._n_slots)

    def _enter(self, head: Head) -> Iterator[Stream]:
        """Reads as many waiting prompts as there is room for."""
        streams: list[Stream] = []
        rows: list[Row] = []
        ids: list[int] = []
        positions: list[int] = []
        while self._waiting and len(self._streams) + len(streams) < self._n_slots:
            stream, prefix, prompt = self._waiting[0]
            row = Row(prefix, len(prompt) - (prefix.length if prefix else 0))
            if rows and len(ids) + row.length > self._tokens:
                break
            self._waiting.popleft()
            if prefix is not None and not prefix.layers:
                self._read_prefix(prefix)
            ids += prompt[row.start :]
            positions += range(row.start, len(prompt))
            streams.append(stream)
            rows.append(row)
        self._attention.begin_rows(rows)
        last = torch.tensor([row.length for row in rows], device=self._model.device).cumsum(0) - 1
        owners = torch.full((1, len(ids)), NOBODY, device=self._model.device)
        owners[0, last] = torch.tensor([stream.number for stream in streams], device=self._model.device)
        hidden = self._run([ids], [positions], Places(owners != NOBODY, owners))[0]
        self._streams += streams
        yield from self._take(head, hidden[last], len(self._streams) - len(streams))

    def _read_prefix(self, prefix: Prefix) -> None:
        self._attention.begin_prefix(prefix)
        nobodys = torch.full((1, prefix.length), NOBODY, device=self._model.device)
        self._run([list(prefix.ids)], [list(range(prefix.length))], Places.under(nobodys))

    def _step(self, head: Head) -> Iterator[Stream]:
        """Reads the last token of every row in use."""
        rows = self._attention.slots.rows
        for row in rows:
            row.length += 1
        self._attention.begin_step()
        ids = [[stream.ids[-1]] for stream in self._streams]
        owners = torch.tensor([[stream.number] for stream in self._streams], device=self._model.device)
        hidden = self._run(ids, [[row.start + row.length - 1] for row in rows], Places.under(owners))
        yield from self._take(head, hidden[:, 0], 0)

    def _take(self, head: Head, normed: torch.Tensor, first: int) -> Iterator[Stream]:
        """Gives the streams from `first` on their next token; those that end leave."""
        take_best(self._model, head.after_norm(normed), self._streams[first:])
        self._count(self._streams[first:])
        self._work.asked_positions += len(normed)
        for slot in reversed(range(first, len(self._streams))):
            stream = self._streams[slot]
            if stream.ended_by:
                self._attention.slots.leave(slot)
                last = self._streams.pop()
                if slot < len(self._streams):
                    self._streams[slot] = last
                yield stream

    def _run(self, ids: list[list[int]], positions: list[list[int]], places: Places) -> torch.Tensor:
        """Runs tokens `[rows, width]` through the model, its final norm included, `[rows, width, d]`."""
        device = self._model.device
        with self._edited.decisions.during(places):
            output = self._model.module.base_model(
                input_ids=torch.tensor(ids, device=device),
                position_ids=torch.tensor(positions, device=device),
                use_cache=False,
            )
        self._work.computed_tokens += len(ids) * len(ids[0])
        hidden: torch.Tensor = output.last_hidden_state
        return hidden
