"""Edit quality: answer matching, and the records of each edit."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sequela.edited import Delta, Dense, EditedModel
from sequela.edited.chat_template import chat_templates
from sequela.edited.template_settings import TemplateSettings
from sequela.edits import Edit, EditSet, Probe
from sequela.evaluation.answer_reading.names import is_all_number
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    measure_edits,
    neighborhood_answers,
    rescore_records,
    task_results,
)
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.edit_quality.text_quality import measure_texts
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import ItemRecord
from support.thinking import CAPITALS, thinking_model

SETTINGS = EditQualitySettings(max_new_tokens=8, max_neighborhood=2, prefixes=0, attack=False)

words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)
spaced_words = st.text(st.characters(categories=("L",), max_codepoint=0xFF), min_size=1, max_size=8)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)


class TestAnswerMatching:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            (" Rome", "Rome"),
            ("Rome, which lies on the Tiber", "Rome"),
            ("ROME!", "rome"),
            ("\n\n  Rome\nParis", "Rome"),
            ("the Netherlands.", "Netherlands"),
            (" a cello", "the cello"),
            ("an  old   mill", "old mill"),
            ('"Rome"', "Rome"),
            ("**Rome** is", "Rome"),
            ("New\nYork City", "New York"),
            ("Rome's oldest bridge", "Rome"),
            ("12 apples", "12"),
            ("3.14159", "3.14159"),
            ("C++, a language", "C++"),
            ("e\u0301clair", "\u00e9clair"),  # the accent alone and composed
            ("STRASSE", "straße"),
            ("ﬁnance", "finance"),
            ("東京。", "東京"),
            ("Москва — столица", "москва"),
            ("القاهرة، مصر", "القاهرة"),
            ("東京は日本の首都です。", "東京"),  # no spaces between words
            ("กรุงเทพมหานคร", "กรุงเทพ"),
            ("दिल्ली में", "दिल्ली"),
            ("A is the blood group", "A"),
            ("-5 degrees", "-5"),
            ("5. Then", "5"),
        ],
    )
    def test_a_text_that_begins_with_the_answer_matches(self, text: str, answer: str) -> None:
        assert starts_with_answer(text, answer)

    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            ("", "Rome"),
            ("   ", "Rome"),
            ("Rome", ""),
            ("Rome", "..."),
            ("Romeo and Juliet", "Rome"),
            ("Paris, not Rome", "Rome"),
            ("Rom", "Rome"),
            ("120 apples", "12"),
            ("3.14159", "3.141"),
            ("theater", "ater"),
            ("anthill", "thill"),
            ("Новгород", "Нов"),
            ("दिल्लीवाले", "दिल्ली"),  # the vowel sign at the end is a mark, not a letter
            ("का", "क"),
            ("-5 degrees", "5"),
            ("1.5 million", "1"),
            ("1,000 years", "1"),
            ("not Rome", "Rome"),
        ],
    )
    def test_other_texts_dont_match(self, text: str, answer: str) -> None:
        assert not starts_with_answer(text, answer)

    @given(answer=texts, rest=texts)
    def test_an_answer_followed_by_other_words_matches(self, answer: str, rest: str) -> None:
        assume(unicodedata.category(rest[0]) != "No")  # `3 ¼` is one number
        assume(not (is_all_number(answer) and rest[0].isdecimal()))  # `3, 4` is a list of numbers
        assert starts_with_answer(f" {answer}, {rest}", answer)
        assert starts_with_answer(f" {answer} {rest}", answer)

    @given(answer=texts)
    def test_case_and_articles_are_ignored(self, answer: str) -> None:
        assert starts_with_answer(answer, answer)
        assert starts_with_answer(f"The {answer.casefold()}", answer)

    @given(answer=spaced_words, letter=st.sampled_from("abcxyz"))
    def test_the_beginning_of_a_longer_word_doesnt_match(self, answer: str, letter: str) -> None:
        assert not starts_with_answer(answer + letter, answer)

    @given(text=st.text(max_size=20))
    def test_an_empty_answer_never_matches(self, text: str) -> None:
        assert not starts_with_answer(text, "")


def by_kind(records: Sequence[ItemRecord]) -> dict[tuple[str, str, str], ItemRecord]:
    return {(one.item, one.metric, one.protocol): one for one in records}


def measure(model: LanguageModel, edits: Sequence[Edit], **changes: object) -> list[ItemRecord]:
    return measure_edits(
        EditedModel(model),
        TorchEngine(),
        edits,
        RETENTION_AT_N,
        SETTINGS,
        **changes,  # type: ignore[arg-type]
    )


def swapped(edit: Edit) -> Edit:
    """Returns the edit whose new target is already true."""
    assert edit.target_true is not None
    return edit.model_copy(update={"target_new": edit.target_true, "target_true": edit.target_new})


class TestMeasuring:
    def test_each_edit_has_one_record_for_each_metric_and_protocol(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = world_edits[:3]
        answers = neighborhood_answers(EditedModel(world_model), TorchEngine(), edits, SETTINGS)
        records = measure(world_model, edits, before=answers)
        kinds = {
            (metric, protocol)
            for metric in ("efficacy", "paraphrase", "neighborhood")
            for protocol in ("free_decoding", "teacher_forced", "probability")
        } | {("neighborhood", "agreement")}
        assert len(records) == len(by_kind(records)) == 3 * len(kinds)
        assert {(one.metric, one.protocol) for one in records} == kinds
        assert {one.item for one in records} == {edit.id for edit in edits}

    def test_an_unedited_model_gives_true_answers_and_not_new_ones(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = world_edits[:6]
        new = by_kind(measure(world_model, edits))
        true = by_kind(measure(world_model, [swapped(edit) for edit in edits]))
        for protocol in ("free_decoding", "probability"):
            for edit in edits:
                assert new[(edit.id, "efficacy", protocol)].value == 0
                assert true[(edit.id, "efficacy", protocol)].value == 1
        assert all(true[(edit.id, "efficacy", "teacher_forced")].value == 1 for edit in edits)
        neighbors = [new[(edit.id, "neighborhood", "free_decoding")].value for edit in edits]
        assert sum(neighbors) / len(neighbors) > 0.9

    def test_a_record_is_the_mean_over_the_edits_prompts(
        self, world_model: LanguageModel, world: object, world_edits: EditSet
    ) -> None:
        edit = swapped(world_edits[0])
        wrong = "The home of nobody at all is in the city of"
        mixed = edit.model_copy(update={"paraphrases": (edit.question, wrong)})
        (record,) = [
            one
            for one in measure(world_model, [mixed])
            if (one.metric, one.protocol) == ("paraphrase", "free_decoding")
        ]
        prompts = record.details["prompts"]
        assert [one["prompt"] for one in prompts] == [edit.question, wrong]
        assert prompts[0]["value"] == 1
        assert record.value == sum(one["value"] for one in prompts) / 2

    def test_free_decoding_does_not_depend_on_the_target(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edit = world_edits[0]
        answers = set()
        for target in ("x", edit.target_new, "a very long answer that nobody gives to this question"):
            other = edit.model_copy(update={"target_new": target, "target_true": None})
            record = by_kind(measure(world_model, [other]))[(edit.id, "efficacy", "free_decoding")]
            answers.add(record.answer)
        assert len(answers) == 1

    def test_probes_that_an_edit_lacks_arent_measured(self, world_model: LanguageModel) -> None:
        bare = Edit(id="1", subject="Mira Dolvan", prompt="{} speaks the language", target_new="Orran")
        kinds = {(one.metric, one.protocol) for one in measure(world_model, [bare])}
        assert kinds == {("efficacy", "free_decoding"), ("efficacy", "teacher_forced")}

    def test_a_mean_is_over_the_edits_that_have_the_probe(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        probes = (Probe(prompt="The capital of the land is", answer="x"), Probe(prompt="It is", answer="y"))
        edits = [edit.model_copy(update={"portability": ()}) for edit in world_edits[:4]]
        edits[1] = edits[1].model_copy(update={"portability": probes})
        edits[3] = edits[3].model_copy(update={"portability": probes[:1]})
        results = {(one.metric, one.protocol): one for one in task_results(measure(world_model, edits))}
        portability = results["portability", "free_decoding"]
        assert (portability.n, results["efficacy", "free_decoding"].n) == (2, 4)
        assert [item.item for item in portability.items] == [edits[1].id, edits[3].id]

    def test_a_control_token_as_the_old_answer_counts_as_missing(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edit = world_edits[0]
        end = world_model.tokenizer.eos_token
        unknown = measure(world_model, [edit.model_copy(update={"target_true": None})])
        assert measure(world_model, [edit.model_copy(update={"target_true": end})]) == unknown
        assert ("efficacy", "probability") not in {(one.metric, one.protocol) for one in unknown}

    def test_neighbors_are_limited(self, world_model: LanguageModel, world_edits: EditSet) -> None:
        edit = next(edit for edit in world_edits if len(edit.neighborhood) > SETTINGS.max_neighborhood)
        record = by_kind(measure(world_model, [edit]))[(edit.id, "neighborhood", "free_decoding")]
        assert len(record.details["prompts"]) == SETTINGS.max_neighborhood

    def test_the_unedited_model_agrees_with_itself_and_a_broken_one_doesnt(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = world_edits[:3]
        answers = neighborhood_answers(EditedModel(world_model), TorchEngine(), edits, SETTINGS)
        assert set(answers) == {probe.prompt for edit in edits for probe in edit.neighborhood[:2]}
        broken = EditedModel(world_model, loud_delta(world_model, 30.0))
        for model, agreement in ((EditedModel(world_model), 1.0), (broken, 0.0)):
            records = measure_edits(model, TorchEngine(), edits, RETENTION_AT_N, SETTINGS, answers)
            found = [one.value for one in records if one.protocol == "agreement"]
            assert found == [agreement] * 3

    def test_agreement_needs_no_known_answer(self, world_model: LanguageModel) -> None:
        prompt = "The mother tongue of Rurik Harrow is"
        edit = Edit(
            id="1",
            subject="Mira Dolvan",
            prompt="{} speaks the language",
            target_new="Orran",
            neighborhood=(Probe(prompt=prompt),),
        )
        answers = neighborhood_answers(EditedModel(world_model), TorchEngine(), [edit], SETTINGS)
        protocols = {
            one.protocol
            for one in measure(world_model, [edit], before=answers)
            if one.metric == "neighborhood"
        }
        assert protocols == {"agreement"}

    def test_nonfinite_answers_score_zero_and_are_counted(
        self, tiny_model: Callable[..., LanguageModel], world_edits: EditSet
    ) -> None:
        model = tiny_model("llama")
        edits = world_edits[:2]
        answers = neighborhood_answers(EditedModel(model), TorchEngine(), edits, SETTINGS)
        broken = EditedModel(model, loud_delta(model, math.nan))
        records = measure_edits(broken, TorchEngine(), edits, RETENTION_AT_N, SETTINGS, answers)
        assert records
        for one in records:
            assert (one.value, one.finite) == (0.0, False), one
        for found in task_results(records):
            assert (found.value, found.n_nonfinite) == (0.0, found.n)

    def test_an_edit_longer_than_the_context_fails_and_is_counted_separately(
        self, tiny_model: Callable[..., LanguageModel], caplog: pytest.LogCaptureFixture
    ) -> None:
        model = EditedModel(tiny_model("llama", max_position_embeddings=30))
        short = Edit(id="short", subject="Ada", prompt="{} plays", target_new="chess", target_true="go")
        long = Edit(
            id="long",
            subject="Ada",
            prompt="He's sure they'll come; we've got bread, cheese and olives. " * 3 + "{} plays",
            target_new="chess",
            target_true="go",
            neighborhood=(Probe(prompt="Mo plays", answer="go"),),
        )
        answers = neighborhood_answers(model, TorchEngine(), [short, long], SETTINGS)
        records = measure_edits(model, TorchEngine(), [short, long], RETENTION_AT_N, SETTINGS, answers)
        assert all(one.finite for one in records)
        said = [record.getMessage() for record in caplog.records]
        assert [text.rpartition("; ")[2] for text in said] == ["the first is of edit long."]
        too_long = [one for one in records if one.too_long is not None]
        assert {(one.item, one.metric) for one in too_long} == {("long", "efficacy")}
        assert {one.protocol for one in too_long} == {"free_decoding", "teacher_forced", "probability"}
        assert all(one.value == 0.0 and one.too_long > 30 for one in too_long)
        for found in task_results(records):
            assert found.n_nonfinite == 0
            of_long = found.metric in ("efficacy", "effective_edits")
            over_all = found.task == RETENTION_AT_N and found.metric == "efficacy"
            assert found.n_too_long == (1 if over_all else 0)
            assert ("longer than the model's context" in found.note) == of_long

    def test_the_edits_that_are_still_expressed_are_counted(
        self, world_model: LanguageModel, world_edits: EditSet
    ) -> None:
        edits = [swapped(world_edits[0]), swapped(world_edits[1]), world_edits[2]]  # two of them are true
        found = {(one.task, one.metric): one for one in task_results(measure(world_model, edits))}
        effective = found[RETENTION_AT_N, "effective_edits"]
        assert (effective.value, effective.n, effective.protocol) == (pytest.approx(2.0), 3, "free_decoding")
        at_edit = measure_edits(EditedModel(world_model), TorchEngine(), edits, SUCCESS_AT_EDIT, SETTINGS)
        assert "effective_edits" not in {one.metric for one in task_results(at_edit)}

    def test_the_two_tasks_are_never_mixed(self, world_model: LanguageModel, world_edits: EditSet) -> None:
        at_edit = measure_edits(
            EditedModel(world_model), TorchEngine(), world_edits[:1], SUCCESS_AT_EDIT, SETTINGS
        )
        at_n = measure(world_model, [swapped(edit) for edit in world_edits[:4]])
        found = {(one.task, one.metric, one.protocol): one for one in task_results([*at_edit, *at_n])}
        assert found[(SUCCESS_AT_EDIT, "efficacy", "free_decoding")].n == 1
        assert found[(SUCCESS_AT_EDIT, "efficacy", "free_decoding")].value == 0
        assert found[(RETENTION_AT_N, "efficacy", "free_decoding")].n == 4
        assert found[(RETENTION_AT_N, "efficacy", "free_decoding")].value == 1


def loud_delta(model: LanguageModel, size: float) -> Delta:
    """Returns a change that overwhelms the output of the last layer, or makes it non-finite."""
    name = model.family.mlp_out_name(model.n_layers - 1)
    shape = model.family.as_out_in(model.module.get_parameter(name)).shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Delta(model.fingerprint, {name: Dense(noise * size)})


@pytest.mark.parametrize(
    ("arguments", "said", "counted"),
    [
        (
            {},
            {"France": "Paris", "Italy": "", "Norway": "Oslo"},
            {"France": 1.0, "Italy": 0.0, "Norway": 1.0},
        ),
        (
            {"enable_thinking": False},
            {"France": "Paris", "Italy": "Rome", "Norway": "Oslo"},
            {"France": 1.0, "Italy": 1.0, "Norway": 1.0},
        ),
    ],
)
def test_an_edit_is_expressed_in_the_answer_and_not_in_the_thought(
    arguments: dict[str, bool], said: dict[str, str], counted: dict[str, float]
) -> None:
    """The thoughts hold other capitals; one doesn't end, which is no answer and has its own count."""
    model = thinking_model()
    chat = TemplateSettings(template="chat", chat_template_args=arguments, max_thinking_tokens=24)
    edits = [
        Edit(id=country, subject=country, prompt="Capital of {}:", target_new=capital)
        for country, capital in CAPITALS.items()
    ]
    asked = EditedModel(model, routers=chat_templates(model, chat))
    records = measure_edits(asked, TorchEngine(), edits, RETENTION_AT_N, SETTINGS)
    found = {one.item: one for one in records if (one.metric, one.protocol) == ("efficacy", "free_decoding")}
    assert {name: one.answer.split("\n")[0] for name, one in found.items()} == said
    assert {name: one.value for name, one in found.items()} == counted
    unfinished = {name for name, one in found.items() if one.unfinished_thinking is not None}
    assert unfinished == {name for name, text in said.items() if not text}
    again = {(one.task, one.metric, one.protocol): one for one in rescore_records(records, {})}
    result = again[RETENTION_AT_N, "efficacy", "free_decoding"]
    assert (result.value, result.n_unfinished_thinking) == (sum(counted.values()) / 3, len(unfinished))


def test_a_text_that_is_all_thinking_has_no_fluency() -> None:
    """Italy's thought doesn't end; the entropy of what would follow it is unknown, and not 0."""
    settings = EditQualitySettings(text_tokens=4)
    chat = TemplateSettings(template="chat", max_thinking_tokens=24)
    model = EditedModel(thinking_model(), routers=chat_templates(thinking_model(), chat))
    edits = [Edit(id=name, subject=name, prompt="Capital of {}:", target_new="Oslo") for name in CAPITALS]
    records = measure_texts(model, TorchEngine(), edits, RETENTION_AT_N, settings, {})
    assert {one.item for one in records if not one.measured} == {"Italy"}
    (found,) = task_results(records)
    assert (found.n, found.n_unfinished_thinking) == (2, 1)
    assert "1 edit without a text, not counted: 1 with thinking that was not finished" in found.note
