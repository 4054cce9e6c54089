"""MELO: low-rank blocks that are looked up in a vector index (Yu et al. 2024, arXiv 2312.11795).

The key of an edit is the output of the first linear layer of an MLP at the prompt's last token. Edits of a
batch share blocks; a block is a small LoRA on the first linear layers of the MLPs above, trained once on the
targets of its edits. A query whose key is in a cluster of the index is answered with the block of the
cluster's nearest point, any other query by the unedited model.

Differences from the released code:

* The released code decides at the last token of a sequence, which during editing is the target's or padding
  and in generation changes with every step, and its blocks act on the prompt's tokens, too. Here one decision
  is made at the prompt's last token, and the block acts from there on.
* The released code compares targets by the sum of their token ids. Here all ids must be equal.
* The published radius of 0.5 fits one model. By default a radius is a fraction of the key's norm
  (`radius_of`).
* The released code fixes the number of blocks in advance and scales the product of a block's factors by it:
  350 as published, here `scale`.
* The released code trains for a fixed number of steps, with the end of the text as part of the target.
  Without the end of the text, a block trained for that long repeats its target. Here training ends at a loss
  (`stop_below`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from sequela.core.errors import BadInputError
from sequela.edited import Delta
from sequela.edited.protocols import Intervention
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources
from sequela.editors.methods.melo.lora_blocks import (
    IndexedBlocks,
    LoraBlocks,
    LoraFactors,
    input_projections,
    key_module,
)
from sequela.editors.methods.melo.settings import MELO, MeloHyperparameters
from sequela.editors.shared.clusters import Placement
from sequela.editors.shared.target_loss import collate, mean_losses, tokenize_edits
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.batch import index_of
from sequela.models.forward.hooks import OutputHook, hooked
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

DEFAULT_DEPTH = 35 / 48
"""The default position of the index, as a fraction of the depth, as published for GPT-2 XL."""

N_ABOVE = 2
"""The default number of layers with blocks, above the index."""


class Melo(Editor[MeloHyperparameters, LoraBlocks]):
    """Trains a low-rank block on a few edits, and selects blocks by a vector index."""

    info = MELO
    state_class = LoraBlocks

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layer of the index, followed by those with blocks, ascending."""
        default = max(0, min(round(DEFAULT_DEPTH * model.n_layers), model.n_layers - 2))
        indexed, *above = sorted(set(self.hyperparameters.layers or (default,)))
        return indexed, *(above or range(indexed + 1, min(indexed + 1 + N_ABOVE, model.n_layers)))

    def radius_of(self, key: torch.Tensor) -> float:
        """Returns the radius of a new cluster at a key, `[d_key]`."""
        settings = self.hyperparameters
        return settings.init_radius or settings.relative_radius * float(key.norm())

    def prepare(self, model: LanguageModel, resources: Resources) -> LoraBlocks:
        """Returns an empty index without blocks.

        Raises:
            SequelaError: The model lacks one of the layers.
            BadInputError: There is no layer above that of the index.
        """
        layers = self.layers_of(model)
        model.check_layers(layers)
        if len(layers) < 2:
            raise BadInputError(
                f"melo: {model.name!r} has no layer above layer {layers[0]} for the blocks.",
                hint="Choose a lower layer.",
            )
        return LoraBlocks()

    def interventions(self, model: LanguageModel, state: LoraBlocks) -> tuple[Intervention, ...]:
        """Returns the index with its blocks, once there is a block."""
        return (IndexedBlocks(self.layers_of(model)[0], state),) if state.n_blocks else ()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: LoraBlocks, resources: Resources
    ) -> EditOutcome[LoraBlocks]:
        """Trains one block for every `edits_per_block` edits of the batch, one after another."""
        size, reports = self.hyperparameters.edits_per_block, []
        for first in range(0, len(edits), size):
            state, new = self._add_block(model, edits[first : first + size], state, resources)
            reports += new
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _add_block(
        self, model: LanguageModel, edits: Sequence[Edit], state: LoraBlocks, resources: Resources
    ) -> tuple[LoraBlocks, list[EditReport]]:
        settings, number = self.hyperparameters, state.n_blocks
        prompts = tokenize_edits(model, edits)
        training = BlockTraining(model, prompts, self.layers_of(model))
        indexed, placed = self._indexed(edits, prompts, training.keys, state)
        selected = indexed.selected(training.keys).tolist()
        rows = [row for row in placed if indexed.leads(selected[row], number, prompts[row].target_ids)]
        reached = {edits[row].id for row in rows}
        kept = [n for n, one in enumerate(indexed.members) if one.block < number or one.edit in reached]
        indexed = indexed.with_members(kept)
        unreached = "its key equals that of another edit, and it can't be reached now"
        reports = [
            EditReport.for_dropped(edit.id, unreached if row in placed else "the key is not finite")
            for row, edit in enumerate(edits)
        ]
        if not rows:
            return indexed, reports
        generator = torch.Generator().manual_seed(resources.seed + number)
        block, losses = training.train(rows, settings, generator)
        if not bool(losses[-1].isfinite().all()) or not all(factors.finite for factors in block.values()):
            return state, [EditReport.for_dropped(edit.id, "the loss is not finite") for edit in edits]
        extended = indexed.with_block(block)
        forgotten = len(state.members) + len(reached) - len(extended.members)
        for n, row in enumerate(rows):
            reports[row] = EditReport(
                edit_id=edits[row].id,
                optimization_steps=len(losses) - 1,
                first_loss=float(losses[0][n]),
                final_loss=float(losses[-1][n]),
                relative_norm=0.0,
                diagnostics={
                    "nearest_key": placed[row].distance,
                    "new_key": float(placed[row].fresh),
                    "keys": float(len(extended)),
                    "block": float(number),
                    "forgotten": float(forgotten),
                },
            )
        return extended, reports

    def _indexed(
        self, edits: Sequence[Edit], prompts: Sequence[TokenizedPrompt], keys: torch.Tensor, state: LoraBlocks
    ) -> tuple[LoraBlocks, dict[int, Placement]]:
        """Returns the index with the edits whose keys `[edits, d_key]` are finite, and their placements."""
        placed: dict[int, Placement] = {}
        for row in keys.isfinite().all(dim=1).nonzero()[:, 0].tolist():
            key, label, radius = keys[row], prompts[row].target_ids, self.radius_of(keys[row])
            same_key = self.hyperparameters.same_key
            state, placed[row] = state.with_edit(edits[row].id, key, label, radius, same_key)
        return state, placed


class BlockTraining:
    """The training of one block on a few edits.

    Args:
        model: The model, without interventions.
        prompts: The edits' prompts with their targets.
        layers: The layer of the index, followed by those with blocks, ascending.
    """

    def __init__(
        self, model: LanguageModel, prompts: Sequence[TokenizedPrompt], layers: Sequence[int]
    ) -> None:
        indexed, *above = layers
        lasts = [len(prompt.prompt_ids) - 1 for prompt in prompts]
        recording = record_forward(model, collate(model, prompts), indexed, starts=lasts)
        self._model, self._prompts = model, prompts
        self._linears = input_projections(model, above)
        self._columns = [last - start for last, start in zip(lasts, recording.starts, strict=True)]
        seen: list[torch.Tensor] = []

        def hook(_: torch.Tensor, outputs: torch.Tensor) -> None:
            at = index_of(outputs, torch.arange(len(prompts)), torch.tensor(self._columns))
            seen.append(outputs[at].float().to(model.device))

        with hooked(model, {key_module(model, indexed): hook}):
            recording = recording.advance()
        while recording.first < above[0]:
            recording = recording.advance()
        self._recording: ForwardRecord = recording
        self.keys = seen[0]
        """The edits' keys, `[edits, d_key]`, fp32."""

    def train(
        self, rows: Sequence[int], settings: MeloHyperparameters, generator: torch.Generator
    ) -> tuple[dict[str, LoraFactors], list[torch.Tensor]]:
        """Trains a block with Adam.

        Args:
            rows: The indices of the edits it is for.
            settings: The method's settings.
            generator: The generator that draws the initial factors.

        Returns:
            The block's factors by the name of the linear layer, and the edits' losses before each step and
            after the last, in nats per token, `[rows]`.
        """
        recording = self._recording.select_rows(torch.tensor(rows, device=self._model.device))
        block = {
            linear: self._start(linear, settings.rank, settings.scale, generator) for linear in self._linears
        }
        trained = [
            factor.requires_grad_() for factors in block.values() for factor in (factors.down, factors.up)
        ]
        adam = torch.optim.Adam(trained, lr=settings.lr)
        rate = torch.optim.lr_scheduler.StepLR(adam, settings.halve_every, gamma=0.5)
        losses: list[torch.Tensor] = []
        for _ in range(settings.num_steps):
            with torch.enable_grad():
                each = self._losses(recording, rows, block)
                mean = each.mean()
            losses.append(each.detach())
            if float(mean.detach()) < settings.stop_below or not bool(mean.isfinite()):
                break
            adam.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]
            adam.step()
            rate.step()
        else:
            with torch.no_grad():
                losses.append(self._losses(recording, rows, block))
        return {linear: factors.detached() for linear, factors in block.items()}, losses

    def _start(self, linear: str, rank: int, scale: float, generator: torch.Generator) -> LoraFactors:
        """Returns a linear layer's initial factors, random and zero, so that their product is zero."""
        weight = self._model.module.get_parameter(f"{linear}.weight")
        n_out, n_in = self._model.family.as_out_in(weight).shape
        bound = 1 / math.sqrt(scale * rank)
        drawn = (2 * torch.rand(1, rank, n_in, generator=generator) - 1) * bound
        device = self._model.device
        return LoraFactors(drawn.to(device), torch.zeros(1, rank, n_out, device=device), scale)

    def _losses(
        self, recording: ForwardRecord, rows: Sequence[int], block: Mapping[str, LoraFactors]
    ) -> torch.Tensor:
        """Returns the targets' mean cross-entropy, the block acting from the prompts' ends on, `[rows]`."""
        prompts, columns = [self._prompts[row] for row in rows], [self._columns[row] for row in rows]
        with hooked(self._model, {linear: _adding(factors, columns) for linear, factors in block.items()}):
            final = recording.replay()
        logits = [
            read_logits(self._model, final[n, column : column + len(prompt.target_ids)])
            for n, (prompt, column) in enumerate(zip(prompts, columns, strict=True))
        ]
        return mean_losses(logits, prompts)


def _adding(factors: LoraFactors, columns: Sequence[int]) -> OutputHook:
    """Returns a hook that adds the only block from a column on in each row."""

    def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        affected = torch.arange(outputs.shape[1]) >= torch.tensor(columns)[:, None]
        rows, positions = index_of(outputs, *affected.nonzero(as_tuple=True))
        changed = outputs.clone()
        changed[rows, positions] += factors(inputs[rows, positions], torch.zeros_like(rows)).to(outputs.dtype)
        return changed

    return hook
