"""The choice of a template for prompts, with the arguments of a chat template and the limits of thinking."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from sequela.core.errors import BadInputError, shown
from sequela.core.numbers import MAX_LENGTH
from sequela.core.plain_values import text_problem
from sequela.core.validation import NumericModel, in_words
from sequela.core.visible_text import is_blank

Template = Literal["none", "chat"]

MAX_THINKING_TOKENS = 1024
"""The maximum number of tokens of thinking by default, in a context of at least twice as many."""

_OF_THE_CALL = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "messages",
        "padding",
        "sanitize_control_tokens",
        "self",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
        "max_length",
    }
)
"""Arguments of `apply_chat_template` itself, which are not passed to the template or are set already."""


def _checked(arguments: object) -> object:
    """Checks names and values before pydantic does, which would list each kind that a value is not."""
    for name, value in arguments.items() if isinstance(arguments, dict) else ():
        if not isinstance(name, str) or name in _OF_THE_CALL or not name.isidentifier():
            raise ValueError(f"{name!r} can't be an argument of a chat template")
        if not isinstance(value, bool | int | float | str | None):
            raise ValueError(f"{name!r} is {shown(value)}, expected a text, a number, true, false or null")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name!r} is {value}, which is not a finite number")
        if isinstance(value, str) and (unusable := text_problem(value)):
            raise ValueError(f"{name!r} has {unusable}")
    return arguments


def _not_blank(mark: str) -> str:
    if unusable := text_problem(mark):
        raise ValueError(f"has {unusable}")
    if is_blank(mark):
        raise ValueError("the text that ends thinking is empty")
    return mark


TemplateArguments = Annotated[dict[str, bool | int | float | str | None], BeforeValidator(_checked)]
"""Arguments of a chat template by name, such as `enable_thinking`."""

ThinkEndToken = Annotated[str, AfterValidator(_not_blank)]
"""The text that ends a model's thinking."""


class TemplateSettings(NumericModel):
    """The way in which prompts are put to a model.

    Args:
        template: `none` for plain prompts, `chat` for user turns in the model's chat template.
        chat_template_args: The arguments of the chat template.
        think_end_token: The text that ends the model's thinking, such as `</think>`; by default that which
            the chat template mentions, if it mentions one.
        max_thinking_tokens: The maximum number of tokens of thinking, in addition to those of an answer; by
            default `MAX_THINKING_TOKENS`, or half of the model's context if that is less.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: Template = "none"
    chat_template_args: TemplateArguments = Field(default_factory=dict)
    think_end_token: ThinkEndToken | None = None
    max_thinking_tokens: int | None = Field(default=None, ge=1, le=MAX_LENGTH)

    @model_validator(mode="after")
    def _of_a_chat_template(self) -> TemplateSettings:
        for name in ("chat_template_args", "think_end_token", "max_thinking_tokens"):
            if self.template == "none" and getattr(self, name):
                raise ValueError(f"{name} needs the template chat")
        return self


CHAT = TemplateSettings(template="chat")
"""User turns in the model's chat template, with the template's defaults."""


def checked_settings(**fields: Any) -> TemplateSettings:
    """Returns settings from fields that a user gave.

    Raises:
        BadInputError: A field is invalid.
    """
    try:
        return TemplateSettings(**fields)
    except ValidationError as error:
        wrong = in_words(error, allowed=list(TemplateSettings.model_fields))
        raise BadInputError(
            f"The template can't be used like this: {wrong}.",
            hint='For example: template="chat", chat_template_args={"enable_thinking": False}.',
        ) from error
