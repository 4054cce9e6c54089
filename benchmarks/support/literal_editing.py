"""Literal implementations of ROME and MEMIT, as the reference for timings.

The algorithm is that of `examples/rome_in_one_file.py`: every evaluation of the loss runs the whole model
over all positions of all texts of one edit and computes logits everywhere; computing keys also runs the whole
model; the solve is dense. Formulas and conventions are those of Sequela's editors, so the changes must agree.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import torch

from sequela.edited import Delta, Dense, LowRank
from sequela.editors.shared.keys import mean_weights
from sequela.editors.shared.target_batch import ESSENCE_PROMPT
from sequela.editors.shared.target_optimization import TargetHyperparameters
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site, module_at
from sequela.models.spans import BLANK
from sequela.statistics import Statistics

EXAMPLE = Path(__file__).parents[2] / "examples" / "rome_in_one_file.py"


def _example() -> ModuleType:
    """Loads the example by its path, since `examples` is not a package."""
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    return module


one_file = _example()


def literal_rome(
    model: LanguageModel,
    edit: Edit,
    contexts: Sequence[str],
    layer: int,
    settings: TargetHyperparameters,
    statistics: Statistics,
) -> Delta:
    """Returns the change of R-ROME with the covariance, which uses the mean key and mean value throughout."""
    update = one_file.rome(
        model.module,
        model.tokenizer,
        module_at(model, Site("value", layer)),
        statistics.key_covariance(layer).matrix.double(),
        (edit.prompt, edit.subject, edit.target_new),
        contexts,
        _settings(settings),
    )
    return Delta(model.fingerprint, {model.family.mlp_out_name(layer): Dense(update.float())})


def literal_memit(
    model: LanguageModel,
    edits: Sequence[Edit],
    contexts: Sequence[str],
    layers: Sequence[int],
    weight: float,
    settings: TargetHyperparameters,
    statistics: Statistics,
) -> Delta:
    """Returns the change of MEMIT for a batch, with targets optimized one edit at a time."""
    last = module_at(model, Site("block", layers[-1]))
    targets = torch.stack([_target(model, edit, contexts, last, settings) for edit in edits]).double()
    halves = mean_weights(len(contexts), bare_half=True)
    total = Delta.empty(model.fingerprint)
    for number, layer in enumerate(layers):
        applied = total.apply(model)
        keys, current = [], []
        for edit in edits:
            prompts = _prompts(model, edit, contexts)
            module = module_at(model, Site("value", layer))
            keys.append(halves @ one_file.keys_and_values(model.module, module, prompts)[0])
            current.append(one_file.keys_and_values(model.module, last, prompts[:1])[1][0])
        applied.revert()
        K = torch.stack(keys).T.double()
        C = statistics.key_covariance(layer).matrix.double()
        adjusted = torch.linalg.solve(weight * C + K @ K.T, K)
        residual = (targets - torch.stack(current).double()).T / (len(layers) - number)
        update = LowRank(residual.float(), adjusted.T.float())
        total = total + Delta(model.fingerprint, {model.family.mlp_out_name(layer): update})
    return total


def _target(
    model: LanguageModel,
    edit: Edit,
    contexts: Sequence[str],
    module: torch.nn.Module,
    settings: TargetHyperparameters,
) -> torch.Tensor:
    """Returns the target value of one edit at the output of a module, `[d]`."""
    rewrites = _prompts(model, edit, contexts, edit.target_new)
    essence = one_file.tokenize(model.tokenizer, BLANK, ESSENCE_PROMPT, edit.subject)
    value: torch.Tensor = one_file.find_value(model.module, module, rewrites, essence, _settings(settings))
    return value


def _prompts(model: LanguageModel, edit: Edit, contexts: Sequence[str], target: str = "") -> list:
    return [
        one_file.tokenize(model.tokenizer, context, edit.prompt, edit.subject, target) for context in contexts
    ]


def _settings(settings: TargetHyperparameters) -> object:
    """Converts the settings to the example's class; both use the stopping rule of the released code."""
    names = {field.name for field in fields(one_file.Settings)}
    return one_file.Settings(**settings.model_dump(include=names))
