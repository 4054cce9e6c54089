"""KN: the neurons that carry a fact get another value.

Dai, Dong, Hao, Sui, Chang, Wei, "Knowledge Neurons in Pretrained Transformers" (ACL 2022). A neuron is an
entry of a key; what it writes is its column of the MLP's output projection. Neurons whose attribution
(see `attribution`) is above a part of the greatest, for a part of several prompts, carry the fact; to
the column of each is added `new_scale * e(new answer) - old_scale * e(old answer)`, with e the tokens'
embeddings.

What is different from the released code:

* The prompts that the neurons must agree on are the edit's own in sampled contexts. The published runs
  had one prompt, so that nothing was refined.
* A target of several tokens is attributed token by token, each behind the ones before it.
* Gated MLPs have keys of both signs: added to a negative neuron's column, the new answer would be
  written with the wrong sign. With `signed` (the default), it is not.
* e is a row of the matrix that reads logits, since that is what the column is read by; models with tied
  embeddings, as Dai et al. used, have one matrix for both.
"""

from __future__ import annotations

import torch

from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors.base import EditReport, Resources, relative_norms
from sequela.editors.methods.kn.attribution import Question, attributions
from sequela.editors.methods.kn.settings import KN, KnowledgeNeuronsHyperparameters
from sequela.editors.one_by_one import OneByOneEditor
from sequela.editors.shared.locate_state import LocateState, initial_state
from sequela.editors.shared.target_loss import target_losses
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt


class KnowledgeNeurons(OneByOneEditor[KnowledgeNeuronsHyperparameters, LocateState]):
    """Rewrites what a fact's neurons put into the residual stream."""

    info = KN
    state_class = LocateState

    @property
    def variant(self) -> str:
        """Told where the integral is one gradient only, as in the published runs."""
        return "1 step" if self.hyperparameters.steps == 1 else ""

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts."""
        return initial_state(model, resources, self.hyperparameters.n_contexts, (), whiten=False)

    def edit_one(
        self, model: LanguageModel, edit: Edit, state: LocateState, resources: Resources
    ) -> tuple[Delta, EditReport]:
        """Finds the fact's neurons and changes their columns."""
        settings = self.hyperparameters
        bare = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new)
        says, before = _answer(model, bare)
        scores, keys = self._scores(model, edit, state, says)
        neurons = self._chosen(scores)
        embedding = model.module.get_submodule(model.family.unembed).weight.detach()
        new = embedding[list(bare.target_ids)].float().sum(0)
        direction = settings.new_scale * new - settings.old_scale * embedding[says].float()
        direction = direction.to(model.device)
        delta = Delta(
            model.fingerprint,
            {
                model.family.mlp_out_name(layer): LowRank(direction[:, None].clone(), row[None])
                for layer, row in enumerate(self._signs(neurons, keys))
                if row.any()
            },
        )
        failure = "" if torch.isfinite(scores).all() else "an attribution is not finite"
        if not failure and not neurons.any():
            failure = "no neuron adds to the answer"
        after = before if failure else _loss_with(model, delta, bare)
        report = EditReport(
            edit_id=edit.id,
            optimization_steps=settings.steps,
            first_loss=before,
            final_loss=after,
            relative_norm=max(relative_norms(model, delta).values(), default=0.0),
            dropped=failure,
            diagnostics={
                "neurons": float(neurons.sum()),
                "layers": float(neurons.any(-1).sum()),
                "greatest_attribution": float(scores.max()),
            },
        )
        return delta, report

    def _scores(
        self, model: LanguageModel, edit: Edit, state: LocateState, says: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attributions to the old answer `[contexts, layers, d_ff]`, and the bare prompt's keys."""
        settings = self.hyperparameters
        old = edit.target_true
        prompts = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, old, context)
            for context in state.contexts
        ]
        questions = [_questions(prompt, says) for prompt in prompts]
        flat = [question for asked in questions for question in asked]
        found = attributions(model, flat, settings.steps, settings.attributed)
        parts = torch.split(found.scores, [len(asked) for asked in questions])
        per_context = [part.sum(0) for part in parts]
        return torch.stack(per_context), found.keys[0]

    def _chosen(self, scores: torch.Tensor) -> torch.Tensor:
        """The fact's neurons, `[layers, d_ff]`, true where one is."""
        greatest = scores.flatten(1).amax(1)[:, None, None]
        coarse = (scores > self.hyperparameters.adaptive_threshold * greatest) & (scores > 0)
        return coarse.float().mean(0) >= max(self.hyperparameters.p, 1 / len(scores))

    def _signs(self, neurons: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """How often the direction is added to each neuron's column, `[layers, d_ff]`: 1, -1 or 0."""
        signs = keys.sign() if self.hyperparameters.signed else torch.ones_like(keys)
        return neurons.float() * signs


def _questions(prompt: TokenizedPrompt, says: int) -> list[Question]:
    """A question for each token of the old answer; where none is known, what the model says now."""
    ids, start = prompt.ids, len(prompt.prompt_ids)
    if not prompt.target_ids:
        return [Question(ids, says)]
    return [Question(ids[: start + n], token) for n, token in enumerate(prompt.target_ids)]


def _answer(model: LanguageModel, prompt: TokenizedPrompt) -> tuple[int, float]:
    """The token that the model says behind the prompt, and the target's loss in nats a token."""
    losses, first = target_losses(model, [prompt])
    return int(first[0].argmax()), float(losses[0])


def _loss_with(model: LanguageModel, delta: Delta, prompt: TokenizedPrompt) -> float:
    with EditedModel(model, delta):
        losses, _ = target_losses(model, [prompt])
    return float(losses[0])
