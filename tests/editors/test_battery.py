"""Requirements that every editing method must meet on every model family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark import ParameterSet
from pydantic import BaseModel

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import Delta, Dense, EditedModel
from sequela.editors import AnyEditor, EditOutcome, Resources, catalog, create_editor
from sequela.editors.catalog import JOIN, REGULARIZERS
from sequela.editors.methods.lora.editor import QUERY_AND_VALUE
from sequela.editors.registry import editor_names
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.shared.gradient_factors import mlp_linears
from sequela.editors.shared.keys import in_contexts, read_at_subject
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit
from sequela.inference import TorchEngine, score_request
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, KEY_WIDTH, LAYERS, WIDTH, tiny_language_model


@dataclass(frozen=True)
class Method:
    """A method with settings that suit a tiny random model.

    Args:
        name: The method.
        settings: Its settings.
        layers: The layers to edit; empty for a method that determines them itself.
        batch: The number of edits applied together.
        part: The weights of a layer that it changes: the MLP's `output`, all of the `mlp`, or `attention`'s
            query and value.
        follows_gradients: True if it descends the target's loss, so that it must raise the target's
            probability also on a random model. KN writes embeddings instead.
    """

    name: str
    settings: dict[str, Any]
    layers: tuple[int, ...]
    batch: int
    follows_gradients: bool = True
    part: str = "output"

    def create(self, layers: Sequence[int] | None = None) -> AnyEditor:
        chosen = list(layers or self.layers)
        return create_editor(self.name, {**self.settings, **({"layers": chosen} if chosen else {})})

    @property
    def in_weights(self) -> bool:
        """True if its edits are in the weights."""
        return self.create().location == "weights"

    @property
    def in_requests(self) -> bool:
        """True if its edits are in the prompt: no step is taken and no block is changed."""
        return self.create().location == "prompt"

    def weights(self, model: LanguageModel) -> set[str]:
        """Returns the names of the weights that it may change."""
        layers = self.layers or range(LAYERS)
        if not self.in_weights:
            return set()
        if self.part == "mlp":
            return {f"{name}.weight" for name in mlp_linears(model, layers)}
        if self.part == "output":
            return {model.family.mlp_out_name(layer) for layer in layers}
        starts = tuple(f"{model.family.blocks}.{layer}." for layer in layers)
        ends = tuple(f".{name}.weight" for names in QUERY_AND_VALUE for name in names)
        names = dict(model.module.named_parameters())
        return {name for name in names if name.startswith(starts) and name.endswith(ends)}


TARGET = {
    "v_num_grad_steps": 5,
    "v_lr": 0.3,
    "v_weight_decay": 0.01,
    "clamp_norm_factor": 20.0,
    "n_contexts": 2,
}
METHODS = {
    **{
        f"{variant}{'' if whiten else ', no covariance'}": Method(
            "rome", {**TARGET, "variant": variant, "mom2_adjustment": whiten}, (1,), 1
        )
        for variant in ("original", "r-rome", "p-rome")
        for whiten in (True, False)
    },
    **{
        f"memit, batch of {batch}": Method("memit", {**TARGET, "mom2_update_weight": 0.1}, (1, 2), batch)
        for batch in (1, 3)
    },
    **{
        f"{name}, batch of {batch}": Method(name.split(" ")[0], {**TARGET, **settings}, (1, 2), batch)
        for name, settings in {
            "memit with history": {"mom2_update_weight": 0.1, "history": True},
            "memit-history": {"mom2_update_weight": 0.1},
            "emmet": {"emmet_lambda": 0.1},
            "alphaedit": {"nullspace_threshold": 10.0, "L2": 0.1},
            "pmet": {"mom2_update_weight": 0.1},
        }.items()
        for batch in (1, 3)
    },
    "kn": Method(
        "kn", {"steps": 5, "n_contexts": 2, "adaptive_threshold": 0.1, "new_scale": 1.0}, (), 1, False
    ),
    "ultraedit": Method("ultraedit", {"token": "mask", "lr": 3e-3}, (2, 3), 1),
    "ultraedit, batch of 3": Method("ultraedit", {"lr": 3e-3}, (1, 2), 3),
    "rome+rect": Method("rome+rect", {**TARGET, "rect": {"keep": 0.6}}, (1,), 1),
    "memit+rect, batch of 3": Method("memit+rect", {**TARGET, "mom2_update_weight": 0.1}, (1, 2), 3),
    "memit+norm+prune, batch of 3": Method(
        "memit+norm+prune",
        {**TARGET, "mom2_update_weight": 0.1, "norm": {"weight": 0.01}, "prune": {"alpha": 1.5}},
        (1, 2),
        3,
    ),
    "rome+nas": Method("rome+nas", TARGET, (1,), 1),
    "alphaedit+nas, batch of 3": Method(
        "alphaedit+nas", {**TARGET, "nullspace_threshold": 10.0, "L2": 0.1}, (1, 2), 3
    ),
    "ft-m": Method("ft-m", {"num_steps": 4, "lr": 5e-3}, (2,), 1),
    "ft-m, batch of 3": Method("ft-m", {"num_steps": 4, "lr": 5e-3}, (1, 2), 3),
    "ft-m, constrained": Method("ft-m", {"num_steps": 4, "lr": 5e-3, "norm_constraint": 2e-3}, (2,), 1),
    "lora": Method("lora", {"num_steps": 5, "lr": 1e-2}, (1, 2), 1, part="attention"),
    "lora, batch of 3": Method(
        "lora", {"num_steps": 5, "lr": 1e-2, "dropout": 0.0}, (1, 2), 3, part="attention"
    ),
    "lora, adaptive": Method(
        "lora", {"kind": "adalora", "rank": 2, "num_steps": 5, "lr": 5e-2}, (2,), 1, part="attention"
    ),
    "grace": Method("grace", {"num_steps": 5, "lr": 0.3}, (2,), 1),
    "melo": Method("melo", {"num_steps": 5}, (1, 3), 1),
    "melo, batch of 3": Method("melo", {"num_steps": 5, "edits_per_block": 2}, (1, 2, 3), 3),
    **{
        f"ike, batch of {batch}": Method(
            "ike",
            {"demonstrations": "builtin", "n_demonstrations": 1, "retriever": "words"},
            (),
            batch,
            follows_gradients=False,
        )
        for batch in (1, 3)
    },
    "serac, batch of 3": Method("serac", {"artifact": "identity"}, (), 3, follows_gradients=False),
    "wise": Method("wise", {"num_steps": 5, "n_contexts": 2}, (2,), 1),
    "wise, merged into one": Method(
        "wise",
        {"num_steps": 5, "n_contexts": 2, "variant": "merge", "shard_size": 1, "mask_ratio": 0.5},
        (2,),
        1,
    ),
    **{
        f"mend, {sequence}, batch of {batch}": Method(
            "mend", {"artifact": "identity", "edit_lr": 0.05, "sequence": sequence}, (2, 3), batch, part="mlp"
        )
        for sequence in ("accumulate", "last-only")
        for batch in (1, 3)
    },
    **{
        f"malmen, {sequence}, batch of {batch}": Method(
            "malmen", {"artifact": "identity", "edit_lr": 0.05, "sequence": sequence}, (2, 3), batch
        )
        for sequence in ("accumulate", "last-only")
        for batch in (1, 3)
    },
    "malmen, the target's tokens": Method(
        "malmen", {"artifact": "identity", "edit_lr": 0.05, "token": "ans"}, (1, 2), 3
    ),
    "ft-l, batch of 3": Method("ft-l", {"num_steps": 4, "lr": 5e-3}, (1, 2), 3),
}
OTHER_HEADS = {
    "llama, own head": ("llama", {"tie_word_embeddings": False}),
    "gpt_neox, shared head": ("gpt_neox", {"tie_word_embeddings": True}),
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {**{name: (name, {}) for name in FAMILY_NAMES}, **OTHER_HEADS}
A_FEW = QUICK_FAMILIES
"""Transposed weights, norms after the MLP, and the plain case."""

KINDS = (
    ("gpt2", "gpt_neox", "gptj", "phi3", "gpt_neox, shared head"),
    ("gemma2", "gemma3", "olmo2"),
    ("llama", "mistral", "qwen2", "qwen3", "llama, own head"),
)
"""Models with fused or transposed weights or parallel blocks, with norms after the MLP, and the others."""


def covering() -> set[str]:
    """Returns the trials of the quick tier: every method on one model of each kind, and every variant on one.

    The first variant of a method is tried on a model of each kind, on GPT-2 among them; the others differ by
    method. Each further variant is tried on the model on which the fewest methods were tried so far.
    """
    tried: dict[str, set[str]] = {model: set() for model in MODELS}
    chosen: set[str] = set()
    seen: list[str] = []
    for variant, method in METHODS.items():
        name = method.name.split(JOIN)[0]
        if name in seen:
            models = [min(MODELS, key=lambda model: len(tried[model]))]
        else:
            transposed, *others = KINDS
            models = [transposed[0], *(kind[len(seen) % len(kind)] for kind in others)]
            seen.append(name)
        for model in models:
            tried[model].add(name)
            chosen.add(f"{variant} / {model}")
    return chosen


def on_a_few(methods: Mapping[str, Method]) -> list[ParameterSet]:
    """Returns each method with each of `A_FEW`; the quick tier has one of them per method, in turn."""
    return [
        pytest.param(
            method, model, id=f"{name}-{model}", marks=() if number % 3 == index else pytest.mark.slow
        )
        for number, (name, method) in enumerate(methods.items())
        for index, model in enumerate(A_FEW)
    ]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the statistics of all tiny models during the run."""
    return tmp_path_factory.mktemp("tiny-statistics")


def resources_for(model: LanguageModel, kept: Path, seed: int = 0) -> Resources:
    return Resources(tiny_statistics(model, kept), seed=seed)


def open_model(name: str) -> LanguageModel:
    family, settings = MODELS[name]
    return tiny_language_model(family, **settings)


def weights_of(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.module.named_parameters()}


def losses(edited: EditedModel, edits: Sequence[Edit]) -> torch.Tensor:
    """Returns the negative log-likelihood per token of each edit's target, `[edits]`."""
    requests = [score_request(edited, edit.question, edit.target_new) for edit in edits]
    return torch.tensor([-score.mean_logprob for score in TorchEngine().score(edited, requests)])


@dataclass(frozen=True)
class Trial:
    """One batch with one method on one model."""

    method: Method
    model: LanguageModel
    before: dict[str, torch.Tensor]
    edits: tuple[Edit, ...]
    state: BaseModel
    outcome: EditOutcome[Any]

    @property
    def edited(self) -> EditedModel:
        """The model with the edits, whatever their location."""
        return self.method.create().edited(self.model, self.outcome.delta, self.outcome.state)


TRIALS = [f"{method} / {model}" for method in METHODS for model in MODELS]


@pytest.fixture(scope="module", params=quick_cases(TRIALS, covering()))
def trial(request: pytest.FixtureRequest, kept: Path) -> Trial:
    """Each method on each model."""
    method_name, model_name = request.param.split(" / ")
    method, model = METHODS[method_name], open_model(model_name)
    before, edits = weights_of(model), TINY_EDITS[: method.batch]
    editor, resources = method.create(), resources_for(model, kept)
    state = editor.prepare(model, resources)
    return Trial(method, model, before, edits, state, editor.edit(model, edits, state, resources))


def test_every_built_in_method_is_tried() -> None:
    tried = [method.name.split(JOIN) for method in METHODS.values()]
    assert {name for name, *_ in tried} == set(catalog.METHODS)
    assert {name for _, *names in tried for name in names} == set(REGULARIZERS)


def test_the_quick_tier_covers_methods_and_models() -> None:
    pairs = [name.split(" / ") for name in covering()]
    assert {method for method, _ in pairs} == set(METHODS)
    for kind in KINDS:
        tried = {METHODS[method].name.split(JOIN)[0] for method, model in pairs if model in kind}
        assert tried == set(catalog.METHODS)
    assert {model for kind in KINDS for model in kind} == set(MODELS)
    for model in MODELS:
        assert len({METHODS[method].name.split(JOIN)[0] for method, tried in pairs if tried == model}) >= 3
    on_gpt2 = {METHODS[method].name.split(JOIN)[0] for method, model in pairs if model == "gpt2"}
    assert on_gpt2 == set(catalog.METHODS)


def test_the_model_is_left_bit_for_bit_as_it_was(trial: Trial) -> None:
    after = dict(trial.model.module.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in trial.before.items())
    assert not any(weight.requires_grad or weight.grad is not None for weight in after.values())
    assert not trial.model.changes
    for module in trial.model.module.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_only_the_expected_weights_change(trial: Trial) -> None:
    delta = trial.outcome.delta
    assert set(delta.updates) <= trial.method.weights(trial.model)
    assert set(delta.updates) == trial.method.weights(trial.model) or not trial.method.layers
    for name, update in delta.updates.items():
        assert update.shape == trial.model.family.as_out_in(trial.before[name]).shape
    assert delta.finite
    assert min(delta.norms().values(), default=1.0) > 1e-4
    with trial.edited:
        changed = {
            name
            for name, weight in trial.model.module.named_parameters()
            if not torch.equal(weight, trial.before[name])
        }
    assert changed == set(delta.updates)


def test_nothing_below_the_lowest_block_is_changed(trial: Trial) -> None:
    method, model = trial.method, trial.model
    if method.in_requests:
        assert method.create().lowest_block(model) == trial.edited.lowest_block == model.n_layers
        return
    assert method.create().lowest_block(model) == min(method.layers, default=0)
    assert min(method.layers, default=0) <= trial.edited.lowest_block < model.n_layers


def test_every_edit_is_reported(trial: Trial) -> None:
    for edit, report in zip(trial.edits, trial.outcome.reports, strict=True):
        assert report.edit_id == edit.id
        assert not report.dropped
        assert (
            report.optimization_steps == 0
            if trial.method.in_requests
            else 1 <= report.optimization_steps <= 5
        )
        assert report.final_loss < report.first_loss or not trial.method.follows_gradients
        assert (report.relative_norm > 0) == trial.method.in_weights


def test_the_targets_become_more_likely(trial: Trial) -> None:
    before, after = losses(EditedModel(trial.model), trial.edits), losses(trial.edited, trial.edits)
    if trial.method.follows_gradients:
        assert float((before - after).mean()) > 0.02
    else:
        reported = torch.tensor([[report.first_loss, report.final_loss] for report in trial.outcome.reports])
        torch.testing.assert_close(torch.stack([before, after], 1), reported, rtol=1e-4, atol=1e-4)


def test_the_state_survives_json_and_the_seed_fixes_every_bit(trial: Trial, kept: Path) -> None:
    """Repeats the edit with a new editor and the state from its JSON."""
    text = trial.state.model_dump_json()
    editor, resources = trial.method.create(), resources_for(trial.model, kept)
    state = editor.state_class.model_validate_json(text)
    assert state == trial.state
    again = editor.edit(trial.model, trial.edits, state, resources)
    assert again.delta.content_hash == trial.outcome.delta.content_hash
    assert again.state == trial.outcome.state
    assert again.reports == trial.outcome.reports


def test_the_edits_survive_being_saved(trial: Trial, tmp_path: Path) -> None:
    """The loaded edits give exactly the same losses."""
    editor = trial.method.create()
    final = editor.finalize_delta(trial.model, trial.outcome.delta)
    edits = MethodEdits.of(editor, trial.outcome.state, [edit.id for edit in trial.edits])
    save_edits(tmp_path, trial.model, SavedEdits(final, (edits,)))
    again = load_saved_edits(tmp_path, trial.model).on(trial.model)
    assert again.content_hash == trial.edited.content_hash != EditedModel(trial.model).content_hash
    assert torch.equal(losses(again, trial.edits), losses(trial.edited, trial.edits))


@pytest.mark.parametrize(("method", "name"), on_a_few(METHODS))
def test_it_edits_weights_in_bfloat16(method: Method, name: str, kept: Path) -> None:
    """Targets, solves and the change itself are in fp32 or finer; only the model is in bfloat16."""
    model = open_model(name)
    model.module.to(torch.bfloat16)
    model = LanguageModel.wrap(model.module, model.tokenizer, f"{name}-bf16")
    editor, resources = method.create(), resources_for(model, kept)
    edits = TINY_EDITS[: method.batch]
    outcome = editor.edit(model, edits, editor.prepare(model, resources), resources)
    assert not any(report.dropped for report in outcome.reports)
    assert {tensor.dtype for tensor in outcome.delta.tensors().values()} <= {torch.float32}
    assert {tensor.dtype for tensor in outcome.state.tensors.values()} <= {torch.float32, torch.float64}
    if method.follows_gradients:
        assert all(report.final_loss < report.first_loss for report in outcome.reports)


ON_TOP = {name: method for name, method in METHODS.items() if "last-only" not in name}
"""The methods whose batches are added to the earlier ones instead of replacing them."""


@pytest.mark.parametrize(("method", "name"), on_a_few(ON_TOP))
def test_a_later_batch_is_applied_on_top_of_the_earlier(method: Method, name: str, kept: Path) -> None:
    model, resources = open_model(name), resources_for(open_model(name), kept)
    editor, edits = method.create(), TINY_EDITS[:2]
    first, second = edit_in_batches(editor, model, edits, 1, resources)
    with EditedModel(model, first.delta):
        own = editor.edit(model, edits[1:], first.state, resources)
    assert (first.delta + own.delta).content_hash == second.delta.content_hash
    assert own.state == second.state
    alone = editor.edit(model, edits[1:], editor.prepare(model, resources), resources)
    assert own.delta.content_hash != alone.delta.content_hash or own.state != alone.state
    if method.follows_gradients:
        assert all(report.final_loss < report.first_loss for report in (*first.reports, *second.reports))


ONE_AT_A_TIME = {name: method for name, method in METHODS.items() if not method.create().info.takes_batches}


@pytest.mark.parametrize("method", ONE_AT_A_TIME.values(), ids=ONE_AT_A_TIME)
def test_a_batch_for_a_method_that_takes_one_edit_at_a_time_is_rejected(method: Method, kept: Path) -> None:
    model = open_model("llama")
    with pytest.raises(BadInputError, match="one edit at a time, but the batch size is 3") as caught:
        list(edit_in_batches(method.create(), model, TINY_EDITS[:3], 3, resources_for(model, kept)))
    assert "memit" in (caught.value.hint or "")


@pytest.mark.parametrize("method", ["r-rome", "memit, batch of 3"])
def test_another_seed_samples_other_contexts(method: str, kept: Path) -> None:
    model, editor = open_model("llama"), METHODS[method].create()
    hashes = set()
    for seed in (0, 1):
        resources = resources_for(model, kept, seed)
        state = editor.prepare(model, resources)
        hashes.add(editor.edit(model, TINY_EDITS[:1], state, resources).delta.content_hash)
    assert len(hashes) == 2


def broken_weight(model: LanguageModel, layer: int) -> Delta:
    """Returns a change that sets a weight to NaN."""
    update = Dense(torch.full((WIDTH, KEY_WIDTH), float("nan")))
    return Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})


@pytest.mark.parametrize("layer", [0, LAYERS - 1], ids=["below", "above"])
@pytest.mark.parametrize("method", ON_TOP.values(), ids=ON_TOP)
def test_an_edit_of_a_broken_model_is_dropped_with_a_reason(method: Method, layer: int, kept: Path) -> None:
    """If the broken layer is above the edited one, only the loss is not finite."""
    model = open_model("llama")
    editor, resources = method.create(), resources_for(model, kept)
    state = editor.prepare(model, resources)
    with EditedModel(model, broken_weight(model, layer)):
        outcome = editor.edit(model, TINY_EDITS[: method.batch], state, resources)
    assert [report.edit_id for report in outcome.reports] == [e.id for e in TINY_EDITS[: method.batch]]
    assert all("not finite" in report.dropped for report in outcome.reports)
    assert not outcome.delta.updates


@pytest.mark.parametrize("method", ["r-rome", "memit, batch of 3"])
def test_an_edit_that_fails_does_not_affect_the_others_of_its_batch(method: str, kept: Path) -> None:
    """The embedding of one token, which occurs in one subject, is NaN."""
    model = open_model("llama, own head")
    editor = METHODS[method].create()
    resources = Resources(tiny_statistics(model, kept), contexts=CONTEXTS)
    state = editor.prepare(model, resources)
    good, bad = TINY_EDITS[2], TINY_EDITS[4]
    expected = editor.edit(model, [good], state, resources)
    token = model.tokenizer(bad.subject)["input_ids"][-1]
    model.module.get_input_embeddings().weight.data[token] = float("nan")
    outcome = editor.edit(model, [bad, good], state, resources)
    assert [bool(report.dropped) for report in outcome.reports] == [True, False]
    assert outcome.delta.updates.keys() == expected.delta.updates.keys()
    for name, update in outcome.delta.updates.items():
        alone = expected.delta.updates[name].to_dense()
        assert float((update.to_dense() - alone).norm()) < 1e-3 * float(alone.norm())


WITH_LAYERS = {name: method for name, method in METHODS.items() if method.layers}


@pytest.mark.parametrize("method", WITH_LAYERS.values(), ids=WITH_LAYERS)
def test_layers_that_the_model_lacks_are_rejected(method: Method, kept: Path) -> None:
    model = open_model("gpt2")
    with pytest.raises(SequelaError, match=f"Invalid layer {LAYERS}; .* layers 0 to {LAYERS - 1}"):
        method.create([LAYERS]).prepare(model, resources_for(model, kept))


@pytest.mark.parametrize("n_layers", [1, 2, 3, LAYERS, 12])
def test_the_default_layers_exist_however_few_there_are(n_layers: int) -> None:
    model = tiny_language_model("gpt2", n_layer=n_layers)
    for name in editor_names():
        layers = create_editor(name).layers_of(model)
        assert layers == tuple(sorted(set(layers)))
        model.check_layers(layers)


@pytest.mark.parametrize("name", ["memit", "ft-m"])
def test_a_layer_named_twice_is_edited_once(name: str) -> None:
    editor = create_editor(name, {"layers": [2, 1, 2]})
    assert editor.layers_of(open_model("llama")) == (1, 2)


def test_fine_tuning_keeps_every_entry_within_its_bound(kept: Path) -> None:
    model = open_model("gpt2")
    editor = create_editor("ft-m", {"layers": [1, 2], "num_steps": 5, "lr": 0.01, "norm_constraint": 0.004})
    resources = resources_for(model, kept)
    outcome = editor.edit(model, TINY_EDITS[:2], editor.prepare(model, resources), resources)
    largest = [float(update.to_dense().abs().max()) for update in outcome.delta.updates.values()]
    assert largest == pytest.approx([0.004, 0.004], rel=1e-4)


@pytest.mark.parametrize("method", [name for name in METHODS if "history" in name or "alphaedit" in name])
def test_the_keys_that_are_kept_are_those_of_the_edited_model(method: str, kept: Path) -> None:
    model, tried = open_model("llama"), METHODS[method]
    edits, layer = TINY_EDITS[: tried.batch], tried.layers[-1]
    (first,) = edit_in_batches(tried.create(), model, edits, tried.batch, resources_for(model, kept))
    contexts = first.state.contexts
    prompts = [prompt for edit in edits for prompt in in_contexts(model, edit, contexts)]
    site = Site("key", layer)
    with EditedModel(model, first.delta):
        read = read_at_subject(model, prompts, [site])[site].reshape(len(edits), len(contexts), -1)
    bare, others = read[:, 0], read[:, 1:]
    expected = (bare + others.mean(dim=1)) / 2 if len(contexts) > 1 else bare
    torch.testing.assert_close(first.state.tensors[f"keys.{layer}"], expected)


@pytest.mark.parametrize("method", [name for name in METHODS if "history" in name or "alphaedit" in name])
def test_the_values_of_earlier_keys_are_preserved(method: str, kept: Path) -> None:
    """The second batch changes the values of the first batch's keys less than it would without history."""
    model, tried = open_model("llama"), METHODS[method]
    editor, resources = tried.create(), resources_for(model, kept)
    edits = TINY_EDITS[: 2 * tried.batch]
    first, second = edit_in_batches(editor, model, edits, tried.batch, resources)
    assert {len(keys) for keys in first.state.tensors.values()} == {tried.batch}
    assert {len(keys) for keys in second.state.tensors.values()} == {len(edits)}
    no_history = first.state.model_copy(update={"tensors": {}})
    with EditedModel(model, first.delta):
        own, without = (
            editor.edit(model, second.edits, state, resources).delta for state in (first.state, no_history)
        )
    layer = tried.layers[0]
    name, keys = model.family.mlp_out_name(layer), first.state.tensors[f"keys.{layer}"].double()
    moved, moved_without = (float((d.updates[name].to_dense() @ keys.T).norm()) for d in (own, without))
    assert moved < moved_without
