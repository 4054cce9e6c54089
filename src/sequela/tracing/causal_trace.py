"""Causal tracing of one prompt.

Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT" (NeurIPS 2022), section
2.1: the model says its answer (clean), the subject's embeddings are spoiled with noise and it no longer
does (corrupted), and then what one place of the clean run had is put back. How far the answer's
probability comes back tells what that place carries.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from sequela.core.batching import retry_on_oom
from sequela.core.errors import SequelaError
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.activations import Site, module_at, read_activations
from sequela.models.forward.batch import pad_right, places_in
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

TOKENS_AT_ONCE = 1024

TraceKind = Literal["block", "value", "attention"]
"""What is put back: what leaves a block, or the outputs of MLPs or of attention in a window of layers."""


class TraceSettings(BaseModel):
    """How a prompt is traced.

    Args:
        kind: What is put back.
        window: Over how many layers, centered; `block` always puts back one.
        samples: How many times noise is drawn; probabilities are averaged over them.
        noise: The noise's standard deviation, in deviations of the subject's embeddings.
        seed: Fixes the noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TraceKind = "block"
    window: int = Field(default=10, ge=1)
    samples: int = Field(default=5, ge=1)
    noise: float = Field(default=3.0, gt=0)
    seed: int = 0


@dataclass(frozen=True)
class CausalTrace:
    """What was found for one prompt.

    Args:
        tokens: The prompt's tokens as text.
        subject: Where the subject is, first and last token.
        answer: The token that the clean run says, as text.
        clean: Its probability in the clean run.
        corrupted: Its probability in the corrupted runs, mean over the noise.
        restored: Its probability with a place put back, mean over the noise, `[tokens, layers]`.
    """

    tokens: tuple[str, ...]
    subject: tuple[int, int]
    answer: str
    clean: float
    corrupted: float
    restored: torch.Tensor


def causal_trace(model: LanguageModel, prompt: TokenizedPrompt, settings: TraceSettings) -> CausalTrace:
    """Traces one prompt.

    Blocks below what is put back are run once only, for all tokens and all noise together.

    Args:
        model: The model as it is now.
        prompt: The prompt, with a subject and without a target.
        settings: How.

    Raises:
        SequelaError: The prompt has no subject, or the subject's embeddings don't vary.
    """
    if prompt.subject is None:
        raise SequelaError(f"The prompt {prompt.text!r} has no subject to be spoiled.")
    device = model.device
    one = pad_right([prompt.ids], model.pad_id, device)
    clean = record_forward(model, one, 0)
    probabilities = _probabilities(model, clean.final)[0]
    answer = int(probabilities.argmax())

    corrupted_record = _corrupted(clean, prompt, settings)
    corrupted = _probabilities(model, corrupted_record.replay())[:, answer]
    sites = [Site(settings.kind, layer) for layer in range(model.n_layers)]
    kept = {site: values[0] for site, values in read_activations(model, one, sites).items()}
    columns = []
    for layer in range(model.n_layers):
        half = (settings.window - 1) // 2
        low = layer if settings.kind == "block" else max(0, layer - half)
        high = layer if settings.kind == "block" else min(model.n_layers - 1, low + settings.window - 1)
        while corrupted_record.first < low:
            corrupted_record = corrupted_record.advance()
        window = [Site(settings.kind, number) for number in range(low, high + 1)]
        columns.append(_restored(corrupted_record, {site: kept[site] for site in window}, answer))
    words = tuple(model.tokenizer.decode([token]) for token in prompt.ids)
    return CausalTrace(
        tokens=words,
        subject=(prompt.subject.start, prompt.subject.last),
        answer=model.tokenizer.decode([answer]),
        clean=float(probabilities[answer]),
        corrupted=float(corrupted.mean()),
        restored=torch.stack(columns, dim=1).cpu(),
    )


def _corrupted(clean: ForwardRecord, prompt: TokenizedPrompt, settings: TraceSettings) -> ForwardRecord:
    """The clean pass once for each draw of noise, with noise in what enters block 0 at the subject."""
    assert prompt.subject is not None
    span = slice(prompt.subject.start, prompt.subject.stop)
    rows = torch.zeros(settings.samples, dtype=torch.long, device=clean.hidden.device)
    many = clean.select_rows(rows)
    deviation = float(clean.hidden[0, span].float().std())
    if not deviation > 0:
        raise SequelaError(f"The embeddings of the subject of {prompt.text!r} don't vary.")
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn((settings.samples, *clean.hidden[0, span].shape), generator=generator)
    hidden = many.hidden.clone()
    hidden[:, span] += (settings.noise * deviation * noise).to(hidden)
    return dataclasses.replace(many, hidden=hidden)


def _restored(corrupted: ForwardRecord, kept: dict[Site, torch.Tensor], answer: int) -> torch.Tensor:
    """The answer's probability with the clean values put back at each token in turn, `[tokens]`.

    Args:
        corrupted: The corrupted pass, from the lowest of the sites on.
        kept: The clean values `[tokens, d]` of each site.
        answer: The token that counts.
    """
    n_samples, n_tokens = corrupted.hidden.shape[:2]
    found: list[torch.Tensor] = []

    def attempt(budget: int) -> None:
        at_once = max(1, budget // (n_samples * n_tokens))
        while len(found) < n_tokens:
            last = min(len(found) + at_once, n_tokens)
            tokens = torch.arange(len(found), last, device=corrupted.hidden.device)
            found.extend(_with_put_back(corrupted, kept, answer, tokens))

    retry_on_oom(TOKENS_AT_ONCE, attempt)
    return torch.stack(found)


def _with_put_back(
    corrupted: ForwardRecord, kept: dict[Site, torch.Tensor], answer: int, tokens: torch.Tensor
) -> torch.Tensor:
    """The answer's probability for some tokens, mean over the noise."""
    n_samples = len(corrupted.starts)
    rows = torch.arange(n_samples, device=tokens.device).repeat(len(tokens))
    at = (torch.arange(len(rows), device=tokens.device), tokens.repeat_interleave(n_samples))

    def put(clean: torch.Tensor) -> Callable[..., Any]:
        def hook(_: nn.Module, __: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = hidden.index_put(places_in(hidden, *at), clean[at[1]].to(hidden))
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    model = corrupted.model
    with ExitStack() as stack, torch.no_grad():
        for site, clean in kept.items():
            stack.callback(module_at(model, site).register_forward_hook(put(clean)).remove)
        final = corrupted.select_rows(rows).replay()
    probabilities = _probabilities(model, final)[:, answer]
    return probabilities.reshape(len(tokens), n_samples).mean(1)


@torch.no_grad()
def _probabilities(model: LanguageModel, final: torch.Tensor) -> torch.Tensor:
    """Probabilities of the token behind each row, fp32 `[rows, vocabulary]`."""
    logits = read_logits(model, final[:, -1])
    return torch.softmax(logits, dim=-1)
