"""The work of a method on a model, as far as its settings say: layers, gradient steps, statistics, sizes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch

from sequela.core.hashing import hash_json
from sequela.editors.base import AnyEditor
from sequela.editors.regularizers.base import RegularizedEditor
from sequela.editors.session import EditSession
from sequela.editors.shared.contexts import CONTEXT_TOKENS, OPENINGS
from sequela.editors.shared.hypernetwork import FactorNetwork
from sequela.editors.shared.locate_settings import TargetHyperparameters
from sequela.editors.shared.settings import HypernetworkHyperparameters, TrainedHyperparameters
from sequela.editors.training.trained_editor import TrainedEditor
from sequela.edits import EditSet
from sequela.models.weightless import WeightlessModel
from sequela.planning.speed import Flops
from sequela.statistics import CorpusSpec
from sequela.statistics.corpus import n_tokens_of

BACKWARD = 2
"""The operations of a backward pass, in those of a forward pass."""


@dataclass(frozen=True)
class MethodShape:
    """The work of a method on a model.

    Args:
        layers: The layers that it changes; empty if unknown before editing.
        lowest_block: The first block that it changes.
        gradient_steps: The maximum number of gradient steps for one edit, or for one batch if it is trained
            on a batch at once; 0 if it takes none.
        rows: The number of texts of an edit in each step.
        row_tokens: The mean number of tokens of such a text.
        statistics_layers: The layers of which it needs key covariances.
        needs_network: Whether it needs a network that is trained before.
        network_parameters: The number of the network's parameters; None if unknown.
        trained_parameters: The number of weights that are optimized directly.
        keeps_keys: Whether the keys of earlier edits are kept.
    """

    layers: tuple[int, ...]
    lowest_block: int
    gradient_steps: int
    rows: int
    row_tokens: float
    statistics_layers: tuple[int, ...] = ()
    needs_network: bool = False
    network_parameters: int | None = 0
    trained_parameters: int = 0
    keeps_keys: bool = False

    def edit_flops(self, flops: Flops) -> float:
        """Returns the operations of one edit, roughly: its texts once, and each step forward and back."""
        tokens = self.rows * self.row_tokens
        once = flops.tokens(tokens, self.row_tokens)
        again = flops.tokens(tokens, self.row_tokens, self.lowest_block) + self.rows * flops.head
        return once + self.gradient_steps * (1 + BACKWARD) * again


def shape_of(session: EditSession, model: WeightlessModel, edits: EditSet) -> MethodShape:
    """Returns what the method of a session does with a model."""
    editor = innermost(session.editor)
    settings, layers = editor.hyperparameters, editor.layers_of(model)
    n_contexts: int = getattr(settings, "n_contexts", 0)
    locates = isinstance(settings, TargetHyperparameters)
    needs_statistics = locates and getattr(settings, "mom2_adjustment", True)
    texts = [model.tokenizer(f"{edit.question} {edit.target_new}")["input_ids"] for edit in edits[:50]]
    length = sum(map(len, texts)) / len(texts) + (CONTEXT_TOKENS + 2 if n_contexts else 0)
    return MethodShape(
        layers=layers,
        lowest_block=session.editor.lowest_block(model),
        gradient_steps=_gradient_steps(editor),
        rows=n_contexts + 1 + locates,
        row_tokens=length,
        statistics_layers=tuple(layers) if needs_statistics else (),
        needs_network=isinstance(settings, TrainedHyperparameters) and not settings.is_untrained,
        network_parameters=_network_parameters(editor, model),
        trained_parameters=_trained_parameters(editor, model, layers),
        keeps_keys=locates and _keeps_keys(editor),
    )


def innermost(editor: AnyEditor) -> AnyEditor:
    """Returns a method without its regularizers."""
    return editor.editor if isinstance(editor, RegularizedEditor) else editor


def method_key(session: EditSession) -> str:
    """Returns the key under which the speed of a method is kept."""
    settings = {name: value for name, value in session.editor.settings.items() if name != "preset"}
    template = None if session.template is None else session.template.edits_hash
    return hash_json(
        {
            "method": session.editor.name,
            "settings": settings,
            "batch": session.batch_size,
            "template": template,
        }
    )


def recipe_of(session: EditSession) -> CorpusSpec:
    """Returns the recipe of the text for key statistics, which a study always has."""
    recipe = session.resources.statistics.spec
    assert recipe is not None
    return recipe


def statistics_tokens(session: EditSession, model: WeightlessModel) -> int:
    """Returns the number of tokens of the text for key statistics."""
    return n_tokens_of(recipe_of(session), model)


def context_steps(shape_contexts: int) -> int:
    """Returns the number of generation steps, of one row each, in which contexts are sampled."""
    return shape_contexts * CONTEXT_TOKENS if shape_contexts and OPENINGS else 0


def _gradient_steps(editor: AnyEditor) -> int:
    settings = editor.hyperparameters
    if isinstance(settings, TrainedHyperparameters):
        return 1 if isinstance(settings, HypernetworkHyperparameters) else 0
    if editor.info.location == "prompt":
        return 0
    for name in ("v_num_grad_steps", "num_steps", "steps"):
        if (found := getattr(settings, name, None)) is not None:
            return int(found)
    return 1


def _keeps_keys(editor: AnyEditor) -> bool:
    keeps = getattr(editor, "keeps_history", None)
    return bool(keeps()) if keeps is not None else False


def _network_parameters(editor: AnyEditor, model: WeightlessModel) -> int | None:
    """Returns the size of a method's network; None if it depends on more than the configuration."""
    if not isinstance(editor, TrainedEditor):
        return 0
    if not isinstance(editor.hyperparameters, HypernetworkHyperparameters):
        return None
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that tensors without values aren't initialized
        module = editor.learner(_on_meta(model)).module
    networks = [one for one in module.modules() if isinstance(one, FactorNetwork)]
    return sum(p.numel() for p in (module.parameters() if not networks else _all_parameters(networks)))


def _all_parameters(networks: list[FactorNetwork]) -> list[torch.nn.Parameter]:
    return [parameter for network in networks for parameter in network.parameters()]


def _on_meta(model: WeightlessModel) -> WeightlessModel:
    """Returns the model as one on the device `meta`, so that networks for it have no values either."""
    return WeightlessModel(
        module=model.module,
        tokenizer=model.tokenizer,
        family=model.family,
        name=model.name,
        parts=model.parts,
        computing_device=torch.device("meta"),
        files=model.files,
    )


def _trained_parameters(editor: AnyEditor, model: WeightlessModel, layers: tuple[int, ...]) -> int:
    """Returns the number of weights of the model (or of a copy of them) that a method optimizes itself."""
    if editor.method in _TRAINS_WEIGHTS:
        return len(layers) * model.hidden_size * model.key_size
    return 0


_TRAINS_WEIGHTS = frozenset({"ft-m", "ft-l", "wise"})
"""The methods that optimize a layer's whole output projection, or a copy of it."""
