"""Scoring requests as one packed trie: every different token in context is computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from sequela.core.progress import Progress, counted
from sequela.edited import EditedModel
from sequela.edited.decisions import NO_DECISION, DecisionTokens
from sequela.inference.engine import Score, ScoreRequest
from sequela.inference.torch.attention.base import attention_replaced
from sequela.inference.torch.attention.packs import PackAttention
from sequela.inference.torch.counters import TokenCounters
from sequela.inference.torch.hidden_state_cache import DepthCache, HiddenStates
from sequela.inference.torch.lm_head import Head
from sequela.inference.torch.packed_linear import packed_linears
from sequela.inference.torch.packing import Pack, pack_trie
from sequela.inference.torch.trie import Integers, Trie
from sequela.models import LanguageModel
from sequela.models.forward.batch import Batch
from sequela.models.forward.blocks import block_output, capture_block_inputs


@dataclass(frozen=True)
class Questions:
    """Which tokens' probabilities are asked at which nodes, in the order of the nodes.

    Args:
        nodes: The node whose next token is asked, `[questions]`.
        targets: The token, `[questions]`.
        places: Which of all continuation tokens it is, counted over all requests, `[questions]`.
    """

    nodes: Integers
    targets: Integers
    places: Integers

    @classmethod
    def of(cls, trie: Trie, requests: Sequence[ScoreRequest]) -> Questions:
        """The questions of requests; `trie.leaves` holds a row's last node for each request."""
        nodes: list[int] = []
        for leaf, request in zip(trie.leaves.tolist(), requests, strict=True):
            nodes += trie.path(leaf, len(request.continuation)).tolist()
        targets = np.array([token for request in requests for token in request.continuation], np.int64)
        order = np.argsort(nodes, kind="stable")
        return cls(np.array(nodes, np.int64)[order], targets[order], order)

    def within(self, pack: Pack) -> Questions:
        """Those asked at a pack's nodes."""
        at = slice(*np.searchsorted(self.nodes, [pack.start, pack.end]))
        return Questions(self.nodes[at], self.targets[at], self.places[at])


class Answers:
    """The answers to all questions, filled pack by pack.

    Args:
        n_questions: How many there are.
    """

    def __init__(self, n_questions: int) -> None:
        self.logprobs = np.zeros(n_questions, np.float64)
        self.greedy = np.zeros(n_questions, np.bool_)
        self.finite = np.zeros(n_questions, np.bool_)

    def read(self, head: Head, hidden: torch.Tensor, pack: Pack, questions: Questions) -> int:
        """Reads what left the last block, `[tokens, d]`, where something is asked; how many places."""
        asked, which = np.unique(questions.nodes - pack.start, return_inverse=True)
        for at, log_probs in head.read(hidden[torch.from_numpy(asked).to(hidden.device)]):
            mine = (which >= at.start) & (which < at.stop)
            rows = torch.from_numpy(which[mine] - at.start).to(hidden.device)
            targets = torch.from_numpy(questions.targets[mine]).to(hidden.device)
            places = questions.places[mine]
            self.logprobs[places] = log_probs.logprobs[rows, targets].double().cpu().numpy()
            self.greedy[places] = (log_probs.best[rows] == targets).cpu().numpy()
            self.finite[places] = log_probs.finite[rows].cpu().numpy()
        return len(asked)

    def scores(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """The answers, request by request."""
        ends = np.cumsum([len(request.continuation) for request in requests])
        return [
            Score(
                tuple(self.logprobs[start:end].tolist()),
                tuple(self.greedy[start:end].tolist()),
                bool(self.finite[start:end].all()),
            )
            for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)
        ]


def score_trie(
    model: EditedModel,
    requests: Sequence[ScoreRequest],
    tokens: int,
    depth_cache: DepthCache | None,
    counters: TokenCounters,
    progress: Progress,
    pack_weights: bool = True,
    isolated: bool = False,
) -> list[Score]:
    """Scores requests on a model whose edits are in force.

    Where a logit is no number, the request is scored again isolated from all others, since in a pack
    it may have been spoiled by a neighbor.

    Args:
        model: The model.
        requests: What is asked; none longer than the model's context.
        tokens: The most tokens in a pack.
        depth_cache: Where hidden states are kept between calls, if they are.
        counters: Is told what was computed.
        progress: Who is told.
        pack_weights: Whether the blocks' weights may be in memory a second time, packed.
        isolated: Whether a request can be spoiled by its own tokens only; see `pack_trie`.
    """
    if not requests:
        return []
    model.decisions.begin()
    trie = _trie_of(requests, watched=bool(model.interventions))
    packs = pack_trie(trie, tokens, isolated)
    questions = Questions.of(trie, requests)
    answers = Answers(len(questions.nodes))
    finished = np.sort(trie.leaves)
    attention = PackAttention(trie)
    with ExitStack() as stack:
        advance = stack.enter_context(counted(progress, "scoring requests", len(requests)))
        states = stack.enter_context(_hidden_states(depth_cache, model, trie, tokens))
        if pack_weights:
            stack.enter_context(packed_linears(model.base, states.first))
        stack.enter_context(attention_replaced(model.base, attention))
        head = Head(model.base)
        for pack in packs:
            attention.begin(pack)
            hidden = _run(model, trie, pack, states)
            asked = questions.within(pack)
            counters.asked_positions += answers.read(head, hidden, pack, asked)
            done = np.searchsorted(finished, [pack.start, pack.end])
            advance(int(done[1] - done[0]))
    counters.requested_tokens += sum(request.length for request in requests)
    counters.unique_tokens += len(trie)
    counters.computed_tokens += sum(len(pack) for pack in packs)
    counters.computed_blocks += len(trie) * (model.base.n_layers - states.first)
    scores = _with_hits(answers.scores(requests), model, trie)
    contaminated = [number for number, score in enumerate(scores) if not score.finite]
    if contaminated and not isolated:
        again = [requests[number] for number in contaminated]
        alone = score_trie(model, again, tokens, None, counters, progress, pack_weights, isolated=True)
        for number, score in zip(contaminated, alone, strict=True):
            scores[number] = score
    return scores


@dataclass(frozen=True)
class _Depths:
    """Where a run starts, and what it records.

    Args:
        first: The first block that is run.
        start: What enters it; None at block 0, which the embedding enters.
        recorded: What entered further blocks, to be filled.
    """

    first: int
    start: HiddenStates | None
    recorded: dict[int, HiddenStates]


@contextmanager
def _hidden_states(
    cache: DepthCache | None, model: EditedModel, trie: Trie, tokens: int
) -> Iterator[_Depths]:
    # What another change in force (an outer `with`) did must not be kept as if it were the base's.
    if cache is None or len(model.base.changes) > model.n_changes:
        yield _Depths(0, None, {})
        return
    key = _suite_key(model.base, trie, tokens)
    lowest = model.lowest_block
    at, start = cache.find(key, lowest) or (0, None)
    shape = (len(trie), model.base.hidden_size)
    unedited = lowest == model.base.n_layers
    recorded: dict[int, HiddenStates] = {}
    try:
        for block in cache.to_record(key, at, lowest, () if unedited else (lowest,)):
            states = cache.open(key, block, shape, model.base.dtype, awaited=unedited)
            if states is not None:
                recorded[block] = states
        yield _Depths(at, start, recorded)
    except BaseException:  # half-filled states must not be found again
        for states in recorded.values():
            cache.drop(states)
        raise
    for states in recorded.values():
        states.complete = True


def _suite_key(base: LanguageModel, trie: Trie, tokens: int) -> str:
    """What hidden states depend on: the base, its dtype, every token's place, and the packing."""
    digest = hashlib.sha256(f"{base.fingerprint} {base.dtype} {base.device} {tokens}".encode())
    for array in (trie.ids, trie.parents):  # where decisions are made changes nothing below them
        digest.update(array.tobytes())
    return digest.hexdigest()


def _run(edited: EditedModel, trie: Trie, pack: Pack, depths: _Depths) -> torch.Tensor:
    """Runs one pack through the blocks; returns what leaves the last one, `[tokens, d]`."""
    model, at = edited.base, slice(pack.start, pack.end)
    ids = torch.from_numpy(trie.ids[at])[None].to(model.device)
    positions = torch.from_numpy(trie.positions[at])[None].to(model.device)
    block_inputs = capture_block_inputs(model, Batch(ids, positions, (len(pack),)))
    hidden = block_inputs.hidden
    if depths.start is not None:
        hidden = depths.start.states[at][None].to(hidden.device, copy=True)
        depths.start.leave_memory()
    blocks = model.family.block_list(model.module)
    with edited.decisions.for_pass(_places(trie, at, model.device)):
        for number in range(depths.first, len(blocks)):
            if number in depths.recorded:
                depths.recorded[number].states[at] = hidden[0]
                depths.recorded[number].leave_memory()
            hidden = block_output(blocks[number](hidden, **block_inputs.arguments[number]))
    if len(blocks) in depths.recorded:
        depths.recorded[len(blocks)].states[at] = hidden[0]
    return hidden[0]


def _trie_of(requests: Sequence[ScoreRequest], watched: bool) -> Trie:
    """The trie of requests; where something watches activations it decides at each context's last token."""
    rows = [request.context + request.continuation[:-1] for request in requests]
    return Trie.deciding(rows, [len(request.context) for request in requests]) if watched else Trie.of(rows)


def _places(trie: Trie, at: slice, device: torch.device) -> DecisionTokens:
    """Where a pack's tokens decide; nowhere if nobody asked for decisions."""
    nodes = np.arange(at.start, at.stop)
    decision_ids = trie.decisions[at] if len(trie.decisions) else np.full(len(nodes), NO_DECISION)
    decides = torch.from_numpy(decision_ids == nodes)[None].to(device)
    return DecisionTokens(decides, torch.from_numpy(decision_ids)[None].to(device))


def _with_hits(scores: list[Score], model: EditedModel, trie: Trie) -> list[Score]:
    """The scores, each with whether something that watches activations applied to it."""
    if not model.interventions:
        return scores
    leaves = trie.leaves.tolist()
    return [
        replace(score, hit=model.decisions.hits.get(int(trie.decisions[leaf])))
        for score, leaf in zip(scores, leaves, strict=True)
    ]
