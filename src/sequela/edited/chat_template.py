"""A model's chat template as a request router, which turns a prompt into a user's turn.

Few-shot examples before a question are in the same turn. The template is taken from the tokenizer and only
split around the user's text, so that the subject's and the target's tokens are found as in plain text. Its
control tokens are marked (`models.control_tokens`); the same tokens in a user's text are only text.

A template may leave a thought open where the model's answer would begin. Edits and given answers are put
behind an empty thought then, and only generation continues the thought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sequela.core.damaged_files import first_line
from sequela.core.errors import BadInputError, shown
from sequela.core.hashing import hash_json
from sequela.core.joining import ANSWER, QUESTION, with_space, without_end_spaces
from sequela.edited.protocols import Route, Routed
from sequela.edited.template_settings import CHAT, MAX_THINKING_TOKENS, TemplateSettings
from sequela.edited.thinking import Thinking, closing, left_open, marks_in, start_of
from sequela.models.control_tokens import control_token_ids, mark_control_tokens, without_marks
from sequela.models.language_model import LanguageModel

_MARK = "\u241f"
"""A placeholder for the user's text, around which the template is split."""

_REPLY = "\u2420"
"""A placeholder for the model's answer, by which the template shows what precedes an answer."""

_ASKING_VERSION = 2
"""Raised when the same template asks the same question differently. 1: answers were scored together with the
line break that ends the template; after a template without one, own suites put a space before them."""

_EDITING_VERSION = 2
"""Raised when editors get the same edits differently. 1: contexts stood before the whole template."""

_PROBES = (True, False, "a", 1)
"""Values of an argument that show whether a template reads it."""


@dataclass(frozen=True)
class ChatTemplate:
    """The texts before and after a user's text, up to the model's answer.

    Args:
        before: The text before, without the beginning-of-text token if the tokenizer adds it.
        after: The text after. It ends with `ANSWER` if the answer follows directly where plain text would
            have a space.
        arguments: The arguments that the template was given.
        thinking: How the model's thinking is recognized; None if the model doesn't think.
        closing: The text that closes a thought that `after` leaves open.
    """

    before: str
    after: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    thinking: Thinking | None = None
    closing: str = ""

    @classmethod
    def of(cls, model: LanguageModel, settings: TemplateSettings = CHAT) -> ChatTemplate:
        """Returns the template of a model.

        Args:
            model: The model.
            settings: The arguments of the template and the limits of thinking.

        Raises:
            BadInputError: The model has no template, or one that changes the user's text, that rejects the
                arguments, or that doesn't read one of them; or its context has no room for the thinking.
        """
        tokenizer, arguments = model.tokenizer, settings.chat_template_args
        if not getattr(tokenizer, "chat_template", None):
            raise BadInputError(
                f"{model.name!r} has no chat template: it is a base model, or its tokenizer has none.",
                hint="Use the template none, or the instruction-tuned model.",
            )
        turn = [{"role": "user", "content": _MARK}]
        text = _rendered(model, turn, arguments)
        before, mark, after = text.partition(_MARK)
        if not mark:
            raise BadInputError(f"The chat template of {model.name!r} changes the user's text.")
        for name in arguments:
            _check_is_read(model, turn, arguments, name, text)
        beginning = tokenizer.bos_token
        if (
            beginning
            and before.startswith(beginning)
            and tokenizer.encode("")[:1] == [tokenizer.bos_token_id]
        ):
            before = before.removeprefix(beginning)
        thinking = _thinking(model, after, settings)
        closed = closing(after, thinking.start, thinking.end) if thinking and thinking.opened else ""
        after = _up_to_answer(after, _lead(tokenizer, turn, text, arguments))
        marked = [mark_control_tokens(tokenizer, part) for part in (before, after, closed)]
        return cls(marked[0], marked[1], dict(arguments), thinking, marked[2])

    @property
    def content_hash(self) -> str:
        """A hash of how a question is asked and an answer read and scored."""
        content: dict[str, Any] = {"edits": hash_json(self._joined), "asking": _ASKING_VERSION}
        if self.thinking is not None:
            content["thinking"] = {**asdict(self.thinking), "control_ids": sorted(self.thinking.control_ids)}
        return hash_json(content)

    @property
    def edits_hash(self) -> str:
        """A hash of how an edit's prompt and target are put together."""
        return hash_json({**self._joined, "editing": _EDITING_VERSION})

    @property
    def _joined(self) -> dict[str, str]:
        """The texts around a question, by which stored results are recognized."""
        content = {"before": without_marks(self.before), "after": without_marks(self.after)}
        if self.closing:
            return {**content, "closing": without_marks(self.closing)}
        return {**content, "joined": ""} if self.after.endswith(ANSWER) else content

    def for_editor(self, prompt: str) -> str:
        """Returns an edit's prompt as a user's turn, up to the model's answer; an open thought is closed.

        The user's text is marked, so that contexts are put before it within the turn (`tokenize_prompt`).
        """
        question = without_end_spaces(without_marks(prompt))
        after = Routed(self.after, closing=self.closing).answer_prompt
        return f"{self.before}{QUESTION}{question}{QUESTION}{after}"

    def route(self, prompt: str) -> Routed:
        """Returns the prompt as a user's turn, up to what the model generates, as a `RequestRouter`."""
        asked = f"{self.before}{without_end_spaces(without_marks(prompt))}{self.after}"
        return Routed(asked, Route(thinking=self.thinking), self.closing)


def chat_templates(model: LanguageModel, settings: TemplateSettings) -> tuple[ChatTemplate, ...]:
    """Returns the routers that put prompts to a model as the settings say: a chat template, or none.

    Raises:
        BadInputError: As `ChatTemplate.of`.
    """
    return () if settings.template == "none" else (ChatTemplate.of(model, settings),)


def template_labels(routers: tuple[ChatTemplate, ...]) -> dict[str, Any]:
    """Returns the labels of measurements in a chat template; without one, those of plain prompts."""
    labels: dict[str, Any] = {"template": "none", "template_args": {}}
    for chat in routers:
        labels |= {"template": "chat", "template_args": dict(chat.arguments)}
        if chat.thinking is not None:
            thinking = chat.thinking
            labels |= {"think_end_token": thinking.end, "max_thinking_tokens": thinking.max_tokens}
    return labels


def _rendered(model: LanguageModel, turn: list[dict[str, str]], arguments: Mapping[str, Any]) -> str:
    try:
        return str(
            model.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True, **arguments)
        )
    except Exception as error:  # a template is a program, which may fail with any error
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "no arguments"
        raise BadInputError(
            f"The chat template of {model.name!r} fails with {given}: {first_line(error)}.",
            hint="Use the template none, or correct the template or its arguments.",
        ) from error


def _check_is_read(
    model: LanguageModel, turn: list[dict[str, str]], arguments: Mapping[str, Any], name: str, text: str
) -> None:
    """Rejects an argument that changes nothing, whatever its value; it is misspelled, or of another model.

    A template that only compares with true and false ignores `0`, null and all texts: they are rejected too.
    """
    others = {key: value for key, value in arguments.items() if key != name}
    if not isinstance(arguments[name], bool) and _is_switch(model, turn, others, name, text):
        raise BadInputError(
            f"The chat template of {model.name!r} takes only true or false for the argument {name!r}; "
            f"{shown(arguments[name])} changes nothing.",
            hint=f"Write {name}=true or {name}=false, or leave it out.",
        )
    for changed in (others, *({**others, name: value} for value in _PROBES)):
        try:
            if _rendered(model, turn, changed) != text:
                return
        except BadInputError:  # the template rejects this value, so it reads the argument
            return
    raise BadInputError(
        f"The chat template of {model.name!r} doesn't read the argument {name!r}: no value of it changes a "
        "prompt.",
        hint="Check its name; the model's documentation names the arguments of its template.",
    )


def _is_switch(
    model: LanguageModel, turn: list[dict[str, str]], others: Mapping[str, Any], name: str, text: str
) -> bool:
    """Returns whether an argument changes the prompt `text` if it is true or false, and only then."""

    def changes(value: Any) -> bool:
        try:
            return _rendered(model, turn, {**others, name: value}) != text
        except BadInputError:  # the template rejects this value, so it reads the argument
            return True

    if _rendered(model, turn, others) != text or any(changes(one) for one in ("a", 1)):
        return False
    return changes(True) or changes(False)


def _thinking(model: LanguageModel, after: str, settings: TemplateSettings) -> Thinking | None:
    """Returns how the model's thinking is recognized, from the settings or the template's source."""
    tokenizer = model.tokenizer
    source = str(tokenizer.get_chat_template())
    if settings.think_end_token is not None:
        start, end = start_of(settings.think_end_token, source), settings.think_end_token
    else:
        marks = marks_in(source)
        if marks is None:
            return None
        start, end = marks
    opened = left_open(after, start, end)
    closed = not opened and end in after
    limit = settings.max_thinking_tokens or min(MAX_THINKING_TOKENS, model.context_length // 2)
    if not closed and limit >= model.context_length:
        raise BadInputError(
            f"{model.name!r} has a context of {model.context_length} tokens; up to "
            f"{limit} tokens of thinking and an answer don't fit.",
            hint="Lower max_thinking_tokens, or switch thinking off by an argument of the template.",
        )
    ids = tokenizer.encode(start + end, add_special_tokens=False)
    return Thinking(
        start,
        end,
        opened,
        0 if closed else limit,
        control_token_ids(tokenizer).intersection(ids),
    )


def _lead(tokenizer: Any, turn: list[dict[str, str]], asked: str, arguments: Mapping[str, Any]) -> str | None:
    """Returns the text between the end of a template and an answer; None if the template doesn't show it."""
    try:
        answered = tokenizer.apply_chat_template(
            [*turn, {"role": "assistant", "content": _REPLY}], tokenize=False, **arguments
        )
    except Exception:  # noqa: BLE001 - a template may reject any conversation, with any error
        return None
    head, found, _ = str(answered).partition(_REPLY)
    return head.removeprefix(asked) if found and head.startswith(asked) else None


def _up_to_answer(after: str, lead: str | None) -> str:
    """Returns the end of a template, marked if the rule for plain text would join the answer differently."""
    usual = with_space(after, "a").removesuffix("a")
    if lead is None:  # after a word or a colon an answer needs a space, after a control token none
        lead = usual if after[-1:].isalnum() or after.endswith(":") else ""
    if lead == usual or lead not in ("", " "):
        return after
    return f"{after}{lead}{ANSWER}"
