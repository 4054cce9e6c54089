"""MELO: low-rank blocks beside the weights, looked up by a vector index (Yu et al. 2024, arXiv 2312.11795).

The key of an edit is what leaves the first linear layer of an MLP at the prompt's last token. Edits that come
together share a block, a small LoRA on the first linear layers of the MLPs above; it is trained on their
targets and never again. A query whose key falls into a cluster of the index is answered with the block of the
cluster's nearest point, any other by the unedited model.

What is different from the released code:

* It decides at a sequence's very last token, which while editing is the target's or padding, and in
  generation is another one at every step; and its blocks act on the prompt's tokens too. Here one decision is
  made at the prompt's last token, and the block acts from there on.
* It compares targets by the sum of their tokens' numbers. Here all of them must be the same.
* Its radius of 0.5 suits one model; by default a radius is a part of the key's norm (`radius_of`).
* It fixes the number of blocks beforehand, and the product of a block's factors is scaled by it: 350 as
  published, here `scale`.
* It trains for a fixed number of steps, and the end of the text is part of the target. Without that end, a
  block trained so long says its target over and over: here training ends at a loss (`stop_below`).
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
from sequela.models.forward.batch import places_in
from sequela.models.forward.hooks import OutputHook, hooked
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

DEFAULT_DEPTH = 35 / 48
"""Where it watches by default, as a part of the depth: as published for GPT-2 XL."""

N_ABOVE = 2
"""How many layers above have blocks by default."""


class Melo(Editor[MeloHyperparameters, LoraBlocks]):
    """Trains a low-rank block on a few edits, and an index that tells when it is in force."""

    info = MELO
    state_class = LoraBlocks

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layer that is watched, then those with blocks, ascending."""
        default = max(0, min(round(DEFAULT_DEPTH * model.n_layers), model.n_layers - 2))
        watched, *above = sorted(set(self.hyperparameters.layers or (default,)))
        return watched, *(above or range(watched + 1, min(watched + 1 + N_ABOVE, model.n_layers)))

    def radius_of(self, key: torch.Tensor) -> float:
        """A new cluster's radius at a key, `[d_key]`."""
        settings = self.hyperparameters
        return settings.init_radius or settings.relative_radius * float(key.norm())

    def prepare(self, model: LanguageModel, resources: Resources) -> LoraBlocks:
        """An empty index, without blocks.

        Raises:
            SequelaError: The model has no such layer.
            BadInputError: There is none above the watched one.
        """
        layers = self.layers_of(model)
        model.check_layers(layers)
        if len(layers) < 2:
            raise BadInputError(
                f"melo: {model.name!r} has no layer above layer {layers[0]} for the blocks.",
                hint="Watch a lower one.",
            )
        return LoraBlocks()

    def interventions(self, model: LanguageModel, state: LoraBlocks) -> tuple[Intervention, ...]:
        """The index and its blocks, once there is a block."""
        return (IndexedBlocks(self.layers_of(model)[0], state),) if state.n_blocks else ()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: LoraBlocks, resources: Resources
    ) -> EditOutcome[LoraBlocks]:
        """Makes a block of every few edits of the batch, one after the other."""
        size, reports = self.hyperparameters.edits_per_block, []
        for first in range(0, len(edits), size):
            state, made = self._make_block(model, edits[first : first + size], state, resources)
            reports += made
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _make_block(
        self, model: LanguageModel, edits: Sequence[Edit], state: LoraBlocks, resources: Resources
    ) -> tuple[LoraBlocks, list[EditReport]]:
        settings, number = self.hyperparameters, state.n_blocks
        prompts = tokenize_edits(model, edits)
        training = BlockTraining(model, prompts, self.layers_of(model))
        indexed, placed = self._indexed(edits, prompts, training.keys, state)
        found = indexed.selected(training.keys).tolist()
        rows = [row for row in placed if indexed.leads(found[row], number, prompts[row].target_ids)]
        reached = {edits[row].id for row in rows}
        kept = [n for n, one in enumerate(indexed.members) if one.block < number or one.edit in reached]
        indexed = indexed.with_members(kept)
        unreached = "its key is that of another edit, and it is out of reach now"
        reports = [
            EditReport.not_made(edit.id, unreached if row in placed else "the key is not finite")
            for row, edit in enumerate(edits)
        ]
        if not rows:
            return indexed, reports
        generator = torch.Generator().manual_seed(resources.seed + number)
        block, losses = training.train(rows, settings, generator)
        if not bool(losses[-1].isfinite().all()) or not all(factors.finite for factors in block.values()):
            return state, [EditReport.not_made(edit.id, "the loss is not finite") for edit in edits]
        made = indexed.with_block(block)
        forgotten = len(state.members) + len(reached) - len(made.members)
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
                    "keys": float(len(made)),
                    "block": float(number),
                    "forgotten": float(forgotten),
                },
            )
        return made, reports

    def _indexed(
        self, edits: Sequence[Edit], prompts: Sequence[TokenizedPrompt], keys: torch.Tensor, state: LoraBlocks
    ) -> tuple[LoraBlocks, dict[int, Placement]]:
        """The index with the edits whose keys `[edits, d_key]` are finite, and where each of them went."""
        placed: dict[int, Placement] = {}
        for row in keys.isfinite().all(dim=1).nonzero()[:, 0].tolist():
            key, label, radius = keys[row], prompts[row].target_ids, self.radius_of(keys[row])
            same_key = self.hyperparameters.same_key
            state, placed[row] = state.with_edit(edits[row].id, key, label, radius, same_key)
        return state, placed


class BlockTraining:
    """The training of one block on a few edits.

    Args:
        model: The model; nothing may watch its activations.
        prompts: The edits' prompts with their targets.
        layers: The layer that is watched, then those with blocks, ascending.
    """

    def __init__(
        self, model: LanguageModel, prompts: Sequence[TokenizedPrompt], layers: Sequence[int]
    ) -> None:
        watched, *above = layers
        lasts = [len(prompt.prompt_ids) - 1 for prompt in prompts]
        recording = record_forward(model, collate(model, prompts), watched, starts=lasts)
        self._model, self._prompts = model, prompts
        self._linears = input_projections(model, above)
        self._columns = [last - start for last, start in zip(lasts, recording.starts, strict=True)]
        seen: list[torch.Tensor] = []

        def hook(_: torch.Tensor, outputs: torch.Tensor) -> None:
            at = places_in(outputs, torch.arange(len(prompts)), torch.tensor(self._columns))
            seen.append(outputs[at].float().to(model.device))

        with hooked(model, {key_module(model, watched): hook}):
            recording = recording.advance()
        while recording.first < above[0]:
            recording = recording.advance()
        self._recording: ForwardRecord = recording
        self.keys = seen[0]
        """What leaves the watched layer at each prompt's last token, `[edits, d_key]`, fp32."""

    def train(
        self, rows: Sequence[int], settings: MeloHyperparameters, generator: torch.Generator
    ) -> tuple[dict[str, LoraFactors], list[torch.Tensor]]:
        """Trains a block with Adam.

        Args:
            rows: Which of the edits it is for.
            settings: The method's.
            generator: What draws the factors that it begins with.

        Returns:
            By the linear layers' names its factors, and the edits' losses before each step and after the
            last, in nats a token, `[rows]`.
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
        """A linear layer's factors before training: drawn, and zero, so that nothing is added yet."""
        weight = self._model.module.get_parameter(f"{linear}.weight")
        n_out, n_in = self._model.family.as_out_in(weight).shape
        bound = 1 / math.sqrt(scale * rank)
        drawn = (2 * torch.rand(1, rank, n_in, generator=generator) - 1) * bound
        device = self._model.device
        return LoraFactors(drawn.to(device), torch.zeros(1, rank, n_out, device=device), scale)

    def _losses(
        self, recording: ForwardRecord, rows: Sequence[int], block: Mapping[str, LoraFactors]
    ) -> torch.Tensor:
        """Each target's mean cross-entropy, a block in force from the prompt's last token on, `[rows]`."""
        prompts, columns = [self._prompts[row] for row in rows], [self._columns[row] for row in rows]
        with hooked(self._model, {linear: _adding(factors, columns) for linear, factors in block.items()}):
            final = recording.replay()
        logits = [
            read_logits(self._model, final[n, column : column + len(prompt.target_ids)])
            for n, (prompt, column) in enumerate(zip(prompts, columns, strict=True))
        ]
        return mean_losses(logits, prompts)


def _adding(factors: LoraFactors, columns: Sequence[int]) -> OutputHook:
    """Adds the one block there is from a column on in each row."""

    def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        under = torch.arange(outputs.shape[1]) >= torch.tensor(columns)[:, None]
        rows, places = places_in(outputs, *under.nonzero(as_tuple=True))
        changed = outputs.clone()
        changed[rows, places] += factors(inputs[rows, places], torch.zeros_like(rows)).to(outputs.dtype)
        return changed

    return hook
