"""The edited model: edits of all three locations, in force only inside the `with` block."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_tensors
from sequela.edited import EditedModel
from sequela.edited.decisions import Decisions
from sequela.edited.protocols import Routed
from sequela.inference import generation_request
from sequela.models import LanguageModel
from support.tiny import tiny_language_model


@dataclass
class Shifted:
    """A shift of a weight that is in force."""

    parameter: nn.Parameter
    original: torch.Tensor
    log: list[str]
    name: str

    def revert(self) -> None:
        self.parameter.data.copy_(self.original)
        self.log.append(f"-{self.name}")


@dataclass
class WeightShift:
    """A weight change that adds a number to one layer's output projection."""

    layer: int
    by: float
    log: list[str] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        return f"weights {self.layer} {self.by}"

    def lowest_block(self, model: LanguageModel) -> int:
        return self.layer

    def apply(self, model: LanguageModel) -> Shifted:
        parameter = model.mlp_out_weight(self.layer)
        change = Shifted(parameter, parameter.data.clone(), self.log, "weights")
        parameter.data.add_(self.by)
        self.log.append("+weights")
        return change


@dataclass
class Hooked:
    """A hook that is in force."""

    handle: RemovableHandle
    log: list[str]
    name: str

    def revert(self) -> None:
        self.handle.remove()
        self.log.append(f"-{self.name}")


@dataclass
class OutputShift:
    """An intervention that adds a number to the output of a layer's MLP."""

    layer: int
    by: float
    name: str = "intervention"
    log: list[str] = field(default_factory=list)

    @property
    def content_hash(self) -> str:
        return f"{self.name} {self.layer} {self.by}"

    def lowest_block(self, model: LanguageModel) -> int:
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> Hooked:
        module = model.family.mlp_out_module(model.module, self.layer)
        self.log.append(f"+{self.name}")
        return Hooked(module.register_forward_hook(lambda _, __, out: out + self.by), self.log, self.name)


class Failing:
    """An intervention that can't be installed."""

    content_hash = "failing"

    def lowest_block(self, model: LanguageModel) -> int:
        return 0

    def install(self, model: LanguageModel, decisions: Decisions) -> Hooked:
        raise SequelaError("It can't be installed.")


@dataclass(frozen=True)
class Preface:
    """A router that puts a text before every prompt."""

    text: str

    @property
    def content_hash(self) -> str:
        return f"preface {self.text}"

    def route(self, prompt: str) -> Routed:
        return Routed(f"{self.text} {prompt}")


def bits(model: LanguageModel) -> str:
    return hash_tensors(model.module.named_parameters())


def logits(model: LanguageModel) -> torch.Tensor:
    found: torch.Tensor = model.module(torch.tensor([[5, 6, 7, 8]])).logits
    return found


def test_weights_and_interventions_are_in_force_inside_only(any_family: LanguageModel) -> None:
    plain, before = logits(any_family), bits(any_family)
    edited = EditedModel(any_family, WeightShift(1, 0.5), (OutputShift(2, 0.5),))
    with EditedModel(any_family, WeightShift(1, 0.5)):
        weights_only = logits(any_family)
    with edited as entered:
        assert entered is edited
        both = logits(any_family)
        assert not torch.equal(both, weights_only)
        assert not torch.equal(weights_only, plain)
    assert bits(any_family) == before
    assert torch.equal(logits(any_family), plain)


def test_the_outermost_block_counts() -> None:
    base, log = tiny_language_model("llama"), []
    edited = EditedModel(base, WeightShift(1, 0.5, log), (OutputShift(2, 0.5, log=log),))
    with edited:
        once = logits(base)
        with edited:
            assert torch.equal(logits(base), once)
        assert torch.equal(logits(base), once)
    assert log == ["+weights", "+intervention", "-intervention", "-weights"]


def test_it_can_be_entered_again_with_the_same_effect() -> None:
    base = tiny_language_model("llama")
    edited = EditedModel(base, WeightShift(1, 0.5))
    with edited:
        first = logits(base)
    with edited:
        assert torch.equal(logits(base), first)


def test_changes_are_reverted_last_first() -> None:
    base, log = tiny_language_model("llama"), []
    seats = tuple(OutputShift(layer, 0.1, f"seat{layer}", log) for layer in range(3))
    with EditedModel(base, WeightShift(1, 0.5, log), seats):
        pass
    assert log[4:] == ["-seat2", "-seat1", "-seat0", "-weights"]


def test_an_error_inside_reverts_everything() -> None:
    base = tiny_language_model("llama")
    before = bits(base)
    with pytest.raises(ZeroDivisionError), EditedModel(base, WeightShift(1, 0.5)):
        _ = 1 / 0
    assert bits(base) == before


def test_if_one_edit_fails_none_is_in_force() -> None:
    base, log = tiny_language_model("llama"), []
    before = bits(base)
    edited = EditedModel(base, WeightShift(1, 0.5, log), (OutputShift(2, 0.5, log=log), Failing()))
    with pytest.raises(SequelaError, match="can't be installed"), edited:
        pass
    assert bits(base) == before
    assert log == ["+weights", "+intervention", "-intervention", "-weights"]


def test_routers_rewrite_the_request_in_order() -> None:
    base = tiny_language_model("llama")
    edited = EditedModel(base, routers=(Preface("First."), Preface("Second.")))
    assert edited.route("Who?").prompt == "Second. First. Who?"
    asked = generation_request(edited, "Who?", 3)
    assert base.tokenizer.decode(asked.prompt) == "Second. First. Who?"
    assert EditedModel(base).route("Who?").prompt == "Who?"


def test_the_hash_depends_on_the_base_and_every_edit() -> None:
    base, other = tiny_language_model("llama"), tiny_language_model("llama", seed=1)
    models = [
        EditedModel(base),
        EditedModel(other),
        EditedModel(base, WeightShift(1, 0.5)),
        EditedModel(base, WeightShift(1, 0.6)),
        EditedModel(base, None, (OutputShift(1, 0.5),)),
        EditedModel(base, None, (), (Preface("a"),)),
        EditedModel(base, None, (), (Preface("a"), Preface("b"))),
        EditedModel(base, None, (), (Preface("b"), Preface("a"))),
    ]
    assert len({model.content_hash for model in models}) == len(models)
    assert EditedModel(base, WeightShift(1, 0.5)).content_hash == models[2].content_hash


def test_an_intervention_may_change_anything_weights_what_they_say() -> None:
    base = tiny_language_model("llama")
    assert EditedModel(base).lowest_block == base.n_layers
    assert EditedModel(base, WeightShift(2, 0.5)).lowest_block == 2
    assert EditedModel(base, WeightShift(2, 0.5), (OutputShift(3, 0.5),)).lowest_block == 2
    assert EditedModel(base, WeightShift(2, 0.5), (OutputShift(1, 0.5),)).lowest_block == 1
    assert EditedModel(base, routers=(Preface("a"),)).lowest_block == base.n_layers
