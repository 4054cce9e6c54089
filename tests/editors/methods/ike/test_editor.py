"""IKE: the prompts of requests with facts and demonstrations; the battery tests the rest."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, FingerprintMismatchError, SequelaError
from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.editors import EditOutcome, Resources, create_editor
from sequela.editors.methods.ike.demonstrations import DemonstrationPool, demonstration, kinds_of
from sequela.editors.methods.ike.facts import IkeState
from sequela.editors.methods.ike.retrieval import WordRetriever, by_nearness
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.storage import load_saved_edits, save_edits
from sequela.edits import Edit, EditSet, Probe
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import LanguageModel
from sequela.models.sentence_encoder import load_sentence_encoder
from support.encoders import tiny_encoder
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

WORDS = WordRetriever(torch.device("cpu"))
POOL = (
    Edit(
        id="sun",
        subject="the sun",
        prompt="The color of {} is",
        target_new="green",
        paraphrases=("One paints the sun",),
        neighborhood=(Probe(prompt="The color of snow is", answer="white"),),
    ),
    Edit(
        id="sea",
        subject="the sea",
        prompt="The color of {} is",
        target_new="red",
        paraphrases=("One paints the sea",),
        neighborhood=(Probe(prompt="Grass is"), Probe(prompt="The color of milk is", answer="white")),
    ),
    Edit(
        id="Rome",
        subject="Rome",
        prompt="{} lies in the country of",
        target_new="France",
        paraphrases=("Who wants to see Rome goes to",),
        neighborhood=(Probe(prompt="Paris lies in the country of", answer="France"),),
    ),
    Edit(id="bare", prompt="Bread is made by a", target_new="judge"),
)
MOON = Edit(id="moon", subject="the moon", prompt="The color of {} is", target_new="blue")
CELLO = Edit(id="cello", subject="Ada", prompt="{} plays the", target_new="cello")
DRUM = Edit(id="drum", subject="Tomas", prompt="{} plays the big", target_new="drum")
QUESTIONS = ("Which color has the moon?", "Ada plays the", "Does water run uphill?")


@pytest.fixture
def model() -> LanguageModel:
    return tiny_language_model("llama", max_position_embeddings=512)


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(edit.model_dump_json() for edit in POOL), encoding="utf-8")
    return path


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    folder = tmp_path / "statistics"
    folder.mkdir()
    return Resources(tiny_statistics(tiny_language_model("llama"), folder))


def settings(**given: Any) -> dict[str, Any]:
    return {"retriever": "words", "n_demonstrations": 0, **given}


def apply_edits(
    model: LanguageModel, resources: Resources, edits: Sequence[Edit], **given: Any
) -> tuple[EditedModel, EditOutcome[IkeState]]:
    editor = create_editor("ike", settings(**given))
    outcome = editor.edit(model, edits, editor.prepare(model, resources), resources)
    return editor.edited(model, outcome.delta, outcome.state), outcome


class TestPrompts:
    def test_a_request_follows_demonstrations_and_the_fact(
        self, model: LanguageModel, resources: Resources, pool_file: Path
    ) -> None:
        """Nearest to the moon are sun and sea; the nearest demonstration is last."""
        edited, _ = apply_edits(model, resources, [MOON], demonstrations=str(pool_file), n_demonstrations=4)
        assert edited.route("The moon is").prompt == (
            "New Fact: Bread is made by a judge\n"
            "Prompt: Bread is made by a judge\n\n"
            "New Fact: Rome lies in the country of France\n"
            "Prompt: Paris lies in the country of France\n\n"
            "New Fact: The color of the sea is red\n"
            "Prompt: One paints the sea red\n\n"
            "New Fact: The color of the sun is green\n"
            "Prompt: The color of snow is white\n\n"
            "New Fact: The color of the moon is blue\n"
            "Prompt: The moon is"
        )

    def test_several_facts_are_added_nearest_last(self, model: LanguageModel, resources: Resources) -> None:
        edited, _ = apply_edits(model, resources, [CELLO, DRUM, MOON], n_facts=2)
        assert edited.route("Tomas plays the big").prompt == (
            "New Fact: Ada plays the cello\nNew Fact: Tomas plays the big drum\nPrompt: Tomas plays the big"
        )

    def test_one_fact_is_added_to_every_request(self, model: LanguageModel, resources: Resources) -> None:
        edited, _ = apply_edits(model, resources, [CELLO, MOON])
        routes = [edited.route(question) for question in QUESTIONS]
        assert [routed.prompt.splitlines()[0] for routed in routes[:2]] == [
            "New Fact: The color of the moon is blue",
            "New Fact: Ada plays the cello",
        ]
        assert all(routed.route.hit and routed.prompt.startswith("New Fact: ") for routed in routes)

    def test_the_latest_answer_to_a_question_counts(self, model: LanguageModel, resources: Resources) -> None:
        other = MOON.model_copy(update={"id": "again", "target_new": "gray"})
        edited, outcome = apply_edits(model, resources, [MOON, CELLO, other], n_facts=3)
        assert [fact.edit for fact in outcome.state.facts] == ["again", "cello"]
        assert len(outcome.state.tensors["keys"]) == 2
        assert "blue" not in edited.route("The moon").prompt

    def test_a_chat_template_is_applied_after_the_facts(
        self, model: LanguageModel, resources: Resources
    ) -> None:
        editor = create_editor("ike", settings())
        state = editor.edit(model, [MOON], editor.prepare(model, resources), resources).state
        edited = editor.edited(model, Delta.empty(model.fingerprint), state, (ChatTemplate("<u>", "</u>"),))
        assert edited.route("Why?").prompt == ("<u>New Fact: The color of the moon is blue\nPrompt: Why?</u>")
        assert edited.route("Why?").route.hit

    def test_the_harness_puts_a_benchmark_s_whole_prompt_after_the_fact(
        self, model: LanguageModel, resources: Resources
    ) -> None:
        from lm_eval.api.instance import Instance

        few_shot = "Q: Is snow white?\nA: yes\n\nQ: Is the moon blue?\nA:"
        edited, _ = apply_edits(model, resources, [MOON])
        literal = f"New Fact: The color of the moon is blue\nPrompt: {few_shot}"

        def scores(of: EditedModel, prompt: str) -> list[tuple[float, bool]]:
            requests = [Instance("loglikelihood", {}, (prompt, answer), 0) for answer in (" yes", " no")]
            return EngineLM(of, TorchEngine()).loglikelihood(requests)

        assert scores(edited, few_shot) == scores(EditedModel(model), literal)
        assert scores(edited, few_shot) != scores(EditedModel(model), few_shot)


class TestThreshold:
    def test_a_request_that_is_not_near_gets_the_bits_of_the_unedited_model(
        self, model: LanguageModel, resources: Resources
    ) -> None:
        edited, _ = apply_edits(model, resources, [MOON, CELLO], threshold=0.65)
        plain, engine = EditedModel(model), TorchEngine()
        together = engine.score(edited, [score_request(edited, q, "Lisbon") for q in QUESTIONS])
        assert [score.hit for score in together] == [False, True, False]
        # Bits are compared one request at a time, since packing with a longer request changes rounding.
        routed = [engine.score(edited, [score_request(edited, q, "Lisbon")])[0] for q in QUESTIONS]
        bare = [engine.score(plain, [score_request(plain, q, "Lisbon")])[0] for q in QUESTIONS]
        # The shared words with "The color of the moon is" are color, moon, and the, which occurs there twice.
        assert cosine(QUESTIONS[0], MOON.question) == pytest.approx(4 / math.sqrt(5 * 8))
        assert [score.hit for score in routed] == [False, True, False]
        same = [one.token_logprobs == other.token_logprobs for one, other in zip(routed, bare, strict=True)]
        assert same == [True, False, True]

    def test_only_facts_above_it_are_added(self, model: LanguageModel, resources: Resources) -> None:
        edited, _ = apply_edits(model, resources, [MOON, CELLO, DRUM], threshold=0.5, n_facts=3)
        lines = edited.route("Ada plays the").prompt.splitlines()
        # The drum's question shares 2 of 4 words with one of 3: 2 / sqrt(12) = 0.58.
        assert lines == [
            "New Fact: Tomas plays the big drum",
            "New Fact: Ada plays the cello",
            "Prompt: Ada plays the",
        ]

    def test_it_distinguishes_variants(self) -> None:
        assert create_editor("ike").variant == ""
        assert create_editor("ike", settings(threshold=0.5)).variant == "threshold 0.5, facts alone"


class TestExactUndo:
    def test_outside_its_block_the_model_is_unchanged(
        self, model: LanguageModel, resources: Resources
    ) -> None:
        weights = {name: weight.clone() for name, weight in model.module.named_parameters()}
        plain, engine = EditedModel(model), TorchEngine()
        before = engine.generate(plain, [generation_request(plain, q, 6) for q in QUESTIONS])
        edited, _ = apply_edits(model, resources, [MOON, CELLO])
        with edited:
            engine.generate(edited, [generation_request(edited, q, 6) for q in QUESTIONS])
        assert engine.generate(plain, [generation_request(plain, q, 6) for q in QUESTIONS]) == before
        assert all(torch.equal(weights[name], weight) for name, weight in model.module.named_parameters())
        assert edited.content_hash != plain.content_hash


class TestLimits:
    def test_an_edit_whose_request_exceeds_the_context_is_dropped(self, resources: Resources) -> None:
        model = tiny_language_model("llama", max_position_embeddings=80)
        long = MOON.model_copy(update={"id": "long", "prompt": "The color, " * 10 + "of {} is"})
        _, outcome = apply_edits(model, resources, [MOON, long])
        assert [bool(report.dropped) for report in outcome.reports] == [False, True]
        assert re.search(r"its request has \d+ tokens; the context has 80", outcome.reports[1].dropped)
        assert [fact.edit for fact in outcome.state.facts] == ["moon"]

    def test_a_request_that_exceeds_the_context_is_counted_as_too_long(
        self, model: LanguageModel, resources: Resources, pool_file: Path
    ) -> None:
        """It would fit without the fact and demonstrations."""
        from lm_eval.api.instance import Instance

        edited, _ = apply_edits(model, resources, [MOON], demonstrations=str(pool_file), n_demonstrations=3)
        question = "Does water run uphill? " * 30
        harness = EngineLM(edited, TorchEngine())
        harness.loglikelihood([Instance("loglikelihood", {}, (question, " no"), 0)])
        ((request, tokens),) = harness.too_long.items()
        assert request == (question, " no")
        assert tokens > model.context_length > len(model.tokenizer(question)["input_ids"]) + 2

    def test_too_few_edits_are_reported_before_editing(
        self, model: LanguageModel, resources: Resources, pool_file: Path
    ) -> None:
        editor = create_editor("ike", settings(demonstrations=str(pool_file), n_demonstrations=8))
        with pytest.raises(BadInputError, match="give 3 demonstrations of kind 'retain'; 4 are needed"):
            editor.prepare(model, resources)

    def test_an_edit_that_uses_up_the_demonstrations_is_dropped(
        self, model: LanguageModel, resources: Resources, pool_file: Path
    ) -> None:
        """The pool's own edit of the sun is excluded, and three edits are too few for four demonstrations."""
        given = {"demonstrations": str(pool_file), "n_demonstrations": 4}
        _, outcome = apply_edits(model, resources, [POOL[0], MOON], **given)
        assert [report.dropped for report in outcome.reports] == [
            "too few edits are left for its demonstrations",
            "",
        ]


class TestDemonstrations:
    @given(st.integers(1, 12))
    def test_kinds_have_the_published_ratio(self, eighths: int) -> None:
        assert Counter(kinds_of(8 * eighths)) == {
            "copy": eighths,
            "update": 3 * eighths,
            "retain": 4 * eighths,
        }

    def test_an_edit_gives_only_demonstrations_that_it_has_data_for(self) -> None:
        bare = POOL[-1]
        assert demonstration(bare, "update") is None
        assert demonstration(bare, "retain") is None
        fact = "Bread is made by a judge"
        assert demonstration(bare, "copy") == f"New Fact: {fact}\nPrompt: {fact}\n\n"

    def test_no_edit_is_used_twice_and_none_with_the_same_question(self) -> None:
        pool = DemonstrationPool.of(EditSet("pool", POOL), 2, WORDS)
        shown = pool.nearest(POOL[1].question, "violet", 2)
        assert shown is not None
        assert [text.splitlines()[0] for text in shown] == [
            "New Fact: The color of the sun is green",
            "New Fact: Rome lies in the country of France",
        ]

    def test_other_demonstrations_than_before_are_rejected(
        self, model: LanguageModel, resources: Resources, pool_file: Path
    ) -> None:
        given = {"demonstrations": str(pool_file), "n_demonstrations": 2}
        _, outcome = apply_edits(model, resources, [MOON], **given)
        pool_file.write_text("\n".join(edit.model_dump_json() for edit in POOL[:3]), encoding="utf-8")
        with pytest.raises(SequelaError, match="used other demonstrations"):
            create_editor("ike", settings(**given)).edit(model, [CELLO], outcome.state, resources)

    def test_without_data_the_hint_names_other_sources(
        self, model: LanguageModel, resources: Resources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SEQUELA_DATA", raising=False)
        editor = create_editor("ike", {"retriever": "words"})
        with pytest.raises(SequelaError, match="counterfact-easyedit-train") as caught:
            editor.prepare(model, resources)
        assert "SEQUELA_DATA" in (caught.value.hint or "")
        assert "builtin" in (caught.value.hint or "")


class TestSaving:
    def test_saved_edits_need_no_pool(
        self, model: LanguageModel, resources: Resources, pool_file: Path, tmp_path: Path
    ) -> None:
        given = {"demonstrations": str(pool_file), "n_demonstrations": 2, "n_facts": 2}
        edited, outcome = apply_edits(model, resources, [MOON, CELLO], **given)
        edits = MethodEdits.of(create_editor("ike", settings(**given)), outcome.state, ("moon", "cello"))
        save_edits(tmp_path / "saved", model, SavedEdits(outcome.delta, (edits,)))
        pool_file.unlink()
        again = load_saved_edits(tmp_path / "saved", model).on(model)
        assert [again.route(q) for q in QUESTIONS] == [edited.route(q) for q in QUESTIONS]
        assert again.content_hash == edited.content_hash

    def test_another_retriever_is_rejected(
        self, model: LanguageModel, resources: Resources, tmp_path: Path
    ) -> None:
        for seed in (0, 1):
            encoder = tiny_encoder(seed)
            encoder.module.save_pretrained(tmp_path / f"encoder-{seed}")
            encoder.tokenizer.save_pretrained(tmp_path / f"encoder-{seed}")
        _, outcome = apply_edits(model, resources, [MOON], retriever=str(tmp_path / "encoder-0"))
        other = create_editor("ike", settings(retriever=str(tmp_path / "encoder-1")))
        with pytest.raises(FingerprintMismatchError, match="another retriever"):
            other.routers(model, outcome.state)


def cosine(one: str, other: str) -> float:
    """Returns the cosine of word counts, computed by its definition."""
    a, b = (Counter(re.findall(r"\w+", text.casefold())) for text in (one, other))
    dot = sum(a[word] * b[word] for word in a)
    return dot / math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()) or 1)


class TestRetrieval:
    WORD = st.sampled_from(["the", "sun", "Sun", "moon", "of", "Ada", "ada", "東京", "cello"])
    TEXT = st.lists(WORD, min_size=0, max_size=8).map(" ".join)

    @given(TEXT, st.lists(TEXT, min_size=1, max_size=6))
    def test_words_are_compared_by_the_cosine_of_their_counts(self, query: str, texts: list[str]) -> None:
        (at,), keys = WORDS.encode([query]), WORDS.encode(texts)
        indices, cosines = by_nearness(at, keys)
        expected = [cosine(query, text) for text in texts]
        assert cosines == pytest.approx([expected[index] for index in indices], abs=1e-6)
        assert sorted(indices) == list(range(len(texts)))
        assert cosines == sorted(cosines, reverse=True)

    def test_the_earlier_of_equals_comes_first(self) -> None:
        keys = WORDS.encode(["a b", "c", "a b", "b a"])
        assert by_nearness(keys[0], keys)[0] == [0, 2, 3, 1]

    def test_the_encoder_finds_the_related_fact(self) -> None:
        """The questions share no word with the facts."""
        encoder = load_sentence_encoder()
        facts = ["The moon's color is", "Ada plays the", "The capital of France is"]
        keys = encoder.encode(facts)
        for index, question in enumerate(["Lunar hue:", "Which instrument does she perform on?", "Paris"]):
            (query,) = encoder.encode([question])
            first = by_nearness(query, keys)
            assert first[0][0] == index
            assert by_nearness(query, keys) == first
