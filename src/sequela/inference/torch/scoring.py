"""Scoring of requests as one packed trie, in which every distinct token in context is computed once."""

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
from sequela.inference.torch.packed_linear import fastest_linears
from sequela.inference.torch.packing import Pack, pack_trie
from sequela.inference.torch.trie import Integers, Trie
from sequela.models import LanguageModel
from sequela.models.forward.batch import Batch
from sequela.models.forward.blocks import block_output, capture_block_inputs


@dataclass(frozen=True)
class Questions:
    """The continuation tokens whose probabilities are needed, in the order of the trie's nodes.

    Args:
        nodes: The node before each token, `[questions]`.
        targets: The token, `[questions]`.
        indices: The token's index among the continuation tokens of all requests, `[questions]`.
    """

    nodes: Integers
    targets: Integers
    indices: Integers

    @classmethod
    def of(cls, trie: Trie, requests: Sequence[ScoreRequest]) -> Questions:
        """Returns the questions of requests; `trie.leaves` has the last node of each request's row."""
        nodes: list[int] = []
        for leaf, request in zip(trie.leaves.tolist(), requests, strict=True):
            nodes += trie.path(leaf, len(request.continuation)).tolist()
        targets = np.array([token for request in requests for token in request.continuation], np.int64)
        order = np.argsort(nodes, kind="stable")
        return cls(np.array(nodes, np.int64)[order], targets[order], order)

    def within(self, pack: Pack) -> Questions:
        """Returns the questions at a pack's nodes."""
        at = slice(*np.searchsorted(self.nodes, [pack.start, pack.end]))
        return Questions(self.nodes[at], self.targets[at], self.indices[at])


class Answers:
    """The answers to all questions, filled pack by pack.

    Args:
        n_questions: The number of questions.
    """

    def __init__(self, n_questions: int) -> None:
        self.logprobs = np.zeros(n_questions, np.float64)
        self.greedy = np.zeros(n_questions, np.bool_)
        self.finite = np.zeros(n_questions, np.bool_)

    def read(self, head: Head, hidden: torch.Tensor, pack: Pack, questions: Questions) -> int:
        """Answers a pack's questions from the last block's output, `[tokens, d]`.

        Returns:
            The number of positions whose logits were computed.
        """
        positions, which = np.unique(questions.nodes - pack.start, return_inverse=True)
        for at, log_probs in head.read(hidden[torch.from_numpy(positions).to(hidden.device)]):
            chunk = (which >= at.start) & (which < at.stop)
            rows = torch.from_numpy(which[chunk] - at.start).to(hidden.device)
            targets = torch.from_numpy(questions.targets[chunk]).to(hidden.device)
            indices = questions.indices[chunk]
            self.logprobs[indices] = log_probs.logprobs[rows, targets].double().cpu().numpy()
            self.greedy[indices] = (log_probs.best[rows] == targets).cpu().numpy()
            self.finite[indices] = log_probs.finite[rows].cpu().numpy()
        return len(positions)

    def scores(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """Returns the scores of the requests."""
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

    A request with a logit that is not finite is scored again, isolated from all others, since it may have
    been contaminated by a neighbor in its pack.

    Args:
        model: The model.
        requests: The requests; none longer than the model's context.
        tokens: The maximum number of tokens in a pack.
        depth_cache: Keeps hidden states between calls; None keeps none.
        counters: Counts the work that is done.
        progress: Receives progress reports.
        pack_weights: If true, the blocks' weights may be in memory a second time, packed.
        isolated: If true, a request is affected only by its own tokens; see `pack_trie`.
    """
    if not requests:
        return []
    model.decisions.begin()
    trie = _trie_of(requests, has_decisions=bool(model.interventions))
    packs = pack_trie(trie, tokens, isolated)
    questions = Questions.of(trie, requests)
    answers = Answers(len(questions.nodes))
    finished = np.sort(trie.leaves)
    attention = PackAttention(trie)
    with ExitStack() as stack:
        advance = stack.enter_context(counted(progress, "scoring requests", len(requests)))
        states = stack.enter_context(_hidden_states(depth_cache, model, trie, tokens))
        stack.enter_context(fastest_linears(model.base, states.first, pack_weights))
        stack.enter_context(attention_replaced(model.base, attention))
        head = Head(model.base)
        for pack in packs:
            attention.begin(pack)
            hidden = _run(model, trie, pack, states)
            pack_questions = questions.within(pack)
            counters.asked_positions += answers.read(head, hidden, pack, pack_questions)
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
    """The block at which a run starts, and the hidden states that it records.

    Args:
        first: The first block that is run.
        start: Its inputs; None at block 0, whose inputs are the embeddings.
        recorded: The inputs of further blocks, to be filled.
    """

    first: int
    start: HiddenStates | None
    recorded: dict[int, HiddenStates]


@contextmanager
def _hidden_states(
    cache: DepthCache | None, model: EditedModel, trie: Trie, tokens: int
) -> Iterator[_Depths]:
    # With another change in force (an outer `with`), hidden states are not those of the base: keep none.
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
    except BaseException:  # half-filled states must not be used later
        for states in recorded.values():
            cache.drop(states)
        raise
    for states in recorded.values():
        states.complete = True


def _suite_key(base: LanguageModel, trie: Trie, tokens: int) -> str:
    """Returns a hash of what hidden states depend on: base, dtype, device, the trie's tokens, and packing."""
    digest = hashlib.sha256(f"{base.fingerprint} {base.dtype} {base.device} {tokens}".encode())
    for array in (trie.ids, trie.parents):  # decision positions don't affect the blocks below
        digest.update(array.tobytes())
    return digest.hexdigest()


def _run(edited: EditedModel, trie: Trie, pack: Pack, depths: _Depths) -> torch.Tensor:
    """Runs one pack through the blocks and returns the last one's output, `[tokens, d]`."""
    model, at = edited.base, slice(pack.start, pack.end)
    ids = torch.from_numpy(trie.ids[at])[None].to(model.device)
    positions = torch.from_numpy(trie.positions[at])[None].to(model.device)
    block_inputs = capture_block_inputs(model, Batch(ids, positions, (len(pack),)))
    hidden = block_inputs.hidden
    if depths.start is not None:
        hidden = depths.start.states[at][None].to(hidden.device, copy=True)
        depths.start.leave_memory()
    blocks = model.family.block_list(model.module)
    with edited.decisions.for_pass(_decision_tokens(trie, at, model.device)):
        for number in range(depths.first, len(blocks)):
            if number in depths.recorded:
                depths.recorded[number].states[at] = hidden[0]
                depths.recorded[number].leave_memory()
            hidden = block_output(blocks[number](hidden, **block_inputs.arguments[number]))
    if len(blocks) in depths.recorded:
        depths.recorded[len(blocks)].states[at] = hidden[0]
    return hidden[0]


def _trie_of(requests: Sequence[ScoreRequest], has_decisions: bool) -> Trie:
    """Builds the trie of requests; interventions decide at the last token of each context."""
    rows = [request.context + request.continuation[:-1] for request in requests]
    if not has_decisions:
        return Trie.of(rows)
    return Trie.deciding(rows, [len(request.context) for request in requests])


def _decision_tokens(trie: Trie, at: slice, device: torch.device) -> DecisionTokens:
    """Returns the decision tokens of a pack; none decides in a trie without decisions."""
    nodes = np.arange(at.start, at.stop)
    decision_ids = trie.decisions[at] if len(trie.decisions) else np.full(len(nodes), NO_DECISION)
    decides = torch.from_numpy(decision_ids == nodes)[None].to(device)
    return DecisionTokens(decides, torch.from_numpy(decision_ids)[None].to(device))


def _with_hits(scores: list[Score], model: EditedModel, trie: Trie) -> list[Score]:
    """Returns the scores with `hit` set if the model has interventions."""
    if not model.interventions:
        return scores
    leaves = trie.leaves.tolist()
    return [
        replace(score, hit=model.decisions.hits.get(int(trie.decisions[leaf])))
        for score, leaf in zip(scores, leaves, strict=True)
    ]
