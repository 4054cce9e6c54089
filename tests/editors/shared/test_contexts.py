"""Context templates: sampled from the seed alone, or read from a file and checked line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError
from sequela.editors.shared.contexts import OPENINGS, check_contexts, read_contexts, sample_contexts
from sequela.models import LanguageModel, tokenize_prompt
from support.tiny import tiny_language_model


def test_the_same_seed_gives_the_same_contexts(any_family: LanguageModel) -> None:
    first, again, other = (sample_contexts(any_family, 6, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert first[0] == "{}"
    assert len(first) == 7
    for number, context in enumerate(first[1:]):
        assert context.endswith(". {}")
        assert context.count("{") == context.count("}") == 1
        assert context.startswith(OPENINGS[number % len(OPENINGS)])
        assert "\n" not in context


def test_the_sampled_contexts_find_the_subject(any_family: LanguageModel) -> None:
    """The subject's tokens are found after any text sampled from a random model."""
    tokenizer = any_family.tokenizer
    for context in sample_contexts(any_family, 3, 0):
        prompt = tokenize_prompt(tokenizer, "{} plays the", "Ada Winterbourne", context=context)
        assert prompt.subject is not None
        subject = tokenizer.decode(list(prompt.ids[prompt.subject.start : prompt.subject.stop]))
        assert subject.strip() == "Ada Winterbourne"


def test_without_sampled_contexts_the_bare_prompt_is_left() -> None:
    assert sample_contexts(tiny_language_model("llama"), 0, 0) == ("{}",)


def written(folder: Path, text: str) -> Path:
    path = folder / "contexts.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_has_one_context_per_line(tmp_path: Path) -> None:
    path = written(tmp_path, "{}\nThe sea was calm. {}\n\nSo they said: {} \n")
    assert read_contexts(path) == ("{}", "The sea was calm. {}", "So they said: {} ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}\nNo blank here.\n", "line 2: 'No blank here.'"),
        ("{}\n\n{} and {}\n", "line 3"),
        ("The sea. {}\n{}\n", "first context must be {}"),
        ("", "first context must be {}"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_contexts(written(tmp_path, text))
    assert expected in str(caught.value)
    assert "contexts.txt" in str(caught.value)


def test_a_file_that_is_missing_or_not_text_is_rejected_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"nowhere.txt can't be read"):
        read_contexts(tmp_path / "nowhere.txt")
    (tmp_path / "image.txt").write_bytes(b"{}\n\xff\xd8\xff")
    with pytest.raises(BadInputError, match=r"image.txt is not UTF-8"):
        read_contexts(tmp_path / "image.txt")


def test_contexts_given_in_code_are_checked_too() -> None:
    assert check_contexts(["{}", "The sea. {}"]) == ("{}", "The sea. {}")
    for contexts, description in {
        ("{}", "No blank."): "Context 2: 'No blank.'",
        ("The sea. {}",): "Contexts: the first context must be {}",
        (): "the first context must be {}",
        "{}": "expected a list of templates",
    }.items():
        with pytest.raises(BadInputError, match=re.escape(description)):
            check_contexts(contexts)


@pytest.mark.parametrize("unusable", ["\0", "\ufdd0", "\ufdd3"])
def test_a_context_with_a_character_that_nothing_can_use_is_named(unusable: str, tmp_path: Path) -> None:
    path = tmp_path / "contexts.txt"
    path.write_text(f"{{}}\nSo {unusable} {{}}\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"contexts\.txt, line 2: .* has a (NUL character|noncharacter)"):
        read_contexts(path)
    with pytest.raises(BadInputError, match=r"Context 2: .* has a (NUL character|noncharacter)"):
        check_contexts(["{}", f"So {unusable} {{}}"])
