from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, field_validator

from sequela.core.errors import BadInputError
from sequela.core.validation import CheckedModel, InvalidFieldsError, NumericModel, in_words, problems_in


class Probe(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prompt: str
    answer: str = ""

    @field_validator("prompt")
    @classmethod
    def _ends_with_a_mark(cls, prompt: str) -> str:
        if not prompt.endswith("?"):
            raise ValueError("has no question mark")
        return prompt


class Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    probes: list[Probe] = Field(min_length=1)
    count: int = 1


GOOD = {"prompt": "Who?"}


def error_of(content: object) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Facts.model_validate(content)
    return caught.value


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "the field 'probes' is missing"),
        (
            {"probes": [{"prompt": "Who?"}], "cuont": 2},
            "the field 'cuont' is unknown (did you mean 'count'?)",
        ),
        ({"probes": [GOOD], "zzz": 2}, "the field 'zzz' is unknown"),
        ({"probes": [{"prompt": "Who"}]}, "the field 'probes.1.prompt' has no question mark"),
        ({"probes": []}, "the field 'probes': the list is empty"),
        (
            {"probes": [{"prompt": "Who?", "anwser": ""}], "count": "many"},
            "the field 'probes.1.anwser' is unknown (did you mean 'answer'?); the field 'count': expected "
            "a whole number",
        ),
        (7, "expected a table of keys and values"),
    ],
)
def test_every_problem_is_named_by_its_field(content: object, words: str) -> None:
    allowed = [*Facts.model_fields, *Probe.model_fields]
    assert in_words(error_of(content), allowed=allowed) == words


def test_the_word_for_a_field_can_be_another() -> None:
    assert in_words(error_of({}), noun="setting") == "the setting 'probes' is missing"


def test_a_problem_knows_the_given_value() -> None:
    (problem,) = problems_in(error_of({"probes": [GOOD], "count": "many"}))
    assert (problem.key, problem.given, problem.code) == ("count", "many", "int_parsing")


class Place(CheckedModel):
    model_config = ConfigDict(extra="forbid")

    name: str


class Journey(BaseModel):
    places: list[Place]


class TestCheckedModel:
    def test_the_constructor_reports_wrong_fields_in_words(self) -> None:
        with pytest.raises(
            InvalidFieldsError, match=r"^Place: the field 'name' is missing; .*'nam' is unk"
        ) as e:
            Place(nam="Ulm")  # type: ignore[call-arg]
        assert isinstance(e.value, BadInputError)
        assert len(problems_in(e.value.error)) == 2

    def test_validation_keeps_pydantic_s_error_and_the_location(self) -> None:
        with pytest.raises(ValidationError):
            Place.model_validate({"name": 3})
        with pytest.raises(ValidationError) as caught:
            Journey.model_validate({"places": [{"name": "Ulm"}, {"name": 3}]})
        assert [one.location for one in problems_in(caught.value)] == [("places", 1, "name")]

    def test_a_correct_object_is_created_either_way(self) -> None:
        assert Place(name="Ulm") == Place.model_validate({"name": "Ulm"})


class Numbers(NumericModel):
    whole: int | None = None
    some: tuple[float, ...] = ()
    size: ByteSize | None = None
    either: bool | int = 0
    choice: bool = False
    table: dict[str, Any] = Field(default_factory=dict)
    text: str = ""


@pytest.mark.parametrize("field", [{"whole": True}, {"some": [0.5, False]}, {"size": True}])
def test_a_truth_value_is_no_number(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="expected a number, not true or false"):
        Numbers.model_validate(field)


@pytest.mark.parametrize(
    "field", [{"either": True}, {"choice": False}, {"table": {"a": True}}, {"whole": "3"}]
)
def test_a_truth_value_stays_where_one_may_be(field: dict[str, Any]) -> None:
    assert Numbers.model_validate(field).model_fields_set == set(field)


def test_a_message_is_no_longer_than_a_reader_can_use() -> None:
    with pytest.raises(ValidationError) as caught:
        Probe.model_validate({"prompt": "So?", "k" * 100_000: 1, **{f"k{n}": n for n in range(20_000)}})
    words = in_words(caught.value)
    assert words.endswith("; and 19991 further problems")
    assert len(words) < 1000
