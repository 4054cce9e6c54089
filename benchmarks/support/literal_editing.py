"""ROME and MEMIT written down literally, as what our own way is timed against.

Every evaluation of the loss runs the whole model over all positions of all texts of one edit and takes
logits everywhere; every reading of keys runs the whole model too; the solve is dense. Formulas and
conventions are those of our editors, so the changes must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from sequela.deltas import Delta, LowRank
from sequela.editors.locate.keys import in_contexts, mean_weights
from sequela.editors.locate.target_batch import EditTexts
from sequela.editors.locate.targets import STOP_BELOW, TargetHyperparameters
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.batch import pad_right
from sequela.models.blocks import block_output
from sequela.models.reading import Site, module_at
from sequela.statistics import Statistics


def literal_rome(
    model: LanguageModel,
    edit: Edit,
    contexts: Sequence[str],
    layer: int,
    settings: TargetHyperparameters,
    statistics: Statistics,
) -> Delta:
    """r-ROME with the covariance: mean key and mean value everywhere."""
    prompts = in_contexts(model, edit, contexts)
    weights = mean_weights(len(contexts), bare_half=False)
    key = weights @ read(model, prompts, Site("key", layer))
    value = weights @ read(model, prompts, Site("value", layer))
    wished = target(model, edit, contexts, Site("value", layer), settings)
    C = statistics.second_moment(layer).matrix.double()
    u = torch.linalg.solve(C, key.double())
    residual = (wished - value).double() / (u @ key.double())
    update = LowRank(residual[:, None].float(), u[None].float())
    return Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})


def literal_memit(
    model: LanguageModel,
    edits: Sequence[Edit],
    contexts: Sequence[str],
    layers: Sequence[int],
    weight: float,
    settings: TargetHyperparameters,
    statistics: Statistics,
) -> Delta:
    """MEMIT of a batch, its targets found one edit after the other."""
    site = Site("block", layers[-1])
    wished = torch.stack([target(model, edit, contexts, site, settings) for edit in edits]).double()
    halves = mean_weights(len(contexts), bare_half=True)
    total = Delta.empty(model.fingerprint)
    for number, layer in enumerate(layers):
        in_force = total.apply(model)
        keys, current = [], []
        for edit in edits:
            prompts = in_contexts(model, edit, contexts)
            keys.append(halves @ read(model, prompts, Site("key", layer)))
            current.append(read(model, prompts[:1], site)[0])
        in_force.revert()
        K = torch.stack(keys).T.double()
        C = statistics.second_moment(layer).matrix.double()
        adjusted = torch.linalg.solve(weight * C + K @ K.T, K)
        residual = (wished - torch.stack(current).double()).T / (len(layers) - number)
        update = LowRank(residual.float(), adjusted.T.float())
        total = total + Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
    return total


def target(
    model: LanguageModel, edit: Edit, contexts: Sequence[str], site: Site, settings: TargetHyperparameters
) -> torch.Tensor:
    """The value sought for one edit, `[d]`."""
    texts = EditTexts.of(model, edit, contexts)
    batch = pad_right(texts.rows, model.pad_id, model.device)
    rows, places = torch.arange(len(texts.rows)), torch.tensor(texts.subject_last)
    delta = torch.zeros(model.hidden_size, requires_grad=True)
    seen: list[torch.Tensor] = []

    def add(output: torch.Tensor) -> torch.Tensor:
        seen.append(output.detach())
        return output.index_put((rows, places), delta.expand(len(rows), -1).to(output), accumulate=True)

    adam = torch.optim.Adam([delta], lr=settings.v_lr)
    before: torch.Tensor | None = None
    for step in range(settings.v_num_grad_steps):
        with changed(model, site, add), torch.enable_grad():
            logits = model.module(input_ids=batch.ids, position_ids=batch.positions, use_cache=False).logits
            logprobs = logits.float().log_softmax(-1)
        essence = logprobs[-1, places[-1]]
        before = essence.detach() if before is None else before
        likelihoods = []
        for row, prompt in enumerate(texts.rewrites):
            start = len(prompt.prompt_ids) - 1
            at = torch.arange(start, start + len(prompt.target_ids))
            likelihoods.append(logprobs[row, at, torch.tensor(prompt.target_ids)].mean())
        initial = seen[0][0, places[0]].float()
        kl = (essence.exp() * (essence - before)).sum()
        decay = settings.v_weight_decay * delta.norm() / initial.norm() ** 2
        total = -torch.stack(likelihoods).mean() + settings.kl_factor * kl + decay
        if step == settings.v_num_grad_steps - 1 or float(total.detach()) < STOP_BELOW:
            break
        adam.zero_grad()
        total.backward()
        adam.step()
        bound = settings.clamp_norm_factor * initial.norm()
        with torch.no_grad():
            delta *= min(1.0, float(bound / delta.norm()))
    return initial + delta.detach()


@torch.no_grad()
def read(model: LanguageModel, prompts: Sequence[TokenizedPrompt], site: Site) -> torch.Tensor:
    """What is at a site at the last token of each prompt's subject, by a whole pass, `[prompts, width]`."""
    batch = pad_right([prompt.ids for prompt in prompts], model.pad_id, model.device)
    kept: list[torch.Tensor] = []
    module = module_at(model, site)
    if site.kind == "key":
        hook: Any = module.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    else:
        hook = module.register_forward_hook(lambda _, __, output: kept.append(block_output(output)))
    try:
        model.module(input_ids=batch.ids, position_ids=batch.positions, use_cache=False)
    finally:
        hook.remove()
    rows = torch.arange(len(prompts))
    return kept[0][rows, torch.tensor([prompt.subject_last for prompt in prompts])].float()


@contextmanager
def changed(
    model: LanguageModel, site: Site, change: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """While entered, what is at a site goes through `change`."""
    hook = module_at(model, site).register_forward_hook(lambda _, __, output: change(block_output(output)))
    try:
        yield
    finally:
        hook.remove()
