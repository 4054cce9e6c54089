"""Causal tracing of one prompt.

Meng, Bau, Andonian, Belinkov, "Locating and Editing Factual Associations in GPT" (NeurIPS 2022), section
2.1: the model predicts its answer (clean run), noise on the subject's embeddings suppresses the answer
(corrupted run), and then the clean state at one token and layer is restored. The answer's probability after
that measures how much this state contributes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field
from torch import nn

from sequela.core.batching import retry_on_oom
from sequela.core.errors import SequelaError
from sequela.core.validation import NumericModel, Seed
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.activations import Site, module_at, read_activations
from sequela.models.forward.batch import index_of, pad_right
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

TOKENS_AT_ONCE = 1024

TraceKind = Literal["block", "value", "attention"]
"""The restored states: a block's output, or the outputs of MLPs or of attention in a window of layers."""


class TraceSettings(NumericModel):
    """The settings of a trace.

    Args:
        kind: The kind of state that is restored.
        window: The number of layers that are restored together, around each; always one for `block`.
        samples: The number of noise samples; probabilities are averaged over them.
        noise: The standard deviation of the noise, in standard deviations of the subject's embeddings.
        seed: The seed of the noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: TraceKind = "block"
    window: int = Field(default=10, ge=1)
    samples: int = Field(default=5, ge=1, le=10_000)
    noise: float = Field(default=3.0, gt=0)
    seed: Seed = 0

    def restored_layers(self, layer: int, n_layers: int) -> range:
        """Returns the layers that are restored together for one layer, as in the released code of ROME.

        The window is around the layer, with the smaller half above it if its size is even. At both ends of
        the model it is cut, not moved.
        """
        if self.kind == "block":
            return range(layer, layer + 1)
        half_below = self.window // 2
        return range(max(0, layer - half_below), min(n_layers, layer + self.window - half_below))


@dataclass(frozen=True)
class CausalTrace:
    """The trace of one prompt.

    Args:
        tokens: The prompt's tokens as text.
        subject: The positions of the subject's first and last token.
        answer: The token that the clean run predicts, as text.
        clean: Its probability in the clean run.
        corrupted: Its probability in the corrupted runs, averaged over the noise samples.
        restored: Its probability with one state restored, averaged over the noise samples,
            `[tokens, layers]`.
    """

    tokens: tuple[str, ...]
    subject: tuple[int, int]
    answer: str
    clean: float
    corrupted: float
    restored: torch.Tensor


def causal_trace(model: LanguageModel, prompt: TokenizedPrompt, settings: TraceSettings) -> CausalTrace:
    """Traces one prompt.

    Blocks below the restored state are run only once, for all tokens and all noise samples together.

    Args:
        model: The model, with the edits in force.
        prompt: The prompt, with a subject and without a target.
        settings: The settings.

    Raises:
        SequelaError: The prompt has no subject, or the subject's embeddings don't vary.
    """
    if prompt.subject is None:
        raise SequelaError(f"The prompt {prompt.text!r} has no subject to corrupt.")
    device = model.device
    batch = pad_right([prompt.ids], model.pad_id, device)
    clean = record_forward(model, batch, 0)
    probabilities = _probabilities(model, clean.final)[0]
    answer = int(probabilities.argmax())

    corrupted_record = _corrupted(clean, prompt, settings)
    corrupted = _probabilities(model, corrupted_record.replay())[:, answer]
    sites = [Site(settings.kind, layer) for layer in range(model.n_layers)]
    kept = {site: values[0] for site, values in read_activations(model, batch, sites).items()}
    columns = []
    for layer in range(model.n_layers):
        restored = settings.restored_layers(layer, model.n_layers)
        while corrupted_record.first < restored.start:
            corrupted_record = corrupted_record.advance()
        window = [Site(settings.kind, number) for number in restored]
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
    """Returns the clean pass once per noise sample, with noise on the inputs of block 0 at the subject."""
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
    """Returns the answer's probability with the clean values restored at each token in turn, `[tokens]`.

    Args:
        corrupted: The corrupted pass, from the lowest site on.
        kept: The clean values `[tokens, d]` of each site.
        answer: The id of the answer token.
    """
    n_samples, n_tokens = corrupted.hidden.shape[:2]
    probabilities: list[torch.Tensor] = []

    def attempt(budget: int) -> None:
        at_once = max(1, budget // (n_samples * n_tokens))
        while len(probabilities) < n_tokens:
            last = min(len(probabilities) + at_once, n_tokens)
            tokens = torch.arange(len(probabilities), last, device=corrupted.hidden.device)
            probabilities.extend(_with_restored(corrupted, kept, answer, tokens))

    retry_on_oom(TOKENS_AT_ONCE, attempt)
    return torch.stack(probabilities)


def _with_restored(
    corrupted: ForwardRecord, kept: dict[Site, torch.Tensor], answer: int, tokens: torch.Tensor
) -> torch.Tensor:
    """Returns the answer's probability with each of some tokens restored, averaged over the noise samples."""
    n_samples = len(corrupted.starts)
    rows = torch.arange(n_samples, device=tokens.device).repeat(len(tokens))
    at = (torch.arange(len(rows), device=tokens.device), tokens.repeat_interleave(n_samples))

    def restore(clean: torch.Tensor) -> Callable[..., Any]:
        def hook(_: nn.Module, __: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = hidden.index_put(index_of(hidden, *at), clean[at[1]].to(hidden))
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook

    model = corrupted.model
    with ExitStack() as stack, torch.no_grad():
        for site, clean in kept.items():
            stack.callback(module_at(model, site).register_forward_hook(restore(clean)).remove)
        final = corrupted.select_rows(rows).replay()
    probabilities = _probabilities(model, final)[:, answer]
    return probabilities.reshape(len(tokens), n_samples).mean(1)


@torch.no_grad()
def _probabilities(model: LanguageModel, final: torch.Tensor) -> torch.Tensor:
    """Returns the probabilities of the token after each row, fp32 `[rows, vocabulary]`."""
    logits = read_logits(model, final[:, -1])
    return torch.softmax(logits, dim=-1)
