"""The built-in suite on the default model: scores are far above chance, and drop after damage."""

import pytest
import torch

from sequela.edited import EditedModel
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.inference import TorchEngine
from sequela.models.aliases import DEFAULT_MODEL
from sequela.models.loading import load_model
from sequela.models.pypi_models import describe_models


@pytest.mark.slow
def test_the_default_model_scores_well_until_it_is_damaged() -> None:
    if not any(model.alias == DEFAULT_MODEL and model.cached for model in describe_models()):
        pytest.skip(f"{DEFAULT_MODEL} is not in the cache; `make demo` fetches it")
    base, suite, engine = load_model(DEFAULT_MODEL), BuiltinSuite(), TorchEngine()
    chance = {description.name: description.chance for description in suite.describe()}
    for result in suite.evaluate(EditedModel(base), engine):
        assert result.value is not None
        assert result.value >= max(0.60, chance[result.task] + 0.20)
        assert result.value < 1.0

    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in range(14, 17):
            weight = base.mlp_out_weight(layer)
            weight.add_(4 * weight.std() * torch.randn(weight.shape, generator=source))
    for result in suite.evaluate(EditedModel(base), engine):
        assert result.value is not None
        assert result.value <= chance[result.task] + 0.15
