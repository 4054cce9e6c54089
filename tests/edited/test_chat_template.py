"""Chat templates."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edits import Edit
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.inference import TorchEngine, generation_request, score_request
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.control_tokens import mark_control_tokens, without_marks

CHATML = (
    "{% for message in messages %}<u>{{ message.content }}</u>\n{% endfor %}"
    "{% if add_generation_prompt %}<a>\n{% endif %}"
)


@pytest.fixture
def chatty(tiny_model: Callable[..., LanguageModel]) -> LanguageModel:
    return with_template(tiny_model("llama"), CHATML)


def with_template(model: LanguageModel, template: str) -> LanguageModel:
    """Returns the model with a tokenizer that has a template."""
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = template
    return LanguageModel.wrap(model.module, tokenizer, model.name)


def test_a_question_becomes_a_users_turn(chatty: LanguageModel) -> None:
    template = ChatTemplate.of(chatty)
    assert template.rewrite("Why {} so?") == "<u>Why {} so?</u>\n<a>\n"


def test_a_base_model_has_none(tiny_model: Callable[..., LanguageModel]) -> None:
    with pytest.raises(BadInputError, match="has no chat template: it is a base model"):
        ChatTemplate.of(tiny_model("llama"))


def test_a_template_that_changes_the_user_s_text_is_an_error(chatty: LanguageModel) -> None:
    chatty.tokenizer.chat_template = "{{ messages | length }}"
    with pytest.raises(BadInputError, match="changes the user's text"):
        ChatTemplate.of(chatty)


def test_the_beginning_token_occurs_once(tiny_model: Callable[..., LanguageModel]) -> None:
    model = with_template(tiny_model("gemma3"), "{{ bos_token }}" + CHATML)
    beginning = model.tokenizer.bos_token_id
    assert model.tokenizer.encode("Why so?").count(beginning) == 1
    edited = EditedModel(model, routers=(ChatTemplate.of(model),))
    assert generation_request(edited, "Why so?", 3).prompt.count(beginning) == 1


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
    model = with_template(tiny_model("llama"), template)
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
    trained = tokenize_prompt(model.tokenizer, chat.rewrite(edit.prompt), edit.subject, edit.target_new)
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
    model = with_template(base, f"{{% for m in messages %}}{{{{ m.content }}}}{end}{{% endfor %}}")
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
    tokens = tokenize_prompt(chatty.tokenizer, template.rewrite(edit.prompt), edit.subject, edit.target_new)
    assert tokens.text == "<u>Mira Dolvan speaks</u>\n<a>\nOrran"
    assert tokens.subject is not None
    subject = chatty.tokenizer.decode(tokens.ids[tokens.subject.start : tokens.subject.stop])
    assert "Dolvan" in subject
    assert chatty.tokenizer.decode(tokens.target_ids).strip() == "Orran"


def test_the_template_is_a_part_of_what_is_measured(chatty: LanguageModel) -> None:
    plain, asked = EditedModel(chatty), EditedModel(chatty, routers=(ChatTemplate.of(chatty),))
    assert plain.content_hash != asked.content_hash
