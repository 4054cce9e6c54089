"""GRACE: edits in a codebook of keys and values (Hartvigsen et al. 2023, arXiv 2211.11031).

The key of an edit is the input of an MLP output projection at the prompt's last token. Its value, which
replaces the projection's output there, is trained by gradient steps through the layers above. Each key has a
deferral radius. If the key of a new edit is near an earlier one, it extends that key's radius if the targets
are the same; otherwise the two radii are set to half of their distance.

The weights don't change. A benchmark's score can therefore change only through requests that hit a key, which
engines count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sequela.edited import Delta
from sequela.edited.protocols import Intervention
from sequela.editors.base import Editor, EditOutcome, EditReport, Resources
from sequela.editors.methods.grace.codebook import Codebook, CodebookState
from sequela.editors.methods.grace.settings import GRACE, GraceHyperparameters
from sequela.editors.shared.clusters import Placement
from sequela.editors.shared.target_loss import collate, tokenize_edits
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.hooks import OutputHook, hooked
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

DEFAULT_DEPTH = 3 / 4
"""The default position of the layer, as a fraction of the depth."""


class Grace(Editor[GraceHyperparameters, CodebookState]):
    """Stores each edit's value in a codebook that acts on one layer."""

    info = GRACE
    state_class = CodebookState

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layer of the codebook."""
        return self.hyperparameters.layers or (model.layer_at(DEFAULT_DEPTH),)

    def prepare(self, model: LanguageModel, resources: Resources) -> CodebookState:
        """Returns an empty codebook."""
        model.check_layers(self.layers_of(model))
        return CodebookState()

    def interventions(self, model: LanguageModel, state: CodebookState) -> tuple[Intervention, ...]:
        """Returns the codebook, once it has a key."""
        return (Codebook(self.layers_of(model)[0], state),) if len(state) else ()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: CodebookState, resources: Resources
    ) -> EditOutcome[CodebookState]:
        """Adds the edits to the codebook, one after another."""
        reports = []
        for edit, prompt in zip(edits, tokenize_edits(model, edits), strict=True):
            state, report = self._add(model, edit, prompt, state, resources)
            reports.append(report)
        return EditOutcome(Delta.empty(model.fingerprint), state, tuple(reports))

    def _add(
        self,
        model: LanguageModel,
        edit: Edit,
        prompt: TokenizedPrompt,
        state: CodebookState,
        resources: Resources,
    ) -> tuple[CodebookState, EditReport]:
        settings = self.hyperparameters
        (layer,) = self.layers_of(model)
        slot = ValueSlot(model, prompt, layer)
        key = slot.key()
        if not bool(torch.isfinite(key).all()):
            return state, _dropped(edit, "the key is not finite")
        placed = state.placement(key, prompt.target_ids, settings.eps, settings.same_key)
        start = self._start(model, state, placed, resources)
        changed = state.changed(placed.index, key, start, prompt.target_ids, edit.id).with_radii(placed.radii)
        (nearest,), (hit,) = changed.found(key[None])
        if int(nearest) != placed.index or not bool(hit):
            reason = "its key equals that of an earlier edit, and neither can be reached now"
            return changed, _dropped(edit, reason, int(placed.fresh), placed.distance)
        value, losses = slot.train(start, settings.num_steps, settings.lr, settings.stop_below)
        if not math.isfinite(losses[-1]) or not bool(torch.isfinite(value).all()):
            return state, _dropped(edit, "the loss is not finite")
        changed = state.changed(placed.index, key, value, prompt.target_ids, edit.id).with_radii(placed.radii)
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=len(losses) - 1,
            first_loss=losses[0],
            final_loss=losses[-1],
            relative_norm=0.0,
            diagnostics={
                "nearest_key": placed.distance,
                "new_key": float(placed.fresh),
                "keys": float(len(changed)),
            },
        )
        return changed, report

    def _start(
        self, model: LanguageModel, state: CodebookState, placed: Placement, resources: Resources
    ) -> torch.Tensor:
        """Returns the initial value for the training, `[d]`: the key's, or a random one for a new key."""
        if not placed.fresh:
            return state.tensors["values"][placed.index]
        generator = torch.Generator().manual_seed(resources.seed + len(state))
        return torch.rand(1, model.hidden_size, generator=generator)[0].to(model.device)


class ValueSlot:
    """The training of a value that replaces the output of a layer's projection at one token of a prompt.

    Args:
        model: The model, without interventions.
        prompt: The edit's prompt with its target.
        layer: The layer.
    """

    def __init__(self, model: LanguageModel, prompt: TokenizedPrompt, layer: int) -> None:
        self._model = model
        self._prompt = prompt
        self._module = model.family.mlp_out.format(layer)
        last = len(prompt.prompt_ids) - 1
        self._recording: ForwardRecord = record_forward(model, collate(model, [prompt]), layer, starts=[last])
        self._column = last - self._recording.starts[0]

    def key(self) -> torch.Tensor:
        """Returns the projection's input at the prompt's last token, `[d_ff]`, fp32."""
        seen: list[torch.Tensor] = []

        def hook(inputs: torch.Tensor, _: torch.Tensor) -> None:
            seen.append(inputs[0, self._column].float().clone())

        with torch.no_grad():
            self._run(hook)
        return seen[0].to(self._model.device)

    def train(
        self, start: torch.Tensor, num_steps: int, lr: float, stop_below: float = 0.0
    ) -> tuple[torch.Tensor, list[float]]:
        """Trains a value with Adam.

        Args:
            start: The initial value, `[d]`.
            num_steps: The maximum number of steps.
            lr: The learning rate.
            stop_below: The loss below which training ends.

        Returns:
            The value, and the loss before each step and after the last, in nats per token.
        """
        value = start.float().clone().requires_grad_(True)
        adam = torch.optim.Adam([value], lr=lr)
        losses: list[float] = []
        for _ in range(num_steps):
            loss = self._loss(value)
            losses.append(float(loss.detach()))
            if losses[-1] < stop_below or not math.isfinite(losses[-1]):
                return value.detach(), losses
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        with torch.no_grad():
            losses.append(float(self._loss(value)))
        return value.detach(), losses

    def _loss(self, value: torch.Tensor) -> torch.Tensor:
        """Returns the mean cross-entropy of the target's tokens with a value in place of the output."""

        def hook(_: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            replaced = outputs.clone()
            replaced[0, self._column] = value.to(outputs.device, outputs.dtype)
            return replaced

        final = self._run(hook)
        target = torch.tensor(self._prompt.target_ids, device=final.device)
        predicting = final[0, self._column : self._column + len(target)]
        return torch.nn.functional.cross_entropy(read_logits(self._model, predicting), target)

    def _run(self, hook: OutputHook) -> torch.Tensor:
        with hooked(self._model, {self._module: hook}):
            return self._recording.replay()


def _dropped(edit: Edit, reason: str, new_key: int = 0, distance: float = math.nan) -> EditReport:
    return EditReport.for_dropped(edit.id, reason, nearest_key=distance, new_key=float(new_key))
