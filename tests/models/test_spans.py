"""Subject and target are found by offsets, for every tokenizer and script."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from sequela.core.errors import SequelaError
from sequela.core.joining import continued
from sequela.core.paths import cache_folder
from sequela.models import TokenizedPrompt, tokenize_prompt
from support.tokenizers import byte_level, composing, sentencepiece

KINDS = {"byte_level": byte_level, "sentencepiece": sentencepiece, "composing": composing}

# Words as they occur in prompts: Latin with combining marks, Greek, Cyrillic, Arabic, CJK, emoji.
LETTERS = st.sampled_from("abcdeghinorstuvzABCEJTZ0169'-.éüñçøßλΩжюشм東京は가👍🏽🇫🇷" + "e\u0301n\u0303")
WORDS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda w: not unicodedata.combining(w[0]))
PHRASES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
SHAPES = st.sampled_from(
    [
        "{} {a}",
        "{a} {} {b}",
        "{a} {}",
        "{}",
        "{} {a} {} {b}",
        "{a} ({}), {b}",
        "{a}: {}'s {b}",
        "{a} “{}” {b}",
    ]
)
CONTEXTS = st.sampled_from(["{}", "{c}. {}", "{c}\n{}", "{c} {}"])


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """Draws prompt, subject, target and context."""
    prompt = draw(SHAPES).replace("{a}", draw(PHRASES)).replace("{b}", draw(PHRASES))
    return prompt, draw(PHRASES), draw(PHRASES), draw(CONTEXTS).replace("{c}", draw(PHRASES))


def check_all(
    tokenizer: PreTrainedTokenizerBase, prompt: str, subject: str, target: str, context: str
) -> None:
    """Checks the properties of every tokenizer and every question."""
    whole = tokenize_prompt(tokenizer, prompt, subject, target, context)
    asked = tokenize_prompt(tokenizer, prompt, subject, context=context)
    assert whole.subject is not None
    assert whole.target is not None

    # The text is the context with the prompt with the subject, and the target, joined by a space or not.
    question = context.replace("{}", prompt.replace("{}", subject))
    assert whole.text == continued(question, target)
    assert asked.text == question

    # The question's tokens come first, unchanged, and only the target follows.
    assert whole.prompt_ids == asked.ids
    assert whole.prompt_ids + whole.target_ids == whole.ids
    assert _same(tokenizer.decode(whole.target_ids).strip(), target)

    # The span covers the subject's last occurrence by `{}` and no more tokens than needed.
    assert asked.subject == whole.subject
    assert _same_or_inside(subject, _decoded(tokenizer, whole))
    start = context.index("{}") + len(prompt.rpartition("{}")[0].replace("{}", subject))
    _check_span_is_tight(tokenizer, whole, start, start + len(subject))


def _check_span_is_tight(
    tokenizer: PreTrainedTokenizerBase, whole: TokenizedPrompt, start: int, stop: int
) -> None:
    offsets = tokenizer(whole.text, return_offsets_mapping=True)["offset_mapping"]
    assert whole.subject is not None
    first, last = offsets[whole.subject.start], offsets[whole.subject.last]
    assert first[0] <= start < first[1]
    assert last[0] < stop
    # If a letter and its mark were composed, the offsets cover only the letter.
    assert all(unicodedata.combining(mark) for mark in whole.text[last[1] : stop])
    assert whole.subject_last == whole.subject.last


def _decoded(tokenizer: PreTrainedTokenizerBase, whole: TokenizedPrompt) -> str:
    assert whole.subject is not None
    text: str = tokenizer.decode(whole.ids[whole.subject.start : whole.subject.stop])
    return text


def _same(left: str, right: str) -> bool:
    return unicodedata.normalize("NFC", left) == unicodedata.normalize("NFC", right)


def _same_or_inside(part: str, text: str) -> bool:
    return unicodedata.normalize("NFC", part) in unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None)
@example(question=("0 {} 京", "0", "は 0", "{}"))  # apart, since bytes of 京 and は make one token
@given(question=questions())
def test_subject_and_target_are_found(kind: str, question: tuple[str, str, str, str]) -> None:
    check_all(KINDS[kind](), *question)


@lru_cache(maxsize=1)
def _real_tokenizer() -> PreTrainedTokenizerBase | None:
    for file in Path(cache_folder(), "models").glob("smollm2-135m-instruct-*/tokenizer.json"):
        return AutoTokenizer.from_pretrained(file.parent, local_files_only=True)
    return None


@settings(max_examples=60, deadline=None)
@given(question=questions())
def test_subject_and_target_are_found_by_the_default_model(question: tuple[str, str, str, str]) -> None:
    tokenizer = _real_tokenizer()
    if tokenizer is None:
        pytest.skip("smollm2-135m-instruct is not in the cache")
    check_all(tokenizer, *question)


def test_the_subject_s_last_token_in_known_examples() -> None:
    found = tokenize_prompt(byte_level(), "Who founded Apple?\n{}, said", "Steve Jobs", "someone")
    pieces = byte_level().convert_ids_to_tokens(found.ids)
    assert found.subject is not None
    assert "".join(pieces[found.subject.start : found.subject.stop]) == "SteveĠJobs"
    assert pieces[found.subject_last + 1].startswith(",")


def test_a_token_that_is_only_the_space_belongs_to_the_target() -> None:
    """Tokenizers that trim offsets give it an empty range; it must not count as the prompt's last token."""
    found = tokenize_prompt(composing(), "The moon landing was in", target="1969")
    assert composing().convert_ids_to_tokens(found.target_ids)[0] == "Ġ"
    assert found.prompt_ids == tokenize_prompt(composing(), "The moon landing was in").ids


def test_of_two_occurrences_the_last_one_counts() -> None:
    found = tokenize_prompt(byte_level(), "{} is here. Where is {}?", "Paris")
    first = tokenize_prompt(byte_level(), "{} is here. Where is Paris?", "Paris")
    assert found.ids == first.ids
    assert found.subject_last > first.subject_last


def test_a_beginning_token_occurs_once_and_belongs_to_no_span() -> None:
    found = tokenize_prompt(sentencepiece(), "{} is the capital of", "Paris", "France")
    assert found.ids[0] == sentencepiece().bos_token_id
    assert found.ids.count(sentencepiece().bos_token_id) == 1
    assert found.subject is not None
    assert found.subject.start == 1


def test_a_closing_token_is_not_part_of_the_target() -> None:
    from tokenizers import Tokenizer, processors

    closing = Tokenizer.from_str(byte_level().backend_tokenizer.to_str())
    closing.post_processor = processors.TemplateProcessing(
        single="$A <|end|>", special_tokens=[("<|end|>", byte_level().eos_token_id)]
    )
    tokenizer = type(byte_level())(tokenizer_object=closing, eos_token="<|end|>")
    found = tokenize_prompt(tokenizer, "The capital of {} is", "France", "Paris")
    assert tokenizer.decode(found.target_ids) == " Paris"
    assert byte_level().eos_token_id not in found.ids


@pytest.mark.parametrize(
    ("prompt", "target", "text"),
    [
        ("The capital is", "Paris", "The capital is Paris"),
        ("The capital is ", "Paris", "The capital is Paris"),
        ("The capital is", " Paris", "The capital is Paris"),
        ("Name it:\n", "Paris", "Name it:\nParis"),
    ],
)
def test_one_white_space_separates_prompt_and_target(prompt: str, target: str, text: str) -> None:
    found = tokenize_prompt(byte_level(), prompt, target=target)
    assert found.text == text
    assert byte_level().decode(found.target_ids).strip() == "Paris"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"prompt": "The capital of France is", "subject": "France"}, "has no {}"),
        ({"prompt": "The capital of {} is", "subject": "  "}, "is empty"),
        ({"prompt": "The capital of {} is", "subject": "France", "target": ""}, "is empty"),
        ({"prompt": "{}", "subject": "France", "context": "No place here."}, "has no {}"),
    ],
)
def test_spans_that_can_t_be_found_are_an_error(arguments: dict[str, str], expected: str) -> None:
    with pytest.raises(SequelaError, match=expected):
        tokenize_prompt(byte_level(), **arguments)


def test_the_last_subject_token_of_a_prompt_without_a_subject_is_an_error() -> None:
    with pytest.raises(SequelaError, match="no subject"):
        _ = tokenize_prompt(byte_level(), "The capital of France is").subject_last
