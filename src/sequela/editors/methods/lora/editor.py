"""LoRA and AdaLoRA: low-rank adapters trained on the edits, then added to the weights.

Hu et al., "LoRA" (2022); Zhang et al., "AdaLoRA" (2023), which starts with a higher rank and removes the
least important directions during training. The adapters are those of the `peft` library. Each batch trains
its own adapters on the model after the earlier batches; their products are the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.seeding import seeded
from sequela.edited import Delta, LowRank
from sequela.editors.base import Editor, EditOutcome, NoState, Resources
from sequela.editors.methods.fine_tuning.editor import STOP_BELOW, tuning_outcome
from sequela.editors.methods.lora.settings import LORA, LoraHyperparameters
from sequela.editors.shared.target_loss import collate, losses_from_hidden, tokenize_edits
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.replay import record_forward

ADAPTER = "sequela"
"""The name of the adapter in `peft`."""

QUERY_AND_VALUE = (("q_proj", "v_proj"), ("c_attn",), ("query_key_value",), ("qkv_proj",))
"""The names of attention's query and value projections; the first tuple that a model has is the default."""

ORTHOGONALITY = 0.5
"""The weight of AdaLoRA's orthogonality regularization, as published."""


class Lora(Editor[LoraHyperparameters, NoState]):
    """Trains low-rank adapters on a batch of edits."""

    info = LORA

    @property
    def variant(self) -> str:
        """The label `adalora` for that kind; otherwise empty."""
        return "" if self.hyperparameters.kind == "lora" else self.hyperparameters.kind

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that are adapted, ascending."""
        layers = self.hyperparameters.layers
        return tuple(range(model.n_layers)) if layers is None else tuple(sorted(set(layers)))

    def prepare(self, model: LanguageModel, resources: Resources) -> NoState:
        """Checks that `peft` is installed and that the model has the layers to adapt.

        Raises:
            SequelaError: `peft` is not installed, or the model lacks one of the layers.
            BadInputError: The blocks lack one of the linear layers.
        """
        _peft()
        model.check_layers(self.layers_of(model))
        self._targets(model)
        return NoState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: NoState, resources: Resources
    ) -> EditOutcome[NoState]:
        """Trains adapters on all edits of the batch together."""
        with seeded(resources.seed, model.device), self._adapted(model) as tuner:
            losses = self._train(model, tuner, edits)
            updates = {name: _product(layer) for name, layer in _adapters(model)}
        return tuning_outcome(model, edits, Delta(model.fingerprint, updates), losses)

    def _targets(self, model: LanguageModel) -> tuple[str, ...]:
        """Returns the full names of the linear layers that are adapted."""
        blocks = {layer: f"{model.family.blocks}.{layer}." for layer in self.layers_of(model)}
        names = [name for name, _ in model.module.named_modules()]
        choices: tuple[tuple[str, ...], ...] = QUERY_AND_VALUE
        if self.hyperparameters.target_modules is not None:
            choices = (self.hyperparameters.target_modules,)
        for choice in choices:
            matching = [
                name
                for name in names
                if name.rpartition(".")[2] in choice
                and any(name.startswith(start) for start in blocks.values())
            ]
            if len({name.rpartition(".")[2] for name in matching}) == len(set(choice)):
                return tuple(matching)
        first = f"{model.family.blocks}.0."
        available = [
            name.rpartition(".")[2]
            for name, module in model.module.named_modules()
            if name.startswith(first)
            and getattr(module, "weight", None) is not None
            and module.weight.dim() == 2
        ]
        raise BadInputError(
            f"lora: the blocks of {model.name!r} don't have all of {', '.join(choices[-1])}.",
            hint=f"They have {', '.join(dict.fromkeys(available))}; name some as target_modules.",
        )

    @contextmanager
    def _adapted(self, model: LanguageModel) -> Iterator[Any]:
        """Adds new adapters to the model and removes them afterwards."""
        peft, settings = _peft(), self.hyperparameters
        given: dict[str, Any] = {
            "target_modules": list(self._targets(model)),
            "lora_alpha": settings.alpha,
            "lora_dropout": settings.dropout,
            "fan_in_fan_out": model.family.transposed,
        }
        if settings.kind == "lora":
            config = peft.LoraConfig(r=settings.rank, **given)
        else:
            config = peft.AdaLoraConfig(
                target_r=settings.rank,
                init_r=-(-3 * settings.rank // 2),
                total_step=settings.num_steps + 1,
                orth_reg_weight=ORTHOGONALITY,
                **given,
            )
        tuner = peft.get_peft_model(model.module, config, adapter_name=ADAPTER).base_model
        # AdaLoRA modifies its base layer's output in place, which a custom gradient's output doesn't allow.
        hooks = [layer.base_layer.register_forward_hook(_copied) for _, layer in _adapters(model)]
        try:
            yield tuner
        finally:
            for hook in hooks:
                hook.remove()
            tuner.unload()
            vars(model.module).pop("peft_config", None)  # some versions of peft don't remove it
            model.module.requires_grad_(False)
            model.module.eval()

    def _train(self, model: LanguageModel, tuner: Any, edits: Sequence[Edit]) -> list[torch.Tensor]:
        """Trains the adapters in place; returns the loss of each edit before each step."""
        settings = self.hyperparameters
        prompts = tokenize_edits(model, edits)
        recording = record_forward(model, collate(model, prompts), self.layers_of(model)[0])
        factors = {name: p for name, p in model.module.named_parameters() if p.requires_grad}
        adam = torch.optim.Adam(factors.values(), lr=settings.lr, weight_decay=settings.weight_decay)
        for name, module in model.module.named_modules():
            if name.rpartition(".")[0].endswith("lora_dropout"):
                module.train()
        losses: list[torch.Tensor] = []
        for step in range(settings.num_steps):
            with torch.enable_grad():
                per_edit, _ = losses_from_hidden(model, recording.replay(), prompts)
                mean = per_edit.mean()
                total = mean if settings.kind == "lora" else mean + ORTHOGONALITY * _skewness(factors)
            losses.append(per_edit.detach())
            if float(mean.detach()) < STOP_BELOW or not torch.isfinite(mean):
                break
            adam.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            adam.step()
            if settings.kind == "adalora":
                tuner.update_and_allocate(step + 1)
        return losses


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise SequelaError(
            "The method lora needs the package peft, which is not installed.",
            hint="pip install 'sequela[lora]'",
        ) from error
    return peft


def _adapters(model: LanguageModel) -> Iterator[tuple[str, Any]]:
    """Yields the names of the adapted weights and their layers."""
    for name, module in model.module.named_modules():
        if ADAPTER in getattr(module, "lora_B", {}):
            yield f"{name}.weight", module


def _copied(_: torch.nn.Module, __: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    return output.clone()


def _product(layer: Any) -> LowRank:
    """Returns the update that an adapter adds to its weight, `[out, in]`."""
    a, b = layer.lora_A[ADAPTER], layer.lora_B[ADAPTER]
    scale = layer.scaling[ADAPTER]
    if not hasattr(layer, "lora_E"):
        return _factors(b.weight * scale, a.weight)
    scale = scale / (float(layer.ranknum[ADAPTER].detach()) + 1e-5)  # as in peft
    return _factors(b * scale, a * layer.lora_E[ADAPTER])


def _factors(b: torch.Tensor, a: torch.Tensor) -> LowRank:
    return LowRank(b.detach().float().contiguous().clone(), a.detach().float().contiguous().clone())


def _skewness(factors: dict[str, torch.nn.Parameter]) -> torch.Tensor:
    """Returns the mean deviation of the factors from orthogonality, `||PᵀP - I||`."""
    deviations = []
    for name, factor in factors.items():
        if "lora_A" in name or "lora_B" in name:
            gram = factor @ factor.T if "lora_A" in name else factor.T @ factor
            deviations.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
    return torch.stack(deviations).mean()
