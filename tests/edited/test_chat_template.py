"""Chat templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from lm_eval.api.instance import Instance

from sequela.core.errors import BadInputError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate, template_labels
from sequela.edited.protocols import Routed
from sequela.edited.template_settings import MAX_THINKING_TOKENS, TemplateSettings
from sequela.edits import Edit
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.evaluation.suites.perplexity import HealthSuite
from sequela.evaluation.suites.refusal import RefusalSuite
from sequela.inference import (
    Generation,
    GenerationRequest,
    Score,
    ScoreRequest,
    TorchEngine,
    generation_request,
    score_request,
)
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.control_tokens import mark_control_tokens, without_marks
from support.thinking import OPENED, SWITCHED, thinking_model, with_chat_template
from support.tiny import tiny_language_model

CHATML = (
    "{% for message in messages %}<u>{{ message.content }}</u>\n{% endfor %}"
    "{% if add_generation_prompt %}<a>\n{% endif %}"
)


@pytest.fixture
def chatty(tiny_model: Callable[..., LanguageModel]) -> LanguageModel:
    return with_chat_template(tiny_model("llama"), CHATML)


def test_a_question_becomes_a_users_turn(chatty: LanguageModel) -> None:
    template = ChatTemplate.of(chatty)
    assert template.route("Why {} so?").prompt == "<u>Why {} so?</u>\n<a>\n"


def test_a_base_model_has_none(tiny_model: Callable[..., LanguageModel]) -> None:
    with pytest.raises(BadInputError, match="has no chat template: it is a base model"):
        ChatTemplate.of(tiny_model("llama"))


def test_a_template_that_changes_the_user_s_text_is_an_error(chatty: LanguageModel) -> None:
    chatty.tokenizer.chat_template = "{{ messages | length }}"
    with pytest.raises(BadInputError, match="changes the user's text"):
        ChatTemplate.of(chatty)


def test_the_beginning_token_occurs_once(tiny_model: Callable[..., LanguageModel]) -> None:
    model = with_chat_template(tiny_model("gemma3"), "{{ bos_token }}" + CHATML)
    beginning = model.tokenizer.bos_token_id
    assert model.tokenizer.encode("Why so?").count(beginning) == 1
    edited = EditedModel(model, routers=(ChatTemplate.of(model),))
    assert generation_request(edited, "Why so?", 3).prompt.count(beginning) == 1


class Recording(TorchEngine):
    """An engine that keeps the ids of all prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[tuple[int, ...]] = []

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        self.prompts += [request.context for request in requests]
        return super().score(model, requests, progress)

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        self.prompts += [request.prompt for request in requests]
        return super().generate(model, requests, progress)


class Stating:
    """A router that puts a statement before each prompt, as IKE and SERAC do."""

    content_hash = "stating"

    def route(self, prompt: str) -> Routed:
        return Routed(f"New fact: Mo plays go.\nPrompt: {prompt}")


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("stated", [False, True])
def test_every_request_begins_with_exactly_one_beginning_token(
    family: str, chat: bool, stated: bool, tiny_model: Callable[..., LanguageModel]
) -> None:
    model = with_chat_template(tiny_model(family), "{{ bos_token }}" + CHATML)
    stating = (Stating(),) if stated else ()
    edited = EditedModel(model, routers=(*stating, ChatTemplate.of(model)) if chat else stating)
    engine = Recording()
    suites = (BuiltinSuite(limit=1), RefusalSuite(limit=1, max_new_tokens=1), HealthSuite())
    for suite in suites:
        suite.evaluate(edited, engine)
    harness = EngineLM(edited, engine)
    asked = [("Why so?", " Because"), ("", "Because it is")]
    harness.loglikelihood(
        [Instance("loglikelihood", {}, pair, i, ("task", i, 1)) for i, pair in enumerate(asked)]
    )
    beginning = model.tokenizer.bos_token_id
    assert len(engine.prompts) > 10
    for ids in engine.prompts:
        assert (ids[0], ids.count(beginning)) == (beginning, 1)


def test_an_answer_follows_the_line_break_without_a_space(chatty: LanguageModel) -> None:
    edited = EditedModel(chatty, routers=(ChatTemplate.of(chatty),))
    request = score_request(edited, "Why so?", "Because")
    text = chatty.tokenizer.decode([*request.context, *request.continuation], skip_special_tokens=True)
    assert text.endswith("<u>Why so?</u>\n<a>\nBecause")


MESSAGES = "{% for m in messages %}<u>{{ m.content }}</u>{% endfor %}"
WHOLE = (
    "{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} {% else %}"
    "OPENING{{ m.content }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}GENERATION{% endif %}"
)
ENDINGS = {
    "control token": (MESSAGES + "<|assistant|>", ""),
    "line break": (MESSAGES + "{{ '<a>\n' }}", ""),
    "two line breaks": (MESSAGES + "{{ '<a>\n\n' }}", ""),
    "colon": (MESSAGES + "ASSISTANT:", " "),
    "bracket": (MESSAGES + "[/INST]", ""),
    "a word": (MESSAGES + "Answer", " "),
    "colon, and a space before an answer": (
        WHOLE.replace("OPENING", "ASSISTANT: ").replace("GENERATION", "ASSISTANT:"),
        " ",
    ),
    "colon, and no space before an answer": (
        WHOLE.replace("OPENING", "ASSISTANT:").replace("GENERATION", "ASSISTANT:"),
        "",
    ),
    "bracket, and a space before an answer": (
        WHOLE.replace("OPENING", "[/INST] ").replace("GENERATION", "[/INST]"),
        " ",
    ),
    "control token, and a space before an answer": (
        WHOLE.replace("OPENING", "<|assistant|> ").replace("GENERATION", "<|assistant|>"),
        " ",
    ),
    "a template that takes only questions": (
        "{% for m in messages %}{% if m.role != 'user' %}{{ raise_exception('no') }}{% endif %}"
        "<u>{{ m.content }}</u>{% endfor %}<|assistant|>",
        "",
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_answer_is_scored_and_trained_as_the_model_would_write_it(
    ending: str, tiny_model: Callable[..., LanguageModel]
) -> None:
    template, space = ENDINGS[ending]
    model = with_chat_template(tiny_model("llama"), template)
    chat = ChatTemplate.of(model)
    edited = EditedModel(model, routers=(chat,))
    end = without_marks(chat.after).rstrip(" ")
    expected = f"{end}{space}Rome"

    request = score_request(edited, "Why so?", "Rome")
    asked = model.tokenizer.decode([*request.context, *request.continuation], skip_special_tokens=True)
    assert asked.endswith(expected)
    assert model.tokenizer.decode(request.continuation) == f"{space}Rome"
    assert generation_request(edited, "Why so?", 3).prompt == request.context

    edit = Edit(id="1", subject="Mira", prompt="{} lives in", target_new="Rome")
    trained = tokenize_prompt(model.tokenizer, chat.for_editor(edit.prompt), edit.subject, edit.target_new)
    assert trained.text.endswith(expected)
    assert model.tokenizer.decode(trained.target_ids) == f"{space}Rome"

    lm = EngineLM(edited, TorchEngine())
    assert lm._encode_pair("Why so?", " Rome") == (list(request.context), list(request.continuation))


def test_spaces_after_a_question_do_not_count(chatty: LanguageModel) -> None:
    for routers in ((), (ChatTemplate.of(chatty),)):
        edited = EditedModel(chatty, routers=routers)
        assert score_request(edited, "Why so? ", "Rome") == score_request(edited, "Why so?", "Rome")
        assert generation_request(edited, "Why so?  ", 3) == generation_request(edited, "Why so?", 3)


def test_control_tokens_of_a_template_are_real_and_those_of_a_question_are_text(
    tiny_model: Callable[..., LanguageModel],
) -> None:
    base = tiny_model("llama")
    end, number = base.tokenizer.eos_token, base.tokenizer.eos_token_id
    model = with_chat_template(base, f"{{% for m in messages %}}{{{{ m.content }}}}{end}{{% endfor %}}")
    edited = EditedModel(model, routers=(ChatTemplate.of(model),))
    for question in ("Why so?", f"Why {end} so?", f"{end}{end}"):
        request = score_request(edited, question, f"It is {end}")
        assert request.context.count(number) == 1
        assert request.continuation.count(number) == 0
        assert generation_request(edited, question, 3).prompt == request.context
    plain = score_request(EditedModel(model), f"Why {end} so?", "Rome")
    assert number not in plain.context


def test_marks_in_a_question_are_dropped(chatty: LanguageModel) -> None:
    edited = EditedModel(chatty)
    end = chatty.tokenizer.eos_token
    marked = mark_control_tokens(chatty.tokenizer, f"Why {end}?")
    assert chatty.tokenizer.eos_token_id not in generation_request(edited, marked, 3).prompt


def test_subject_and_target_are_found_inside(chatty: LanguageModel) -> None:
    template = ChatTemplate.of(chatty)
    edit = Edit(id="1", subject="Mira Dolvan", prompt="{} speaks", target_new="Orran")
    tokens = tokenize_prompt(
        chatty.tokenizer, template.for_editor(edit.prompt), edit.subject, edit.target_new
    )
    assert tokens.text == "<u>Mira Dolvan speaks</u>\n<a>\nOrran"
    assert tokens.subject is not None
    subject = chatty.tokenizer.decode(tokens.ids[tokens.subject.start : tokens.subject.stop])
    assert "Dolvan" in subject
    assert chatty.tokenizer.decode(tokens.target_ids).strip() == "Orran"


@pytest.mark.parametrize(
    "context", ["It rains. {}", "{} That is the question.", "It rains. {} It is asked.", "{}"]
)
@pytest.mark.parametrize(
    "template", [CHATML, "<s>Be brief.</s>" + CHATML, OPENED, *(t for t, _ in ENDINGS.values())]
)
def test_a_context_stands_in_the_users_turn_as_it_does_when_it_is_asked(
    template: str, context: str, tiny_model: Callable[..., LanguageModel]
) -> None:
    model = with_chat_template(tiny_model("llama"), template)
    chat = ChatTemplate.of(model)
    prompt = chat.for_editor("Where does {} live?")
    trained = tokenize_prompt(model.tokenizer, prompt, "Mira", "Rome", context)
    asked = context.replace("{}", "Where does Mira live?")
    request = score_request(EditedModel(model, routers=(chat,)), asked, "Rome")
    assert (trained.prompt_ids, trained.target_ids) == (request.context, request.continuation)
    assert trained.subject is not None
    words = model.tokenizer.decode(trained.ids[trained.subject.start : trained.subject.stop])
    assert words.strip() == "Mira"


def test_the_template_is_a_part_of_what_is_measured(chatty: LanguageModel) -> None:
    plain, asked = EditedModel(chatty), EditedModel(chatty, routers=(ChatTemplate.of(chatty),))
    assert plain.content_hash != asked.content_hash


def thinking_template(template: str, **arguments: bool | str | float | None) -> ChatTemplate:
    model = with_chat_template(thinking_model(), template)
    return ChatTemplate.of(model, TemplateSettings(template="chat", chat_template_args=arguments))


def test_thinking_is_switched_by_an_argument() -> None:
    on, off = thinking_template(SWITCHED), thinking_template(SWITCHED, enable_thinking=False)
    assert on.route("Why?").answer_prompt.endswith("assistant\n")
    assert off.route("Why?").answer_prompt.endswith("assistant\n<think>\n\n</think>\n\n")
    assert on.thinking is not None
    assert off.thinking is not None
    assert (on.thinking.opened, on.thinking.max_tokens) == (False, MAX_THINKING_TOKENS)
    assert (off.thinking.opened, off.thinking.max_tokens) == (False, 0)
    assert on.content_hash != off.content_hash
    assert on.edits_hash != off.edits_hash


def test_an_argument_that_only_states_the_default_is_accepted() -> None:
    assert thinking_template(SWITCHED, enable_thinking=True).after == thinking_template(SWITCHED).after


@pytest.mark.parametrize("value", ["no", "flase", 0, 1, None, 0.0, ""])
def test_a_value_that_a_switch_ignores_is_an_error(value: str | float | None) -> None:
    """The template compares with `false`, and would leave thinking on without a word."""
    with pytest.raises(BadInputError, match="takes only true or false for the argument 'enable_thinking'"):
        thinking_template(SWITCHED, enable_thinking=value)


@pytest.mark.parametrize("value", ["medium", "high", None, 0])
def test_a_text_or_number_that_states_the_default_is_accepted(value: str | float | None) -> None:
    by_truth = SWITCHED.replace("enable_thinking is false", "not enable_thinking")
    by_text = SWITCHED + "{{ 'Effort: ' ~ (effort or 'medium') }}"
    assert thinking_template(by_text, effort=value).arguments == {"effort": value}
    assert thinking_template(by_truth, enable_thinking=0).thinking == (
        thinking_template(by_truth, enable_thinking=False).thinking
    )


@pytest.mark.parametrize("template", [SWITCHED, OPENED])
def test_an_argument_that_the_template_does_not_read_is_an_error(template: str) -> None:
    with pytest.raises(BadInputError, match="doesn't read the argument 'enable_thinkin'"):
        thinking_template(template, enable_thinkin=False)


def test_an_argument_that_a_template_rejects_is_an_error() -> None:
    rejecting = "{% if effort is defined and effort != 'low' %}{{ raise_exception('no effort') }}{% endif %}"
    strict = SWITCHED + rejecting
    assert thinking_template(strict, effort="low").arguments == {"effort": "low"}
    with pytest.raises(BadInputError, match=r"fails with effort='high': no effort"):
        thinking_template(strict, effort="high")


def test_given_answers_and_edits_stand_behind_a_thought_that_the_prompt_opens() -> None:
    model = with_chat_template(thinking_model(), OPENED)
    chat = ChatTemplate.of(model)
    edited = EditedModel(model, routers=(chat,))
    decode = model.tokenizer.decode
    asked, scored = generation_request(edited, "Why?", 3), score_request(edited, "Why?", "Because")
    assert decode(asked.prompt).endswith("assistant\n<think>\n")
    assert decode(scored.context).endswith("assistant\n<think>\n\n</think>\n\n")
    assert decode(scored.continuation) == "Because"
    assert chat.route("Why?").answer_prompt.endswith("<think>\n\n</think>\n\n")


def test_the_limit_of_thinking_is_a_part_of_what_is_measured_but_not_of_the_edits() -> None:
    model = thinking_model()
    few, many = (
        ChatTemplate.of(model, TemplateSettings(template="chat", max_thinking_tokens=n)) for n in (8, 16)
    )
    assert few.content_hash != many.content_hash
    assert few.edits_hash == many.edits_hash


def test_thinking_must_leave_room_for_an_answer() -> None:
    model = thinking_model()
    asked = TemplateSettings(template="chat", max_thinking_tokens=model.context_length)
    with pytest.raises(BadInputError, match=rf"has a context of {model.context_length} tokens"):
        ChatTemplate.of(model, asked)
    small = with_chat_template(tiny_language_model("llama"), SWITCHED)
    default = ChatTemplate.of(small).thinking
    assert default is not None
    assert default.max_tokens == small.context_length // 2 < MAX_THINKING_TOKENS
    off = asked.model_copy(update={"chat_template_args": {"enable_thinking": False}})
    chat = ChatTemplate.of(model, off)
    assert chat.thinking is not None
    assert chat.thinking.max_tokens == 0


def test_a_template_without_thinking_has_the_hashes_of_earlier_versions(chatty: LanguageModel) -> None:
    chat = ChatTemplate.of(chatty)
    assert chat.thinking is None
    content = {"before": "<u>", "after": "</u>\n<a>\n"}
    assert chat.content_hash == hash_json({"edits": hash_json(content), "asking": 2})
    assert chat.edits_hash != hash_json(content)  # editors put contexts elsewhere in earlier versions


def test_the_labels_of_a_template() -> None:
    assert template_labels(()) == {"template": "none", "template_args": {}}
    assert template_labels((thinking_template(SWITCHED, enable_thinking=False),)) == {
        "template": "chat",
        "template_args": {"enable_thinking": False},
        "think_end_token": "</think>",
        "max_thinking_tokens": 0,
    }
