"""An edit: one fact to be changed, and the probes that measure the effect of the change."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, field_validator, model_validator

from sequela.core.hashing import hash_json
from sequela.core.plain_values import text_problem
from sequela.core.validation import CheckedModel
from sequela.core.visible_text import is_blank

BLANK = "{}"
"""The placeholder for the subject in a prompt."""

MOST_CHARACTERS = 20_000
"""The maximum length of a subject or target; those of the public sets have at most 80 characters."""


class _OfTexts(CheckedModel):
    """A model whose texts have no character that nothing can use, wherever they come from."""

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_used(cls, value: Any) -> Any:
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and (unusable := text_problem(text)):
                raise ValueError(f"has {unusable}")
        return value


class Probe(_OfTexts):
    """A prompt for the edited model and, where one is known, the right answer.

    Args:
        prompt: The text to be continued.
        answer: The right continuation; None if only agreement with the unedited model counts.

    Raises:
        InvalidFieldsError: A field is missing, unknown or invalid. It is a `BadInputError`; its `error` is
            pydantic's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1, description="The text to be continued.")
    answer: str | None = Field(default=None, description="The right continuation, if one is known.")

    @field_validator("prompt", "answer")
    @classmethod
    def _has_text(cls, value: str | None) -> str | None:
        return _not_blank(value)


class Edit(_OfTexts):
    """One fact to be changed: `prompt` with `subject` should be continued by `target_new`.

    Args:
        id: The name of the edit within its set.
        subject: The person or thing that the fact is about; None if not given. Some methods need one.
        prompt: The prompt to be continued, with `{}` for the subject if there is one.
        target_new: The answer after the edit.
        target_true: The answer before the edit, if known.
        paraphrases: Other prompts that ask the same; the edit should generalize to them.
        neighborhood: Prompts about other subjects; the edit should not change their answers.
        portability: Questions whose answer follows from the edit.
        generation: Prompts after which a model writes freely about the subject.
        attribute: Prompts about other subjects of which the new answer is true.
        relation: The relation between subject and target, as the source names it; edits with the same subject
            and relation ask the same question.
        source: The data set the edit came from.

    Raises:
        InvalidFieldsError: A field is missing, unknown or invalid. It is a `BadInputError`; its `error` is
            pydantic's, which `model_validate` raises unchanged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, description="The name of the edit within its set.")
    subject: str | None = Field(
        default=None,
        description="The subject of the fact; may be left out for methods that need no subject.",
    )
    prompt: str = Field(
        min_length=1, description="The prompt to be continued, with {} for the subject, if one is given."
    )
    target_new: str = Field(description="The answer after the edit.")
    target_true: str | None = Field(default=None, description="The answer before the edit, if known.")
    paraphrases: tuple[str, ...] = Field(default=(), description="Other prompts that ask the same.")
    neighborhood: tuple[Probe, ...] = Field(
        default=(), description="Prompts about other subjects, whose answers the edit should not change."
    )
    portability: tuple[Probe, ...] = Field(
        default=(), description="Questions whose answer follows from the edited fact."
    )
    generation: tuple[str, ...] = Field(
        default=(), description="Prompts after which a model writes freely about the subject."
    )
    attribute: tuple[str, ...] = Field(
        default=(), description="Prompts about other subjects of which the new answer is true."
    )
    relation: str | None = Field(
        default=None,
        description="The relation between subject and target, such as P36; edits with the same subject and "
        "relation ask the same question.",
    )
    source: str = Field(default="user", description="The data set the edit came from.")

    @field_validator("subject", "target_new")
    @classmethod
    def _has_text(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if len(value) > MOST_CHARACTERS:
            raise ValueError(f"has {len(value):,} characters; at most {MOST_CHARACTERS:,} can be asked for")
        return (_not_blank(value) or "").strip()

    @field_validator("id", "prompt", "target_true")
    @classmethod
    def _is_not_blank(cls, value: str | None) -> str | None:
        return _not_blank(value)

    @field_validator("paraphrases", "generation", "attribute")
    @classmethod
    def _have_text(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, prompt in enumerate(value, start=1):
            if is_blank(prompt):
                raise ValueError(f"has an empty prompt (number {number})")
        return value

    @model_validator(mode="after")
    def _subject_is_in_prompt(self) -> Edit:
        if self.subject is None:
            if BLANK in self.prompt:
                raise ValueError(f"the prompt {self.prompt!r} has {{}}, and no subject is given")
        elif BLANK in self.subject:
            raise ValueError(
                f"the subject {self.subject!r} has {{}}, the placeholder for a subject in a prompt"
            )
        elif BLANK not in self.prompt:
            raise ValueError(f"the prompt {self.prompt!r} has no {{}} for the subject {self.subject!r}")
        return self

    @property
    def question(self) -> str:
        """The prompt with the subject filled in."""
        return self.prompt if self.subject is None else self.prompt.replace(BLANK, self.subject)

    @property
    def content_hash(self) -> str:
        """A hash of the edit's fields without the relation, which no method reads."""
        return hash_json(self.model_dump(mode="json", exclude={"relation"}))


def _not_blank(value: str | None) -> str | None:
    """Returns a text unchanged; a fact that is not known is left out, or null.

    Raises:
        ValueError: The text has no visible character.
    """
    if value is not None and is_blank(value):
        raise ValueError("is empty" if not value.strip() else f"has no visible character ({value!a:.60})")
    return value
