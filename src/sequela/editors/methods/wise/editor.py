"""WISE: edits in side memories, copies of one MLP output projection (Wang et al. 2024, arXiv 2405.14768).

An edit is trained into a copy of the projection by plain gradient steps. The loss is the target's
cross-entropy plus a margin loss on the copy's activation `||D x||`, the distance of its output from the
projection's own (`side_memory.py`), which is trained to be large on the edit and small on unrelated text. The
activation thus determines where the copy is used. A copy stores a number of edits, a shard, and only a random
part of its entries is trained; full copies are merged by TIES (`ties_merging.py`).

Differences from the released code:

* The decision is made at the prompt's last token, and the copy is used from that token on. The released code
  uses the mean activation over the tokens of a pass (the greatest, if there are more than a hundred) and runs
  one sequence at a time.
* The activation is that of the paper; the released code first applies the activation function to both
  outputs.
* Entries outside the mask don't change at all; in the released code weight decay changes them.
* Unrelated text is every token of the contexts sampled from the model, not a prompt from another data set.
* Training ends when the loss is small; the released code also waits until it no longer changes.
* Edits are not replayed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sequela.core.errors import BadInputError
from sequela.edited import Delta
from sequela.edited.protocols import Intervention
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources
from sequela.editors.methods.wise.settings import WISE, WiseHyperparameters
from sequela.editors.methods.wise.side_memory import (
    SideMemories,
    SideMemory,
    SideMemoryRouter,
    activations,
    answered,
)
from sequela.editors.methods.wise.ties_merging import merged
from sequela.editors.read_texts import ReadText
from sequela.editors.shared.contexts import sample_contexts
from sequela.editors.shared.target_loss import collate, mean_losses
from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.forward.activations import Site, read_activations
from sequela.models.forward.batch import pad_right
from sequela.models.forward.hooks import hooked
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward
from sequela.models.spans import BLANK

DEFAULT_DEPTH = 27 / 32
"""The default position of the layer, as a fraction of the depth, as published for Llama-2-7B."""

EARLIER = 0.6
"""The weight of an earlier merged memory when shards, which share the rest, are merged into it."""


class Wise(Editor[WiseHyperparameters, SideMemories]):
    """Trains edits into side memories that are used where their activation is large."""

    info = WISE
    state_class = SideMemories

    @property
    def variant(self) -> str:
        """The variant, `retrieve` or `merge`."""
        return self.hyperparameters.variant

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layer with the copies."""
        return self.hyperparameters.layers or (int(DEFAULT_DEPTH * model.n_layers),)

    def further_texts(self, edit: Edit) -> tuple[ReadText, ...]:
        """Returns the neighborhood prompts, if they are used as unrelated text."""
        if not self.hyperparameters.neighborhood:
            return ()
        return tuple(ReadText("a neighborhood prompt has", one.prompt) for one in edit.neighborhood)

    def prepare(self, model: LanguageModel, resources: Resources) -> SideMemories:
        """Samples contexts from the unedited model.

        Raises:
            BadInputError: The only given context is the bare prompt, so that there is no unrelated text.
        """
        model.check_layers(self.layers_of(model))
        settings = self.hyperparameters
        contexts = resources.contexts or sample_contexts(model, settings.n_contexts, resources.seed)
        if not _texts(contexts):
            raise BadInputError(
                f"{self.name} needs a context in addition to the bare prompt, as unrelated text.",
                hint="Give more contexts, or none to sample them.",
            )
        return SideMemories(contexts=contexts)

    def interventions(self, model: LanguageModel, state: SideMemories) -> tuple[Intervention, ...]:
        """Returns the router of the side memories, once there is one."""
        if not state.memories:
            return ()
        return (SideMemoryRouter(self.layers_of(model)[0], state, self.hyperparameters.act_ratio),)

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: SideMemories, resources: Resources
    ) -> EditOutcome[SideMemories]:
        """Trains the edits into the last copy, one after another."""
        reports = []
        for edit in edits:
            state, report = self._add(model, edit, state, resources)
            reports.append(report)
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _add(
        self, model: LanguageModel, edit: Edit, state: SideMemories, resources: Resources
    ) -> tuple[SideMemories, EditReport]:
        settings, (layer,) = self.hyperparameters, self.layers_of(model)
        unrelated = Unrelated.read(model, state.contexts, edit if settings.neighborhood else None, layer)
        text = EditedText(model, edit, state.contexts, layer)
        memories, changes = [*state.memories], state.changes
        if not memories or self._is_full(memories[-1]):
            memories.append(SideMemory(shards=(sum(len(memory.shards) for memory in memories),)))
            changes.append(unrelated.keys.new_zeros(model.hidden_size, unrelated.keys.shape[1]))
        (shard,) = memories[-1].shards
        mask = shard_mask(changes[-1].shape, settings.mask_ratio, resources.seed + shard)
        trained = train(text, unrelated, changes[-1], mask, settings)
        if trained.failure:
            return state, EditReport.for_dropped(edit.id, trained.failure)
        least = float(activations([trained.change], text.keys).min())
        changes[-1] = trained.change.to(model.device)
        memories[-1] = SideMemory(
            edits=(*memories[-1].edits, edit.id),
            shards=(shard,),
            least_activation=min(memories[-1].least_activation, least),
        )
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=len(trained.losses) - 1,
            first_loss=trained.losses[0],
            final_loss=trained.losses[-1],
            relative_norm=0.0,
            diagnostics={
                "activation": least,
                "unrelated_activation": float(activations([trained.change], unrelated.keys).max()),
                "threshold": settings.act_ratio * memories[-1].least_activation,
                "memories": float(len(memories)),
            },
        )
        return self._with_merged(state.with_memories(memories, changes)), report

    def _is_full(self, memory: SideMemory) -> bool:
        return memory.is_merged or len(memory.edits) >= self.hyperparameters.shard_size

    def _with_merged(self, state: SideMemories) -> SideMemories:
        """Returns the state with the last shards merged into one memory, if enough of them are full."""
        settings = self.hyperparameters
        shards = [index for index, memory in enumerate(state.memories) if not memory.is_merged]
        if len(shards) < settings.shards_per_merge or not self._is_full(state.memories[shards[-1]]):
            return state
        weights = [1.0] * len(shards)
        indices = shards
        if settings.variant == "merge" and shards[0] > 0:
            indices = [0, *shards]
            weights = [EARLIER, *[(1 - EARLIER) / len(shards)] * len(shards)]
        change = merged([state.changes[index] for index in indices], weights, settings.density)
        parts = [state.memories[index] for index in indices]
        memory = SideMemory(
            edits=tuple(edit for part in parts for edit in part.edits),
            shards=tuple(shard for part in parts for shard in part.shards),
            least_activation=min(part.least_activation for part in parts),
        )
        before = indices[0]
        return state.with_memories([*state.memories[:before], memory], [*state.changes[:before], change])


@dataclass(frozen=True)
class Unrelated:
    """The inputs and outputs of the projection on unrelated text.

    Args:
        keys: The projection's inputs at all tokens, `[tokens, d_ff]`, fp32.
        key_norm: The median norm of the inputs at the contexts' tokens.
        output_norm: The median norm of the outputs at the contexts' tokens.
    """

    keys: torch.Tensor
    key_norm: float
    output_norm: float

    @classmethod
    def read(cls, model: LanguageModel, contexts: Sequence[str], edit: Edit | None, layer: int) -> Unrelated:
        """Reads every token of the contexts, and the last token of an edit's neighborhood prompts.

        Args:
            model: The model.
            contexts: The context templates.
            edit: The edit whose neighborhood prompts are included, if any.
            layer: The layer of the projection.
        """
        texts = [tokenize_prompt(model.tokenizer, text).ids for text in _texts(contexts)]
        near = [tokenize_prompt(model.tokenizer, p.prompt).ids for p in (edit.neighborhood if edit else ())]
        batch = pad_right([*texts, *near], model.pad_id, model.device)
        selected = torch.zeros(batch.ids.shape, dtype=torch.bool)
        for row, length in enumerate(batch.lengths):
            selected[row, 0 if row < len(texts) else length - 1 : length] = True
        sites = Site("key", layer), Site("value", layer)
        read = read_activations(model, batch, sites)
        keys, outputs = (read[site][selected.to(read[site].device)].float() for site in sites)
        n_text_tokens = int(selected[: len(texts)].sum())
        norms = [float(values[:n_text_tokens].norm(dim=-1).median()) for values in (keys, outputs)]
        return cls(keys, *norms)


class EditedText:
    """An edit's prompt with its target in every context, for passes that use a copy of the projection.

    Args:
        model: The model, without interventions.
        edit: The edit.
        contexts: The context templates.
        layer: The layer of the projection.
    """

    def __init__(self, model: LanguageModel, edit: Edit, contexts: Sequence[str], layer: int) -> None:
        self._model = model
        self._prompts = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in contexts
        ]
        self._module = model.family.mlp_out.format(layer)
        last = [len(prompt.prompt_ids) - 1 for prompt in self._prompts]
        self._recording: ForwardRecord = record_forward(
            model, collate(model, self._prompts), layer, starts=last
        )
        self._columns = [at - start for at, start in zip(last, self._recording.starts, strict=True)]
        self.keys = self._read_keys()

    def losses(self, change: torch.Tensor) -> torch.Tensor:
        """Returns the mean cross-entropy of the target in every context, in nats per token, `[contexts]`.

        Args:
            change: The copy's difference D from the projection, `[d, d_ff]`.
        """

        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            columns = torch.arange(outputs.shape[1])[None] >= torch.tensor(self._columns)[:, None]
            own = answered(change.to(inputs.device), inputs, outputs)
            return torch.where(columns[..., None].to(outputs.device), own, outputs)

        with hooked(self._model, {self._module: hook}):
            final = self._recording.replay()
        logits = [
            read_logits(self._model, final[row, column : column + len(prompt.target_ids)])
            for row, (column, prompt) in enumerate(zip(self._columns, self._prompts, strict=True))
        ]
        return mean_losses(logits, self._prompts)

    def _read_keys(self) -> torch.Tensor:
        """Returns the projection's inputs at the prompts' last tokens, `[contexts, d_ff]`, fp32."""
        seen: list[torch.Tensor] = []

        def hook(inputs: torch.Tensor, _: torch.Tensor) -> None:
            rows = enumerate(self._columns)
            seen.append(torch.stack([inputs[row, column].float() for row, column in rows]))

        with torch.no_grad(), hooked(self._model, {self._module: hook}):
            self._recording.replay()
        return seen[0].to(self._model.device)


@dataclass(frozen=True)
class Trained:
    """The result of training an edit.

    Args:
        change: The copy's difference D from the projection, `[d, d_ff]`.
        losses: The target's mean loss before each step and at the end, in nats per token.
        failure: The reason why the result can't be used; empty if it can.
    """

    change: torch.Tensor
    losses: tuple[float, ...]
    failure: str = ""


def train(
    text: EditedText,
    unrelated: Unrelated,
    start: torch.Tensor,
    mask: torch.Tensor,
    settings: WiseHyperparameters,
) -> Trained:
    """Trains an edit into a copy of the projection by gradient steps.

    Args:
        text: The edit's text.
        unrelated: The unrelated text.
        start: The copy's difference D before training, `[d, d_ff]`.
        mask: The mask of entries that may change, `[d, d_ff]`, bool.
        settings: The method's settings.
    """
    unit, lr = 1.0, settings.lr
    if settings.margins == "relative":
        unit = unrelated.output_norm
        # For a key of typical norm, a step changes the output by about one unit, at any scale of the model.
        lr *= unit**2 / (settings.mask_ratio * unrelated.key_norm**2)
    change, mask, losses = start.clone(), mask.to(start.device), list[float]()
    for step in range(settings.num_steps + 1):
        with torch.enable_grad():
            change.requires_grad_(True)
            loss = text.losses(change).mean()
            on_edit, elsewhere = (
                activations([change], keys)[0] / unit for keys in (text.keys, unrelated.keys)
            )
            total = loss + margin_loss(on_edit, elsewhere, settings.alpha, settings.beta, settings.gamma)
        losses.append(float(loss.detach()))
        if not math.isfinite(float(total.detach())):
            return Trained(start, tuple(losses), "the loss is not finite")
        if step == settings.num_steps or float(total.detach()) < settings.stop_below:
            break
        (gradient,) = torch.autograd.grad(total, [change])
        change = change.detach() - lr * torch.where(mask, gradient, 0.0)
        if settings.norm_constraint is not None:
            change = change.clamp(-settings.norm_constraint, settings.norm_constraint)
    return Trained(change.detach(), tuple(losses))


def margin_loss(
    on_edit: torch.Tensor, elsewhere: torch.Tensor, alpha: float, beta: float, gamma: float
) -> torch.Tensor:
    """Returns the margin loss, which separates the activations of the edit's texts from all others.

    There are three bounds: an activation on unrelated text is at most alpha, an activation on the edit at
    least beta, and the difference between any two of them at least gamma. The loss is the sum of the mean
    excess over each bound.

    Args:
        on_edit: Activations on the edit's texts, `[texts]`.
        elsewhere: Activations on unrelated tokens, `[tokens]`.
        alpha: The maximum activation on unrelated tokens.
        beta: The minimum activation on the edit's texts.
        gamma: The minimum difference.
    """
    differences = elsewhere[:, None] - on_edit[None]
    return _mean_excess(elsewhere - alpha) + _mean_excess(beta - on_edit) + _mean_excess(differences + gamma)


def shard_mask(shape: torch.Size, ratio: float, seed: int) -> torch.Tensor:
    """Returns the random mask of entries that a shard may change, which is the same on every device."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < ratio


def _mean_excess(excess: torch.Tensor) -> torch.Tensor:
    """Returns the mean of the positive values; 0 if there are none."""
    above = excess > 0
    return excess.clamp(min=0).sum() / above.sum().clamp(min=1)


def _texts(contexts: Sequence[str]) -> list[str]:
    """Returns the contexts' own texts, without the blanks for a prompt."""
    texts = (" ".join(context.replace(BLANK, " ").split()) for context in contexts)
    return [text for text in texts if text]
