"""The settings of templates."""

from __future__ import annotations

from typing import Any

import pytest

from sequela.core.errors import BadInputError
from sequela.edited.template_settings import checked_settings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chat_template_args": {"enable_thinking": False}}, "chat_template_args needs the template chat"),
        ({"think_end_token": "</think>"}, "think_end_token needs the template chat"),
        ({"max_thinking_tokens": 8}, "max_thinking_tokens needs the template chat"),
        ({"template": "chat", "think_end_token": " "}, "empty"),
        ({"template": "chat", "chat_template_args": {"messages": 1}}, "'messages' can't be an argument"),
        ({"template": "chat", "chat_template_args": {"a b": 1}}, "'a b' can't be an argument"),
        ({"template": "chat", "chat_template_args": {"depth": [1]}}, "depth"),
        ({"template": "chat", "chat_template_args": {"self": 1}}, "'self' can't be an argument"),
        (
            {"template": "chat", "chat_template_args": {"x": float("nan")}},
            "'x' is nan, which is not a finite",
        ),
        ({"template": "chat", "chat_template_args": {"x": "a\udcff"}}, "'x' has half of a surrogate pair"),
        ({"template": "chat", "chat_template_args": {"x": "a\0"}}, "'x' has a NUL character"),
        ({"template": "chat", "think_end_token": "\udcff"}, "'think_end_token' has half of a surrogate"),
        ({"template": "chat", "think_end_token": "</t>\0"}, "'think_end_token' has a NUL character"),
        ({"template": "chat", "max_thinking_tokens": 0}, "max_thinking_tokens"),
        ({"template": "chatty"}, "template"),
    ],
)
def test_settings_that_can_t_be_used_are_rejected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        checked_settings(**fields)
    assert caught.value.message.count("the field") <= 1  # one sentence on one mistake


def test_values_keep_their_types() -> None:
    arguments = {"enable_thinking": False, "budget": 0, "effort": "low", "share": 0.5, "system": None}
    kept = checked_settings(template="chat", chat_template_args=arguments).chat_template_args
    assert [(name, value, type(value)) for name, value in kept.items()] == [
        (name, value, type(value)) for name, value in arguments.items()
    ]
