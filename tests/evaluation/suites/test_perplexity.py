"""Perplexity on the fixed text."""

import math

import pytest
import torch

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.suite import Suite
from sequela.evaluation.suites.perplexity import HealthSuite
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from support.tiny import tiny_language_model
from support.tokenizers import sentencepiece


def measure(model: LanguageModel, window: int = 128):
    suite: Suite = HealthSuite(window=window)
    return suite.evaluate(EditedModel(model), TorchEngine())


def test_perplexity_is_the_exponential_of_the_mean_window_loss() -> None:
    model = tiny_language_model("llama")
    ids = model.tokenizer(HealthSuite().text)["input_ids"]
    windows = [torch.tensor(ids[i : i + 128]) for i in range(0, len(ids) - 127, 128)]
    losses = [
        float(torch.nn.functional.cross_entropy(model.module(w[None]).logits[0, :-1], w[1:])) for w in windows
    ]
    mean = sum(losses) / len(losses)
    error = math.sqrt(sum((x - mean) ** 2 for x in losses) / (len(losses) - 1) / len(losses))
    ppl, loss = measure(model)
    assert (ppl.metric, loss.metric) == ("perplexity", "loss")
    assert ppl.n == loss.n == len(windows)
    assert loss.value == pytest.approx(mean, rel=1e-5)
    assert loss.stderr == pytest.approx(error, rel=1e-3)
    assert ppl.value == pytest.approx(math.exp(mean), rel=1e-4)
    assert ppl.stderr == pytest.approx(math.exp(mean) * error, rel=1e-3)
    assert [record.value for record in loss.items] == pytest.approx(losses, rel=1e-4)
    assert len({record.item for record in loss.items}) == len(windows)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_with_nonfinite_logits_has_no_perplexity(value: float) -> None:
    model = tiny_language_model("llama")
    with torch.no_grad():
        model.mlp_out_weight(2)[0, 0] = value
    for result in measure(model):
        assert (result.value, result.stderr) == (None, None)
        assert result.n_nonfinite == result.n > 0
        assert result.items == ()
        assert "non-finite logit" in result.note


def test_windows_longer_than_the_context_are_counted_and_there_is_no_value() -> None:
    for result in measure(tiny_language_model("llama", max_position_embeddings=100)):
        assert (result.value, result.stderr, result.items) == (None, None, ())
        assert result.n_too_long == result.n > 0
        assert result.n_nonfinite == 0
        assert "windows of 128 tokens are longer than the model's context" in result.note


def test_with_one_nonfinite_window_there_is_no_value_and_the_others_keep_their_names() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    ids = model.tokenizer(HealthSuite().text)["input_ids"]
    inputs = [set(ids[i : i + 128][:-1]) for i in range(0, len(ids) - 127, 128)]
    only_third = min(inputs[2] - set().union(*(some for i, some in enumerate(inputs) if i != 2)))
    with torch.no_grad():
        model.module.get_input_embeddings().weight[only_third] = math.nan
    ppl, loss = measure(model)
    assert (ppl.value, loss.value, loss.n_nonfinite) == (None, None, 1)
    assert loss.n == len(inputs)
    names = [record.item for record in loss.items]
    assert names == [f"window-{i:03d}" for i in range(len(inputs)) if i != 2]


def test_a_perplexity_that_overflows_has_no_value() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    with torch.no_grad():
        model.module.lm_head.weight.mul_(1e4)
    ppl, loss = measure(model)
    assert ppl.value is None
    assert "too large" in ppl.note
    assert loss.value is not None
    assert loss.value > 709


def test_every_window_begins_with_the_tokenizers_bos_token() -> None:
    model = tiny_language_model("gemma2")
    assert sentencepiece()("a")["input_ids"][0] == sentencepiece().bos_token_id
    ids = model.tokenizer(HealthSuite().text, add_special_tokens=False)["input_ids"][:128]
    row = torch.tensor([model.tokenizer.bos_token_id, *ids])
    logits = model.module(row[None]).logits[0, 1:-1].float()
    expected = float(torch.nn.functional.cross_entropy(logits, row[2:]))
    assert measure(model)[1].items[0].value == pytest.approx(expected, rel=1e-4)


def test_the_version_depends_on_the_window() -> None:
    assert HealthSuite().version == HealthSuite(window=128).version != HealthSuite(window=64).version


def test_a_window_of_one_token_is_rejected() -> None:
    with pytest.raises(BadInputError, match="at least 2"):
        HealthSuite(window=1)
