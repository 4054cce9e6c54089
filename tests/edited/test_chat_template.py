"""Chat templates."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.edits import Edit
from sequela.inference import generation_request, score_request
from sequela.models import LanguageModel, tokenize_prompt

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
