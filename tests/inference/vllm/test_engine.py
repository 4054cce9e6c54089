"""The vLLM engine answers as the torch engine does, whichever checkpoint was run before.

Tests marked `vllm` start real servers (`make test-vllm`); the others need no vLLM.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.edited import Delta, Dense, EditedModel, LowRank
from sequela.edited.protocols import Routed
from sequela.editors import Resources, create_editor
from sequela.edits import Edit, load_edits
from sequela.inference import (
    Engine,
    Generation,
    GenerationRequest,
    Score,
    ScoreRequest,
    TorchEngine,
    generation_request,
    perplexity,
    score_request,
)
from sequela.inference.vllm import lora_adapter
from sequela.inference.vllm.engine import VllmEngine, check_edit_locations
from sequela.inference.vllm.lora_adapter import write_adapter
from sequela.models import LanguageModel
from sequela.models.loading import load_model
from support.tiny import tiny_language_model

SMALL_SERVER = {"enforce_eager": True}
NEW_TOKENS = 16


# Without vLLM


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_it_says_what_to_install() -> None:
    with pytest.raises(SequelaError, match=r"sequela\[vllm\]"):
        VllmEngine()


class Watcher:
    """An intervention that does nothing."""

    content_hash = "watcher"

    def install(self, model: LanguageModel) -> None:
        raise AssertionError("rejected edits are never installed")


class OtherChange:
    """A weight change that is not a delta."""

    content_hash = "other"

    def apply(self, model: LanguageModel) -> None:
        raise AssertionError("rejected edits are never applied")


def test_edits_that_act_on_activations_are_an_error() -> None:
    with pytest.raises(SequelaError, match=r"activations[\s\S]*TorchEngine can"):
        check_edit_locations(EditedModel(tiny_language_model("llama"), interventions=(Watcher(),)))  # type: ignore[arg-type]


def test_weight_changes_that_are_not_a_delta_are_an_error() -> None:
    with pytest.raises(SequelaError, match=r"OtherChange[\s\S]*TorchEngine"):
        check_edit_locations(EditedModel(tiny_language_model("llama"), OtherChange()))  # type: ignore[arg-type]


def test_deltas_and_rewritten_requests_are_accepted() -> None:
    model = tiny_language_model("llama")

    class Router:
        content_hash = "router"

        def route(self, prompt: str) -> Routed:
            return Routed(f"Rewritten: {prompt}")

    check_edit_locations(EditedModel(model, Delta.empty(model.fingerprint), routers=(Router(),)))


# With vLLM, on a real model


@pytest.fixture(scope="module")
def smol() -> LanguageModel:
    try:
        return load_model("smollm2-135m-instruct")
    except SequelaError as error:
        pytest.skip(f"the model can't be had: {error}")


@pytest.fixture(scope="module")
def engine(smol: LanguageModel) -> Iterator[VllmEngine]:
    pytest.importorskip("vllm", reason="vLLM is not installed; see `make test-vllm`")
    with VllmEngine(options=SMALL_SERVER) as engine:
        yield engine


@pytest.fixture(scope="module")
def checkpoints(smol: LanguageModel) -> dict[str, EditedModel]:
    """The base, two edited checkpoints, and two with NaN weights."""
    rome = create_editor("rome", {"mom2_adjustment": False})
    resources = Resources.for_model(smol)
    delta = rome.edit(smol, load_edits("builtin").first(3), rome.prepare(smol, resources), resources).delta
    assert all(isinstance(update, LowRank) for update in delta.updates.values())
    nan = torch.full((smol.hidden_size, 1), math.nan)
    broken, name = torch.ones(1, smol.key_size), smol.family.mlp_out_name(8)
    deltas = {
        "rome": delta,  # an adapter
        "dense": dense_delta(smol),  # in place
        "broken adapter": Delta(smol.fingerprint, {name: LowRank(nan, broken)}),
        "broken weights": Delta(smol.fingerprint, {name: Dense(nan @ broken)}),
    }
    return {"base": EditedModel(smol)} | {name: EditedModel(smol, delta) for name, delta in deltas.items()}


def dense_delta(model: LanguageModel) -> Delta:
    """Noise on weights of several kinds; vLLM keeps queries with keys and values, gates with the rest."""
    source = torch.Generator().manual_seed(0)
    updates = {}
    for name in ("5.self_attn.q_proj", "6.mlp.gate_proj", "7.self_attn.o_proj", "11.mlp.down_proj"):
        weight = model.module.get_parameter(f"model.layers.{name}.weight")
        noise = torch.randn(weight.shape, generator=source)
        updates[f"model.layers.{name}.weight"] = Dense(noise * (0.3 * weight.norm() / noise.norm()))
    return Delta(model.fingerprint, updates)


@pytest.fixture(scope="module")
def expected(checkpoints: dict[str, EditedModel]) -> Callable[[str], tuple[list[Generation], list[Score]]]:
    """The torch engine's answers, computed once for each checkpoint."""

    @cache
    def answers(name: str) -> tuple[list[Generation], list[Score]]:
        model = checkpoints[name]
        return said(TorchEngine(), model), scored(TorchEngine(), model)

    return answers


def questions(count: int) -> list[tuple[str, Edit]]:
    """Returns prompts; every other one follows statements that fill blocks of the server's prefix cache."""
    edits = load_edits("builtin")
    statements = " ".join(f"{edit.question} {edit.target_true}." for edit in edits[-16:])
    return [
        (f"{statements} {edit.question}" if number % 2 else edit.question, edit)
        for number, edit in enumerate(edits.first(count))
    ]


def said(engine: Engine, model: EditedModel) -> list[Generation]:
    return engine.generate(model, [generation_request(model, q, NEW_TOKENS) for q, _ in questions(50)])


def scored(engine: Engine, model: EditedModel) -> list[Score]:
    """Returns scores of short answers, and of a text that is read in one pass."""
    pairs = [(question, answer) for question, e in questions(20) for answer in (e.target_new, e.target_true)]
    pairs.append(("Once", "upon a time there was a keeper of a lighthouse who could not swim. " * 4))
    return engine.score(model, [score_request(model, prompt, answer) for prompt, answer in pairs])


def assert_same_scores(found: list[Score], expected: list[Score]) -> None:
    for score, other in zip(found, expected, strict=True):
        assert score.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-3, nan_ok=True)
        assert score.token_greedy == other.token_greedy or not other.finite
        assert score.finite == other.finite


@pytest.mark.vllm
def test_every_checkpoint_answers_as_on_the_torch_engine_whichever_was_run_before(
    engine: VllmEngine,
    checkpoints: dict[str, EditedModel],
    expected: Callable[[str], tuple[list[Generation], list[Score]]],
) -> None:
    texts = {name: [answer.text for answer in expected(name)[0]] for name in ("base", "rome", "dense")}
    assert len(texts["base"]) == 50
    for one, other in (("base", "rome"), ("base", "dense"), ("rome", "dense")):
        assert sum(a != b for a, b in zip(texts[one], texts[other], strict=True)) >= 5, (one, other)
    for name in ("base", "rome", "base", "dense", "rome"):
        generations, scores = expected(name)
        assert said(engine, checkpoints[name]) == generations, name
        assert_same_scores(scored(engine, checkpoints[name]), scores)


@pytest.mark.vllm
@pytest.mark.parametrize("broken", ["broken adapter", "broken weights"])
def test_a_checkpoint_with_nan_weights_wins_nothing_and_affects_no_other(
    engine: VllmEngine,
    checkpoints: dict[str, EditedModel],
    expected: Callable[[str], tuple[list[Generation], list[Score]]],
    broken: str,
) -> None:
    scores = scored(engine, checkpoints[broken])
    assert not any(score.finite or score.greedy for score in scores)
    assert all(score.logprob == -math.inf for score in scores)
    assert {(g.text, g.ids, g.finite) for g in said(engine, checkpoints[broken])} == {("", (), False)}
    for name in ("base", "rome"):
        assert said(engine, checkpoints[name]) == expected(name)[0]
        assert_same_scores(scored(engine, checkpoints[name]), expected(name)[1])


@pytest.mark.vllm
def test_end_tokens_and_stop_strings_end_a_text_as_on_the_torch_engine(
    engine: VllmEngine, smol: LanguageModel
) -> None:
    model = EditedModel(smol)
    chats = ["What is the capital of France? One word.", "Say hello.", "Count from 1 to 5."]
    requests = [
        GenerationRequest(
            tuple(
                smol.tokenizer.apply_chat_template(
                    [{"role": "user", "content": chat}], add_generation_prompt=True, return_dict=False
                )
            ),
            40,
        )
        for chat in chats
    ]
    stops = ((".",), (" the", "\n"), ("s of", "apital"), ("\n\n", ". "), ("never said at all",))
    requests += [generation_request(model, "The capital of France is", 24, stop) for stop in stops]
    requests += [generation_request(model, "Steve Jobs was the founder of", 24, stop) for stop in stops]
    found = engine.generate(model, requests)
    assert found == TorchEngine().generate(model, requests)
    assert {answer.ended_by for answer in found} == {"end", "stop", "length"}


@pytest.mark.vllm
def test_perplexity_is_that_of_the_torch_engine(engine: VllmEngine, smol: LanguageModel) -> None:
    text = " ".join(edit.question for edit in load_edits("builtin").first(40))
    found = perplexity(engine, EditedModel(smol), text, window=128)
    assert found.mean_loss == pytest.approx(
        perplexity(TorchEngine(), EditedModel(smol), text, window=128).mean_loss, abs=1e-4
    )


@pytest.mark.vllm
def test_other_edits_in_force_on_the_base_are_an_error(
    engine: VllmEngine, checkpoints: dict[str, EditedModel]
) -> None:
    with checkpoints["rome"] as model:
        assert said(engine, model)  # its own edits may be in force
        with pytest.raises(SequelaError, match="Edits other than those"):
            said(engine, checkpoints["base"])


@pytest.mark.vllm
def test_edits_of_weights_that_vllm_copies_are_an_error(engine: VllmEngine, smol: LanguageModel) -> None:
    name = "model.embed_tokens.weight"
    change = Dense(torch.ones_like(smol.module.get_parameter(name)))
    model = EditedModel(smol, Delta(smol.fingerprint, {name: change}))
    with pytest.raises(SequelaError, match=r"embed_tokens[\s\S]*TorchEngine"):
        engine.score(model, [ScoreRequest((5,), (6,))])
    assert said(engine, EditedModel(smol))


@pytest.mark.vllm
def test_the_same_edit_in_place_answers_the_same(
    checkpoints: dict[str, EditedModel],
    expected: Callable[[str], tuple[list[Generation], list[Score]]],
) -> None:
    """The server is started while the edit is in force, and serves the base all the same."""
    pytest.importorskip("vllm", reason="vLLM is not installed; see `make test-vllm`")
    with VllmEngine("in-place", options=SMALL_SERVER) as engine:
        with checkpoints["rome"] as rome:
            assert said(engine, rome) == expected("rome")[0]
        for name in ("base", "rome"):
            assert said(engine, checkpoints[name]) == expected(name)[0]
            assert_same_scores(scored(engine, checkpoints[name]), expected(name)[1])


# With vLLM, on tiny models


@pytest.mark.vllm
def test_each_base_is_served_in_turn_up_to_its_whole_context() -> None:
    """GPT-2 stores weights transposed, has learned positions, and vLLM has no adapters for it."""
    pytest.importorskip("vllm", reason="vLLM is not installed; see `make test-vllm`")
    gpt2 = tiny_language_model("gpt2", n_embd=64, n_inner=128, n_head=2)
    gemma = tiny_language_model("gemma3", hidden_size=64, intermediate_size=128, head_dim=32)
    with VllmEngine(options=SMALL_SERVER) as engine:
        for base in (gpt2, gemma):
            for delta in (None, output_delta(base, LowRank), output_delta(base, Dense), None):
                model = EditedModel(base, delta)
                requests = [ScoreRequest((5, 6), (7,)), ScoreRequest(tuple(range(20, 274)), (9, 10, 11))]
                expected = TorchEngine().score(model, requests)
                assert_same_scores(engine.score(model, requests), expected)
                prompts = [GenerationRequest((5, 6, 7), 8), GenerationRequest(tuple(range(20, 270)), 7)]
                assert engine.generate(model, prompts) == TorchEngine().generate(model, prompts)
            too_long = ScoreRequest((5,) * 259, (6, 7))
            found = engine.score(EditedModel(base), [requests[0], too_long])
            assert [score.too_long for score in found] == [None, 260]
            found = engine.generate(EditedModel(base), [GenerationRequest((5,) * 250, 8), prompts[0]])
            assert [answer.too_long for answer in found] == [257, None]


@pytest.mark.vllm
def test_a_delta_that_cannot_be_an_adapter_is_an_error_if_only_adapters_are_allowed() -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed; see `make test-vllm`")
    base = tiny_language_model("llama", hidden_size=64, intermediate_size=128, head_dim=32)
    with VllmEngine("lora", max_rank=1, options=SMALL_SERVER) as engine:
        for kind in (Dense, LowRank):  # of rank 2
            with pytest.raises(SequelaError, match="rank 1 or less, on down_proj"):
                engine.score(EditedModel(base, output_delta(base, kind)), [ScoreRequest((5,), (6,))])


@pytest.mark.vllm
def test_an_adapter_that_does_not_do_what_its_delta_does_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed; see `make test-vllm`")
    base = tiny_language_model("llama", hidden_size=64, intermediate_size=128, head_dim=32)
    request = ScoreRequest((5, 6), (7,))

    def written_in_part(share: float) -> Callable[[Delta, Path, LanguageModel], None]:
        def write(delta: Delta, folder: Path, base: LanguageModel) -> None:
            parts = {n: LowRank(share * u.b, u.a) for n, u in delta.updates.items() if isinstance(u, LowRank)}
            write_adapter(Delta(delta.base_fingerprint, parts), folder, base)

        return write

    with VllmEngine("lora", options=SMALL_SERVER) as engine:
        for seed, share in enumerate((0.0, 0.3, -1.0)):
            monkeypatch.setattr(lora_adapter, "write_adapter", written_in_part(share))
            with pytest.raises(SequelaError, match="vLLM doesn't apply the edits"):
                engine.score(EditedModel(base, output_delta(base, LowRank, seed)), [request])
        monkeypatch.undo()
        for delta in (None, output_delta(base, LowRank, seed=3)):
            model = EditedModel(base, delta)
            assert_same_scores(engine.score(model, [request]), TorchEngine().score(model, [request]))


def output_delta(model: LanguageModel, kind: type[LowRank] | type[Dense], seed: int = 0) -> Delta:
    source = torch.Generator().manual_seed(seed)
    b = 0.3 * torch.randn(model.hidden_size, 2, generator=source)
    a = 0.3 * torch.randn(2, model.key_size, generator=source)
    update = LowRank(b, a) if kind is LowRank else Dense(b @ a)
    return Delta(model.fingerprint, {model.family.mlp_out_name(layer): update for layer in (1, 2)})
