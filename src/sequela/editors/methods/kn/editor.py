"""KN: the values of the neurons that store a fact are changed.

Dai, Dong, Hao, Sui, Chang, Wei, "Knowledge Neurons in Pretrained Transformers" (ACL 2022). A neuron is an
entry of a key, and its value is its column of the MLP's output projection. A fact's neurons are those whose
attribution (see `attribution`) exceeds a fraction of the greatest one, for a fraction of several prompts. To
the column of each, `new_scale * e(new answer) - old_scale * e(old answer)` is added, with e the tokens'
embeddings.

Differences from the released code:

* The prompts on which the neurons must agree are the edit's own prompt in sampled contexts. The published
  runs had one prompt, so that nothing was refined.
* A target of several tokens is attributed token by token, each after the previous ones.
* Gated MLPs have keys of both signs. Added to the column of a neuron with a negative key, the new answer
  would be written with the wrong sign; `signed` (the default) corrects the sign.
* e is a row of the unembedding matrix, which determines the logits of a column; in models with tied
  embeddings, as used by Dai et al., both matrices are the same.
"""

from __future__ import annotations

import torch

from sequela.edited import Delta, EditedModel, LowRank
from sequela.editors.base import EditReport, Resources, relative_norms
from sequela.editors.methods.kn.attribution import Question, attributions
from sequela.editors.methods.kn.settings import KN, KnowledgeNeuronsHyperparameters
from sequela.editors.one_by_one import OneByOneEditor
from sequela.editors.read_texts import ReadText
from sequela.editors.shared.locate_state import LocateState, initial_state
from sequela.editors.shared.target_loss import target_losses
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt


class KnowledgeNeurons(OneByOneEditor[KnowledgeNeuronsHyperparameters, LocateState]):
    """Changes the values that a fact's neurons write into the residual stream."""

    info = KN
    state_class = LocateState

    @property
    def variant(self) -> str:
        """The label `1 step` if the integral has one point, as in some published runs; otherwise empty."""
        return "1 step" if self.hyperparameters.steps == 1 else ""

    def further_texts(self, edit: Edit) -> tuple[ReadText, ...]:
        """Returns the prompt with the old target, whose tokens are attributed."""
        if edit.target_true is None:
            return ()
        old = ReadText(
            "prompt and old target have", edit.prompt, edit.subject, edit.target_true, in_contexts=True
        )
        return (old,)

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Samples contexts."""
        return initial_state(model, resources, self.hyperparameters.n_contexts, (), whiten=False)

    def edit_one(
        self, model: LanguageModel, edit: Edit, state: LocateState, resources: Resources
    ) -> tuple[Delta, EditReport]:
        """Finds the fact's neurons and changes their columns."""
        settings = self.hyperparameters
        bare = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new)
        predicted, before = _answer(model, bare)
        scores, keys = self._scores(model, edit, state, predicted)
        neurons = self._chosen(scores)
        embedding = model.weight(f"{model.family.unembed}.weight").detach()
        new = embedding[list(bare.target_ids)].float().sum(0)
        direction = settings.new_scale * new - settings.old_scale * embedding[predicted].float()
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
            failure = "no neuron contributes to the answer"
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
        self, model: LanguageModel, edit: Edit, state: LocateState, predicted: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns attributions to the old answer `[contexts, layers, d_ff]` and the bare prompt's keys."""
        settings = self.hyperparameters
        old = edit.target_true
        prompts = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, old, context)
            for context in state.contexts
        ]
        by_context = [_questions(prompt, predicted) for prompt in prompts]
        flat = [question for questions in by_context for question in questions]
        result = attributions(model, flat, settings.steps, settings.attributed)
        parts = torch.split(result.scores, [len(questions) for questions in by_context])
        per_context = [part.sum(0) for part in parts]
        return torch.stack(per_context), result.keys[0]

    def _chosen(self, scores: torch.Tensor) -> torch.Tensor:
        """Returns the mask of the fact's neurons, `[layers, d_ff]`."""
        greatest = scores.flatten(1).amax(1)[:, None, None]
        coarse = (scores > self.hyperparameters.adaptive_threshold * greatest) & (scores > 0)
        return coarse.float().mean(0) >= max(self.hyperparameters.p, 1 / len(scores))

    def _signs(self, neurons: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Returns the factor of the direction for each neuron's column, `[layers, d_ff]`: 1, -1 or 0."""
        signs = keys.sign() if self.hyperparameters.signed else torch.ones_like(keys)
        return neurons.float() * signs


def _questions(prompt: TokenizedPrompt, predicted: int) -> list[Question]:
    """Returns a question for each token of the old answer; if unknown, one for the predicted token."""
    ids, start = prompt.ids, len(prompt.prompt_ids)
    if not prompt.target_ids:
        return [Question(ids, predicted)]
    return [Question(ids[: start + n], token) for n, token in enumerate(prompt.target_ids)]


def _answer(model: LanguageModel, prompt: TokenizedPrompt) -> tuple[int, float]:
    """Returns the token that the model predicts after the prompt, and the target's loss in nats per token."""
    losses, first = target_losses(model, [prompt])
    return int(first[0].argmax()), float(losses[0])


def _loss_with(model: LanguageModel, delta: Delta, prompt: TokenizedPrompt) -> float:
    with EditedModel(model, delta):
        losses, _ = target_losses(model, [prompt])
    return float(losses[0])
