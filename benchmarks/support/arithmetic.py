"""The number of operations of a model over the unique tokens of its requests.

The count uses only the requests, not the engine, so that the engine's own counts can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sequela.inference import ScoreRequest
from sequela.models import LanguageModel


@dataclass(frozen=True)
class TokenCounts:
    """The number of tokens that requests need.

    Args:
        requested: The number of tokens of all requests, without sharing.
        unique: The number of unique tokens in context: the nodes of the requests' trie.
        context: The number of tokens that each of them attends to, including itself, summed.
        asked: The number of unique positions whose next token is needed.
    """

    requested: int
    unique: int
    context: int
    asked: int


def count_tokens(requests: Iterable[ScoreRequest]) -> TokenCounts:
    """Counts the tokens by inserting every request into a trie."""
    nodes: dict[tuple[int, int], int] = {}
    asked: set[int] = set()
    requested = context = 0
    for request in requests:
        row = request.context + request.continuation[:-1]
        requested += len(row)
        node = -1
        for depth, token in enumerate(row, start=1):
            known = len(nodes)
            node = nodes.setdefault((node, token), known)
            if node == known:
                context += depth
            if depth >= len(request.context):
                asked.add(node)
    return TokenCounts(requested, len(nodes), context, len(asked))


def flops(model: LanguageModel, counts: TokenCounts) -> dict[str, int]:
    """Returns the number of floating-point operations, where a multiplication and an addition are two.

    Args:
        model: The model; full attention is counted in every layer.
        counts: The numbers of tokens.

    Returns:
        `linear` layers of the blocks over unique tokens, `attention` (scores and weighted values),
        and the `head` at the positions where it is needed.
    """
    config = model.module.config
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    blocks = model.family.block_list(model.module)
    linear = sum(weight.numel() for weight in blocks.parameters() if weight.dim() == 2)
    head: int = model.module.get_output_embeddings().weight.numel()
    return {
        "linear": 2 * linear * counts.unique,
        "attention": 4 * config.num_attention_heads * head_size * counts.context * model.n_layers,
        "head": 2 * head * counts.asked,
    }
