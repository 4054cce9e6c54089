"""How much there is to compute: the arithmetic of a model over the different tokens of its requests.

Counted here from the requests alone, without the engine, so that the engine's own counts can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sequela.inference import ScoreRequest
from sequela.models import LanguageModel


@dataclass(frozen=True)
class TokenCounts:
    """What requests need to have computed.

    Args:
        requested: Tokens of all requests, as if each were read alone.
        unique: Different tokens in context: nodes of the tree that the requests make.
        context: How many tokens each of them sees, itself included, summed up.
        asked: Different places whose next token is asked for.
    """

    requested: int
    unique: int
    context: int
    asked: int


def count_tokens(requests: Iterable[ScoreRequest]) -> TokenCounts:
    """Counts by walking every request down a tree of what was seen before."""
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
    """Floating-point operations, a multiplication and an addition being two.

    Args:
        model: The model; full attention is counted in every layer.
        counts: Over which tokens.

    Returns:
        `linear` layers of the blocks over unique tokens, `attention` (scores and weighted values),
        and the `head` at the places that are asked for.
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
