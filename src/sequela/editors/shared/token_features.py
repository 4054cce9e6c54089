"""Keys and gradients at the tokens of edits, for methods that solve for the change of a weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from sequela.core.batching import in_groups
from sequela.editors.shared.gradient_factors import GradientFactors, read_factors
from sequela.editors.shared.settings import Token
from sequela.editors.shared.target_loss import collate
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.replay import record_forward

TOKENS_AT_ONCE = 512


@dataclass(frozen=True)
class Features:
    """The features of one edit in one layer.

    Args:
        keys: The keys, `[n, d_ff]`, fp32.
        gradients: The gradients of the loss with respect to the projection's output, `[n, d]`, fp32.
    """

    keys: torch.Tensor
    gradients: torch.Tensor


def read_features(
    model: LanguageModel, prompts: Sequence[TokenizedPrompt], layers: Sequence[int], token: Token
) -> list[dict[int, Features]]:
    """Returns, for each prompt and layer, the keys and the gradients of the target's loss.

    Args:
        model: The model with all earlier edits applied.
        prompts: Prompts with targets.
        layers: The layers.
        token: The tokens that are read.
    """
    names = {layer: model.family.mlp_out.format(layer) for layer in layers}

    def read(group: list[int]) -> list[dict[int, Features]]:
        some = [prompts[n] for n in group]
        recording = record_forward(model, collate(model, some), min(layers))
        factors, _ = read_factors(model, recording, list(names.values()), some)
        return features_of({layer: factors[name] for layer, name in names.items()}, some, token)

    return in_groups([len(prompt.ids) - 1 for prompt in prompts], TOKENS_AT_ONCE, read)


def features_of(
    factors: Mapping[int, GradientFactors], prompts: Sequence[TokenizedPrompt], token: Token
) -> list[dict[int, Features]]:
    """Returns, for each row of a batch, the features at its tokens, without padding.

    Args:
        factors: The factors of the gradient in each row, by layer.
        prompts: The rows, as prompts with targets.
        token: The tokens that are read.
    """
    result: list[dict[int, Features]] = []
    for row, prompt in enumerate(prompts):
        start = len(prompt.prompt_ids) - 1 if token == "ans" else 0
        positions = slice(start, len(prompt.ids) - 1)
        result.append(
            {
                layer: Features(one.inputs[row, positions], one.gradients[row, positions])
                for layer, one in factors.items()
            }
        )
    return result


def failure_of(by_layer: Mapping[int, Features]) -> str:
    """Returns the reason why an edit can't be applied; empty if it can."""
    numbers = [tensor for one in by_layer.values() for tensor in (one.keys, one.gradients)]
    if all(bool(torch.isfinite(tensor).all()) for tensor in numbers):
        return ""
    return "a key or gradient is not finite"
